"""Reads records, shows tables. Never runs anything."""

from lenet.report.layout import FORMATS
from lenet.report.rows import Row, rows
from lenet.report.table import render

__all__ = ["FORMATS", "Row", "render", "rows"]
