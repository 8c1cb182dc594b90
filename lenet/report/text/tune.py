"""The result of a tuning: race, confirmation, what each setting gains, verdict; and the final of several tunings."""

from __future__ import annotations

from lenet.analysis.paired import LEAST_GROUPS, PairedRatio
from lenet.analysis.statistics import Interval
from lenet.analysis.tune.candidate import Candidate, SearchResult, ratio
from lenet.analysis.tune.fastest import Fastest, Finalist
from lenet.cases.case import Case, RuntimeProfile
from lenet.report.layout import DASH, grid, number, paragraphs, wrapped
from lenet.report.table.words import count, times, with_dataset

TITLES = ["", "profile", "images/s", "n", "gain", "95% interval"]
FINAL_TITLES = ["release", "mode", "profile", "images/s", "n", "behind", "95% interval"]


def tuning_text(case: Case, outcome: SearchResult, steps: int, tolerance: float) -> str:
    """The tables and the verdict in 80 columns. `steps` and `tolerance` are those of the comparison of losses."""
    default, best = outcome.default, outcome.best
    tried = sorted(outcome.tried, key=lambda each: -_raced(each).median)
    lines = [_line("race" if not index else "", _raced(each), _raced(default)) for index, each in enumerate(tried)]
    lines.append(_line("" if lines else "race", _raced(default), None))
    evaluated = [each for each in (best, outcome.winner, *tried) if each.confirmed and each is not default]
    for index, each in enumerate(dict.fromkeys(evaluated)):
        lines.append(_line("" if index else "confirmed", _confirmed(each), _confirmed(default)))
    if default.confirmed:
        lines.append(_line("", _confirmed(default), None))
    parts = [wrapped(with_dataset(case)), grid(TITLES, lines, "wwffff")]
    if outcome.effects:
        processes = count(outcome.effects[0].processes, "process", "processes")
        parts.append(wrapped(f"What each setting does to the fastest profiles, by {processes} of the race:"))
        settings = [[each.setting, times(each.value), _range(each.interval)] for each in outcome.effects]
        parts.append(grid(["setting", "gain", "95% interval"], settings, "wff"))
    notes = [_verdict(outcome), *_speeds(outcome)]
    notes += [f"{each.profile.text}: {each.fault}" for each in tried if each.fault]
    if outcome.untried:
        notes.append(f"Not tried, the time was over (--budget): {', '.join(outcome.untried)}.")
    if outcome.short:
        raced = count(outcome.raced, "process", "processes")
        notes.append(
            f"The race had time for {raced}, too few to tell apart settings of a few percent: a longer --budget may "
            "find a faster profile."
        )
    notes.append(
        "n: processes. gain: over the default, from groups of processes that took turns; an interval of fewer than "
        f"{LEAST_GROUPS} groups is of these processes only. Or what a setting does to profiles that are nearly as "
        "fast as the best, by a model in which settings add up. Processes of the race are hardly warmed up, and end "
        "when they have lost: the verdict rests on the confirmation alone. "
        f"Losses agree with the default's within {tolerance:g} over the first {steps} steps that both have."
    )
    return "\n\n".join((*parts, paragraphs(notes)))


def _raced(candidate: Candidate) -> Candidate:
    """The candidate as the race saw it."""
    return Candidate(candidate.profile, candidate.raced)


def _confirmed(candidate: Candidate) -> Candidate:
    """The candidate as the confirmation saw it."""
    return Candidate(candidate.profile, candidate.confirmed)


def _line(stage: str, candidate: Candidate, base: Candidate | None) -> list[str]:
    rates = candidate.rates
    figures = [number(candidate.median) if rates else "out" if candidate.fault else DASH, str(len(rates))]
    if base is None or not rates:
        return [stage, candidate.profile.text, *figures, DASH, DASH]
    return [stage, candidate.profile.text, *figures, *_gain(ratio(base.raced, candidate.raced))]


