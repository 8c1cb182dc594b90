"""An explanation for a terminal of 80 columns, readable without colour."""

from __future__ import annotations

from lenet.analysis.explain.account import PROFILER, TOLERANCE, Part, StepAccount
from lenet.analysis.explain.findings import Explanation, SpeedFinding
from lenet.analysis.explain.gap import GapLine
from lenet.analysis.explain.observation import Observed
from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.report.layout import DASH, grid, number, wrapped
from lenet.report.table.words import count, times, with_dataset

MOST_LINES = 8
"""Lines of a table; the rest is one line."""


def explanation_text(explanation: Explanation, version: str) -> str:
    """The whole explanation: the step, its findings, all fixes, and what remains. `version` is the framework's."""
    seen, remaining = explanation.observed, explanation.remaining
    paragraphs = [_head(seen, version), *_step(seen), _operators(seen), _kernels(seen), _bounds(seen)]
    paragraphs += [wrapped(f"Caveat: {each}") for each in seen.caveats]
    paragraphs += [_finding(number, each) for number, each in enumerate(explanation.findings, 1)]
    if not explanation.findings:
        paragraphs.append(wrapped("No finding: no known cause of a slow step was seen and confirmed by a trial."))
    if remaining is not None:
        paragraphs.append(wrapped(f"With all fixes ({explanation.fixes}):"))
        paragraphs += [*_step(remaining), _kernels(remaining)]
        paragraphs += [wrapped(f"Caveat: {each}") for each in remaining.caveats]
    paragraphs += [_speeds(explanation), *_remains(explanation)]
    paragraphs += [wrapped(f"Note: {each}") for each in explanation.notes]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _head(seen: Observed, version: str) -> str:
    library = seen.library
    words = [with_dataset(seen.case), f"{seen.case.framework.value} {version}"]
    if library.version:
        words.append(f"oneDNN {library.version} for {library.instruction_set or 'an unnamed CPU'}")
    return wrapped(", ".join(words))


def _step(seen: Observed) -> list[str]:
    """The step's time, its account, and how it uses the cores."""
    step = seen.step
    words = [f"A step takes {number(step.whole, 2)} ms: {number(seen.speed.median)} images/s."]
    if step.resident is not None:
        words.append(f"On a batch that stays on the device it takes {number(step.resident, 2)} ms.")
    if step.cores_busy is not None and step.system_share is not None:
        words.append(
            f"{step.cores_busy:.1f} of {seen.cores} cores are busy, {step.system_share:.0%} of that in the operating "
            "system."
        )
    account = seen.account
    return [wrapped(" ".join(words)), *([_account(account), wrapped(_sum(account))] if account is not None else [])]


def _account(account: StepAccount) -> str:
    lines = [
        [part.name, number(part.milliseconds, 2), _interval(part), f"{account.share(part.name):.0%}"]
        for part in account.parts
    ]
    return grid(["part of a step", "ms/step", "95% interval", "share"], lines, "wfff")


def _interval(part: Part) -> str:
    return DASH if part.low is None or part.high is None else f"{number(part.low, 2)} to {number(part.high, 2)}"


def _sum(account: StepAccount) -> str:
    """Whether the parts add up to the step, and what the profiler took."""
    step = f"{number(account.step.milliseconds, 2)} ms ({_interval(account.step)})"
    covered = f"{account.covered:.0%}"
    if account.covered_low is not None and account.covered_high is not None:
        covered += f" ({account.covered_low:.0%} to {account.covered_high:.0%})"
    beside = f"of the step beside them without instruments, {step}"
    if account.adds_up:
        words = f"The parts add up to {covered} {beside}."
    else:
        words = (
            f"The parts do not add up: they are {covered} {beside}, and more than {TOLERANCE:.0%} off. Do not rely on "
            "them: measure again on an idle machine."
        )
    if (profiler := account.part(PROFILER)) is not None:
        took = max(-profiler / account.step.milliseconds, 0)
        words += f" The profiler, under which the parts were measured, takes {took:.0%} of a step: the last line."
    return words


def _operators(seen: Observed) -> str:
    shown, rest = seen.operators[:MOST_LINES], seen.operators[MOST_LINES:]
    table = [(each.name, number(each.calls, 1), each.milliseconds) for each in shown]
    if rest:
        table.append((count(len(rest), "other"), "", sum(each.milliseconds for each in rest)))
    total = sum(ms for *_, ms in table)
    lines = [[name, calls, number(ms, 3), f"{ms / total:.0%}" if total else ""] for name, calls, ms in table]
    titles = [f"operator ({ABILITIES[seen.case.framework].title}'s profiler)", "calls/step", "ms/step", "share"]
    return grid(titles, lines, "wfff") if lines else ""


