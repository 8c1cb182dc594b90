"""An explanation for a terminal of 80 columns, readable without colour."""

from __future__ import annotations

from lenet.analysis.explain.findings import Explanation, SpeedFinding
from lenet.analysis.explain.observation import Observed
from lenet.report.layout import grid, number, wrapped
from lenet.report.table.words import times, with_dataset

MOST_LINES = 8
"""Lines of a table; the rest is one line."""


def explanation_text(explanation: Explanation, version: str) -> str:
    """The whole explanation: the step, operators, kernels, limits, findings. `version` is the framework's."""
    seen = explanation.observed
    paragraphs = [_head(seen, version), *_step(seen), _operators(seen), _kernels(seen), _bounds(seen)]
    paragraphs += [wrapped(f"Caveat: {each}") for each in seen.caveats]
    paragraphs += [_finding(number, each) for number, each in enumerate(explanation.findings, 1)]
    if not explanation.findings:
        paragraphs.append(wrapped("No finding: no known cause of a slow step was seen, and no setting gained."))
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _head(seen: Observed, version: str) -> str:
    library = seen.library
    words = [with_dataset(seen.case), f"{seen.case.framework.value} {version}"]
    if library.version:
        words.append(f"oneDNN {library.version} for {library.instruction_set or 'an unnamed CPU'}")
    return wrapped(", ".join(words))


def _step(seen: Observed) -> list[str]:
    """The step's time, its parts, and what the instruments saw."""
    step = seen.step
    parts = [
        ("data pipeline: waiting, and competition for cores", step.data),
        ("operators", min(step.operators, step.resident or step.whole) if step.operators is not None else None),
        ("Python, launching, threads waiting", step.outside),
    ]
    lines = [[name, f"{number(ms, 2)} ms", f"{ms / step.whole:.0%}"] for name, ms in parts if ms is not None]
    notes = []
    if step.instrumented is not None and step.operators is not None:
        notes.append(
            f"Operators took {step.operators:,.2f} ms of {step.instrumented:,.2f} ms a step while they were watched; "
            "the other figures are of steps without instruments."
        )
    if step.host is not None and step.cores_busy is not None and step.system_share is not None:
        notes.append(
            f"The call of a step returned to Python after {step.host:,.2f} ms. {step.cores_busy:.1f} of {seen.cores} "
            f"cores were busy, {step.system_share:.0%} of that in the operating system."
        )
    whole = wrapped(f"A step takes {step.whole:,.2f} ms: {number(seen.speed.median)} images/s.")
    return ["\n".join(filter(None, [whole, grid(["", "", ""], lines, "wff")])), wrapped(" ".join(notes))]


def _operators(seen: Observed) -> str:
    shown, rest = seen.operators[:MOST_LINES], seen.operators[MOST_LINES:]
    table = [(each.name, number(each.calls, 1), each.milliseconds) for each in shown]
    if rest:
        table.append((f"{len(rest)} others", "", sum(each.milliseconds for each in rest)))
    total = sum(ms for *_, ms in table)
    lines = [[name, calls, number(ms, 3), f"{ms / total:.0%}" if total else ""] for name, calls, ms in table]
    return grid(["operator (MindSpore's profiler)", "calls/step", "ms/step", "share"], lines, "wfff") if lines else ""


def _kernels(seen: Observed) -> str:
    lines = [
        [
            f"{each.operator} {each.direction.replace('undef', '')}",
            each.implementation + (" REF" if each.is_reference else ""),
            number(each.milliseconds, 3),
            "" if each.gflops is None else number(each.gflops, 1),
            "" if each.gflops is None else f"{each.gflops / seen.bounds.gflops:.1%}",
        ]
        for each in seen.kernels[:MOST_LINES]
    ]
    titles = ["primitive (oneDNN's log)", "implementation", "ms/step", "GFLOP/s", "of peak"]
    return grid(titles, lines, "wwfff") if lines else ""


def _bounds(seen: Observed) -> str:
    bounds = seen.bounds
    return wrapped(
        f"Limits measured here: {bounds.gflops:,.0f} GFLOP/s in matrix products, "
        f"{bounds.gigabytes_per_second:,.1f} GB/s of memory. They would allow {bounds.arithmetic:,.0f} images/s by "
        f"arithmetic, and {bounds.memory:,.0f} by memory if nothing were cached. The training does "
        f"{bounds.achieved_gflops:,.1f} GFLOP/s, {bounds.achieved_gflops / bounds.gflops:.1%} of the peak."
    )


def _finding(number: int, finding: SpeedFinding) -> str:
    evidence = [*finding.evidence, *([finding.trial.words] if finding.trial is not None else [])]
    lines = [wrapped(finding.title, f"{number}. ", "   ")]
    lines += [wrapped(each, "   - ", "     ") for each in evidence]
    if finding.remedy is not None and finding.trial is not None:
        lines.append(wrapped(f"{finding.remedy} fixes it: {times(finding.trial.gain)}", "   => ", "      "))
    return "\n".join(lines)
