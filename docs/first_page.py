"""A hook of mkdocs: the site's first page is README.md, followed by docs/index.md.

Links to pages hold on the site; links to files that are not part of it become their text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[1] / "README.md"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The Markdown of a page, as mkdocs renders it."""
    if page.file.src_uri != "index.md":
        return markdown
    text = README.read_text(encoding="utf-8").replace("](docs/", "](")
    return re.sub(r"\[([^][]+)\]\((?:results/|CHANGELOG|CONTRIBUTING)[^)]*\)", r"\1", text) + "\n" + markdown
