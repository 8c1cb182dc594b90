"""The headline: what is fastest, by how much, how certain that is, and whether it learned, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lenet.analysis.convergence import ConvergenceStatus
from lenet.analysis.difference import difference
from lenet.analysis.paired import LEAST_GROUPS
from lenet.analysis.statistics import MIN_PROCESSES
from lenet.analysis.verdict import MARGIN, Mark, decide
from lenet.report.content.gather import Report
from lenet.report.table.basis import needed
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.words import count, listed, mode, settings, times
from lenet.store.record import Status


def headline(report: Report) -> list[str]:
    """The report in a few sentences, the most important first."""
    valid = ranked(report.groups)
    if not valid:
        sentences = ["Nothing was measured: no case succeeded."]
    else:
        best = valid[0]
        rivals = [each for each in valid if _is_rival(each.row, best.row)]
        sentences = [_fastest(report, best), *_margin(best, rivals), _samples(best)]
    return [*sentences, _learning(report), *_failures(report)]


def ranked(groups: Sequence[Group]) -> list[Group]:
    """The groups with a valid speed, the fastest first."""
    return sorted((group for group in groups if group.speed is not None), key=lambda group: -(group.speed or 0))


def _is_rival(row: Row, best: Row) -> bool:
    """Whether it is another mode or framework on the same machine, device and data."""
    same_place = row.machine == best.machine and row.device_target == best.device_target
    other_way = (row.framework, row.mode) != (best.framework, best.mode)
    return same_place and other_way and row.dataset_sha256 == best.dataset_sha256


def _fastest(report: Report, best: Group) -> str:
    row = best.row
    words = f"{mode(row)} on {row.device_target} at batch {row.batch_size:,}"
    if row.profile != "default":
        words += f" with the profile {row.profile}"
    if row.world_size > 1:
        words += f" over {row.world_size} processes"
    named = ("framework", "mode", "device_target", "batch_size", "profile", "world_size")
    words = ", ".join([words, *settings(row, without=named)])
    version = f"{row.framework} {row.framework_version}" if row.framework_version else row.framework
    card = report.machines.get(row.machine)
    where = f" on {card.cpu if card else row.machine}" if len(report.machines) > 1 else ""
    return f"Fastest: {words}, {row.images_per_second:,.0f} images/s ({version}{where})."


def _margin(best: Group, rivals: Sequence[Group]) -> list[str]:
    """By how much it is the fastest, and whether the second is known to be slower. `rivals`: the fastest first."""
    first = best.row
    if not rivals or first.images_per_second is None:
        return ["Nothing else was measured on the same device to compare it with."]
    shown: dict[tuple[str, str], Row] = {}
    for each in rivals:
        shown.setdefault((each.row.framework, each.row.mode), each.row)
    words = []
    for row in shown.values():
        name = f"{row.framework} {mode(row)}" if row.framework != first.framework else mode(row)
        ratio = first.images_per_second / (row.images_per_second or 1)
        words.append(f"{times(ratio)} the best of {name} ({row.images_per_second:,.0f})")
    return [f"That is {listed(words)} on the same device.", _certainty(best, rivals[0])]


def _certainty(best: Group, second: Group) -> str:
    """Whether the first is faster than the second: by the difference that `compare` uses, if it is one of processes."""
    found = difference(second.measured, best.measured) if best.measured and second.measured else None
    if found is None or found.unit == "windows" or found.interval is None:
        return {
            True: "Its spread does not overlap with that of the second.",
            False: "Its spread overlaps with that of the second: which of the two is faster stays open.",
            None: "Whether that is more than noise stays open: a figure has no spread.",
        }[_apart(best.row, second.row)]
    groups = f"Within {count(found.groups, 'group')} of workers that took turns"
    rests = groups if found.unit == "groups" else "Of independent processes"
    words = f"{rests} it is {times(found.interval.low)} to {times(found.interval.high)} as fast as the second"
    if found.p is None:
        least = LEAST_GROUPS if found.unit == "groups" else MIN_PROCESSES
        return f"{words}, in these processes only: which is faster in others stays open (--repeat {least} or more)."
    ((mark, _),) = decide([found])
    wanted = needed(found.unit, found.needed(MARGIN), MARGIN)
    verdict = {
        Mark.FASTER: "it is faster",
        Mark.SLOWER: "the second is faster, though its median is not",
        Mark.SAME: f"they are the same within {MARGIN:.0%}",
    }.get(mark, f"which of the two is faster stays open ({wanted})")
    return f"{words}: {verdict}."


def _apart(a: Row, b: Row) -> bool | None:
    """Whether the spreads of two speeds do not overlap; None if one has no spread."""
    ends = (a.images_per_second_low, a.images_per_second_high, b.images_per_second_low, b.images_per_second_high)
    if any(end is None for end in ends) or a.windows < 2 or b.windows < 2:
        return None
    a_low, a_high, b_low, b_high = (end for end in ends if end is not None)
    return a_low > b_high or b_low > a_high


def _samples(group: Group) -> str:
    if group.of > 1:
        return f"It is the median of {count(group.processes, 'process', 'processes')}."
    windows = count(group.row.windows, "window")
    return f"It is one process ({windows}); another may be faster or slower: measure several with --repeat."


def _learning(report: Report) -> str:
    """Whether the trainings of whole epochs learned, and what they are compared with."""
    whole = [row for row in report.rows if row.epochs is not None and row.accuracy is not None]
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


def _failures(report: Report) -> list[str]:
    statuses = Counter(row.final_status[0] for row in report.rows if not row.sound)
    if not statuses:
        return []
    words = listed([f"{number:,} {status}" for status, number in statuses.items()])
    return [f"{statuses.total():,} of {count(len(report.rows), 'case')} did not succeed: {words}."]
