"""Comparisons as a table, and what a gate makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lenet.analysis.compare import Comparison, Mark
from lenet.errors import UsageError
from lenet.report.table.layout import DASH, Format, Layout, as_csv, as_json, number, shown
from lenet.report.table.words import axis_title


def failures(found: Sequence[Comparison], fail_on: float) -> list[Comparison]:
    """What a gate stops at: cases that broke, and those that are worse by at least `fail_on` (0.05 is 5%)."""
    return [
        each
        for each in found
        if each.mark is Mark.BROKE or (each.mark is Mark.WORSE and each.ratio is not None and each.ratio <= 1 - fail_on)
    ]


def render(found: Sequence[Comparison], form: Format, minimum_effect: float, names: tuple[str, str]) -> str:
    """The comparisons in `form`; `names` are what A and B are called.

    Raises:
        UsageError: there is nothing to show.
    """
    if not found:
        raise UsageError("there is no record to compare: both runs are empty")
    if form == "json":
        return as_json([each.model_dump(mode="json") for each in found])
    if form == "csv":
        return as_csv({**each.case, **each.model_dump(mode="json", exclude={"case"})} for each in found)
    differing = [axis for axis in found[0].case if len({each.case.get(axis) for each in found}) > 1]
    axes = differing or ["mode", "batch_size"]
    headers = [*(axis_title(axis) for axis in axes), "A", "B", "B / A", "95% interval", "p", "verdict"]
    notes: dict[str, int] = {}
    cells = []
    for each in found:
        mark = each.mark.value
        if each.note:
            mark += f" ({notes.setdefault(each.note, len(notes) + 1)})"
        cells.append(
            [
                *(each.case.get(axis) or DASH for axis in axes),
                *(number(each.a), number(each.b), number(each.ratio, 3)),
                DASH if each.low is None or each.high is None else f"{each.low:.3f}–{each.high:.3f}",
                DASH if each.p is None else f"{each.p:.2g}",
                mark,
            ]
        )
    right = [False] * len(axes) + [True] * 5 + [False]
    layout = Layout(headers, cells, right, list(notes), _captions(found, minimum_effect, names))
    return shown(layout, form, "lenet-bench compare")


def _captions(found: Sequence[Comparison], minimum_effect: float, names: tuple[str, str]) -> list[str]:
    common = [
        f"{axis_title(axis)} {value}"
        for axis, value in found[0].case.items()
        if value and axis != "machine" and len({each.case.get(axis) for each in found}) == 1
    ]
    counts = Counter(each.mark.value for each in found)
    processes = sorted({n for each in found for n in (each.samples_a, each.samples_b) if n})
    span = "–".join(str(each) for each in dict.fromkeys((processes[0], processes[-1]))) if processes else "no"
    captions = [
        f"A: {names[0]}. B: {names[1]}. All: {', '.join(common)}." if common else f"A: {names[0]}. B: {names[1]}.",
        f"A and B: images/s, the median of {span} process{'es' if span != '1' else ''} each. "
        "B / A: the median of all quotients of a process of B and one of A. Verdicts: "
        f"{', '.join(f'{count} {mark}' for mark, count in counts.items())}. better or worse: Mann-Whitney p below 5% "
        f"after Holm's correction, the interval on one side of 1, and at least {minimum_effect:.2g} apart; "
        f"same: the interval within 1 ± {minimum_effect:.2g}.",
    ]
    if any(each.unit == "windows" for each in found):
        captions.append(
            "WEAK: a case with a single process on a side was judged by blocks of its windows. That tells two "
            "processes apart, not two settings: repeat it with --repeat 6."
        )
    return captions
