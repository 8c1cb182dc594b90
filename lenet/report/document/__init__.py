"""A report on runs: gathered, then written as a page, as Markdown, or for a terminal."""
