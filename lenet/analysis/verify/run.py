"""Rules over a run as a whole: its manifest, its records together, its tables."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lenet.analysis.verify.document import load
from lenet.analysis.verify.evidence import Attempt, Evidence, Finding, Place
from lenet.cases.case import Case, DeviceTarget
from lenet.dataset.known import KNOWN
from lenet.store.events import Finished
from lenet.store.manifest import MANIFEST, Manifest

Table = Callable[[str], str]
"""The text of a table, from the run's name in it."""

ROUNDING = 1e-12
"""Relative difference of two figures of a table that are the same: the last bits of an interval depend on the processor
that computes it."""

_PADDED = re.compile(r"(-?\d+)(?:\.0+|(\.\d*?[1-9])0+)")


def manifest(told: Manifest) -> Iterator[Finding]:
    """The manifest lists each case once, with the data of each, and leaves out no repetition."""
    place = Place(MANIFEST)
    names = [case.id for case in told.cases]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding("manifest", place, f"case {name} is listed twice")
    for name in sorted({case.dataset for case in told.cases} - told.datasets.keys()):
        yield Finding("manifest", place, f"has no card of dataset {name}")
    for name, card in told.datasets.items():
        if card.name != name:
            yield Finding("manifest", place, f"the card of dataset {name} is of {card.name}")
        if name in KNOWN and card != KNOWN[name]:
            yield Finding("manifest", place, f"dataset {name} is other data under its name")
    rounds: dict[Case, set[int]] = {}
    for case in told.cases:
        rounds.setdefault(case.model_copy(update={"repetition": 0}), set()).add(case.repetition)
    for case, found in rounds.items() if told.matrix.repeat > 1 else ():
        if absent := sorted(set(range(told.matrix.repeat)) - found):
            yield Finding(
                "manifest", place, f"{case.id}: repetition {absent[0] + 1} of {told.matrix.repeat} is left out"
            )


def remarks(told: Manifest) -> Iterator[str]:
    """What is no violation and bears on what the run shows."""
    listed, spanned = set(told.cases), set(told.matrix.cases())
    if left_out := len(spanned - listed):
        yield f"the matrix spans {len(spanned)} cases, and {left_out} of them were not asked for"
    if beyond := len(listed - spanned):
        yield f"{beyond} cases were asked for beyond the matrix"


def complete(told: Manifest, recorded: set[str], logged: Mapping[str, Sequence[Attempt]]) -> Iterator[Finding]:
    """Every case has a record, every record a case, and no finished attempt was thrown away."""
    names = {case.id for case in told.cases}
    for name in (case.id for case in told.cases if case.id not in recorded):
        yield Finding("complete", Place(f"records/{name}.json"), "is missing: the manifest lists this case")
    for name in sorted(logged.keys() - names):
        line = logged[name][0].numbered[0].line
        yield Finding("complete", Place("events.jsonl", line), "is of a case that the manifest does not list")
    for name in sorted(logged.keys() & names):
        for attempt in logged[name][:-1]:
            last = attempt.numbered[-1]
            if isinstance(last.event, Finished):
                message = f"case {name} was finished here and done again: a figure was thrown away"
                yield Finding("complete", Place("events.jsonl", last.line), message)


def sequence(told: Manifest, evidence: Sequence[Evidence]) -> Iterator[Finding]:
    """A machine does one case at a time, a cluster's node one a device; and none begins before the run did.

    A node's clock is compared with itself alone. A case that was lost with its node has its end by another clock.
    """
    places: dict[tuple[str, ...], list[Evidence]] = {}
    for each in sorted(evidence, key=lambda e: e.record.started_at):
        record = each.record
        if not record.node and record.started_at < told.created_at:
            yield Finding("sequence", each.at("started_at"), "is before the run was created")
        if not record.node or record.phases is not None:
            place = (record.node, each.case.device_target.value) if record.node else ()
            places.setdefault(place, []).append(each)
    for there in places.values():
        yield from _room(there)


