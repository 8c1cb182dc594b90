"""What the record holds and what the events give: equal to the last bit, or refused."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel

from lenet.analysis.verify.evidence import Evidence, Messages
from lenet.cases.case import Frozen
from lenet.dataset.known import KNOWN
from lenet.store.events import Evaluated, Failed, Finished, Resident, Started, Steps
from lenet.store.record import ENDED_WITH, Status, Summary, summarise


def case_id(e: Evidence) -> Messages:
    """The record is of the case that its file is named after."""
    if e.record.case != e.case:
        yield e.at("case"), "is not the case that the file is named after"
    if e.record.case_id != e.record.case.id:
        yield e.at("case_id"), f"is {e.record.case_id}, and the case's id is {e.record.case.id}"


def machine(e: Evidence) -> Messages:
    """The record is of a machine whose card the run has: the manifest's, or that of `machine-ID.json`."""
    if e.record.machine_id != e.machine.id:
        message = f"is {e.record.machine_id}: the run has no card of it, and the manifest's machine is {e.machine.id}"
        yield e.at("machine_id"), message
    elif e.record.load is not None and e.record.load.logical_cores != e.machine.logical_cores:
        message = f"is {e.record.load.logical_cores}, and its machine has {e.machine.logical_cores}"
        yield e.at("load", "logical_cores"), message


def dataset(e: Evidence) -> Messages:
    """The data is the manifest's, and data called mnist or digits is that."""
    if e.record.dataset != e.card:
        yield e.at("dataset"), f"is not the manifest's {e.card.name} ({e.card.sha256[:12]}…)"
    if e.card.name != e.case.dataset:
        yield e.at("case", "dataset"), f"is {e.case.dataset}, and the manifest's card is of {e.card.name}"
    known, (_, _, mark) = KNOWN.get(e.card.name), e.card.name.partition("@")
    if known is not None and e.card != known:
        yield e.at("dataset", "sha256"), f"is not that of {known.name}: other data under its name"
    if known is None and (not mark or not e.card.sha256.startswith(mark)):
        yield e.at("dataset", "name"), f"{e.card.name} does not contain the data's digest {e.card.sha256[:12]}"


def _fields(e: Evidence, path: tuple[str | int, ...], recorded: BaseModel | None, given: BaseModel | None) -> Messages:
    """Every field of `recorded`, which the record has at `path`, that differs from what the events give."""
    if recorded is None or given is None:
        if recorded is not given:
            yield e.at(*path), "is not in the events" if given is None else "is missing: the events have it"
        return
    for name in type(recorded).model_fields:
        here, there = getattr(recorded, name), getattr(given, name)
        if isinstance(here, BaseModel) and isinstance(there, BaseModel):
            yield from _fields(e, (*path, name), here, there)
        elif here != there:
            yield e.at(*path, name), f"{name} is {here}, and the events give {there}"


def _rows(e: Evidence, name: str, recorded: Sequence[Frozen], given: Sequence[Frozen]) -> Messages:
    if len(recorded) != len(given):
        yield e.at(name), f"has {len(recorded)} entries, and the events have {len(given)}"
    for index, (here, there) in enumerate(zip(recorded, given, strict=False)):
        yield from _fields(e, (name, index), here, there)


def windows(e: Evidence) -> Messages:
    """The record's windows are the events'."""
    yield from _rows(e, "windows", e.record.windows, [each.window for _, each in e.attempt.of(Steps)])


def resident_windows(e: Evidence) -> Messages:
    """The record's resident windows are the events'."""
    yield from _rows(
        e, "resident_windows", e.record.resident_windows, [each.window for _, each in e.attempt.of(Resident)]
    )


def evaluations(e: Evidence) -> Messages:
    """The record's evaluations are the events'."""
    yield from _rows(e, "evaluations", e.record.evaluations, [each.evaluation for _, each in e.attempt.of(Evaluated)])


def phases(e: Evidence) -> Messages:
    """The record's phases are those that the worker reported last."""
    finished = e.attempt.first(Finished)
    yield from _fields(e, ("phases",), e.record.phases, finished[1].phases if finished else None)


def software(e: Evidence) -> Messages:
    """The record's software is the worker's, and of the release that the case names."""
    started = e.attempt.first(Started)
    yield from _fields(e, ("software",), e.record.software, started[1].software if started else None)
    if started and e.case.framework_version is not None:
        version = started[1].software.framework_version
        if not _same_release(version, e.case.framework_version):
            yield e.at("software", "framework_version"), f"is {version}, and the case is of {e.case.framework_version}"


