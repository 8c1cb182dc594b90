"""The errors that a user sees as one sentence, the exit codes, and why an operation failed in a few words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError

NAME = "lenet-bench"
program_words: ContextVar[Callable[[], str]] = ContextVar("program_words", default=lambda: NAME)
"""The words that start this command in the user's shell. The command line knows them, and sets this."""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes: a case or a check failed; the input cannot be used; stopped by Ctrl-C."""

REASON_LENGTH = 300
UNKNOWN_KEY = "unknown key"


class UsageError(ValueError):
    """Input that cannot be used: one clear sentence that says what to do. The command ends with exit code 2."""


class DatasetError(UsageError):
    """Data that is absent, damaged or not what it claims to be."""


class CacheError(UsageError):
    """The user's cache or data folder cannot be used."""


class StoreError(UsageError):
    """A run folder that cannot be written, or that does not hold what a run holds."""


class Problem(NamedTuple):
    """One fault of data that was validated."""

    path: tuple[str | int, ...]
    """Keys and indices that lead to the value; empty for the data as a whole."""
    message: str

    def __str__(self) -> str:
        """`a.0.b: message`."""
        return f"{'.'.join(map(str, self.path))}: {self.message}" if self.path else self.message


def problems(error: ValidationError) -> list[Problem]:
    """Every fault that pydantic found, in its order."""
    return [
        Problem(
            each["loc"],
            UNKNOWN_KEY if each["type"] == "extra_forbidden" else each["msg"].removeprefix("Value error, "),
        )
        for each in error.errors(include_url=False, include_input=False)
    ]


def one_line(text: str) -> str:
    """A message on one line. It may quote a stranger's data: what is not printable is escaped.

    >>> one_line("a\\x1b[31m  b")
    'a\\\\x1b[31m b'
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in " ".join(text.split()))


def runnable(message: str) -> str:
    """A message whose commands, which are in backticks, begin with the words that start this command here."""
    return message.replace(f"`{NAME} ", f"`{program_words.get()()} ") if f"`{NAME} " in message else message


def reason(error: Exception) -> str:
    """Why an operation failed, on one line: what the system says, or the first fault of validated data."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif type(error).__name__ == "ValidationError":  # pydantic is not imported before a command needs it
        text = str(problems(error)[0])  # type: ignore[arg-type]
    else:
        text = str(error)
    return one_line(text)[:REASON_LENGTH]


@contextlib.contextmanager
def failing_as(kind: type[UsageError], what: str, advice: str = "") -> Iterator[None]:
    """Raise `kind` where the operating system refuses a file inside, or its text is not UTF-8: what, why, advice."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise kind(f"{what}: {reason(error)}{'; ' if advice else ''}{advice}") from error