def _kernels(seen: Observed) -> str:
    peak = seen.bounds.gflops if seen.bounds is not None else None
    lines = [
        [
            f"{each.operator} {each.direction.replace('undef', '')}",
            each.implementation + (" REF" if each.is_reference else ""),
            number(each.milliseconds, 3),
            "" if each.gflops is None else number(each.gflops, 1),
            "" if each.gflops is None or peak is None else f"{each.gflops / peak:.1%}",
        ]
        for each in seen.kernels[:MOST_LINES]
    ]
    titles = ["primitive (oneDNN's log)", "implementation", "ms/step", "GFLOP/s", "of peak"]
    return grid(titles, lines, "wwfff") if lines else ""


def _bounds(seen: Observed) -> str:
    if (bounds := seen.bounds) is None:
        return ""
    return wrapped(
        f"Limits measured here: {bounds.gflops:,.0f} GFLOP/s in matrix products, "
        f"{bounds.gigabytes_per_second:,.1f} GB/s of memory. They would allow {bounds.arithmetic:,.0f} images/s by "
        f"arithmetic, and {bounds.memory:,.0f} by memory if nothing were cached. The training does "
        f"{bounds.achieved_gflops:,.1f} GFLOP/s, {bounds.achieved_gflops / bounds.gflops:.1%} of the peak."
    )


def _finding(number: int, finding: SpeedFinding) -> str:
    evidence = [f"seen with {finding.seen_with}"] if finding.seen_with else []
    evidence += finding.evidence
    if finding.trial is not None:
        evidence.append(finding.trial.words)
    if finding.control is not None:
        evidence.append(finding.control.words)
    if finding.beside_others is not None:
        evidence.append(f"beside the other fixes: {finding.beside_others.words}")
    lines = [wrapped(finding.title, f"{number}. ", "   ")]
    lines += [wrapped(each, "   - ", "     ") for each in evidence]
    if finding.remedy is not None:
        lines.append(wrapped(f"{finding.remedy} fixes it: {times(max(finding.gains))}", "   => ", "      "))
    return "\n".join(lines)


def _speeds(explanation: Explanation) -> str:
    """The account of all fixes."""
    if len(explanation.speeds) < 2:
        return ""
    lines = [
        [
            each.name,
            number(each.images_per_second),
            each.compared.interval if each.compared is not None else "1",
            each.compared.method if each.compared is not None else "",
        ]
        for each in explanation.speeds
    ]
    return grid(["", "images/s", "times as it is", "compared"], lines, "wffw")


def _remains(explanation: Explanation) -> list[str]:
    """What remains to the limit of arithmetic and to PyTorch: of the throughput, and of a step part by part."""
    last = explanation.remaining or explanation.observed
    what = "With all fixes the training" if explanation.remaining is not None else "The training"
    sentences = []
    if (bounds := last.bounds) is not None:
        share = f"{last.speed.median / bounds.arithmetic:.1%}"
        sentences.append(f"{what} reaches {share} of the limit of arithmetic, {number(bounds.arithmetic)} images/s.")
    if (twin := explanation.twin) is not None:
        sentences.append(f"PyTorch's throughput is {twin.interval} times as large, {twin.method}.")
    table = grid(*_gap(explanation.gap, explanation.observed.case)) if explanation.gap else ""
    return [*filter(None, [table, wrapped(" ".join(sentences)) if sentences else ""])]


def _gap(lines: tuple[GapLine, ...], case: Case) -> tuple[list[str], list[list[str]], str]:
    """The table of the parts: titles, lines and kinds of its columns."""
    name = ABILITIES[case.framework].title
    bounded, both = lines[0].limit is not None, lines[0].theirs is not None
    titles = ["what remains, ms/step", name]
    titles += ["at limit", "gap to it"] if bounded else []
    titles += [ABILITIES[Framework.PYTORCH].title, "gap to it"] if both else []
    whole = GapLine(
        name="step",
        ours=sum(each.ours for each in lines),
        theirs=sum(each.theirs or 0.0 for each in lines) if both else None,
        limit=sum(each.limit or 0.0 for each in lines) if bounded else None,
    )
    table = []
    for each in (*lines, whole):
        others = [other for other in (each.limit, each.theirs) if other is not None]
        beside = [text for other in others for text in (number(other, 3), number(each.ours - other, 3))]
        table.append([each.name, number(each.ours, 3), *beside])
    return titles, table, "w" + "f" * (len(titles) - 1)
