"""Rows as a table: for a terminal, a forge, a spreadsheet, a program, a browser."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Literal, get_args

from lenet.errors import UsageError
from lenet.report.baseline import DEFAULT, speed_ups
from lenet.report.columns import SPEED, Line, chosen
from lenet.report.layout import STRUCK, Layout, as_html, as_markdown, clean, for_terminal, inert
from lenet.report.rows import Group, Row, grouped
from lenet.report.sureness import legend_of, samples_caption

Format = Literal["terminal", "github", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
        return for_terminal(_narrow(lines, notes, captions))
    columns = chosen(groups, terminal=False)
    layout = Layout(
        [column.title for column in columns],
        [[_cell(column is SPEED, line, column.text(line)) for column in columns] for line in lines],
        [column.right for column in columns],
        notes,
        captions,
    )
    return as_html(layout) if form == "html" else as_markdown(layout)


def _cell(speed: bool, line: Line, text: str) -> str:
    return f"{STRUCK}{text}" if speed and line.invalid else text


def _csv(table: Sequence[Row]) -> str:
    import pandas as pd

    flat = []
    for each in table:
        data = each.model_dump(mode="json")
        times = data.pop("seconds_to_accuracy")
        data |= {f"seconds_to_accuracy_{target}": value for target, value in times.items()}
        flat.append({name: inert(value) if isinstance(value, str) else value for name, value in data.items()})
    target = io.StringIO()
    pd.DataFrame(flat).to_csv(target, index=False, lineterminator="\n")
    return target.getvalue()


def _lines(groups: Sequence[Group], ratios: Sequence[float | None]) -> tuple[list[Line], list[str]]:
    """The lines, and the notes that their statuses point to."""
    notes: dict[str, int] = {}
    lines = []
    for group, ratio in zip(groups, ratios, strict=True):
        reason = group.row.reason
        note = notes.setdefault(reason, len(notes) + 1) if reason else None
        lines.append(Line(group, ratio, note))
    return lines, list(notes)


def _narrow(lines: Sequence[Line], notes: Sequence[str], captions: Sequence[str]) -> Layout:
    """The layout for a terminal: fewer columns, and long names of profiles as letters with a legend."""
    groups = [line.group for line in lines]
    columns = chosen(groups, terminal=True)
    profiles = list(dict.fromkeys(line.row.profile for line in lines))
    letters = dict(zip(profiles, LETTERS, strict=False))
    lettered = 1 < len(profiles) <= len(LETTERS) and any(len(name) > 8 for name in profiles)
    cells = []
    for line in lines:
        texts = [(column.brief or column.text)(line) for column in columns]
        if lettered:
            texts = [
                letters[line.row.profile] if column.axis == "profile" else text
                for column, text in zip(columns, texts, strict=True)
            ]
        cells.append([_cell(column is SPEED, line, text) for column, text in zip(columns, texts, strict=True)])
    legend = [f"profile {letter}: {name}" for name, letter in letters.items()] if lettered else []
    return Layout(
        [column.short or "" for column in columns],
        cells,
        [column.right for column in columns],
        notes,
        [*legend, *captions, *legend_of(groups)],
    )


def _captions(groups: Sequence[Group], against: str) -> list[str]:
    """What it takes to judge the figures: data, version, machine, samples."""
    rows = [group.row for group in groups]
    datasets = dict.fromkeys((row.dataset, row.dataset_sha256) for row in rows)
    versions = dict.fromkeys(f"{row.framework} {row.framework_version}" for row in rows if row.framework_version)
    machines = dict.fromkeys(row.machine for row in rows if row.machine)
    devices = dict.fromkeys(row.device_target for row in rows)
    captions = [
        "Dataset: "
        + ", ".join(f"{name} (sha256 {(sha256 or 'unknown')[:12]})" for name, sha256 in datasets)
        + f". Framework: {', '.join(versions) or 'none ran'}. Device: {', '.join(devices)}. "
        f"Machine: {', '.join(machines) or 'unknown'}.",
        f"images/s: median over steady windows, data pipeline included, warm-up left out; {samples_caption(groups)} "
        f"Speed-up: over {against}, all else equal.",
    ]
    if any(row.epochs is None and row.accuracy is not None for row in rows):
        captions.append("An accuracy in brackets is of a training that was stopped when its speed was known.")
    other = [name for name, _ in datasets if name != "mnist"]
    if other:
        captions.append(f"NOT MNIST: {', '.join(other)}. Accuracies do not compare with those published for MNIST.")
    return [clean(caption) for caption in captions]
