"""The questions that readers have, each answered in one look: the first screen of every form of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from lenet.analysis.convergence import ConvergenceStatus
from lenet.analysis.published import PublishedResult, PublishedVerdict, compare_published
from lenet.analysis.statistics import MIN_PROCESSES
from lenet.analysis.verdict import Mark
from lenet.cases.claims import Quantity, publications
from lenet.report.content.comparisons import (
    MOST_PLACES,
    MOST_RATIOS,
    Answer,
    case_words,
    fastest_mode,
    graph_gain,
    newest_release,
    peer_frameworks,
    ratio_words,
    tuning_gain,
    verdict_words,
)
from lenet.report.content.gather import Report
from lenet.report.content.places import Places, lead, newest_only, own, places_of, ranked, runs_of
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.speed_ups import compared
from lenet.report.table.words import count, listed, short_mode, times
from lenet.report.text.reproduce import measured_value, published_value, published_words
from lenet.store.record import Status


def answers(report: Report) -> list[Answer]:
    """The questions in the order in which people ask them."""
    valid = ranked(report.groups)
    places = places_of(valid)
    releases = places_of(own(valid))  # on a machine where only a peer was measured, nothing is compared with it
    ours = {name: newest_only(groups) for name, groups in releases.items()}
    asked = [
        fastest_mode(report, ours),
        graph_gain(report, ours),
        newest_release(report, releases),
        Answer("Does it learn?", _learning(report.rows), runs_of(_whole(report.rows))),
        _published(report),
        _scaling(report),
        tuning_gain(report, ours),
        peer_frameworks(report, places),
    ]
    sure = _sure(ours, valid)
    if any(Mark.UNRESOLVED.value in each.words for each in (*asked, sure)):
        sure = replace(sure, words=f"{sure.words} {UNRESOLVED}")
    return [*asked, sure, Answer("On which machine?", _machines(report)), *_failures(report)]


UNRESOLVED = (
    "Unresolved: these processes do not show which of the two is faster; more may (`lenet-bench run --resume RUN "
    "--until 3%`)."
)


def _machines(report: Report) -> str:
    names = [report.machine(name) for name in report.machines]
    more = f"; {count(len(names) - MOST_PLACES, 'more machine')} below" if len(names) > MOST_PLACES else ""
    return f"{'; '.join(names[:MOST_PLACES]) or 'unknown'}{more}."


def _whole(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.epochs is not None and row.accuracy is not None]


def _learning(rows: Sequence[Row]) -> str:
    """Whether the trainings of whole epochs learned, and what they are compared with."""
    whole = _whole(rows)
    learned = [row for row in whole if row.status == Status.OK.value]
    if not whole:
        return "Learning was not measured: no case trained whole epochs (--epochs)."
    if not learned:
        return "It did not learn: no training of whole epochs succeeded."
    longest = max(row.epochs or 0 for row in learned)
    final = [row.accuracy for row in learned if row.epochs == longest and row.accuracy is not None]
    low, high = f"{min(final):.4f}", f"{max(final):.4f}"
    words = f"Test accuracy after {count(longest, 'epoch')}: {low if low == high else f'{low} to {high}'}"
    words += f" ({count(len(final), 'training')})"
    held = [status for row in learned if (status := ConvergenceStatus(row.convergence)).compared]
    if held:
        words += f"; {held.count(ConvergenceStatus.CONVERGED)} of {len(held)} inside the reference band"
    failed = len(whole) - len(learned)
    return f"{words}." if not failed else f"{words}; {count(failed, 'other')} did not learn."


def published_results(report: Report) -> list[PublishedResult]:
    """Each published figure of which something was measured, with its verdict, the one with the most weight first."""
    records = [entry.record for entry in report.entries if entry.row.epochs is not None]
    every = [result for each in publications() for result in compare_published(each, records)] if records else []
    return sorted((result for result in every if result.measured is not None), key=_weight, reverse=True)


def _weight(result: PublishedResult) -> tuple[bool, bool, int]:
    """What is quoted first: what can be compared, accuracies, and those of a whole training."""
    figure = result.figure
    comparable = result.verdict is not PublishedVerdict.NOT_COMPARABLE
    return comparable, figure.quantity is Quantity.ACCURACY, figure.epoch or 0


def _published(report: Report) -> Answer:
    """The published accuracy after the most epochs, one with a verdict first; and how many figures have which."""
    question, found = "Are the published figures true?", published_results(report)
    if not found:
        return Answer(question, "Not measured: `lenet-bench reproduce tutorial` trains what was published.")
    best = max(found, key=lambda each: _weight(each)[1:])
    marks = Counter(each.verdict.value for each in found)
    said = f"{best.publication}, {published_words(best.figure)}: published {published_value(best.figure)}, measured "
    why = f" ({best.why})" if best.verdict is PublishedVerdict.NOT_COMPARABLE else ""
    counts = listed([f"{number} {mark}" for mark, number in marks.most_common()])
    return Answer(
        question,
        f"{said}{measured_value(best)}, {best.verdict.value}{why}. Of {count(len(found), 'figure')}: {counts}.",
        runs_of(_whole(report.rows)),
    )


def _scaling(report: Report) -> Answer:
    question = "How does it scale with processes?"
    best = {group.row.world_size: group for group in reversed(ranked(report.groups)) if group.efficiency}
    if not best:
        return Answer(question, "Not measured: `lenet-bench run --world-size 1,2`.")
    words = [
        f"{size} processes {times(size * (group.efficiency or 0))} one, efficiency {group.efficiency:.0%}: "
        f"{case_words(group.row)}, {group.speed:,.0f} images/s"
        for size, group in sorted(best.items())[:MOST_RATIOS]
    ]
    return Answer(question, f"{'; '.join(words)}.", runs_of(group.row for group in best.values()))


def _sure(places: Places, valid: Sequence[Group]) -> Answer:
    """The lead of the fastest mode over the second, all else equal, and how many processes the figures rest on."""
    question = "How sure is that?"
    if not valid:
        return Answer(question, "No case succeeded.")
    stable = sum(group.row.verdict == "stable" for group in valid)
    many = sum(group.processes >= MIN_PROCESSES for group in valid)
    words = (
        f"{many:,} of {count(len(valid), 'figure')} rest on {MIN_PROCESSES} processes or more and have a 95% interval; "
        f"stable within ±3%: {stable:,}."
    )
    groups = next(iter(places.values()), [])
    best, rivals = lead(groups) if groups else (valid[0], [])
    if not rivals:
        return Answer(question, words)
    (found,) = compared([(rivals[0], best)])
    more = "; repeat with --repeat 3" if found.mark is None else ""
    said = (
        f"{short_mode(best.row)} over {short_mode(rivals[0].row)}, {verdict_words(found)}: {ratio_words(found)}{more}."
    )
    return Answer(question, f"{said} {words}", runs_of([best.row, rivals[0].row]))


def _failures(report: Report) -> list[Answer]:
    failed = [row for row in report.rows if not row.sound]
    if not failed:
        return []
    statuses = Counter(row.final_status[0] for row in failed)
    words = listed([f"{number:,} {status}" for status, number in statuses.items()])
    said = f"{statuses.total():,} of {count(len(report.rows), 'case')} did not succeed: {words}."
    return [Answer("What failed?", said, runs_of(failed))]
