"""Rows as a table in every form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from lenet.analysis.convergence import ConvergenceStatus
from lenet.cases.axes import IDENTIFYING, values_of
from lenet.cases.axis import Kind
from lenet.cases.case import TUNED, Case
from lenet.errors import UsageError
from lenet.report.layout import DASH
from lenet.report.table.column import Column, Line
from lenet.report.table.columns import PROFILE, SPEED, STATUS, differs, for_table
from lenet.report.table.forms import STRUCK, Format, Layout, as_csv, as_json, shown
from lenet.report.table.groups import Group, grouped
from lenet.report.table.profiles import called, meanings
from lenet.report.table.rows import Row
from lenet.report.table.speed_ups import SpeedUp, caption, speed_ups, usual_baseline, with_speed_ups
from lenet.report.table.sureness import legend_of, samples_caption
from lenet.report.table.words import few

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names in a terminal for profiles with long names."""
LONGEST_PROFILE = 15
"""Characters of a profile's name in a terminal's table; a longer one has a letter there."""


def render(
    table: Sequence[Row],
    form: Format,
    baseline: str | None = None,
    intervals: bool = True,
    required: bool = True,
) -> str:
    """The rows in `form`. CSV and JSON have one row per record; the others merge repetitions.

    Without `intervals` speed-ups are the bare quotients that tables of earlier versions had. Those also named a
    baseline that no row was, which is no error where none is `required`.

    Raises:
        UsageError: there is no row, or no row is the baseline.
    """
    if not table:
        raise UsageError(
            "there is no record to show: the run has none yet; continue it with `lenet-bench run --resume RUN`"
        )
    if form == "json":
        return as_json([each.model_dump(mode="json") for each in with_speed_ups(table, baseline, required)])
    if form == "csv":
        return as_csv(each.flat() for each in with_speed_ups(table, baseline, required))
    return shown(laid_out(table, form, baseline, intervals, required), form)


def laid_out(
    table: Sequence[Row],
    form: Literal["terminal", "github", "html"],
    baseline: str | None = None,
    intervals: bool = True,
    required: bool = True,
) -> Layout:
    """The table with its notes; in a terminal it has fewer columns. The arguments are those of `render`.

    Raises:
        UsageError: no row is the baseline.
    """
    groups = grouped(table)
    over = baseline or usual_baseline(groups)
    ratios = speed_ups(groups, over, intervals, required and baseline is not None)
    lines, notes = _lines(groups, ratios)
    captions = _captions(table, groups, caption(ratios, over))
    columns = for_table(groups, "terminal" if form == "terminal" else "document")
    if form == "terminal":
        return _narrow(lines, columns, notes, [*captions, *legend_of(groups)])
    captions += meanings((group.row for group in groups), without=(TUNED,))  # older tables have no line for these

    def cell(column: Column, line: Line) -> str:
        return f"{STRUCK}{column.text(line)}" if column is SPEED and line.invalid else column.text(line)

    cells = [[cell(column, line) for column in columns] for line in lines]
    return Layout([each.title for each in columns], cells, [each.right for each in columns], notes, captions)


def _narrow(lines: Sequence[Line], columns: Sequence[Column], notes: Sequence[str], captions: Sequence[str]) -> Layout:
    """The table for a terminal: long names of profiles have a letter, and what is alike in all lines is a caption."""
    groups = [line.group for line in lines]
    words = called(group.row for group in groups)
    letters = _letters(words)

    def cell(column: Column, line: Line) -> str:
        identity = line.row.identities["profile"]
        text = letters.get(identity, words[identity]) if column is PROFILE else column.terse(line)
        return f"{STRUCK}{text}" if column is SPEED and line.invalid else text

    shown, alike = [], [_alike(groups)]
    for column in columns:
        cells = [cell(column, line) for line in lines]
        if column is STATUS and len(lines) > 1 and len(set(cells)) == 1:
            alike.append(f"status {cells[0]}")
        elif column is SPEED or set(cells) != {DASH}:
            shown.append((column, cells))
    legend = [f"profile {letter}: {words[identity]}" for identity, letter in letters.items()]
    legend += meanings(group.row for group in groups)
    common = ", ".join(filter(None, alike))
    return Layout(
        [column.short or "" for column, _ in shown],
        list(zip(*(cells for _, cells in shown), strict=True)),
        [column.right for column, _ in shown],
        notes,
        [*legend, *([f"All: {common}."] if common else []), *captions],
    )


def _alike(groups: Sequence[Group]) -> str:
    """The values that all groups share on axes which no other caption names, if they are worth a word."""
    usual = values_of(Case())
    row = groups[0].row
    return ", ".join(
        each.words(getattr(row, each.name))
        for each in IDENTIFYING
        if each.kind is Kind.CASE
        and each.name not in ("framework", "dataset", "device_target")
        and len(groups) > 1
        and not differs(each.name, groups)
        and (each.always or getattr(row, each.name) != each.as_plain(usual[each.name]))
    )


def _lines(groups: Sequence[Group], ratios: Sequence[SpeedUp | None]) -> tuple[list[Line], list[str]]:
    """The lines, and the notes that their statuses refer to."""
    notes = list(dict.fromkeys(group.row.reason for group in groups if group.row.reason))
    number = {reason: index for index, reason in enumerate(notes, 1)}
    lines = [Line(group, ratio, number.get(group.row.reason)) for group, ratio in zip(groups, ratios, strict=True)]
    return lines, notes


def _letters(words: Mapping[str, str]) -> dict[str, str]:
    """A letter for each profile with a long name, by identity, if there are several profiles; else none."""
    long = [identity for identity, name in words.items() if len(name) > LONGEST_PROFILE]
    return dict(zip(long, LETTERS, strict=False)) if len(words) > 1 and len(long) <= len(LETTERS) else {}


def _captions(table: Sequence[Row], groups: Sequence[Group], speed_up: str) -> list[str]:
    """The context of the figures: data, version, machine, samples, what the trainings are compared with."""
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
        f"{speed_up}",
    ]
    if any(row.epochs is None and row.accuracy is not None for row in rows):
        captions.append("An accuracy in brackets is of a training that was stopped when its speed was known.")
    captions += _held(table)
    captions += _recomputed(table)
    other = [name for name, _ in datasets if name != "mnist"]
    if other:
        captions.append(f"NOT MNIST: {', '.join(other)}. Accuracies do not compare with those published for MNIST.")
    return captions


def _held(table: Sequence[Row]) -> list[str]:
    """The results of the trainings that were compared with a reference, and with which; nothing if none was."""
    held = [row for row in table if ConvergenceStatus(row.convergence).compared]
    found = [f"{number:,} {word}" for word, number in Counter(row.convergence for row in held).items()]
    good = dict.fromkeys(row.convergence_reason for row in held if not ConvergenceStatus(row.convergence).failed)
    how = f" ({few(list(good), 2)})" if good else ""
    return [f"Trainings held against the references: {', '.join(found)}{how}."] if held else []


def _recomputed(table: Sequence[Row]) -> list[str]:
    """The results of recomputing the trainings; nothing if none was recomputed."""
    found = Counter(row.training.partition(" (")[0] for row in table if row.training is not None)
    results = ", ".join(f"{number:,} {word}" for word, number in found.items())
    return [f"Trainings recomputed in numpy: {results}. `lenet-bench verify` recomputes them."] if found else []
