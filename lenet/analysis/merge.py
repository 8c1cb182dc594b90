"""The union of runs: in any order, any grouping and any number of times it gives the same bytes.

A run is identified by its machine and by the digest of its manifest, so two copies of a run are one and two runs of one
machine are two. A run's records, events and cards are sets of texts, and a merge is the union of these sets.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from lenet.store.manifest import EVENTS, MANIFEST, RECORDS, SUPERSEDED, Manifest, card_name

CONFLICTS = "conflicts"

Stream = tuple[str, ...]
"""A case's events, a JSON line each."""


@dataclass
class MergedRun:
    """One run, as the union of its copies. Texts are by case id."""

    manifest: Manifest
    records: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Every version of each case's record."""
    superseded: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The records that were kept when their case was measured again."""
    streams: defaultdict[str, set[Stream]] = field(default_factory=lambda: defaultdict(set))
    """Every version of each case's events, none of which is the beginning of another."""
    cards: dict[str, str] = field(default_factory=dict)
    """The cards of the other machines that its records are of, by machine id. A machine's load when its card was made
    differs between copies: of several cards the first one in the order of their texts is taken."""

    @property
    def name(self) -> str:
        """A name of the machine and the run that is safe as a folder's."""
        return f"{self.manifest.machine.id}-{self.manifest.digest}"

    def add(self, other: MergedRun) -> None:
        """Make this run the union of both."""
        for machine, text in other.cards.items():
            self.cards[machine] = min(text, self.cards.get(machine, text))
        for case_id, texts in other.records.items():
            self.records[case_id] |= texts
        for case_id, texts in other.superseded.items():
            self.superseded[case_id] |= texts
        for case_id, streams in other.streams.items():
            self.streams[case_id] = longest(self.streams[case_id] | streams)

    def current(self, case_id: str) -> set[str]:
        """The versions of a case's record that no copy has superseded: one, or several in a conflict."""
        return self.records.get(case_id, set()) - self.superseded.get(case_id, set())

    def conflicts(self) -> list[str]:
        """The cases over which copies disagree."""
        records = {case_id for case_id in self.records if len(self.current(case_id)) > 1}
        return sorted(records | {case_id for case_id, streams in self.streams.items() if len(streams) > 1})

    def files(self) -> dict[str, str]:
        """The run's files: their names in its folder, and their texts."""
        files = {MANIFEST: self.manifest.model_dump_json(indent=1) + "\n"}
        files |= {card_name(machine): text for machine, text in self.cards.items()}
        events: list[str] = []
        conflicts = set(self.conflicts())
        for case_id in (case.id for case in self.manifest.cases):
            records, streams = self.current(case_id), self.streams.get(case_id, set())
            if case_id in conflicts:
                files |= {_version(case_id, text, "json"): text for text in records}
                files |= {_version(case_id, text, "jsonl"): text for text in map(_joined, streams)}
            else:
                files |= {f"{RECORDS}/{case_id}.json": text for text in records}
                events += [line for stream in streams for line in stream]
            kept = sorted(self.superseded.get(case_id, ()), key=lambda text: (json.loads(text)["started_at"], text))
            files |= {f"{SUPERSEDED}/{case_id}.{number}.json": text for number, text in enumerate(kept, 1)}
        files[EVENTS] = _joined(events)
        return files


class Repeated(NamedTuple):
    """One case that one machine measured in several runs, all of which are kept."""

    machine: str
    case: str
    runs: tuple[str, ...]


def longest(streams: set[Stream]) -> set[Stream]:
    """The streams that are not the beginning of another: a copy that was taken early adds nothing."""
    # In sorted order a beginning is directly before the first of the streams that continue it.
    return streams - {a for a, b in pairwise(sorted(streams)) if b[: len(a)] == a}


def union(runs: Iterable[MergedRun]) -> dict[str, MergedRun]:
    """Runs by their names, copies of a run as one."""
    found: dict[str, MergedRun] = {}
    for each in runs:
        found.setdefault(each.name, MergedRun(each.manifest)).add(each)
    return found


def repeated(runs: Iterable[MergedRun]) -> list[Repeated]:
    """Cases that one machine measured in more than one run, with different records."""
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in runs:
        for case_id in each.records:
            for text in each.current(case_id):
                seen[json.loads(text)["machine_id"], case_id].add(each.name)
    return [
        Repeated(machine, case_id, tuple(sorted(names)))
        for (machine, case_id), names in sorted(seen.items())
        if len(names) > 1
    ]


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _version(case_id: str, text: str, ending: str) -> str:
    return f"{CONFLICTS}/{case_id}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}"
