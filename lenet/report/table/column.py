"""What a column is: its name and titles, and how each view reads, writes and sorts its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.speed_ups import SpeedUp

View = Literal["document", "terminal", "page"]
"""Where a column is shown: Markdown and plain HTML, a terminal of 80 columns, the report's page."""

CellKind = Literal["text", "figure", "speed", "spread", "accuracy", "status", "link"]
"""How a column is written and sorted, in the page's script as here.

- `text`, `link`: unchanged, sorted as words; a link opens the record.
- `figure`: a number, written by `Figure`, sorted by size.
- `speed`: a figure, struck through if it is invalid.
- `spread`: the range behind images/s, sorted by its width.
- `accuracy`: sorted by size; in brackets, with its images, if the training stopped before an epoch ended.
- `status`: words, on the page with the reason below them.
"""


@dataclass(frozen=True)
class Line:
    """The input of one line of a table."""

    group: Group
    speed_up: SpeedUp | None
    """Over the baseline; None without one."""
    note: int | None
    """Number of the note with the reason of the status."""

    @property
    def row(self) -> Row:
        """The merged row."""
        return self.group.row

    @property
    def invalid(self) -> bool:
        """Whether the speed is invalid: no process behind it succeeded."""
        return not self.group.processes and self.row.images_per_second is not None


@dataclass(frozen=True)
class Figure:
    """How a number is written: divided by `divisor`, thousands separated, `digits` decimals, then `suffix`."""

    digits: int = 0
    divisor: int = 1
    suffix: str = ""

    def text(self, value: float | None) -> str:
        """The number as text, or a dash.

        >>> Figure(2, suffix="×").text(1234.5), Figure(divisor=2**20).text(None)
        ('1,234.50×', '–')
        """
        return DASH if value is None else f"{number(value / self.divisor, self.digits)}{self.suffix}"


@dataclass(frozen=True)
class Column:
    """One column. What a view does differently from a document has a field of its own."""

    name: str
    """The field of `Row`, as in CSV and JSON; a figure that is not a field of one row has its own name."""
    title: str
    kind: CellKind = "text"
    figure: Figure | None = None
    """How its number is written, if it is one."""
    write: Callable[[Line], str] | None = None
    """Writes a document's cell; None: the field, as `figure` says."""
    brief: Callable[[Line], str] | None = None
    """Writes a terminal's cell; None: as a document's."""
    right: bool = False
    """Whether a table aligns it to the right."""
    short: str | None = None
    """Its title in a terminal, which has no other columns; nor has a page on paper."""
    heading: str | None = None
    """Its title on the page; None: `title`."""
    axis: str | None = None
    """A field of `Row`: the column is omitted if all rows agree on it."""
    always: tuple[View, ...] = ()
    """Views that show it nevertheless."""
    optional: bool = False
    """Whether a table omits it if no row has a value."""
    filter: bool = False
    """Whether the page offers its values as a filter."""

    def text(self, line: Line) -> str:
        """A document's cell."""
        if self.write is not None:
            return self.write(line)
        value = getattr(line.row, self.name)
        if self.figure is not None:
            return self.figure.text(value)
        return DASH if value is None else str(value)

    def terse(self, line: Line) -> str:
        """A terminal's cell."""
        return self.brief(line) if self.brief else self.text(line)

    def for_page(self) -> dict[str, Any]:
        """What the page's script needs."""
        return {
            "name": self.name,
            "title": self.heading or self.title,
            "kind": self.kind,
            "figure": asdict(self.figure) if self.figure else None,
            "filter": self.filter,
            "brief": self.short is not None,
        }
