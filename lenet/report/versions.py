"""Releases of the framework beside each other: each step up or down, with its size and its interval."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lenet.analysis.comparison import AXES, Comparison, Mark
from lenet.analysis.versions import Step, steps
from lenet.errors import UsageError
from lenet.record import Record
from lenet.report.layout import DASH, Layout, as_html, as_markdown, for_terminal, inert, number
from lenet.report.table import FORMATS, Format

LABELS = {"device_target": "device", "batch_size": "batch", "framework_version": "version"}
SIGNS = {
    Mark.BETTER: "up",
    Mark.WORSE: "DOWN",
    Mark.SAME: "same",
    Mark.CANNOT_TELL: "cannot tell",
    Mark.NOT_COMPARABLE: "not comparable",
    Mark.BROKE: "BROKE",
    Mark.FIXED: "fixed",
}
"""What a step is called."""

SHOWN: tuple[Format, ...] = FORMATS


def render(records: Sequence[Record], form: Format, minimum_effect: float = 0.01) -> str:
    """The records by release, each against the release before it, in `form`.

    Raises:
        UsageError: there is no record whose release is known.
    """
    found = steps(records, minimum_effect)
    if not found:
        raise UsageError("there is no record with a known version to show by version")
    if form in ("json", "csv"):
        flat = [_flat(each) for each in found]
        if form == "json":
            return json.dumps(flat, indent=1, allow_nan=False) + "\n"
        return _csv(flat)
    shown = [
        axis
        for axis in AXES
        if axis != "framework_version" and len({each.comparison.case.get(axis) for each in found}) > 1
    ]
    headers = [
        *(LABELS.get(axis, axis) for axis in shown),
        *("version", "images/s", "n", "step", "size", "95% interval", "accuracy"),
    ]
    cells, notes = [], dict[str, int]()
    for each in found:
        entry = each.comparison
        sign = SIGNS.get(entry.mark, "") if each.before is not None else ""
        if each.before is not None and entry.note:
            sign += f" ({notes.setdefault(entry.note, len(notes) + 1)})"
        cells.append(
            [
                *(entry.case.get(axis) or DASH for axis in shown),
                *(each.version, number(entry.b), str(entry.samples_b), sign, _size(entry.ratio), _interval(entry)),
                _accuracy(each),
            ]
        )
    right = [False] * (len(shown) + 1) + [True, True, False, True, False, False]
    layout = Layout(headers, cells, right, list(notes), _captions(found, minimum_effect))
    if form == "html":
        return as_html(layout, "lenet-bench by version")
    return as_markdown(layout) if form == "github" else for_terminal(layout)


def _flat(step: Step) -> dict[str, object]:
    data = step.comparison.model_dump(mode="json")
    return {
        **data.pop("case"),
        "framework_version": step.version,
        "version_before": step.before,
        "step": SIGNS.get(step.comparison.mark, step.comparison.mark.value).lower() if step.before else None,
        "images_per_second": data["b"],
        "images_per_second_before": data["a"],
        "accuracy": data["accuracy_b"],
        "accuracy_before": data["accuracy_a"],
        **{name: data[name] for name in ("ratio", "low", "high", "p", "unit", "note", "samples_a", "samples_b")},
    }


def _csv(flat: Sequence[dict[str, object]]) -> str:
    import pandas as pd

    safe = [{name: inert(value) if isinstance(value, str) else value for name, value in each.items()} for each in flat]
    return str(pd.DataFrame(safe).to_csv(index=False, lineterminator="\n"))


def _size(ratio: float | None) -> str:
    return DASH if ratio is None else f"{ratio - 1:+.1%}" if 0.5 < ratio < 2 else f"×{ratio:.3g}"


def _interval(entry: Comparison) -> str:
    if entry.low is None or entry.high is None:
        return DASH
    return f"{_size(entry.low)} to {_size(entry.high)}"


def _accuracy(step: Step) -> str:
    entry = step.comparison
    if entry.accuracy_b is None:
        return DASH
    if not entry.case.get("epochs"):
        return f"({entry.accuracy_b:.2f})"
    if entry.accuracy_a is None:
        return f"{entry.accuracy_b:.4f}"
    return f"{entry.accuracy_b:.4f} ({entry.accuracy_b - entry.accuracy_a:+.4f})"


def _captions(found: Sequence[Step], minimum_effect: float) -> list[str]:
    case = found[0].comparison.case
    common = [
        f"{LABELS.get(axis, axis)} {case[axis]}"
        for axis in AXES
        if case.get(axis) and len({each.comparison.case.get(axis) for each in found}) == 1
    ]
    captions = [
        f"All: {', '.join(common)}." if common else "",
        "step: against the version before, by images/s: up or DOWN where Mann-Whitney's p is below 5% after Holm's "
        f"correction, the 95% interval does not hold 0 and the size is at least {minimum_effect:.1%}; same where the "
        f"interval is within ±{minimum_effect:.1%}. n: processes.",
    ]
    if any(each.comparison.unit == "windows" for each in found):
        captions.append("WEAK: a single process of a version was judged by its windows: repeat it with --repeat 6.")
    if any(each.comparison.accuracy_b is not None and not each.comparison.case.get("epochs") for each in found):
        captions.append("An accuracy in brackets is of a training that was stopped when its speed was known.")
    return [caption for caption in captions if caption]
