"""Tables, charts, pages and texts from records. Never runs anything."""

from lenet.report.table.forms import FORMATS
from lenet.report.table.render import render
from lenet.report.table.rows import Row, rows

__all__ = ["FORMATS", "Row", "render", "rows"]
