"""The forms of a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args

from lenet.errors import UsageError
from lenet.files.text import make_folder, write_atomically, write_output
from lenet.report.content.gather import Report

Form = Literal["html", "markdown", "terminal"]
FORMS: tuple[Form, ...] = get_args(Form)
SUFFIXES: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}


def choose(output: Path | None, form: str | None) -> Form:
    """The form that the options ask for: `form` if given, else by the suffix of `output`, else the terminal.

    Raises:
        UsageError: an unknown form or suffix.
    """
    if form is not None:
        for known in FORMS:
            if known == form:
                return known
        raise UsageError(f"--format {form!r}: choose from {', '.join(FORMS)}")
    if output is None:
        return "terminal"
    if (suffix := output.suffix.lower()) not in SUFFIXES:
        raise UsageError(f"--output {output}: use the suffix .html or .md, or --format html or markdown")
    return SUFFIXES[suffix]


def write(report: Report, form: Form, output: Path | None, baseline: str | None) -> None:
    """Write a page or Markdown, to standard output without `output`.

    Pictures of Markdown go into the folder `NAME-pictures` beside it; without `output` there are none.

    Raises:
        UsageError: no row is the baseline.
        StoreError: a file cannot be written.
    """
    pictures: dict[str, str] = {}
    if form == "html":
        from lenet.report.document.html import page

        text = page(report, baseline)
    else:
        from lenet.report.document.markdown import document

        folder = f"{output.stem}-pictures" if output is not None else None
        text, pictures = document(report, baseline, folder, output.parent.resolve() if output is not None else None)
    if output is None:
        sys.stdout.write(text)
        return
    for name, content in pictures.items():
        make_folder((output.parent / name).parent)
        write_atomically(output.parent / name, content)
    make_folder(output.parent)
    write_output(output, text)
