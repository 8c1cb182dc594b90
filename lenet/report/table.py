"""Rows as a table: for a terminal, a forge, a spreadsheet, a program, a browser."""

from __future__ import annotations

import html
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from tabulate import tabulate

from lenet.case import Mode
from lenet.errors import UsageError
from lenet.record import ACCURACY_TARGETS
from lenet.report.baseline import DEFAULT, speed_ups
from lenet.report.rows import Group, Row, grouped

Format = Literal["terminal", "github", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

DASH = "–"
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
    ratios = speed_ups(groups, baseline)
    against = baseline or DEFAULT
    if form == "terminal":
        return _terminal(groups, ratios, against)
    return _document(groups, ratios, against, form)


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


def number(value: float | None, digits: int = 0) -> str:
    """A figure with thousands separated, or a dash."""
    return DASH if value is None else f"{value:,.{digits}f}"


def _spread(row: Row) -> str:
    if row.images_per_second_low is None or row.images_per_second_high is None or row.windows < 2:
        return DASH
    return f"{number(row.images_per_second_low)}–{number(row.images_per_second_high)}"


def _accuracy(row: Row) -> str:
    """A partial training's accuracy must never read as a trained one's."""
    if row.accuracy is None:
        return DASH
    if row.epochs is None:
        return f"({row.accuracy:.3f} after {row.trained_images:,} images)"
    return f"{row.accuracy:.4f}"


def _time_to_accuracy(row: Row) -> str:
    reached = [(target, row.seconds_to_accuracy.get(f"{target:.2f}")) for target in ACCURACY_TARGETS]
    shown = [f"{target:.2f}: {seconds:,.1f}" for target, seconds in reached if seconds is not None]
    return ", ".join(shown) or DASH


def _several(groups: Sequence[Group], axis: str) -> bool:
    return len({getattr(group.row, axis) for group in groups}) > 1


def _document(groups: Sequence[Group], ratios: Sequence[float | None], against: str, form: Format) -> str:
    """GitHub's Markdown or HTML: table, notes, caption."""
    escape: Callable[[str], str] = html.escape if form == "html" else inert_markdown
    strike = "<s>{}</s>" if form == "html" else "~~{}~~"
    optional = [
        (axis, title)
        for axis, title in (
            ("run", "run"),
            ("machine", "machine"),
            ("framework_version", "version"),
            ("dataset", "dataset"),
            ("seed", "seed"),
            ("epochs", "epochs"),
        )
        if _several(groups, axis)
    ]
    headers = [
        *(title for _, title in optional),
        *("device", "mode", "batch size", "profile", "images/s", "spread", f"speed-up over {against}"),
        *("resident images/s", "accuracy", "seconds to accuracy", "final loss", "compile s", "peak MiB", "status"),
    ]
    notes: list[str] = []
    lines = []
    for group, ratio in zip(groups, ratios, strict=True):
        row = group.row
        status = row.status
        if row.reason:
            if row.reason not in notes:
                notes.append(row.reason)
            status += f" [{notes.index(row.reason) + 1}]"
        speed = number(row.images_per_second)
        if not group.processes and row.images_per_second is not None:
            speed = strike.format(speed)
        texts = [
            *(str(getattr(row, axis)) if getattr(row, axis) is not None else DASH for axis, _ in optional),
            *(row.device_target, Mode(row.mode).label, str(row.batch_size), row.profile),
        ]
        lines.append(
            [
                *(escape(clean(text)) for text in texts),
                *(speed, _spread(row), DASH if ratio is None else f"{ratio:,.2f}×"),
                *(number(row.resident_images_per_second), _accuracy(row), _time_to_accuracy(row)),
                *(number(row.final_loss, 4), number(row.compile_seconds, 2)),
                *(DASH if row.peak_memory_bytes is None else number(row.peak_memory_bytes / 2**20), status),
            ]
        )
    text_columns = len(optional) + 4
    align = ["left"] * text_columns + ["right"] * (len(headers) - text_columns - 1) + ["left"]
    captions = [escape(clean(text)) for text in _captions(groups, against)]
    remarks = [escape(clean(note)) for note in notes]
    if form == "html":
        body = tabulate(lines, [escape(each) for each in headers], tablefmt="unsafehtml", colalign=align)
        items = "".join(f"<li>{remark}</li>\n" for remark in remarks)
        paragraphs = "".join(f"<p>{caption}</p>\n" for caption in captions)
        return (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>lenet-bench</title>\n'
            "<style>body{font:1rem system-ui,sans-serif;margin:1rem}table{border-collapse:collapse}"
            "td,th{padding:.3rem .6rem;border-bottom:1px solid #8884}</style>\n"
            f"{body}\n<ol>\n{items}</ol>\n{paragraphs}</html>\n"
        )
    body = tabulate(lines, headers, tablefmt="github", colalign=align, disable_numparse=True)
    listed = "".join(f"\n{index}. {remark}" for index, remark in enumerate(remarks, 1))
    return "\n".join(filter(None, [body, listed, "", *(f"{caption}\n" for caption in captions)])) + "\n"


def inert_markdown(text: str) -> str:
    """Text that a forge shows as it is."""
    escaped = html.escape(text, quote=False)
    for mark in "\\|*_~`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _terminal(groups: Sequence[Group], ratios: Sequence[float | None], against: str) -> str:
    """A table for 80 columns, readable without colour."""
    show_profile, show_dataset = _several(groups, "profile"), _several(groups, "dataset")
    headers = ["device", "mode", "batch", "images/s", "spread", "speed-up", "accuracy", "status"]
    lines, notes = [], list[str]()
    legend: dict[str, str] = {}
    if show_profile:
        legend = {name: chr(65 + i) for i, name in enumerate(dict.fromkeys(group.row.profile for group in groups))}
        headers.insert(3, "prof.")
    if show_dataset:
        headers.insert(0, "dataset")
    for group, ratio in zip(groups, ratios, strict=True):
        row = group.row
        status = row.status
        if row.reason:
            if row.reason not in notes:
                notes.append(row.reason)
            status += f" [{notes.index(row.reason) + 1}]"
        speed = number(row.images_per_second)
        line = [row.device_target, row.mode, str(row.batch_size)]
        if show_profile:
            line.append(legend[row.profile])
        accuracy = DASH if row.accuracy is None else f"{row.accuracy:.4f}" if row.epochs else f"({row.accuracy:.2f})"
        line += [
            speed if group.processes or row.images_per_second is None else f"[{speed}]",
            _spread(row),
            DASH if ratio is None else f"{ratio:,.2f}x",
            accuracy,
            status,
        ]
        if show_dataset:
            line.insert(0, clean(row.dataset)[:12])
        lines.append(line)
    align = ["right" if each in ("batch", "images/s", "speed-up", "accuracy") else "left" for each in headers]
    body = tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True)
    paragraphs = [f"[{index}] {clean(note)}" for index, note in enumerate(notes, 1)]
    paragraphs += [f"profile {letter}: {name}" for name, letter in legend.items()]
    paragraphs += [clean(caption) for caption in _captions(groups, against)]
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
    repeated = any(group.of > 1 for group in groups)
    counts = sorted({row.windows for row in rows if row.windows})
    samples = "–".join(str(each) for each in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
    spread = f"the range over {samples} processes" if repeated else f"the quartiles of {samples} windows"
    captions = [
        "Dataset: "
        + ", ".join(f"{name} (sha256 {(sha256 or 'unknown')[:12]})" for name, sha256 in datasets)
        + f". Framework: {', '.join(versions) or 'none ran'}. Machine: {', '.join(machines) or 'unknown'}.",
        f"images/s: median over steady windows, data pipeline included, warm-up left out; spread: {spread}. "
        f"Speed-up: over {against}, all else equal.",
    ]
    if any(row.epochs is None and row.accuracy is not None for row in rows):
        captions.append("An accuracy in brackets is of a training that was stopped when its speed was known.")
    other = [name for name, _ in datasets if name != "mnist"]
    if other:
        captions.append(f"NOT MNIST: {', '.join(other)}. Accuracies do not compare with those published for MNIST.")
    return captions
