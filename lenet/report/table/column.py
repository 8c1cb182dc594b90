"""What a column is: its name and titles, how a line's value is read, and how every view writes and sorts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row

View = Literal["document", "terminal", "page"]
"""Where a column is shown: Markdown and plain HTML, a terminal of 80 columns, the report's page."""

CellKind = Literal["text", "figure", "speed", "spread", "accuracy", "status", "link"]
"""How a column is written and sorted, in the page's script as here.

- `text`, `link`: as it is, sorted as words; a link leads to the record.
- `figure`: a number, written as `Figure` says, sorted by size.
- `speed`: the same, struck through on the page where it must not be quoted.
- `spread`: the range behind images/s, sorted by how wide it is.
- `accuracy`: sorted by size; in brackets, with its images, where the training was stopped before an epoch ended.
- `status`: words, with the reason below them on the page.
"""


@dataclass(frozen=True)
class Line:
    """What a line of a table is made of."""

    group: Group
    speed_up: float | None
    """Over the baseline; None where there is none."""
    note: int | None
    """Number of the note that says why the status is what it is."""

    @property
    def row(self) -> Row:
        """The merged row."""
        return self.group.row

    @property
    def invalid(self) -> bool:
        """Whether there is a speed that must not be quoted: no process behind it ended well."""
        return not self.group.processes and self.row.images_per_second is not None


@dataclass(frozen=True)
class Figure:
    """How a number is written: over `divisor`, thousands separated, `digits` behind the point, then `suffix`."""

    digits: int = 0
    divisor: int = 1
    suffix: str = ""

    def text(self, value: float | None) -> str:
        """The number in words, or a dash.

        >>> Figure(2, suffix="×").text(1234.5), Figure(divisor=2**20).text(None)
        ('1,234.50×', '–')
        """
        return DASH if value is None else f"{number(value / self.divisor, self.digits)}{self.suffix}"


@dataclass(frozen=True)
class Column:
    """One column. A view that names or writes it otherwise than a document does has a field of its own here."""

    name: str
    """The field of `Row` that it shows, as CSV and JSON name it; what no row has by itself has a name of its own."""
    title: str
    kind: CellKind = "text"
    figure: Figure | None = None
    """How its number is written, where it is one."""
    write: Callable[[Line], str] | None = None
    """Writes a document's cell; None: the field, as `figure` says."""
    brief: Callable[[Line], str] | None = None
    """Writes a terminal's cell; None: as a document's."""
    right: bool = False
    """Whether a table aligns it to the right."""
    short: str | None = None
    """Its title in a terminal."""
    heading: str | None = None
    """Its title on the page; None: `title`."""
    axis: str | None = None
    """A field of `Row`: the column is left out where all rows have one value of it."""
    always: tuple[View, ...] = ()
    """Views that show it even so."""
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
        """What the page's script has to know of it."""
        return {
            "name": self.name,
            "title": self.heading or self.title,
            "kind": self.kind,
            "figure": asdict(self.figure) if self.figure else None,
            "filter": self.filter,
        }
