"""The fastest of several tuned cases: the finalists, and the verdict."""

from __future__ import annotations

from lenet.analysis.paired import LEAST_GROUPS, PairedRatio
from lenet.analysis.tune.fastest import Fastest, Finalist
from lenet.cases.case import RuntimeProfile
from lenet.report.layout import DASH, grid, number, paragraphs, wrapped
from lenet.report.table.words import count, times, with_dataset

TITLES = ["release", "mode", "profile", "images/s", "n", "behind", "95% interval"]


def fastest_text(found: Fastest) -> str:
    """The finalists in 80 columns, and the verdict."""
    lines = [_line(each, lead) for each, lead in zip(found.finalists, found.leads, strict=True)]
    first = found.finalists[0]
    if not first.rates:
        return wrapped("The final: nothing could be measured in the time (--budget).")
    place = with_dataset(first.case.model_copy(update={"framework_version": None, "profile": RuntimeProfile()}))
    notes = [
        _verdict(found),
        "behind: how many times the speed the first has, from groups of processes that took turns; an interval of "
        f"fewer than {LEAST_GROUPS} groups is of these processes only. n: processes.",
    ]
    return "\n\n".join((wrapped(f"The final: {place}"), grid(TITLES, lines, "wwwffff"), paragraphs(notes)))


def _release(finalist: Finalist) -> str:
    return finalist.case.framework_version or "installed"


def _line(finalist: Finalist, lead: PairedRatio | None) -> list[str]:
    case, rates = finalist.case, finalist.rates
    figures = [number(finalist.median) if rates else DASH, str(len(rates))]
    behind = [DASH, DASH] if lead is None else [times(lead.value), _interval(lead)]
    return [_release(finalist), case.mode.value, case.profile.text, *figures, *behind]


def _interval(lead: PairedRatio) -> str:
    if lead.interval is None:
        return DASH
    return f"{number(lead.interval.low, 2)}–{number(lead.interval.high, 2)}"


def _verdict(found: Fastest) -> str:
    """The first and how sure that is, in a sentence."""
    (first, second, *_), (_, lead, *_) = found.finalists, found.leads
    words = f"{_named(first)}, {number(first.median)} images/s"
    if lead is None:
        return f"Fastest: {words}; no other was measured beside it."
    behind = f"{times(lead.value)} {_named(second)} ({_interval(lead)}, {count(lead.groups, 'group')})"
    if found.clear:
        return f"Fastest: {words}, {behind}."
    return f"In front: {words}, {behind}, which is not sure: more time (--budget) gives more groups."


def _named(finalist: Finalist) -> str:
    return f"{_release(finalist)}, {finalist.case.mode.value}, {finalist.case.profile.text}"
