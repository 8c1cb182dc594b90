"""The page: one file that opens from disk and asks for nothing."""

from lenet.report.html.page import page

__all__ = ["page"]
