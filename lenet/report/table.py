"""Rows as a table: for a terminal, a forge, a spreadsheet, a program, a browser."""

from __future__ import annotations

import html
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from tabulate import tabulate

from lenet.errors import UsageError
from lenet.report.baseline import DEFAULT, speed_ups
from lenet.report.columns import SPEED, Column, Line, chosen
from lenet.report.rows import Group, Row, grouped

Format = Literal["terminal", "github", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

TERMINAL_WIDTH = 80


def render(table: Sequence[Row], form: Format, baseline: str | None = None) -> str:
    """The rows in `form`. CSV and JSON have a row a record; the others merge repetitions and compare with a baseline.

    Raises:
        UsageError: there is no row, or none is the baseline.
    """
    if not table:
        raise UsageError(
            "there is no record to show: the run has none yet; continue it with `lenet-bench run --resume`"
        )
    if form == "json":
        return json.dumps([each.model_dump(mode="json") for each in table], indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return _csv(table)
    groups = grouped(table)
    lines, notes = _lines(groups, speed_ups(groups, baseline))
    captions = _captions(groups, baseline or DEFAULT)
    if form == "terminal":
        return _terminal(lines, notes, captions)
    if form == "html":
        return _html(lines, notes, captions)
    return _github(lines, notes, captions)


def clean(text: str) -> str:
    """Text from a record as one line of visible characters: no control, no direction marks."""
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") else each for each in text).strip()


def _csv(table: Sequence[Row]) -> str:
    import pandas as pd

    flat = []
    for each in table:
        data = each.model_dump(mode="json")
        times = data.pop("seconds_to_accuracy")
        data |= {f"seconds_to_accuracy_{target}": value for target, value in times.items()}
        flat.append({name: _inert(value) if isinstance(value, str) else value for name, value in data.items()})
    target = io.StringIO()
    pd.DataFrame(flat).to_csv(target, index=False, lineterminator="\n")
    return target.getvalue()


def _inert(text: str) -> str:
    """Text for a spreadsheet, which runs what begins like a formula."""
    text = clean(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _lines(groups: Sequence[Group], ratios: Sequence[float | None]) -> tuple[list[Line], list[str]]:
    """The lines, and the notes that their statuses point to."""
    notes: list[str] = []
    lines = []
    for group, ratio in zip(groups, ratios, strict=True):
        reason = group.row.reason
        if reason and reason not in notes:
            notes.append(reason)
        lines.append(Line(group, ratio, notes.index(reason) + 1 if reason else None))
    return lines, notes


def _cells(
    lines: Sequence[Line], columns: Sequence[Column], escape: Callable[[str], str], strike: str
) -> list[list[str]]:
    return [
        [
            strike.format(text) if column is SPEED and line.invalid else text
            for column in columns
            for text in [escape(clean(column.text(line)))]
        ]
        for line in lines
    ]


def _align(columns: Sequence[Column]) -> list[str]:
    return ["right" if column.right else "left" for column in columns]


def _html(lines: Sequence[Line], notes: Sequence[str], captions: Sequence[str]) -> str:
    columns = chosen([line.group for line in lines], terminal=False)
    cells = _cells(lines, columns, html.escape, "<s>{}</s>")
    titles = [html.escape(column.title) for column in columns]
    body = tabulate(cells, titles, tablefmt="unsafehtml", colalign=_align(columns))
    items = "".join(f"<li>{html.escape(clean(note))}</li>\n" for note in notes)
    paragraphs = "".join(f"<p>{html.escape(clean(caption))}</p>\n" for caption in captions)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>lenet-bench</title>\n'
        "<style>body{font:1rem system-ui,sans-serif;margin:1rem}table{border-collapse:collapse}"
        "td,th{padding:.3rem .6rem;border-bottom:1px solid #8884}</style>\n"
        f"{body}\n<ol>\n{items}</ol>\n{paragraphs}</html>\n"
    )


def _github(lines: Sequence[Line], notes: Sequence[str], captions: Sequence[str]) -> str:
    columns = chosen([line.group for line in lines], terminal=False)
    cells = _cells(lines, columns, _markdown, "~~{}~~")
    titles = [column.title for column in columns]
    body = tabulate(cells, titles, tablefmt="github", colalign=_align(columns), disable_numparse=True)
    listed = "".join(f"\n{index}. {_markdown(clean(note))}" for index, note in enumerate(notes, 1))
    shown = [f"{_markdown(clean(caption))}\n" for caption in captions]
    return "\n".join(filter(None, [body, listed, "", *shown])) + "\n"


def _markdown(text: str) -> str:
    """Text that a forge shows as it is."""
    escaped = html.escape(text, quote=False)
    for mark in "\\|*_~`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _terminal(lines: Sequence[Line], notes: Sequence[str], captions: Sequence[str]) -> str:
    """A table for 80 columns, readable without colour. Long names of profiles become letters with a legend."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = chosen([line.group for line in lines], terminal=True)
    letters = {name: chr(65 + i) for i, name in enumerate(dict.fromkeys(line.row.profile for line in lines))}
    lettered = any(len(name) > 8 for name in letters) and len(letters) <= 26
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        title = column.short or ""
        # Figures never break over lines; what is words may.
        justify: Literal["left", "right"] = "right" if column.right else "left"
        shown.add_column(title, justify=justify, no_wrap=column.right, overflow="fold", min_width=len(title))
    for line in lines:
        cells = []
        for column in columns:
            text = (column.brief or column.text)(line)
            if column.axis == "profile" and lettered:
                text = letters[text]
            cells.append(Text(f"[{text}]" if column is SPEED and line.invalid else clean(text)))
        shown.add_row(*cells)
    target = io.StringIO()
    Console(file=target, width=TERMINAL_WIDTH, color_system=None, legacy_windows=False).print(shown)
    body = "\n".join(each.rstrip() for each in target.getvalue().splitlines())
    paragraphs = [f"({index}) {clean(note)}" for index, note in enumerate(notes, 1)]
    if lettered and len(letters) > 1:
        paragraphs += [f"profile {letter}: {name}" for name, letter in letters.items()]
    paragraphs += [clean(caption) for caption in captions]
    return body + "\n\n" + "\n".join(_wrapped(paragraph) for paragraph in paragraphs) + "\n"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, TERMINAL_WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _captions(groups: Sequence[Group], against: str) -> list[str]:
    """What it takes to judge the figures: data, version, machine, samples."""
    rows = [group.row for group in groups]
    datasets = dict.fromkeys((row.dataset, row.dataset_sha256) for row in rows)
    versions = dict.fromkeys(f"{row.framework} {row.framework_version}" for row in rows if row.framework_version)
    machines = dict.fromkeys(row.machine for row in rows if row.machine)
    devices = dict.fromkeys(row.device_target for row in rows)
    repeated = any(group.of > 1 for group in groups)
    counts = sorted({row.windows for row in rows if row.windows})
    samples = "–".join(str(each) for each in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
    spread = f"the range over {samples} processes" if repeated else f"the quartiles of {samples} windows"
    captions = [
        "Dataset: "
        + ", ".join(f"{name} (sha256 {(sha256 or 'unknown')[:12]})" for name, sha256 in datasets)
        + f". Framework: {', '.join(versions) or 'none ran'}. Device: {', '.join(devices)}. "
        f"Machine: {', '.join(machines) or 'unknown'}.",
        f"images/s: median over steady windows, data pipeline included, warm-up left out; spread: {spread}. "
        f"Speed-up: over {against}, all else equal.",
    ]
    if any(row.epochs is None and row.accuracy is not None for row in rows):
        captions.append("An accuracy in brackets is of a training that was stopped when its speed was known.")
    other = [name for name, _ in datasets if name != "mnist"]
    if other:
        captions.append(f"NOT MNIST: {', '.join(other)}. Accuracies do not compare with those published for MNIST.")
    return captions
