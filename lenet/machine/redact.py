"""Remove the names of user, host and home folder from texts that are stored in records."""

from __future__ import annotations

import contextlib
import functools
import getpass
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from lenet.files.plain import as_text

TOO_COMMON = frozenset(
    {"root", "user", "admin", "localhost", "ubuntu", "mindspore", "lenet", "python", "linux", "work"}
)
"""Names that identify nobody and occur in ordinary messages."""

SHORTEST = 3
"""Shorter names are not replaced: they occur in messages by chance."""


def without_names(text: str) -> str:
    """Return `text` with the home folder as `~`, the user as `(user)` and the host as `(host)`, and as valid UTF-8."""
    text = as_text(text)
    for pattern, replacement in _patterns(_home(), _user(), platform.node()):
        text = pattern.sub(replacement, text)
    return text


@functools.lru_cache(maxsize=8)
def _patterns(home: str, user: str, host: str) -> list[tuple[re.Pattern[str], str]]:
    found = []
    if len(home) > 1:
        found.append((re.compile(rf"{re.escape(home)}(?![\w.-])"), "~"))
    # The full name first: `node7.example.org` contains `node7`.
    for names, replacement in (((host, host.partition(".")[0]), "(host)"), ((user,), "(user)")):
        found += [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), replacement)
            for name in dict.fromkeys(names)
            if len(name) >= SHORTEST and name.lower() not in TOO_COMMON
        ]
    return found


def _home() -> str:
    with contextlib.suppress(RuntimeError):
        return str(Path.home())
    return ""


def _user() -> str:
    with contextlib.suppress(ImportError, KeyError, OSError):  # a user id without a name; Windows without USERNAME
        return getpass.getuser()
    return ""


MAX_VALUE = 200
"""Characters of a variable's value: images set some of thousands, as NVIDIA_REQUIRE_CUDA."""

SECRET_WORDS = re.compile(r"HOST|ADDR|_IP$|URL|TOKEN|SECRET|PASS|KEY|USER|CREDENTIAL", re.IGNORECASE)


def variables(environment: Mapping[str, str], wanted: re.Pattern[str]) -> dict[str, str]:
    """Return the variables whose names match `wanted`.

    The value of one that may contain a path, an address or a secret, or has more than `MAX_VALUE` characters, is
    replaced by `(set)`.
    """
    return {
        as_text(name): "(set)" if _hidden(name, value) else without_names(value)
        for name, value in sorted(environment.items())
        if wanted.search(name)
    }


def _hidden(name: str, value: str) -> bool:
    return "/" in value or "\\" in value or len(value) > MAX_VALUE or SECRET_WORDS.search(name) is not None
