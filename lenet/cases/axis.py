"""What an axis is: a thing that cases and their records differ in. `lenet.cases.axes` is the table of all axes.

Importing this module does not import pydantic: `lenet-bench --help` reads the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, Protocol

ROUNDS = 100
"""The level from which an axis is outermost in a matrix: its values are rounds over all other axes."""


class Kind(Enum):
    """What two records are to each other that differ in an axis and agree on all others."""

    CASE = "two cases"
    PLACE = "the same case elsewhere"
    REPETITION = "the same case again"


class Outcome(Protocol):
    """The part of a `lenet.store.record.Record` that axes read."""

    @property
    def case(self) -> Any:
        """The `lenet.cases.case.Case` that was run."""

    @property
    def machine_id(self) -> str:
        """The machine that it ran on."""

    @property
    def software(self) -> Any:
        """The versions that the worker reported, or None."""

    @property
    def dataset(self) -> Any:
        """The card of the data, or None."""


def whole_number(text: str) -> int:
    """The number that the digits of `text` are.

    Raises:
        ValueError: other characters than digits.
    """
    if not text.isdecimal() or not text.isascii():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


@dataclass(frozen=True)
class Axis:
    """One axis. Its value has three forms.

    - The value itself, as a `Case` holds it.
    - Its plain form, as rows, JSON and CSV hold it: a text, a number or None.
    - Its identity: a text that two values share if and only if they mean the same.
    """

    name: str
    """The field of a row in JSON and CSV, and the name in `--over` and `--baseline`."""
    level: int
    """The order of a table's rows: the axis with the lowest level is outermost. A matrix has the axes from `ROUNDS` on
    outermost, so that a slow drift of the machine affects all others alike."""
    path: str = ""
    """Attributes that lead to the value in a `Case`, joined by dots; empty if a case does not have it."""
    value: Callable[[Any], Any] | None = None
    """Reads the value of a `Case`, if the attribute may hold another name of it."""
    read: Callable[[Outcome], Any] | None = None
    """Reads the value of a record, if a record knows it better than its case."""
    kind: Kind = Kind.CASE
    title: str = ""
    """Head of a column; empty: the name."""
    aliases: tuple[str, ...] = ()
    """Other names in `--over` and `--baseline`."""
    field: str = ""
    """The field of a `Matrix`, a path as `path`; empty if a matrix does not span the axis."""
    several: bool = True
    """Whether that field holds several values, and not one number."""
    spans: tuple[Any, ...] | None = None
    """The values of a matrix that does not name the axis; None: the default of a case."""
    option: str = ""
    """The option of the command line and of `pytest bench/`; empty: none."""
    help: str = ""
    values: type[Enum] | None = None
    """The values, if they are a fixed set."""
    parse_value: Callable[[str], Any] = str
    """Reads a value from text, if they are not."""
    examples: tuple[str, ...] = ()
    """Texts of at least two values, if they are not a fixed set: the tests of the axis use them."""
    plain: Callable[[Any], Any] | None = None
    """The plain form of a value; None: the value, or the text of an enumeration's member."""
    meaning: Callable[[Any], str] | None = None
    """The identity of a value; None: the text of its plain form."""
    record_meaning: Callable[[Outcome], str | None] | None = None
    """The identity of a record, if its value alone does not tell; None from it: that of the value."""
    order: Callable[[Any], Any] | None = None
    """Sort key of a plain form; None: an enumeration by its members, others by themselves with None first."""
    phrase: str = "{}"
    """A value in words. `{s}` and `{es}` are the plural's ending, empty after 1."""
    text: Callable[[Any], str] | None = None
    """A plain form as text in `phrase`; None: numbers with separated thousands, `unknown` for None."""
    always: bool = False
    """Whether a label names the axis even if it has its default."""

    @property
    def parameter(self) -> str:
        """The option's name as a Python identifier, under which its value is passed on."""
        return self.option.lstrip("-").replace("-", "_")

    @property
    def is_number(self) -> bool:
        """Whether the values are whole numbers."""
        return self.parse_value is whole_number

    @property
    def column_title(self) -> str:
        """Head of a column, and the axis in a sentence."""
        return self.title or self.name

    def option_help(self, single: bool = False) -> str:
        """The option's help, with the values of a fixed set; `single` for a command that takes one value."""
        values = f" ({', '.join(self._choices())})" if self.values is not None else ""
        several = "; comma-separated" if self.several and not single else ""
        return f"{self.help}{values}{several}."

    def _choices(self) -> list[str]:
        return [str(member.value).lower() for member in self.values or ()]

    def parse(self, text: str) -> Any:
        """The value that a text of the command line names.

        Raises:
            ValueError: no value of this axis, in one sentence.
        """
        text = text.strip()
        if self.values is None:
            return self.parse_value(text)
        for member in self.values:
            if str(member.value).lower() == text.lower():
                return member
        raise ValueError(f"unknown value {text!r}, choose from {', '.join(self._choices())}")

    def of_case(self, case: object) -> Any:
        """The value of a `Case`; None if a case does not have the axis."""
        if self.value is not None:
            return self.value(case)
        return attrgetter(self.path)(case) if self.path else None

    def of_record(self, record: Outcome) -> Any:
        """The value of a record: what ran, if the record says so, else what its case says."""
        return self.read(record) if self.read is not None else self.of_case(record.case)

    def as_plain(self, value: Any) -> Any:
        """The plain form of a value."""
        if self.plain is not None:
            return self.plain(value)
        return value.value if isinstance(value, Enum) else value

    def identity(self, value: Any) -> str:
        """The identity of a value; empty for None."""
        if self.meaning is not None:
            return self.meaning(value)
        plain = self.as_plain(value)
        return "" if plain is None else str(plain)

    def record_identity(self, record: Outcome) -> str:
        """The identity of a record's value."""
        known = self.record_meaning(record) if self.record_meaning is not None else None
        return known if known is not None else self.identity(self.of_record(record))

    def as_typed(self, value: Any) -> str:
        """A value as `option` takes it."""
        return self.identity(value) if self.values is None else str(self.as_plain(value)).lower()

    def as_text(self, plain: Any) -> str:
        """A plain form as `--over` and `--baseline` name it."""
        return "none" if plain is None else str(plain)

    def is_named(self, text: str, plain: Any, identity: str) -> bool:
        """Whether `text` names the value with this plain form and identity."""
        if text == self.as_text(plain):
            return True
        try:
            return self.identity(self.parse(text)) == identity
        except ValueError:
            return False

    def words(self, *plains: Any) -> str:
        """Plain forms in words: `batch 32`, `batch 32, 64`."""
        texts = [self._text(plain) for plain in plains]
        one = texts == ["1"]
        return self.phrase.format(", ".join(texts), s="" if one else "s", es="" if one else "es")

    def _text(self, plain: Any) -> str:
        if self.text is not None:
            return self.text(plain)
        return f"{plain:,}" if isinstance(plain, int) else "unknown" if plain is None else str(plain)

    def rank(self, plain: Any) -> Any:
        """The sort key of a plain form."""
        if self.order is not None:
            return self.order(plain)
        if self.values is not None:
            return [member.value for member in self.values].index(plain)
        return (plain is not None, plain if plain is not None else 0)
