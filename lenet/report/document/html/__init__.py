"""The page: one file that opens from disk and asks for nothing."""

from lenet.report.document.html.page import page

__all__ = ["page"]