def _same_release(version: str, release: str) -> bool:
    """Whether a framework that reports `version` is the release, or is of a wheel file of that version.

    A post-release or a nightly build may report the version of its release, a build for one device adds a label.

    >>> _same_release("2.13.0+cpu", "2.13.0"), _same_release("2.7.1", "2.7.1.post1"), _same_release("2.9.0", "2.10.0")
    (True, True, False)
    >>> _same_release("2.11.0", "2.11.0.dev20261125@1a2b3c4d5e6f")
    True
    """
    try:
        named = Version(release.partition("@")[0])
        return Version(version).public in (named.public, named.base_version)
    except InvalidVersion:
        return False


def weights(e: Evidence) -> Messages:
    """The digests of the weights are those reported."""
    recorded, given = e.record.weights_sha256, dict[str, str]()
    if started := e.attempt.first(Started):
        given["initial"] = started[1].initial_weights_sha256
    if finished := e.attempt.first(Finished):
        given["final"] = finished[1].final_weights_sha256
    for name in sorted(recorded.keys() | given.keys()):
        if recorded.get(name) != given.get(name):
            yield e.at("weights_sha256", name), f"is {recorded.get(name)}, and the events give {given.get(name)}"


def losses(e: Evidence) -> Messages:
    """The losses are float32 numbers that a cross entropy can have, and the digest is over them."""
    digest = hashlib.sha256()
    whole = True
    for line, event in e.attempt.of(Steps):
        for step, loss in enumerate(event.losses, event.first_step):
            packed = _float32(loss)
            if packed is None:
                whole = False
                if loss is not None:
                    yield e.on(line), f"the loss of step {step} is {loss}, which is no float32 of 0 or more"
            else:
                digest.update(packed)
    finished = e.attempt.first(Finished)
    given = finished[1].losses_sha256 if finished else None
    if e.record.losses_sha256 != given:
        yield e.at("losses_sha256"), "is not what the worker reported"
    if finished and not whole:
        yield e.on(finished[0]), "the case is finished, and a loss is not finite"
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


def summary(e: Evidence) -> Messages:
    """Every figure of the summary, derived again from the events."""
    yield from _fields(e, ("summary",), e.record.summary, derived(e))


def derived(e: Evidence) -> Summary:
    """The summary that the events give."""
    final = [loss for _, event in e.attempt.of(Steps) for loss in event.losses if loss is not None]
    finished = e.attempt.first(Finished)
    return summarise(
        finished[1].phases if finished else None,
        tuple(event.window for _, event in e.attempt.of(Steps)),
        tuple(event.window for _, event in e.attempt.of(Resident)),
        tuple(event.evaluation for _, event in e.attempt.of(Evaluated)),
        final[-1] if final else None,
        finished[1].peak_memory_bytes if finished else None,
    )


def training_loss(e: Evidence) -> Messages:
    """An evaluation's training loss is the mean of the losses since the one before, to the rounding of a sum."""
    since: list[float] = []
    for each in e.attempt.events:
        if isinstance(each.event, Steps):
            since += [math.nan if loss is None else loss for loss in each.event.losses]
        elif isinstance(each.event, Evaluated):
            reported, mean = each.event.training_loss, math.fsum(since) / len(since) if since else None
            if reported is None or mean is None:
                differ = reported is not mean
            else:
                differ = not abs(reported - mean) <= len(since) * 2**-52 * abs(mean)
            if differ:
                yield e.on(each.line), f"training_loss is {reported}, and the mean of {len(since)} losses is {mean}"
            since = []


def ending(e: Evidence) -> Messages:
    """The status is one that these events can have."""
    status, evaluated = e.record.status, e.attempt.of(Evaluated)
    started, finished, failed = e.attempt.first(Started), e.attempt.first(Finished), e.attempt.first(Failed)
    if status.complete:
        if not (started and finished and evaluated):
            yield e.at("status"), f"is {status.value}, and the events are not of a whole case"
        elif failed:
            yield e.at("status"), f"is {status.value}, and the worker reported a failure"
        constant = bool(evaluated) and evaluated[-1][1].distinct_answers == 1
        if (status is Status.PLATEAU) != (constant and e.case.plan.epochs is not None):
            yield e.at("status"), f"is {status.value}, and the last evaluation shows otherwise"
        if e.record.exit_code and ENDED_WITH not in e.record.reason:
            yield e.at("exit_code"), f"is {e.record.exit_code}, and the reason does not say so"
    if status is Status.DROPPED and finished:
        yield e.at("status"), "is dropped, and the worker reported the whole case"
    if failed and (status, e.record.reason) != (failed[1].status, failed[1].reason):
        yield e.at("status"), f"is {status.value}, and the worker reported {failed[1].status.value}"


RULES = (
    case_id, machine, dataset, windows, resident_windows, evaluations, phases, software, weights, losses, summary,
    training_loss, ending,
)  # fmt: skip
