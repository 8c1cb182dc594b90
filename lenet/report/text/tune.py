"""The result of a tuning: default, each setting's gain alone, settings together, and the confirmation."""

from __future__ import annotations

from lenet.analysis.tune import CONFIRMING_PROCESSES, Candidate, Measured, SearchResult
from lenet.cases.case import Case
from lenet.report.layout import DASH, grid, number, paragraphs, wrapped
from lenet.report.table.words import times, with_dataset


def tuning_text(case: Case, outcome: SearchResult, steps: int, tolerance: float) -> str:
    """The tables and the verdict in 80 columns. `steps` and `tolerance` are those of the comparison of losses."""
    base = outcome.default
    screening = Candidate(base.profile, base.screened)
    lines = [_line("default", screening, screening)]
    for stage, candidates in (("alone", outcome.alone), ("together", outcome.together)):
        for index, each in enumerate(candidates):
            lines.append(_line("" if index else stage, Candidate(each.profile, each.screened), screening))
    if base.confirmed:
        lines.append(_line("confirmed", base, base))
        if outcome.winner is not base:
            lines.append(_line("", outcome.winner, base))
    body = grid(["", "profile", "images/s", "spread", "n", "gain"], lines, "wwffff")
    notes = [_verdict(outcome)]
    notes += [f"{each.profile.text}: {each.fault}" for each in (*outcome.alone, *outcome.together) if each.fault]
    if outcome.skipped:
        notes.append(f"{outcome.skipped} settings were not tried: the time was over (--budget).")
    notes.append(
        "n: processes; spread: their range, or the quartiles of one process's windows. The verdict rests on the "
        "confirmed figures alone: they were measured afterwards, in turn. "
        f"Losses agree with the default's within {tolerance:g} over the first {steps} steps that both have."
    )
    return f"{wrapped(with_dataset(case))}\n\n{body}\n\n{paragraphs(notes)}"


def _verdict(outcome: SearchResult) -> str:
    """The result of the search, in a sentence."""
    if not outcome.default.rates:
        return f"Nothing could be measured: {outcome.default.fault}"
    if outcome.winner is outcome.default:
        return "No gain beyond noise: `tuned` is the default here."
    return (
        f"Tuned: {outcome.winner.profile.text}, {times(outcome.gain)} the default; each of "
        f"{CONFIRMING_PROCESSES} new processes was faster than each of the default's."
    )


def _line(stage: str, candidate: Candidate, base: Candidate) -> list[str]:
    rates = candidate.rates
    return [
        stage,
        candidate.profile.text,
        number(candidate.median) if rates else DASH,
        _spread(candidate.samples) if rates else "out",
        str(len(rates)),
        times(candidate.median / base.median) if rates and base.median and candidate is not base else DASH,
    ]


def _spread(samples: list[Measured]) -> str:
    good = [each for each in samples if each.images_per_second is not None]
    if len(good) == 1:
        return f"{number(good[0].low)}–{number(good[0].high)}"
    rates = [each.images_per_second for each in good if each.images_per_second is not None]
    return f"{number(min(rates))}–{number(max(rates))}"
