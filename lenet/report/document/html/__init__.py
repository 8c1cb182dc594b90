"""The page: one file that opens from disk and makes no request."""

from lenet.report.document.html.page import page

__all__ = ["page"]
