"""Figures and cases in words, the same in every form of a report."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lenet.cases.axes import IDENTIFYING, values_of
from lenet.cases.axis import Kind
from lenet.cases.case import Case, Mode
from lenet.report.layout import number
from lenet.report.table.rows import Row

SERIES_SEPARATOR = " · "


def mode(row: Row) -> str:
    """The mode in words, as `Graph (functional step)`."""
    return Mode(row.mode).label


def short_mode(row: Row) -> str:
    """The mode in a sentence, without the remark that its label has in a table."""
    return mode(row).partition(" (")[0]


def with_dataset(case: Case) -> str:
    """A case in words, with its dataset also where that is the usual one.

    >>> with_dataset(Case()), with_dataset(Case(dataset="digits"))
    ('CPU · graph · batch 32 · mnist', 'CPU · graph · batch 32 · digits')
    """
    label = case.label
    return label if case.dataset in label.split(SERIES_SEPARATOR) else f"{label}{SERIES_SEPARATOR}{case.dataset}"


def settings(row: Row, without: Collection[str]) -> list[str]:
    """The values of a row's case that are not the default ones, in words, except those of the axes in `without`.

    A figure that is quoted outside its table needs them: a cached pipeline is not the tutorial's.
    """
    usual = values_of(Case())
    return [
        each.words(getattr(row, each.name))
        for each in IDENTIFYING
        if each.kind is Kind.CASE
        and each.name not in without
        and getattr(row, each.name) != each.as_plain(usual[each.name])
    ]


def unique(names: Iterable[str]) -> list[str]:
    """The names, with a number after one that another has already.

    >>> unique(["tuned", "default", "tuned", "tuned (2)"])
    ['tuned', 'default', 'tuned (2)', 'tuned (2) (2)']
    """
    taken: dict[str, None] = {}
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        taken[free] = None
    return list(taken)


def times(ratio: float) -> str:
    """A ratio.

    >>> times(1.234), times(1234.5)
    ('1.23×', '1,234.50×')
    """
    return f"{number(ratio, 2)}×"


def count(quantity: int, noun: str, plural: str = "") -> str:
    """A quantity and its noun.

    >>> count(1, "case"), count(2500, "case"), count(2, "process", "processes")
    ('1 case', '2,500 cases', '2 processes')
    """
    return f"{quantity:,} {noun if quantity == 1 else plural or noun + 's'}"


def span(numbers: Iterable[int]) -> str:
    """The lowest and the highest of the numbers, `no` without any.

    >>> span([8, 2, 4]), span([3, 3]), span([])
    ('2–8', '3', 'no')
    """
    ordered = sorted(numbers)
    return "–".join(str(each) for each in dict.fromkeys((ordered[0], ordered[-1]))) if ordered else "no"


def numbered(text: str, notes: dict[str, int]) -> str:
    """The number of a note in brackets; a new text gets the next one. Empty without a text."""
    return f" ({notes.setdefault(text, len(notes) + 1)})" if text else ""


def listed(words: list[str]) -> str:
    """Words as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def few(words: list[str], most: int = 4) -> str:
    """The first of the words, and how many more there are.

    >>> few(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(words[:most]) + (f" and {len(words) - most:,} more" if len(words) > most else "")
