"""A report as a page, as Markdown, or for a terminal."""
