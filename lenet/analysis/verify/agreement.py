"""What the record says and what the events give: equal to the last bit, or refused."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

from pydantic import BaseModel

from lenet.analysis.verify.evidence import Evidence, Violations
from lenet.cases.case import Frozen
from lenet.dataset.known import KNOWN
from lenet.store.events import Steps
from lenet.store.record import Status, Summary, summarise


def case_id(e: Evidence) -> Violations:
    """The record is of the case whose name it has."""
    if e.record.case != e.case:
        yield e.at("case"), "is not the case that the file's name stands for"
    if e.record.case_id != e.record.case.id:
        yield e.at("case_id"), f"is {e.record.case_id}, and the case's own name is {e.record.case.id}"


def machine(e: Evidence) -> Violations:
    """The record is of a machine whose card the run has: the manifest's, or that of `machine-ID.json`."""
    if e.record.machine_id != e.machine.id:
        message = f"is {e.record.machine_id}: the run has no card of it, and the manifest's machine is {e.machine.id}"
        yield e.at("machine_id"), message


def dataset(e: Evidence) -> Violations:
    """The data is the manifest's, and what is called mnist or digits is that."""
    if e.record.dataset != e.card:
        yield e.at("dataset"), f"is not the manifest's {e.card.name} ({e.card.sha256[:12]}…)"
    if e.card.name != e.case.dataset:
        yield e.at("case", "dataset"), f"is {e.case.dataset}, and the manifest's card is of {e.card.name}"
    known, (_, _, mark) = KNOWN.get(e.card.name), e.card.name.partition("@")
    if known is not None and e.card != known:
        yield e.at("dataset", "sha256"), f"is not that of {known.name}: other data under its name"
    if known is None and (not mark or not e.card.sha256.startswith(mark)):
        yield e.at("dataset", "name"), f"{e.card.name} does not carry the data's digest {e.card.sha256[:12]}"


def _fields(e: Evidence, path: tuple[str | int, ...], told: BaseModel | None, given: BaseModel | None) -> Violations:
    """Every field of `told`, which the record has at `path`, that is not `given`'s."""
    if told is None or given is None:
        if told is not given:
            yield e.at(*path), "is not in the events" if given is None else "is missing: the events have it"
        return
    for name in type(told).model_fields:
        here, there = getattr(told, name), getattr(given, name)
        if isinstance(here, BaseModel) and isinstance(there, BaseModel):
            yield from _fields(e, (*path, name), here, there)
        elif here != there:
            yield e.at(*path, name), f"{name} is {here}, and the events give {there}"


def _rows(e: Evidence, name: str, told: Sequence[Frozen], given: Sequence[Frozen]) -> Violations:
    if len(told) != len(given):
        yield e.at(name), f"has {len(told)} entries, and the events have {len(given)}"
    for index, (here, there) in enumerate(zip(told, given, strict=False)):
        yield from _fields(e, (name, index), here, there)


def windows(e: Evidence) -> Violations:
    """The record's windows are the events'."""
    yield from _rows(e, "windows", e.record.windows, [each.window for _, each in e.attempt.steps])


def resident_windows(e: Evidence) -> Violations:
    """The record's resident windows are the events'."""
    yield from _rows(e, "resident_windows", e.record.resident_windows, [each.window for _, each in e.attempt.resident])


def evaluations(e: Evidence) -> Violations:
    """The record's evaluations are the events'."""
    yield from _rows(e, "evaluations", e.record.evaluations, [each.evaluation for _, each in e.attempt.evaluated])


def phases(e: Evidence) -> Violations:
    """The record's phases are the worker's last word."""
    finished = e.attempt.finished
    yield from _fields(e, ("phases",), e.record.phases, finished[1].phases if finished else None)


def software(e: Evidence) -> Violations:
    """The record's software is what the worker saw."""
    started = e.attempt.started
    yield from _fields(e, ("software",), e.record.software, started[1].software if started else None)


