"""Comparisons as a table, and the failures among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lenet.analysis.compare import Comparison
from lenet.analysis.verdict import Mark
from lenet.cases.axes import axis
from lenet.errors import UsageError
from lenet.report.layout import DASH, number
from lenet.report.table.basis import basis, needed
from lenet.report.table.forms import Format, Layout, as_csv, as_json, shown
from lenet.report.table.words import listed, numbered, span


def failures(found: Sequence[Comparison], fail_on: float) -> list[Comparison]:
    """The cases that broke, and those that are slower by at least `fail_on` (0.05 is 5%)."""
    return [
        each
        for each in found
        if each.mark is Mark.BROKE
        or (each.mark is Mark.SLOWER and each.ratio is not None and each.ratio <= 1 - fail_on)
    ]


def render(found: Sequence[Comparison], form: Format, minimum_effect: float, names: tuple[str, str]) -> str:
    """The comparisons in `form`; `names` are those of A and B.

    Raises:
        UsageError: there is no comparison.
    """
    if not found:
        raise UsageError("there is no record to compare: both runs are empty")
    if form == "json":
        return as_json([each.model_dump(mode="json") for each in found])
    if form == "csv":
        return as_csv(flat(each) for each in found)
    return shown(laid_out(found, minimum_effect, names), form, "lenet-bench compare")


def laid_out(found: Sequence[Comparison], minimum_effect: float, names: tuple[str, str]) -> Layout:
    """The comparisons as a table with its notes; there is at least one."""
    differing = [name for name in found[0].case if len({each.case.get(name) for each in found}) > 1]
    shared = differing or [name for name in ("mode", "batch_size") if name in found[0].case]
    sides = [name for name in _sides(found) if _one_pair(found, name) is None]
    headers = [
        *(axis(name).column_title for name in shared),
        *(f"{side} {axis(name).column_title}" for name in sides for side in "AB"),
        *("A", "B", "B / A", "95% interval", "p", "verdict"),
    ]
    notes: dict[str, int] = {}
    cells = []
    for each in found:
        cells.append(
            [
                *(each.case.get(name) or DASH for name in shared),
                *(values.get(name) or DASH for name in sides for values in (each.values_a, each.values_b)),
                *(number(each.a), number(each.b), number(each.ratio, 3)),
                DASH if each.low is None or each.high is None else f"{each.low:.3f}–{each.high:.3f}",
                DASH if each.p is None else f"{each.p:.2g}",
                verdict(each, minimum_effect, notes),
            ]
        )
    right = [False] * (len(shared) + 2 * len(sides)) + [True] * 5 + [False]
    return Layout(headers, cells, right, list(notes), _captions(found, minimum_effect, names))


def flat(entry: Comparison) -> dict[str, object]:
    """The fields of CSV: those of the case, then A's and B's values on the axes in which they may differ."""
    data = entry.model_dump(mode="json")
    case, *values = (data.pop(name) for name in ("case", "values_a", "values_b"))
    sides = {f"{name}_{side}": value for side, each in zip("ab", values, strict=True) for name, value in each.items()}
    return {**case, **dict.fromkeys(f"{name}_{side}" for name in _sides([entry]) for side in "ab"), **sides, **data}


def _sides(found: Sequence[Comparison]) -> list[str]:
    """The axes in which A and B may differ."""
    return list(dict.fromkeys(name for each in found for name in (*each.values_a, *each.values_b)))


def _one_pair(found: Sequence[Comparison], name: str) -> tuple[str, str] | None:
    """The values of A and B on that axis, if they are the same for all cases."""
    a, b = ({values[name] for values in side if name in values} for side in _values(found))
    return (a.pop(), b.pop()) if len(a) == len(b) == 1 else None


def _values(found: Sequence[Comparison]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    return [each.values_a for each in found], [each.values_b for each in found]


def _identification(found: Sequence[Comparison], names: tuple[str, str]) -> str:
    """The names of A and B, in what they differ, and what all cases share."""
    pairs = {axis(name).column_title: pair for name in _sides(found) if (pair := _one_pair(found, name)) is not None}
    apart = {title: pair for title, pair in pairs.items() if pair[0] != pair[1]}
    words = []
    for index, (letter, name) in enumerate(zip("AB", names, strict=True)):
        held = ", ".join(f"{title} {pair[index] or 'unknown'}" for title, pair in apart.items())
        words.append(f"{letter}: {name} ({held})." if held else f"{letter}: {name}.")
    if apart:
        words.append(f"They differ in {listed(list(apart))}.")
    common = {axis(name).column_title: {each.case.get(name) for each in found} for name in found[0].case}
    common |= {title: {pair[0]} for title, pair in pairs.items() if title not in apart}
    shared = [f"{title} {next(iter(values))}" for title, values in common.items() if len(values) == 1 and any(values)]
    return " ".join([*words, *([f"All: {', '.join(shared)}."] if shared else [])])


def verdict(entry: Comparison, minimum_effect: float, notes: dict[str, int]) -> str:
    """The verdict, with the number of a note: its reason, and what it takes to resolve it."""
    reasons = [entry.note]
    if entry.mark is Mark.UNRESOLVED and entry.p is not None:
        if entry.low is not None and entry.high is not None and not entry.low <= 1 <= entry.high:
            reasons.append(
                "the interval alone excludes 1, and Holm's correction for the other comparisons takes it back"
            )
        reasons.append(needed(entry.unit, entry.needed, minimum_effect))
    return entry.mark.value + numbered("; ".join(filter(None, reasons)), notes)


def rules(minimum_effect: float) -> str:
    """When a verdict is what, in a sentence."""
    return (
        "faster or slower: p below 5% after Holm's correction, the interval on one side of 1, and at least "
        f"{minimum_effect:.2g} apart; same: the interval within 1 ± {minimum_effect:.2g}."
    )


def _captions(found: Sequence[Comparison], minimum_effect: float, names: tuple[str, str]) -> list[str]:
    counts = Counter(each.mark.value for each in found)
    processes = span(n for each in found for n in (each.samples_a, each.samples_b) if n)
    captions = [
        _identification(found, names),
        f"A and B: images/s, the median of {processes} process{'es' if processes != '1' else ''} each. "
        f"{basis(found)} Verdicts: {', '.join(f'{count} {mark}' for mark, count in counts.items())}. "
        f"{rules(minimum_effect)}",
    ]
    if any(each.unit == "windows" for each in found):
        captions.append(
            "WEAK: a case with a single process on a side is compared by blocks of its windows. That tells two "
            "processes apart, not two settings: repeat it with --repeat 6."
        )
    return captions
