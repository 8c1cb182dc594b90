"""What a tuning found, for a terminal: default, each setting's gain alone, settings together, and the confirmation."""

from __future__ import annotations

import textwrap

from tabulate import tabulate

from lenet.analysis.tune import CONFIRMING_PROCESSES, Candidate, Measured, SearchResult
from lenet.cases.case import Case
from lenet.report.table.layout import DASH, clean, number, paragraphs

PROFILE_WIDTH = 28


def tuning_table(case: Case, outcome: SearchResult, steps: int, tolerance: float) -> str:
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
    headers = ["", "profile", "images/s", "spread", "n", "gain"]
    align = ("left", "left", "right", "left", "right", "right")
    body = tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True)
    faults = [f"{each.profile.text}: {clean(each.fault)}" for each in (*outcome.alone, *outcome.together) if each.fault]
    said = [verdict(outcome), *faults]
    if outcome.skipped:
        said.append(f"{outcome.skipped} settings were not tried: the time was over (--budget).")
    said.append(
        "n: processes; spread: their range, or the quartiles of one process's windows. Only the confirmed figures "
        "judge: they were taken afterwards, in turn. "
        f"Losses agree with the default's within {tolerance:g} over the first {steps} steps that both have."
    )
    return f"{case.label}, {case.dataset}\n\n{body}\n\n{paragraphs(said)}"


def verdict(outcome: SearchResult) -> str:
    """What the search came to, in a sentence."""
    if not outcome.default.rates:
        return f"Nothing could be measured: {clean(outcome.default.fault)}"
    if outcome.winner is outcome.default:
        return "No gain beyond noise: `tuned` is the default here."
    return (
        f"Tuned: {outcome.winner.profile.text}, {outcome.gain:,.2f} times the default; each of "
        f"{CONFIRMING_PROCESSES} fresh processes was faster than each of the default's."
    )


def _line(stage: str, candidate: Candidate, base: Candidate) -> list[str]:
    rates = candidate.rates
    gain = f"{candidate.median / base.median:,.2f}x" if rates and base.median and candidate is not base else DASH
    name = textwrap.shorten(candidate.profile.text.replace("+", " +"), PROFILE_WIDTH, placeholder=" …")
    return [
        stage,
        name,
        number(candidate.median) if rates else DASH,
        _spread(candidate.samples) if rates else "out",
        str(len(rates)),
        gain,
    ]


def _spread(samples: list[Measured]) -> str:
    good = [each for each in samples if each.images_per_second is not None]
    if len(good) == 1:
        return f"{number(good[0].low)}–{number(good[0].high)}"
    rates = [each.images_per_second for each in good if each.images_per_second is not None]
    return f"{number(min(rates))}–{number(max(rates))}"
