"""The forms of a report."""

from __future__ import annotations

import os
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


def text_of(report: Report, form: Form, baseline: str | None) -> str:
    """A page, or Markdown without pictures: one text that needs no file beside it.

    Raises:
        UsageError: no row is the baseline.
    """
    if form == "html":
        from lenet.report.document.html import page

        return page(report, baseline)
    from lenet.report.document.markdown import document

    return document(report, baseline, None)[0]


def write(report: Report, form: Form, output: Path, baseline: str | None) -> None:
    """Write a page or Markdown.

    Pictures of Markdown go into the folder `NAME-pictures` beside the file; beside a pipe or a device there are none.

    Raises:
        UsageError: no row is the baseline.
        StoreError: a file cannot be written.
    """
    file = Path(os.path.realpath(output))  # the target of a link is written
    pictures: dict[str, str] = {}
    if form == "html" or (output.exists() and not output.is_file()):
        text = text_of(report, form, baseline)
    else:
        from lenet.report.document.markdown import document

        text, pictures = document(report, baseline, f"{file.stem}-pictures", file.parent)
    for name, content in pictures.items():
        make_folder((file.parent / name).parent)
        write_atomically(file.parent / name, content)
    make_folder(output.parent)
    write_output(output, text)
