"""Short names of runtime profiles: `fast=onednn_isa=AVX2+launch_blocking`, or a table of names in a matrix file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lenet.cases.profile import TUNED, RuntimeProfile

SETTINGS = tuple(name for name in RuntimeProfile.model_fields if name not in ("name", "tuned_by"))
"""The settings of a profile."""
FIXED = (RuntimeProfile().name, TUNED)
"""Names with a meaning of their own: no profile is renamed to or from them."""
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")


def read_profile(text: str) -> RuntimeProfile:
    """A profile from `default`, `tuned`, settings joined by `+`, or `NAME=SETTINGS`.

    Raises:
        ValueError: none of these, in one sentence.
    """
    name, _, rest = text.partition("=")
    first = re.split(r"[+=]", rest, maxsplit=1)[0]
    if name in SETTINGS or first not in (*SETTINGS, *FIXED):
        return RuntimeProfile.parse(text)  # no name: a misspelled setting is called one
    return named(name, rest)


def named(name: str, settings: object) -> RuntimeProfile:
    """The profile with these settings under a short name; its settings stay what identifies it.

    Raises:
        ValueError: unknown settings, or a name that means something else.
    """
    if not isinstance(settings, str):
        raise ValueError(f"profile {name}: write its settings as text, such as 'onednn_isa=AVX2+launch_blocking'")
    if name == settings and name in FIXED:
        return RuntimeProfile.parse(name)
    for fixed in (name, settings):
        if fixed in FIXED:
            raise ValueError(f"{name}={settings}: the profile {fixed!r} cannot be renamed; name settings")
    if not NAME.fullmatch(name) or name in SETTINGS:
        raise ValueError(f"profile name {name!r}: use up to 32 of a-z, 0-9, - _ and ., and no name of a setting")
    return RuntimeProfile.parse(settings).model_copy(update={"name": name})


def from_table(profiles: Mapping[str, object]) -> tuple[RuntimeProfile, ...]:
    """The profiles of a table of names, in its order. `default = "default"` is the framework as installed.

    Raises:
        ValueError: as `named`.
    """
    return tuple(named(name, settings) for name, settings in profiles.items())
