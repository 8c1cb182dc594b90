"""An explanation for a terminal: 80 columns, readable without colour."""

from __future__ import annotations

import textwrap

from tabulate import tabulate

from lenet.analysis.explain import Explanation, Observed, SpeedFinding
from lenet.report.table.layout import clean, wrapped

SHOWN = 8
"""Lines of a table; the rest is one line."""


def explanation_text(explanation: Explanation, version: str) -> str:
    """The whole account: the step, operators, kernels, limits, findings. `version` is the framework's."""
    seen = explanation.observed
    paragraphs = [_head(seen, version), _step(seen)]
    paragraphs += [each for each in (_operators(seen), _kernels(seen)) if each]
    paragraphs.append(_bounds(seen))
    paragraphs += [wrapped(f"Caveat: {clean(each)}") for each in seen.caveats]
    paragraphs.append("\n\n".join(_finding(number, each) for number, each in enumerate(explanation.findings, 1)))
    if not explanation.findings:
        paragraphs[-1] = wrapped(
            "No finding: nothing that is known to slow this training was seen, and no setting that was tried gained."
        )
    return "\n\n".join(paragraphs) + "\n"


def _head(seen: Observed, version: str) -> str:
    library = seen.library
    words = [f"{seen.case.label}, {clean(seen.case.dataset)}", f"{seen.case.framework.value} {clean(version)}"]
    if library.version:
        words.append(f"oneDNN {clean(library.version)} for {clean(library.instruction_set or 'an unnamed CPU')}")
    return wrapped(", ".join(words))


def _step(seen: Observed) -> str:
    step = seen.step
    rate = seen.speed.median
    parts = [
        ("data pipeline, waiting and competition", step.data),
        ("operators", min(step.operators, step.resident or step.whole) if step.operators is not None else None),
        ("Python, launching, threads waiting", step.outside),
    ]
    lines = [[name, f"{value:,.2f} ms", f"{value / step.whole:.0%}"] for name, value in parts if value is not None]
    table = tabulate(lines, tablefmt="plain", colalign=("left", "right", "right"), disable_numparse=True)
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
    indented = textwrap.indent(table, "  ")
    body = "\n".join([f"A step takes {step.whole:,.2f} ms: {rate:,.0f} images/s.", indented])
    return "\n\n".join([body, *([wrapped(" ".join(notes))] if notes else [])])


def _operators(seen: Observed) -> str:
    if not seen.operators:
        return ""
    total = sum(each.milliseconds for each in seen.operators)
    shown, rest = seen.operators[:SHOWN], seen.operators[SHOWN:]
    lines = [
        [clean(each.name)[:40], f"{each.calls:,.1f}", f"{each.milliseconds:,.3f}", f"{each.milliseconds / total:.0%}"]
        for each in shown
        if total
    ]
    if rest:
        left = sum(each.milliseconds for each in rest)
        lines.append([f"{len(rest)} others", "", f"{left:,.3f}", f"{left / total:.0%}" if total else ""])
    headers = ["operator (MindSpore's profiler)", "calls/step", "ms/step", "share"]
    return tabulate(lines, headers, tablefmt="simple", colalign=("left", *["right"] * 3), disable_numparse=True)


def _kernels(seen: Observed) -> str:
    if not seen.kernels:
        return ""
    lines = []
    for each in seen.kernels[:SHOWN]:
        percent = "" if each.gflops is None else f"{100 * each.gflops / seen.bounds.gflops:.1f} %"
        lines.append(
            [
                clean(f"{each.operator} {each.direction.replace('undef', '')}")[:30],
                clean(each.implementation)[:20] + (" REF" if each.is_reference else ""),
                f"{each.milliseconds:,.3f}",
                "" if each.gflops is None else f"{each.gflops:,.1f}",
                percent,
            ]
        )
    headers = ["primitive (oneDNN's log)", "implementation", "ms/step", "GFLOP/s", "of peak"]
    align = ("left", "left", "right", "right", "right")
    return tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True)


def _bounds(seen: Observed) -> str:
    bounds = seen.bounds
    share = bounds.achieved_gflops / bounds.gflops
    return wrapped(
        f"Limits measured here: {bounds.gflops:,.0f} GFLOP/s in matrix products, "
        f"{bounds.gigabytes_per_second:,.1f} GB/s of memory. They would allow {bounds.arithmetic:,.0f} images/s by "
        f"arithmetic and {bounds.memory:,.0f} by memory, were nothing cached. The training does "
        f"{bounds.achieved_gflops:,.1f} GFLOP/s, {100 * share:.1f} % of the peak."
    )


def _finding(number: int, finding: SpeedFinding) -> str:
    lines = [wrapped(f"{number}. {clean(finding.title)}", rest="   ")]
    lines += [wrapped(f"- {clean(each)}", "   ", "     ") for each in finding.evidence]
    if finding.trial is not None:
        lines.append(wrapped(f"- {clean(finding.trial.words)}", "   ", "     "))
    if finding.remedy is not None and finding.trial is not None:
        lines.append(wrapped(f"=> {clean(finding.remedy)} mends it: {finding.trial.gain:,.2f} times", "   ", "      "))
    return "\n".join(lines)
