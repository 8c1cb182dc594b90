"""Quantities of the command line."""

from __future__ import annotations

import math

from lenet.errors import UsageError


def share(option: str, text: str) -> float:
    """`5%` or `0.05` as 0.05.

    Raises:
        UsageError: no number, or not between 0 and 100%.
    """
    plain = text.strip()
    try:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UsageError(f"{option} {text!r}: write a share as 5% or 0.05")
    return value
