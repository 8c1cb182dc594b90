"""Answers that compare: modes, releases, profiles, frameworks, in each place where they were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lenet.analysis.verdict import Mark
from lenet.cases.case import Mode
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.content.headline import AS_INSTALLED, release
from lenet.report.content.places import NAMED, Pair, Places, lead, own, pairs, runs_of
from lenet.report.layout import number
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.speed_ups import SpeedUp, compared
from lenet.report.table.words import count, listed, settings, short_mode, times

MOST_PLACES = 3
"""Machines and devices in an answer; the tables below have all."""
MOST_RATIOS = 4
"""Ratios of a place in an answer."""


@dataclass(frozen=True)
class Answer:
    """A question and its answer. Where nothing was measured that answers it, the answer says how to measure it."""

    question: str
    words: str
    runs: Sequence[str] = ()
    """The runs that the figures are from."""


Said = tuple[list[str], list[Group]]
"""Parts of a sentence, and the groups whose figures they have."""


def _by_place(
    question: str, before: str, missing: str, report: Report, places: Places, say: Callable[[list[Group]], Said]
) -> Answer:
    """The answer that has after `before` what `say` says of the groups of each place; `missing` if that is nothing."""
    said, used = [], list[Group]()
    apart = [len(set(values)) > 1 for values in zip(*places, strict=True)]
    for place, groups in places.items():
        words, of = say(groups)
        if words:
            names = (report.short_machine(place[0]), *place[1:])
            where = " ".join(name for name, differs in zip(names, apart, strict=True) if differs)
            text = "; ".join(words)
            said.append(f"On {where}, {text}." if where else f"{text[0].upper() if before else text[0]}{text[1:]}.")
            used += of
    if not said:
        return Answer(question, missing)
    more = [f"{count(len(said) - MOST_PLACES, 'more machine')} below."] if len(said) > MOST_PLACES else []
    sentences = filter(None, [before, *said[:MOST_PLACES], *more])
    return Answer(question, " ".join(sentences), runs_of(group.row for group in used))


def ratio_words(found: SpeedUp) -> str:
    """A ratio with its interval."""
    if found.interval is None:
        return times(found.value)
    return f"{times(found.value)} ({number(found.interval.low, 2)} to {number(found.interval.high, 2)})"


def verdict_words(found: SpeedUp) -> str:
    """Whether a ratio is established."""
    return found.mark.value if found.mark else "of one process each"


def _ratios(chosen: Sequence[Pair], name: Callable[[Pair], str]) -> Said:
    """Each second group over its first, and `name` of both; those of one verdict together, established first."""
    said: dict[str, list[str]] = {mark.value: [] for mark in Mark}
    for pair, each in zip(chosen, compared(chosen), strict=True):
        said.setdefault(verdict_words(each), []).append(f"{ratio_words(each)} {name(pair)}")
    words = [f"{verdict}: {', '.join(each)}" for verdict, each in said.items() if each]
    return words, [group for pair in chosen for group in pair]


def case_words(row: Row) -> str:
    """A case in a list: mode, batch size, and in brackets what is not usual of it."""
    return f"{short_mode(row)} at {_batch(row)}"


def _for_case(pair: Pair) -> str:
    return f"for {case_words(pair[1].row)}"


def _at_batch(pair: Pair) -> str:
    return f"at {_batch(pair[1].row)}"


def _batch(row: Row) -> str:
    other = ", ".join(settings(row, without=NAMED))
    return f"batch {row.batch_size:,} ({other})" if other else f"batch {row.batch_size:,}"


def fastest_mode(report: Report, places: Places) -> Answer:
    """The fastest mode of each place as installed, how many times each other mode that is, and the most of any case."""

    def say(groups: list[Group]) -> Said:
        best, rivals = lead(groups)
        ratios = [f"{times((best.speed or 0) / (each.speed or 1))} {short_mode(each.row)}" for each in rivals]
        words = [", ".join([f"{case_words(best.row)}: {best.speed:,.0f} images/s", *ratios])]
        if groups[0] is not best:
            words.append(f"with other settings up to {groups[0].speed:,.0f} images/s: {case_words(groups[0].row)}")
        return words, [best, groups[0]]

    return _by_place(
        "Which mode is fastest?", "", "Nothing was measured: no case succeeded.", report, places, say
    )  # fmt: skip


def graph_gain(report: Report, places: Places) -> Answer:
    """Graph over PyNative at each batch size, all else equal; as installed where that was measured."""

    def say(groups: list[Group]) -> Said:
        best: dict[int, Pair] = {}
        for pair in pairs(groups, "mode", Mode.PYNATIVE.value, Mode.GRAPH.value):
            size = pair[1].row.batch_size
            if size not in best or _rank(pair[1]) > _rank(best[size][1]):
                best[size] = pair
        sizes = sorted(best)
        chosen = [*sizes[: MOST_RATIOS - 2], *sizes[MOST_RATIOS - 2 :][-2:]]
        return _ratios([best[size] for size in chosen], _at_batch)

    missing = "Not measured: `lenet-bench run --mode pynative,graph --batch-size 32,256`."
    return _by_place("Is Graph faster than PyNative?", "Graph over PyNative.", missing, report, places, say)


def _rank(group: Group) -> tuple[bool, bool, int]:
    """Which of several measurements of one thing is quoted: as installed, made for speed, the most processes."""
    return group.row.profile == AS_INSTALLED, group.row.epochs is None, group.processes


def newest_release(report: Report, places: Places) -> Answer:
    """The newest release against the oldest and the one before, case by case."""
    versions = {group.row.framework_version for groups in places.values() for group in own(groups)} - {None}
    released = sorted(map(str, versions), key=version_order)
    if len(released) < 2:
        missing = f"Not measured: `lenet-bench run --versions 2.9.0,{released[0] if released else '2.10.0'}`."
        return Answer("Is the newest release slower?", missing)
    oldest, before, newest = released[0], released[-2], released[-1]

    def since(release: str, groups: Sequence[Group]) -> list[Pair]:
        return pairs(own(groups), "framework_version", release, newest)

    def say(groups: list[Group]) -> Said:
        chosen = since(oldest, groups)
        if len(chosen) <= MOST_RATIOS:
            return _ratios(chosen, _for_case)
        return [_counted(chosen)], [group for pair in chosen for group in pair]

    steps = [pair for groups in places.values() for pair in since(before, groups)] if before != oldest else []
    last = f"{newest} over {before}: {_counted(steps)}. " if steps else ""
    return _by_place(
        f"Is {newest} slower than {oldest}?",
        f"{last}{newest} over {oldest}.",
        f"{last}No case was measured under both.",
        report,
        places,
        say,
    )


def _counted(chosen: Sequence[Pair]) -> str:
    """How many of the ratios have which verdict."""
    marks = Counter(map(verdict_words, compared(chosen)))
    return f"{listed([f'{number:,} {mark}' for mark, number in marks.most_common()])} of {count(len(chosen), 'case')}"


def tuning_gain(report: Report, places: Places) -> Answer:
    """For each mode the case that gains most from a profile, beside itself as installed."""

    def gain(pair: Pair) -> float:
        return (pair[1].speed or 0) / (pair[0].speed or 1)

    def say(groups: list[Group]) -> Said:
        best = {pair[1].row.mode: pair for pair in sorted(pairs(groups, "profile", AS_INSTALLED), key=gain)}
        return _ratios(sorted(best.values(), key=gain, reverse=True)[:MOST_RATIOS], _for_case)

    missing = (
        "Not measured: `lenet-bench tune --mode graph` searches, "
        "`lenet-bench run --device cpu --mode graph --batch-size 32 --profile default,tuned` compares."
    )
    return _by_place("What does tuning gain?", "Over the same case as installed.", missing, report, places, say)


def peer_frameworks(report: Report, places: Places) -> Answer:
    """The fastest of each other framework over the fastest of MindSpore, in one run if a run has both."""

    def rivals(groups: list[Group]) -> list[Pair]:
        mindspore, found = own(groups), list[Pair]()
        for framework in dict.fromkeys(group.row.framework for group in groups):
            theirs = [group for group in groups if group.row.framework == framework]
            shared = {group.row.run for group in theirs}
            # Workers of one run may have taken turns; between two runs the machine may have changed.
            best = next((group for group in mindspore if group.row.run in shared), mindspore[0])
            if best.row.framework != framework:
                found.append((best, next((group for group in theirs if group.row.run == best.row.run), theirs[0])))
        return found

    def name(pair: Pair) -> str:
        base, other = (group.row for group in pair)
        return f"for {release(other)} {case_words(other)} over {case_words(base)}"

    missing = "Not measured: `lenet-bench run --framework mindspore,pytorch`."
    return _by_place(
        "Is PyTorch faster?",
        "Its best over the best of MindSpore, in one run if one has both.",
        missing,
        report,
        places,
        lambda groups: _ratios(rivals(groups), name),
    )
