"""Names that have no place in a record: the user's, the host's, the home folder's."""

from __future__ import annotations

import contextlib
import functools
import getpass
import platform
import re
from collections.abc import Mapping
from pathlib import Path

TOO_COMMON = frozenset(
    {"root", "user", "admin", "localhost", "ubuntu", "mindspore", "lenet", "python", "linux", "work"}
)
"""Names that say nothing about anybody and stand in many a message."""

SHORTEST = 3
"""A shorter name would be found inside a message by chance."""


def without_names(text: str) -> str:
    """`text` with the home folder as `~`, the user as `(user)`, the host as `(host)`."""
    for pattern, instead in _patterns():
        text = pattern.sub(instead, text)
    return text


def _patterns() -> list[tuple[re.Pattern[str], str]]:
    home, user, host = _home(), _user(), platform.node()
    return _compiled(home, user, host)


@functools.lru_cache(maxsize=8)
def _compiled(home: str, user: str, host: str) -> list[tuple[re.Pattern[str], str]]:
    found = []
    if len(home) > 1:
        found.append((re.compile(rf"{re.escape(home)}(?![\w.-])"), "~"))
    # The full name first: `node7.example.org` holds `node7`.
    for names, instead in (((host, host.partition(".")[0]), "(host)"), ((user,), "(user)")):
        found += [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), instead)
            for name in dict.fromkeys(names)
            if len(name) >= SHORTEST and name.lower() not in TOO_COMMON
        ]
    return found


def _home() -> str:
    with contextlib.suppress(RuntimeError):
        return str(Path.home())
    return ""


def _user() -> str:
    with contextlib.suppress(KeyError, OSError):  # a user id that the system has no name for
        return getpass.getuser()
    return ""


SECRET_WORDS = re.compile(r"HOST|ADDR|_IP$|URL|TOKEN|SECRET|PASS|KEY|USER|CREDENTIAL", re.IGNORECASE)


def variables(environment: Mapping[str, str], wanted: re.Pattern[str]) -> dict[str, str]:
    """The variables whose names `wanted` finds; one that may hold a path, an address or a secret is said to be set."""
    return {
        name: "(set)" if "/" in value or "\\" in value or SECRET_WORDS.search(name) else without_names(value)
        for name, value in sorted(environment.items())
        if wanted.search(name)
    }
