"""Answers that compare: modes, releases, profiles, frameworks, in each place where they were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lenet.cases.case import Mode
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.content.headline import AS_INSTALLED, own
from lenet.report.table.baseline import SpeedUp, compared
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row, key
from lenet.report.table.words import count, listed, mode, settings, times

MOST_PLACES = 3
"""Machines and devices in an answer; the tables below have all."""
MOST_RATIOS = 4
"""Ratios of a place in an answer."""
Pair = tuple[Group, Group]
"""What a ratio is of: its base, and what is divided by it."""


@dataclass(frozen=True)
class Answer:
    """A question and its answer. Where nothing was measured that answers it, the answer says how to measure it."""

    question: str
    words: str
    runs: Sequence[str] = ()
    """The runs that the figures are from."""


Place = tuple[str, str, str]
"""Machine, device and dataset: within one, speeds compare."""
Places = dict[Place, list[Group]]
"""Groups by place, the fastest place and the fastest group first."""


def places_of(groups: Sequence[Group]) -> Places:
    """The places of one process: with several, speeds are another question."""
    found: Places = {}
    alone = [group for group in groups if group.row.world_size == 1]
    for group in (*own(alone), *alone):
        found.setdefault(_place(group.row), [])
    for group in alone:
        found[_place(group.row)].append(group)
    return found


def _place(row: Row) -> Place:
    return row.machine, row.device_target, row.dataset


def newest_only(groups: Sequence[Group]) -> list[Group]:
    """Those of the newest release: what somebody has who installs it now."""
    last = max((group.row.framework_version for group in groups), key=version_order, default=None)
    return [group for group in groups if group.row.framework_version == last]


def runs_of(rows: Iterable[Row]) -> list[str]:
    """The runs of the rows, each once."""
    return list(dict.fromkeys(row.run for row in rows))


def _by_place(
    report: Report, places: Places, say: Callable[[list[Group]], tuple[list[str], list[Group]]]
) -> tuple[str, list[str]]:
    """What `say` has to say of the groups of each place, as sentences; and the runs of the groups that it used."""
    said, used = [], list[Group]()
    apart = [len(set(values)) > 1 for values in zip(*places, strict=True)]
    for place, groups in places.items():
        words, of = say(groups)
        if words:
            names = (report.short_machine(place[0]), *place[1:])
            where = " ".join(name for name, differs in zip(names, apart, strict=True) if differs)
            said.append(f"On {where}, {'; '.join(words)}" if where else "; ".join(words))
            used += of
    more = f" {count(len(said) - MOST_PLACES, 'more machine')} below." if len(said) > MOST_PLACES else ""
    return " ".join(f"{each}." for each in said[:MOST_PLACES]) + more, runs_of(group.row for group in used)


def ratio_words(found: SpeedUp) -> str:
    """A ratio with its interval, and whether it is established."""
    words = times(found.value)
    if found.interval is not None:
        words += f" ({times(found.interval.low)} to {times(found.interval.high)})"
    return f"{words}, {found.mark.value}" if found.mark else words


def _ratios(pairs: Sequence[Pair], name: Callable[[Row], str]) -> tuple[list[str], list[Group]]:
    """Each second group over its first, called `name` of its row."""
    words = [f"{name(pair[1].row)}: {ratio_words(each)}" for pair, each in zip(pairs, compared(pairs), strict=True)]
    return words, [group for pair in pairs for group in pair]


def case_words(row: Row, without: Sequence[str] = ()) -> str:
    """A case in a list: mode, batch size, and what is not usual of it."""
    named = ("framework", "mode", "device_target", "batch_size", "world_size", *without)
    return ", ".join([f"{mode(row)} at batch {row.batch_size:,}", *settings(row, without=named)])


def fastest_mode(report: Report, places: Places) -> Answer:
    """The fastest case of each place, and how many times the best of each other mode that is."""

    def say(groups: list[Group]) -> tuple[list[str], list[Group]]:
        best = groups[0]
        rivals = {group.row.mode: group for group in reversed(groups) if group.row.mode != best.row.mode}
        ratios = [
            f"{times((best.speed or 0) / (each.speed or 1))} the best of {mode(each.row)}"
            for each in sorted(rivals.values(), key=lambda group: -(group.speed or 0))
        ]
        return [", ".join([f"{case_words(best.row)}: {best.speed:,.0f} images/s", *ratios])], [best, *rivals.values()]

    words, runs = _by_place(report, places, say)
    return Answer("Which mode is fastest?", words or "Nothing was measured: no case succeeded.", runs)


def graph_gain(report: Report, places: Places) -> Answer:
    """Graph over PyNative at each batch size, all else equal; as installed where that was measured."""

    def say(groups: list[Group]) -> tuple[list[str], list[Group]]:
        pairs: dict[int, Pair] = {}
        for base, group in _pairs(groups, "mode", Mode.PYNATIVE.value, Mode.GRAPH.value):
            size = group.row.batch_size
            if size not in pairs or _rank(group) > _rank(pairs[size][1]):
                pairs[size] = base, group
        sizes = sorted(pairs)
        chosen = [*sizes[: MOST_RATIOS - 2], *sizes[MOST_RATIOS - 2 :][-2:]]
        return _ratios([pairs[size] for size in chosen], _batch)

    words, runs = _by_place(report, places, say)
    missing = "Not measured: `lenet-bench run --mode pynative,graph --batch-size 32,256`."
    return Answer("Does Graph pay?", f"Graph over PyNative. {words}" if words else missing, runs)


def _batch(row: Row) -> str:
    named = ("framework", "mode", "device_target", "batch_size", "world_size")
    other = ", ".join(settings(row, without=named))
    return f"batch {row.batch_size:,} ({other})" if other else f"batch {row.batch_size:,}"


def _rank(group: Group) -> tuple[bool, bool, int]:
    """Which of several measurements of one thing is quoted: as installed, made for speed, the most processes."""
    return group.row.profile == AS_INSTALLED, group.row.epochs is None, group.processes


def _pairs(groups: Iterable[Group], axis: str, base: str, other: str | None = None) -> list[Pair]:
    """Groups that differ in this axis only, one with the value `base` and one with another; of one run, if any are."""
    found: list[Pair] = []
    for without in ((axis,), (axis, "run")):
        cases: dict[tuple[str, ...], dict[str, Group]] = {}
        for group in groups:
            cases.setdefault(key(group.row, without=without), {})[group.row.identities[axis]] = group
        found = found or [
            (held[base], group)
            for held in cases.values()
            if base in held
            for value, group in held.items()
            if value != base and other in (None, value)
        ]
    return found


def newest_release(report: Report, places: Places) -> Answer:
    """The newest release against the oldest and the one before, case by case."""
    released = sorted(
        {group.row.framework_version for groups in places.values() for group in own(groups)} - {None}, key=version_order
    )
    if len(released) < 2:
        missing = f"Not measured: `lenet-bench run --versions 2.9.0,{released[0] if released else '2.10.0'}`."
        return Answer("Is the newest release slower?", missing)
    oldest, before, newest = released[0], released[-2], released[-1]

    def say(groups: list[Group]) -> tuple[list[str], list[Group]]:
        pairs = _pairs(own(groups), "framework_version", str(oldest), newest)
        if len(pairs) <= MOST_RATIOS:
            return _ratios(pairs, case_words)
        marks = Counter(each.mark.value if each.mark else "of one process" for each in compared(pairs))
        words = listed([f"{number:,} {mark}" for mark, number in marks.most_common()])
        return [f"{words} of {count(len(pairs), 'case')}"], [group for pair in pairs for group in pair]

    words, runs = _by_place(report, places, say)
    steps = [
        pair for groups in places.values() for pair in _pairs(own(groups), "framework_version", str(before), newest)
    ]
    marks = Counter(each.mark.value for each in compared(steps) if each.mark) if before != oldest else Counter()
    last = listed([f"{number:,} {mark}" for mark, number in marks.most_common()]) if marks else ""
    step = f" Against {before}: {last} of {count(len(steps), 'case')}." if last else ""
    said = words or "No case was measured under both."
    return Answer(f"Is {newest} slower than {oldest}?", f"{newest} over {oldest}. {said}{step}", runs)


def tuning_gain(report: Report, places: Places) -> Answer:
    """For each mode the case that gains most from a profile, beside itself as installed."""

    def say(groups: list[Group]) -> tuple[list[str], list[Group]]:
        best: dict[str, Pair] = {}
        for pair in _pairs(groups, "profile", AS_INSTALLED):
            before = best.get(pair[1].row.mode)
            if before is None or _quotient(pair) > _quotient(before):
                best[pair[1].row.mode] = pair
        return _ratios(sorted(best.values(), key=_quotient, reverse=True)[:MOST_RATIOS], case_words)

    words, runs = _by_place(report, places, say)
    missing = "Not measured: `lenet-bench tune` searches, `lenet-bench run --profile default,tuned` compares."
    return Answer("What does tuning gain?", f"Over the same case as installed. {words}" if words else missing, runs)


def _quotient(pair: Pair) -> float:
    return (pair[1].speed or 0) / (pair[0].speed or 1)


def peer_frameworks(report: Report, places: Places) -> Answer:
    """The fastest of each other framework over the fastest of MindSpore."""
    frameworks = {group.row.framework for groups in places.values() for group in groups}

    def say(groups: list[Group]) -> tuple[list[str], list[Group]]:
        best = own(groups)[0]
        others: dict[str, Group] = {}
        for group in groups:
            if group.row.framework != best.row.framework:
                others.setdefault(group.row.framework, group)
        return _ratios(
            [(best, each) for each in others.values()],
            lambda row: f"{row.framework} {row.framework_version or ''} {case_words(row)}".replace("  ", " "),
        )

    words, runs = _by_place(report, places, say)
    missing = "Not measured: `lenet-bench run --framework mindspore,pytorch`."
    said = f"Its best over the best of MindSpore. {words}" if words and len(frameworks) > 1 else missing
    return Answer("Is PyTorch faster?", said, runs if words else [])