def _room(there: Sequence[Evidence]) -> Iterator[Finding]:
    """The cases of one place, by their beginning, take no more devices at once than it has."""
    busy: list[Evidence] = []
    for each in there:
        busy = [other for other in busy if other.record.finished_at > each.record.started_at]
        if sum(map(_devices, busy)) + _devices(each) > _devices_there(each):
            what = f"is before {busy[-1].file} had finished" if busy else "takes more devices than the node has"
            yield Finding("sequence", each.at("started_at"), what)
        busy.append(each)


def _devices(e: Evidence) -> int:
    return e.case.world_size if e.record.node and e.case.device_target is not DeviceTarget.CPU else 1


def _devices_there(e: Evidence) -> int:
    """A machine's or node's CPU is one device, which a case's processes share."""
    if not e.record.node or e.case.device_target is DeviceTarget.CPU:
        return 1
    return max(1, len(e.machine.gpus if e.case.device_target is DeviceTarget.GPU else e.machine.npus))


def table_json(text: str, derive: Table) -> Iterator[Finding]:
    """table.json has the rows that the records give. A field that an older version did not know may be absent."""
    try:
        told = load(text)
        names = {row["run"] for row in told}
    except (ValueError, TypeError, KeyError) as error:
        yield Finding("table", Place("table.json"), f"is no table of rows: {error}")
        return
    own = load(derive(str(next(iter(names), ""))))
    if len(told) != len(own):
        yield Finding("table", Place("table.json"), f"has {len(told)} rows, and the records give {len(own)}")
        return
    for index, (row, derived) in enumerate(zip(told, own, strict=True)):
        yield from _row("table.json", index, row, derived)


def table_csv(text: str, derive: Table) -> Iterator[Finding]:
    """table.csv has the rows that the records give."""
    try:
        told = list(csv.DictReader(io.StringIO(text), strict=True))
    except csv.Error as error:
        yield Finding("table", Place("table.csv"), f"is no CSV: {error}")
        return
    run = (told[0].get("run") or "") if told else ""
    own = list(csv.DictReader(io.StringIO(derive(run.removeprefix("'")))))
    if len(told) != len(own):
        yield Finding("table", Place("table.csv"), f"has {len(told)} rows, and the records give {len(own)}")
        return
    for index, (row, derived) in enumerate(zip(told, own, strict=True)):
        yield from _row("table.csv", index, _figures(row), _figures(derived))


def _row(file: str, index: int, told: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in told.items():
        if not _same(value, derived.get(name)):
            message = f"row {index + 1}: {name} is {value}, and the records give {derived.get(name)}"
            yield Finding("table", Place(file), message)


def _same(told: Any, derived: Any) -> bool:
    """Whether two values of a row are equal: figures but for their last bits, everything else exactly."""
    if type(told) is not type(derived):
        return False
    return told == derived or (isinstance(told, float) and math.isclose(told, derived, rel_tol=ROUNDING))


def _figures(row: Mapping[str, str]) -> dict[str, str | float]:
    """A row of CSV, its figures as numbers, however they are written; a version such as 2.10 stays a text."""
    figures: dict[str, str | float] = {**row}
    for name, text in row.items():
        with contextlib.suppress(AttributeError, ValueError):
            if text.removesuffix(".0") == repr(float(text)).removesuffix(".0"):
                figures[name] = float(text)
    return figures


def table_text(file: str, text: str, own: str) -> Iterator[Finding]:
    """A table that is shown is, line for line, the one that the records give."""
    lines, expected = (list(map(_plain, each.splitlines())) for each in (text, own))
    for number, line in enumerate(lines, 1):
        if number > len(expected) or line != expected[number - 1]:
            yield Finding("table", Place(file, number), "is not the line that the records give")
    if len(lines) < len(expected):
        yield Finding("table", Place(file), f"has {len(lines)} lines, and the records give {len(expected)}")


def _plain(line: str) -> str:
    """A line of HTML without its cells' padding and zeros at a figure's end, which versions of tabulate write or not.

    >>> _plain('<td style="text-align: right;">  0.60 </td>'), _plain("| 0.60 |")
    ('<td style="text-align: right;">0.6</td>', '| 0.60 |')
    """
    if not line.startswith("<"):
        return line
    parts = [each if each.startswith("<") else each.strip() for each in re.split("(<[^>]*>)", line)]
    return "".join((found[1] + (found[2] or "")) if (found := _PADDED.fullmatch(each)) else each for each in parts)
