"""Releases of the framework side by side: each change from one to the next, with its size and interval."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.analysis.compare import Comparison
from lenet.analysis.verdict import MARGIN
from lenet.analysis.versions import Step, steps
from lenet.cases.axes import axis
from lenet.errors import UsageError
from lenet.report.layout import DASH, number
from lenet.report.table.basis import basis
from lenet.report.table.compare import rules, verdict
from lenet.report.table.forms import Format, Layout, as_csv, as_json, shown
from lenet.store.record import Record

RATIO = ("ratio", "low", "high", "p", "unit", "groups", "planned", "needed", "note", "samples_a", "samples_b")
"""Fields of a comparison that JSON and CSV have under the same names."""


def render(records: Sequence[Record], form: Format, minimum_effect: float = MARGIN) -> str:
    """The records by release, each against the release before it, in `form`.

    Raises:
        UsageError: no record has a known release.
    """
    found = steps(records, minimum_effect)
    if not found:
        raise UsageError("there is no record with a known version to show by version")
    if form == "json" or form == "csv":
        return (as_json if form == "json" else as_csv)([_flat(each) for each in found])
    axes = _differing(found)
    headers = [
        *(axis(name).column_title for name in axes),
        *("version", "images/s", "n", "step", "size", "95% interval", "accuracy"),
    ]
    cells, notes = [], dict[str, int]()
    for each in found:
        entry = each.comparison
        step = verdict(entry, minimum_effect, notes) if each.before is not None else ""
        cells.append(
            [
                *(entry.case[name] or DASH for name in axes),
                *(each.version, number(entry.b), str(entry.samples_b), step, *_size(entry)),
                _accuracy(each),
            ]
        )
    right = [False] * (len(axes) + 1) + [True, True, False, True, False, False]
    layout = Layout(headers, cells, right, list(notes), _captions(found, minimum_effect))
    return shown(layout, form, "lenet-bench by version")


def _differing(found: Sequence[Step]) -> list[str]:
    """The axes in which the cases differ."""
    case = found[0].comparison.case
    return [name for name in case if len({each.comparison.case[name] for each in found}) > 1]


def _flat(step: Step) -> dict[str, object]:
    data = step.comparison.model_dump(mode="json")
    return {
        **data.pop("case"),
        "framework_version": step.version,
        "version_before": step.before,
        "step": step.comparison.mark.value if step.before else None,
        "images_per_second": data["b"],
        "images_per_second_before": data["a"],
        "accuracy": data["accuracy_b"],
        "accuracy_before": data["accuracy_a"],
        **{name: data[name] for name in RATIO},
    }


def _size(entry: Comparison) -> tuple[str, str]:
    """The ratio and its interval: as percentages, or as factors of a ratio below a half or above two."""
    small = entry.ratio is not None and 0.5 < entry.ratio < 2

    def words(ratio: float) -> str:
        return f"{ratio - 1:+.1%}" if small else f"×{ratio:.3g}"

    interval = DASH if entry.low is None or entry.high is None else f"{words(entry.low)} to {words(entry.high)}"
    return DASH if entry.ratio is None else words(entry.ratio), interval


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
    common = [
        f"{axis(name).column_title} {value}"
        for name, value in found[0].comparison.case.items()
        if value and name not in _differing(found)
    ]
    captions = [
        f"All: {', '.join(common)}." if common else "",
        f"step: against the version before, by images/s. {rules(minimum_effect)} n: processes. "
        f"{basis([each.comparison for each in found])}",
    ]
    if any(each.comparison.unit == "windows" for each in found):
        captions.append("WEAK: a single process of a version is compared by its windows: repeat it with --repeat 6.")
    if any(each.comparison.accuracy_b is not None and not each.comparison.case.get("epochs") for each in found):
        captions.append("An accuracy in brackets is of a training that stopped when its speed was measured.")
    return [caption for caption in captions if caption]
