"""The ladder and the judgement of runs, as a person and as a program read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from lenet.analysis.check import Comparison, Outcome
from lenet.analysis.convergence import Convergence
from lenet.cases.case import Case
from lenet.report.table.layout import DASH, as_json, clean, paragraphs
from lenet.store.record import Record

if TYPE_CHECKING:
    from lenet.commands.check import Finding

LAYERS_SHOWN = 3
COMPARED_WIDTH = 30
"""Characters in which the table names what is compared; a longer name is a note."""

THREADS_KEPT = 4
"""Above so many operator threads MindSpore's tuner may divide an operator otherwise from run to run."""


def findings_text(findings: Sequence[Finding], settings: str, tolerance: float) -> str:
    """The ladder as a table of 80 columns, a paragraph for each pair that is not the same to the last bit."""
    lines, notes = [], []
    for finding in findings:
        compared = clean(finding.compared)
        if len(compared) > COMPARED_WIDTH:
            notes.append(compared)
            compared = f"{compared[: COMPARED_WIDTH - 6]}… [{len(notes)}]"
        outcome = _outcome(finding)
        if note := _note(finding, tolerance):
            notes.append(note)
            outcome += f" [{len(notes)}]"
        steps = finding.comparison.steps if finding.comparison else None
        holds = DASH if finding.holds is None else "yes" if finding.holds else "NO"
        lines.append([finding.rung.value, compared, outcome, steps or DASH, holds])
    body = tabulate(
        lines,
        ["rung", "compared", "outcome", "steps", "holds"],
        tablefmt="simple",
        colalign=["left", "left", "left", "right", "left"],
        disable_numparse=True,
    )
    numbered = [f"[{index}] {clean(note)}" for index, note in enumerate(notes, 1)]
    return f"{body}\n\n{paragraphs([*numbered, clean(settings)])}"


def findings_json(findings: Sequence[Finding], settings: dict[str, str], tolerance: float) -> str:
    """The same with every figure."""
    content = {
        "tolerance": tolerance,
        "settings": settings,
        "findings": [finding.model_dump(mode="json") for finding in findings],
    }
    return as_json(content)


def settings(records: Sequence[Record], cores: int) -> dict[str, str]:
    """Under which settings the traced cases were seen: what bit-exactness holds for."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        if record.software is None or not record.case.plan.trace:
            continue
        # No thread of the others is one of these settings.
        # What the profile sets goes before what MindSpore tells: its context knows nothing of `op_tuning.threads_num`.
        told = {**record.software.details, **{name: str(value) for name, value in record.case.profile.settings.items()}}
        for name in ("operator_threads", "dataset_workers", "precision"):
            if name in told:
                found.setdefault(name, {})[told[name]] = None
        version = f"{record.case.framework.value} {record.software.framework_version}"
        found.setdefault("framework", {})[version] = None
    return {"cores": str(cores), **{name: ", ".join(values) for name, values in found.items()}}


def settings_text(found: dict[str, str]) -> str:
    """The settings as a sentence, and what they mean for other machines."""
    seen = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
    threads = [int(each) for each in found.get("operator_threads", "").split(", ") if each.isdigit()]
    many = (
        f"Above {THREADS_KEPT} operator threads MindSpore's tuner may divide an operator otherwise from run to run: "
        "the same bits now need not come again"
        if threads and max(threads) > THREADS_KEPT
        else f"Nothing is said for more than {THREADS_KEPT} operator threads, where MindSpore's tuner may divide an "
        "operator otherwise from run to run"
    )
    return f"Seen with {seen}. {many}."


def _outcome(finding: Finding) -> str:
    if finding.verdict is not None:
        return finding.verdict.value
    comparison = finding.comparison
    if comparison is None:
        return Outcome.SKIPPED.value
    if comparison.outcome is Outcome.SKIPPED and finding.holds is False:
        return "failed"
    if comparison.outcome is Outcome.PARTED:
        return f"parted at step {comparison.beyond}"
    return str(comparison.outcome.value)


def _note(finding: Finding, tolerance: float) -> str:
    """What the table's word leaves out."""
    comparison = finding.comparison
    if comparison is None or comparison.outcome is Outcome.SKIPPED:
        return finding.reason
    if comparison.outcome is Outcome.IDENTICAL:
        return ""
    if comparison.outcome is Outcome.OTHER_DATA or comparison.outcome is Outcome.OTHER_START:
        return _start(finding, comparison)
    words = []
    if comparison.first_weights_apart is not None:
        first = _listed(comparison.layers_apart)
        when = f"after step {comparison.first_weights_apart}" if comparison.first_weights_apart else "at the start"
        words.append(f"the first bit differs {when}, in {first}")
    elif comparison.first_loss_apart is not None:
        words.append(f"the first bit differs in the loss of step {comparison.first_loss_apart}")
    if comparison.same_images is False:
        words.append("the batches' images differ in their last bits")
    if comparison.largest_loss_difference is not None:
        words.append(f"losses differ by {comparison.largest_loss_difference:.1e} at most (tolerance {tolerance:g})")
    else:
        words.append("a loss is not finite")
    if comparison.distances:
        at = comparison.beyond if comparison.beyond is not None else comparison.steps
        furthest = comparison.distances[0]
        size = "beyond all measure" if furthest.relative is None else f"by about {furthest.relative:.0e}"
        words.append(f"after step {at} {furthest.layer} differs the most, {size} of its norm")
    return "; ".join(words)


def _start(finding: Finding, comparison: Comparison) -> str:
    if finding.holds:
        return ""
    words = []
    if comparison.same_order is False and comparison.first_batch_apart is not None:
        words.append(f"the batches differ from step {comparison.first_batch_apart} on")
    elif comparison.same_order:
        words.append("the order of the data is the same")
    if comparison.same_initial_weights is False:
        words.append("the initial weights differ")
    elif comparison.same_initial_weights:
        words.append("the initial weights are the same")
    return ", ".join(words)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - LAYERS_SHOWN
    return ", ".join(names[:LAYERS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def judged_text(judged: Sequence[tuple[Record, Convergence]]) -> str:
    """Records and what the convergence check says of them, a line each."""
    lines = [
        [
            _short(record.case),
            str(record.case.plan.epochs or DASH),
            DASH if record.summary.accuracy is None else f"{record.summary.accuracy:.4f}",
            found.verdict.value,
        ]
        for record, found in judged
    ]
    body = tabulate(
        lines,
        ["case", "epochs", "accuracy", "convergence"],
        tablefmt="simple",
        colalign=["left", "right", "right", "left"],
        disable_numparse=True,
    )
    reasons = dict.fromkeys(f"{found.verdict.value}: {found.reason}" for _, found in judged if found.reason)
    return f"{body}\n\n{paragraphs(map(clean, reasons))}"


def _short(case: Case) -> str:
    words = f"{case.device_target.value} {case.mode.value} b{case.hyperparameters.batch_size}"
    return f"{words} seed {case.hyperparameters.seed}"


def judged_json(judged: Sequence[tuple[Record, Convergence]]) -> str:
    """The same for a program."""
    content = [
        {
            "case_id": record.case_id,
            "status": record.status.value,
            "verdict": found.verdict.value,
            "reason": found.reason,
        }
        for record, found in judged
    ]
    return as_json(content)