def _gain(gain: PairedRatio | None) -> list[str]:
    """A gain and its interval."""
    if gain is None:
        return [DASH, DASH]
    return [times(gain.value), _interval(gain)]


def _interval(gain: PairedRatio) -> str:
    return DASH if gain.interval is None else _range(gain.interval)


def _range(interval: Interval) -> str:
    return f"{number(interval.low, 2)}–{number(interval.high, 2)}"


def _verdict(outcome: SearchResult) -> str:
    """The result of the search, in a sentence."""
    default, best, gain = outcome.default, outcome.best, outcome.gain
    if not default.rates:
        return f"Nothing could be measured: {default.fault or 'the time was over (--budget)'}"
    if best is default:
        return "No gain beyond noise: `tuned` is the default here."
    if gain is None:
        return (
            f"{best.profile.text} won the race, but there was no time to confirm it: `tuned` is the default here. Give "
            "more time with --budget."
        )
    if outcome.winner is default:
        measured = _speed(best, default, gain)
        return f"No gain beyond noise: {best.profile.text} is {measured}. `tuned` is the default here."
    return f"Tuned: {outcome.winner.profile.text}, {_speed(outcome.winner, default, gain)}."


def _speed(candidate: Candidate, default: Candidate, gain: PairedRatio) -> str:
    """How fast a profile is. Of two speeds, which no mean describes, both are given, with how often each occurs."""
    processes = sum(each.processes for each in candidate.speeds)
    if len(candidate.speeds) == 2 and len(default.speeds) == 1:
        both = [
            f"{times(each.images_per_second / default.median)} the default in {each.processes} of {processes} processes"
            for each in candidate.speeds
        ]
        return " and ".join(both)
    return f"{times(gain.value)} the default ({_interval(gain)}, {count(gain.groups, 'group')})"


def _speeds(outcome: SearchResult) -> list[str]:
    """A sentence for each profile of the verdict that has no one speed."""
    found = []
    for each in dict.fromkeys((outcome.winner, outcome.best, outcome.default)):
        speeds = each.speeds
        if (changing := each.changing) is not None:
            found.append(
                f"{each.profile.text} changes its speed from turn to turn: a tenth of its turns have "
                f"{number(changing.slow)} images/s or less, a tenth {number(changing.fast)} or more, and "
                f"{changing.slow_share:.0%} are nearer the slow ones."
            )
        if len(speeds) == 2:
            slow, fast = speeds
            found.append(
                f"{each.profile.text} settles at one of two speeds: {number(slow.images_per_second)} images/s in "
                f"{slow.processes} of {slow.processes + fast.processes} processes, {number(fast.images_per_second)} in "
                f"{fast.processes}. Which one is decided anew by each process."
            )
    return found


def fastest_text(found: Fastest) -> str:
    """The finalists in 80 columns, and the verdict."""
    lines = [_finalist_line(each, lead) for each, lead in zip(found.finalists, found.leads, strict=True)]
    first = found.finalists[0]
    if not first.rates:
        return wrapped("The final: nothing could be measured in the time (--budget).")
    place = with_dataset(first.case.model_copy(update={"framework_version": None, "profile": RuntimeProfile()}))
    notes = [
        _final_verdict(found),
        "behind: how many times the speed the first has, from groups of processes that took turns; an interval of "
        f"fewer than {LEAST_GROUPS} groups is of these processes only. n: processes.",
    ]
    return "\n\n".join((wrapped(f"The final: {place}"), grid(FINAL_TITLES, lines, "wwwffff"), paragraphs(notes)))


def _release(finalist: Finalist) -> str:
    return finalist.case.framework_version or "installed"


def _finalist_line(finalist: Finalist, lead: PairedRatio | None) -> list[str]:
    case, rates = finalist.case, finalist.rates
    figures = [number(finalist.median) if rates else DASH, str(len(rates))]
    return [_release(finalist), case.mode.value, case.profile.text, *figures, *_gain(lead)]


def _final_verdict(found: Fastest) -> str:
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