def weights(e: Evidence) -> Violations:
    """The digests of the weights are those reported."""
    told, given = e.record.weights_sha256, dict[str, str]()
    if e.attempt.started:
        given["initial"] = e.attempt.started[1].initial_weights_sha256
    if e.attempt.finished:
        given["final"] = e.attempt.finished[1].final_weights_sha256
    for name in sorted(told.keys() | given.keys()):
        if told.get(name) != given.get(name):
            yield e.at("weights_sha256", name), f"is {told.get(name)}, and the events give {given.get(name)}"


def losses(e: Evidence) -> Violations:
    """The losses are float32 numbers that a cross entropy can have, and the digest is over them."""
    digest = hashlib.sha256()
    whole = True
    for line, event in e.attempt.steps:
        for step, loss in enumerate(event.losses, event.first_step):
            packed = _float32(loss)
            if packed is None:
                whole = False
                if loss is not None:
                    yield e.on(line), f"the loss of step {step} is {loss}, which is no float32 of 0 or more"
            else:
                digest.update(packed)
    finished = e.attempt.finished
    given = finished[1].losses_sha256 if finished else None
    if e.record.losses_sha256 != given:
        yield e.at("losses_sha256"), "is not the one that the worker reported"
    if finished and not whole:
        yield e.on(finished[0]), "the case is called finished, and a loss is not finite"
    elif finished and given != digest.hexdigest():
        yield e.on(finished[0]), "losses_sha256 is not the digest of the losses in the log"


def _float32(loss: float | None) -> bytes | None:
    if loss is None or loss < 0:
        return None
    try:
        packed = struct.pack("<f", loss)
    except OverflowError:
        return None
    return packed if struct.unpack("<f", packed) == (loss,) else None


def summary(e: Evidence) -> Violations:
    """Every figure of the summary, derived again from the events."""
    yield from _fields(e, ("summary",), e.record.summary, derived(e))


def derived(e: Evidence) -> Summary:
    """The summary that the events give."""
    final = [loss for _, event in e.attempt.steps for loss in event.losses if loss is not None]
    finished = e.attempt.finished
    return summarise(
        finished[1].phases if finished else None,
        tuple(event.window for _, event in e.attempt.steps),
        tuple(event.window for _, event in e.attempt.resident),
        tuple(event.evaluation for _, event in e.attempt.evaluated),
        final[-1] if final else None,
        finished[1].peak_memory_bytes if finished else None,
    )


def training_loss(e: Evidence) -> Violations:
    """An evaluation's training loss is the mean of the losses since the one before, to the rounding of a sum."""
    rest = list(e.attempt.numbered)
    since: list[float] = []
    for each in rest:
        if isinstance(each.event, Steps):
            since += [math.nan if loss is None else loss for loss in each.event.losses]
        elif each.event.event == "evaluated":
            told, mean = each.event.training_loss, math.fsum(since) / len(since) if since else None
            if (told is None) != (mean is None) or (
                told is not None and mean is not None and not abs(told - mean) <= len(since) * 2**-52 * abs(mean)
            ):
                yield e.on(each.line), f"training_loss is {told}, and the mean of {len(since)} losses is {mean}"
            since = []


def ending(e: Evidence) -> Violations:
    """The status is one that these events can have."""
    status, attempt = e.record.status, e.attempt
    if e.record.status.complete:
        if not (attempt.started and attempt.finished and attempt.evaluated):
            yield e.at("status"), f"is {status.value}, and the events are not of a whole case"
        elif attempt.failed:
            yield e.at("status"), f"is {status.value}, and the worker reported a failure"
        constant = bool(attempt.evaluated) and attempt.evaluated[-1][1].distinct_answers == 1
        if (status is Status.PLATEAU) != (constant and e.case.plan.epochs is not None):
            yield e.at("status"), f"is {status.value}, and the last evaluation says otherwise"
    if attempt.failed and (status, e.record.reason) != (attempt.failed[1].status, attempt.failed[1].reason):
        yield e.at("status"), f"is {status.value}, and the worker reported {attempt.failed[1].status.value}"


RULES = (
    case_id, machine, dataset, windows, resident_windows, evaluations, phases, software, weights, losses, summary,
    training_loss, ending,
)  # fmt: skip
