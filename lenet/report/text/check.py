"""The results of `lenet-bench check` as text and as JSON: the ladder of checks, and the convergence of records."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.analysis.check import Match, RungResult, TraceComparison
from lenet.analysis.convergence import Convergence
from lenet.cases.axes import axis
from lenet.report.layout import DASH, grid, number, paragraphs
from lenet.report.table.forms import as_json
from lenet.report.table.words import few
from lenet.store.proof import TrainingProof
from lenet.store.record import Record

MOST_LAYERS = 3
THREADS_KEPT = 4
"""With more operator threads MindSpore's tuner may divide an operator differently in each run."""


def results_text(results: Sequence[RungResult], settings: str, tolerance: float) -> str:
    """The ladder as a table of 80 columns, with a note for each pair that is not bitwise equal."""
    lines, notes = [], []
    for result in results:
        outcome = _outcome(result)
        if note := _note(result, tolerance):
            notes.append(note)
            outcome += f" [{len(notes)}]"
        steps = number((result.comparison and result.comparison.steps) or None)
        holds = DASH if result.holds is None else "yes" if result.holds else "NO"
        lines.append([result.rung.value, result.compared, outcome, steps, holds])
    body = grid(["rung", "compared", "outcome", "steps", "holds"], lines, "wwwfw")
    numbered = [f"[{index}] {note}" for index, note in enumerate(notes, 1)]
    return f"{body}\n\n{paragraphs([*numbered, settings])}"


def results_json(results: Sequence[RungResult], settings: dict[str, str], tolerance: float) -> str:
    """The ladder with every figure."""
    content = {
        "tolerance": tolerance,
        "settings": settings,
        "findings": [result.model_dump(mode="json") for result in results],
    }
    return as_json(content)


def settings(records: Sequence[Record], cores: int) -> dict[str, str]:
    """The settings of the traced cases, on a machine of so many cores: bitwise equality is claimed for these only."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        if record.software is None or not record.case.plan.trace:
            continue
        # The profile overrides what MindSpore reports: its context does not know `op_tuning.threads_num`.
        details = dict(record.software.details)
        details |= {name: str(value) for name, value in record.case.profile.settings.items()}
        for name in ("operator_threads", "dataset_workers", "precision"):
            if name in details:
                found.setdefault(name, {})[details[name]] = None
        version = f"{record.case.framework.value} {axis('version').of_record(record)}"
        found.setdefault("framework", {})[version] = None
    return {"cores": str(cores), **{name: ", ".join(values) for name, values in found.items()}}


def settings_text(found: dict[str, str]) -> str:
    """The settings as a sentence, and what they mean for other machines."""
    shown = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
    threads = [int(each) for each in found.get("operator_threads", "").split(", ") if each.isdecimal()]
    many = (
        f"With more than {THREADS_KEPT} operator threads MindSpore's tuner may divide an operator differently in each "
        "run: equal bits now do not mean equal bits next time"
        if threads and max(threads) > THREADS_KEPT
        else f"This does not cover more than {THREADS_KEPT} operator threads, where MindSpore's tuner may divide an "
        "operator differently in each run"
    )
    return f"Measured with {shown}. {many}."


def _outcome(result: RungResult) -> str:
    if result.verdict is not None:
        return result.verdict.value
    comparison = result.comparison
    if comparison is None:
        return Match.SKIPPED.value
    if comparison.outcome is Match.SKIPPED and result.holds is False:
        return "failed"
    if comparison.outcome is Match.DIFFERENT:
        return f"different from step {comparison.beyond}"
    return str(comparison.outcome.value)


def _note(result: RungResult, tolerance: float) -> str:
    """The details that the table omits."""
    comparison = result.comparison
    if comparison is None or comparison.outcome is Match.SKIPPED:
        return result.reason
    if comparison.outcome is Match.IDENTICAL:
        return ""
    if comparison.outcome is Match.OTHER_DATA or comparison.outcome is Match.OTHER_START:
        return _start(result, comparison)
    words = []
    if comparison.first_weights_apart is not None:
        first = few(list(comparison.layers_apart), MOST_LAYERS)
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
        size = "infinitely" if furthest.relative is None else f"by about {furthest.relative:.0e} of its norm"
        words.append(f"after step {at} {furthest.layer} differs most, {size}")
    return "; ".join(words)


def _start(result: RungResult, comparison: TraceComparison) -> str:
    if result.holds:
        return ""
    words = []
    if comparison.same_order is False and comparison.first_batch_apart is not None:
        words.append(f"the batches differ from step {comparison.first_batch_apart}")
    elif comparison.same_order:
        words.append("the data have the same order")
    if comparison.same_initial_weights is False:
        words.append("the initial weights differ")
    elif comparison.same_initial_weights:
        words.append("the initial weights are the same")
    return ", ".join(words)


def convergence_text(results: Sequence[tuple[Record, Convergence]], proofs: Sequence[TrainingProof | None] = ()) -> str:
    """Records with their convergence, one line each, and with what recomputing their trainings gave, if that was done.

    `proofs` are those of the records, in their order.
    """
    known = any(proofs)
    every = list(proofs) if known else [None] * len(results)
    lines = [
        [
            record.case.label,
            str(record.case.plan.epochs or DASH),
            number(record.summary.accuracy, 4),
            found.status.value,
            *([proof.status.value if proof else DASH] if known else []),
        ]
        for (record, found), proof in zip(results, every, strict=True)
    ]
    titles, widths = ["case", "epochs", "accuracy", "convergence"], "wffw"
    body = grid([*titles, "training"], lines, f"{widths}w") if known else grid(titles, lines, widths)
    reasons = [f"{found.status.value}: {found.reason}" for _, found in results if found.reason]
    reasons += [f"{proof.text}: {proof.reason}" for proof in every if proof]
    return f"{body}\n\n{paragraphs(dict.fromkeys(reasons))}"


def convergence_json(results: Sequence[tuple[Record, Convergence]], proofs: Sequence[TrainingProof | None] = ()) -> str:
    """Records with their convergence and the result of recomputing their trainings, null without one."""
    content = [
        {
            "case_id": record.case_id,
            "status": record.status.value,
            "verdict": found.status.value,
            "reason": found.reason,
            "training": proof.text if proof else None,
            "training_reason": proof.reason if proof else "",
        }
        for (record, found), proof in zip(results, proofs or [None] * len(results), strict=True)
    ]
    return as_json(content)
