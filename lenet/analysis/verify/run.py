"""Rules over a run as a whole: its manifest and its records together."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise

from lenet.analysis.verify.evidence import Attempt, Evidence, Place, Violation
from lenet.cases.case import Case, DeviceTarget, RuntimeProfile
from lenet.cases.frameworks import ABILITIES
from lenet.dataset.known import KNOWN
from lenet.store.manifest import EVENTS, MANIFEST, RECORDS, Manifest
from lenet.store.record import Record


def manifest(run: Manifest) -> Iterator[Violation]:
    """The manifest lists each case once, with the data of each, and omits no repetition; its matrix is of its cases."""
    place = Place(MANIFEST)
    names = [case.id for case in run.cases]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Violation("manifest", place, f"case {name} is listed twice")
    for name in sorted({case.dataset for case in run.cases} - run.datasets.keys()):
        yield Violation("manifest", place, f"has no card of dataset {name}")
    for name, card in run.datasets.items():
        if card.name != name:
            yield Violation("manifest", place, f"the card of dataset {name} is of {card.name}")
        if name in KNOWN and card != KNOWN[name]:
            yield Violation("manifest", place, f"dataset {name} is other data under its name")
    if not set(map(_in_matrix, run.cases)) & set(map(_in_matrix, run.matrix.cases())):
        yield Violation("manifest", place, "its matrix spans none of its cases")
    rounds: dict[Case, set[int]] = {}
    for case in run.cases:
        rounds.setdefault(case.first_repetition, set()).add(case.repetition)
    for case, found in rounds.items() if run.matrix.repeat > 1 else ():
        if absent := sorted(set(range(run.matrix.repeat)) - found):
            message = f"{case.id}: repetition {absent[0] + 1} of {run.matrix.repeat} is missing"
            yield Violation("manifest", place, message)


def _in_matrix(case: Case) -> Case:
    """The case without what its matrix writes otherwise: the profile `tuned`, and the former name of a mode."""
    mode = ABILITIES[case.framework].own_mode(case.mode)
    return case.model_copy(update={"profile": RuntimeProfile(), "mode": mode})


def remarks(run: Manifest) -> Iterator[str]:
    """What is no violation, but matters to who reads the run's figures."""
    listed, spanned = set(run.cases), set(run.matrix.cases())
    if left_out := len(spanned - listed):
        yield f"the matrix spans {len(spanned)} cases, and {left_out} of them are not in the run"
    if beyond := len(listed - spanned):
        yield f"{beyond} cases are not in the matrix"


def complete(run: Manifest, recorded: set[str], logged: Mapping[str, Sequence[Attempt]]) -> Iterator[Violation]:
    """Every case of the manifest has a record, and every event is of one of these cases."""
    for name in (case.id for case in run.cases if case.id not in recorded):
        yield Violation("complete", Place(f"{RECORDS}/{name}.json"), "is missing: the manifest lists this case")
    for name in sorted(logged.keys() - {case.id for case in run.cases}):
        line = logged[name][0].events[0].line
        yield Violation("complete", Place(EVENTS, line), "is of a case that the manifest does not list")


def kept(e: Evidence, logged: Sequence[Attempt], superseded: Container[str]) -> Iterator[Violation]:
    """Every finished attempt of a case has its record: the case's own, or one that was kept when it was measured again.

    `superseded` are the attempts of the records that were kept.
    """
    for attempt in logged:
        if attempt.finished and attempt is not e.attempt and attempt.name not in superseded:
            message = f"case {e.case.id} was finished here and measured again: a figure was thrown away"
            yield Violation("complete", e.on(attempt.events[-1].line), message)


def sequence(run: Manifest, evidence: Sequence[Evidence]) -> Iterator[Violation]:
    """A machine runs one case or group at a time, a cluster's node one on each device; none begins before the run.

    A node's clock is compared with itself only. A case that was lost with its node has its end by another clock.
    """
    places: dict[tuple[str, ...], list[Evidence]] = {}
    for each in sorted(evidence, key=lambda e: e.record.started_at):
        record = each.record
        if not record.node and record.started_at < run.created_at:
            yield Violation("sequence", each.at("started_at"), "is before the run was created")
        if not record.node or record.phases is not None:
            place = (record.node, each.case.device_target.value) if record.node else ()
            places.setdefault(place, []).append(each)
    for cases in places.values():
        yield from _overlaps(cases)


def _overlaps(cases: Sequence[Evidence]) -> Iterator[Violation]:
    """The cases of one place, in the order of their start, never take more devices than it has."""
    busy: list[Evidence] = []
    for each in cases:
        group = each.record.group  # of workers that were alive together and took turns
        busy = [
            other
            for other in busy
            if other.record.finished_at > each.record.started_at and not (group and other.record.group == group)
        ]
        if sum(map(_devices, busy)) + _devices(each) > _devices_of_place(each):
            message = f"is before {busy[-1].file} had finished" if busy else "takes more devices than the node has"
            yield Violation("sequence", each.at("started_at"), message)
        busy.append(each)


def groups(evidence: Sequence[Evidence]) -> Iterator[Violation]:
    """The workers of a group take one turn at a time, and each waits while the others train."""
    members: dict[str, list[Evidence]] = {}
    for each in evidence:
        if each.record.group:
            members.setdefault(each.record.group, []).append(each)
    for group in members.values():
        yield from _places(group)
        turns = sorted((turn, cycle, seconds, e.file) for e in group for turn, cycle, seconds in _turns(e.record))
        for before, after in pairwise(turns):
            if before[0] == after[0] or before[1] > after[1]:
                message = f"turn {after[0]} of cycle {after[1]} follows turn {before[0]} of cycle {before[1]}"
                yield Violation("groups", Place(after[3]), message)
        for e in group:
            own = [turn for turn, *_, file in turns if file == e.file]
            others = sum(each[2] for each in turns if own and own[0] < each[0] < own[-1] and each[3] != e.file)
            if e.record.phases is not None and e.record.phases.waiting_seconds < others:
                waited = e.record.phases.waiting_seconds
                message = f"is {waited}, and the others' turns between its own took {others} s"
                yield Violation("groups", e.at("phases", "waiting_seconds"), message)


def _places(group: Sequence[Evidence]) -> Iterator[Violation]:
    """The workers of a group start in the order of their places, each at one of its own."""
    placed = [(e.record.place, e.record.started_at, e) for e in group if e.record.place is not None]
    for before, after in pairwise(sorted(placed, key=lambda each: each[:2])):
        if before[0] == after[0] or before[1] > after[1]:
            yield Violation("groups", after[2].at("place"), f"is {after[0]}, and {before[2].file} started otherwise")


def _turns(record: Record) -> Iterator[tuple[int, int, float]]:
    for window in (*record.windows, *record.resident_windows):
        if window.turn is not None and window.cycle is not None:
            yield window.turn, window.cycle, window.seconds


def _devices(e: Evidence) -> int:
    return e.case.world_size if e.record.node and e.case.device_target is not DeviceTarget.CPU else 1


def _devices_of_place(e: Evidence) -> int:
    """A machine's or node's CPU is one device, which a case's processes share."""
    if not e.record.node or e.case.device_target is DeviceTarget.CPU:
        return 1
    return max(1, len(e.machine.gpus if e.case.device_target is DeviceTarget.GPU else e.machine.npus))
