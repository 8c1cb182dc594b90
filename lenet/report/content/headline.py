"""The headline: what is fastest, by how much, how certain that is, and whether it learned, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lenet.analysis.convergence import ConvergenceStatus
from lenet.analysis.difference import difference
from lenet.analysis.paired import LEAST_GROUPS
from lenet.analysis.statistics import MIN_PROCESSES
from lenet.analysis.verdict import MARGIN, Mark, decide
from lenet.analysis.versions import steps
from lenet.cases.frameworks import Framework
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.table.basis import needed
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row, key, several
from lenet.report.table.words import count, listed, mode, settings, times
from lenet.store.record import Status

AS_INSTALLED = RuntimeProfile().name
"""The profile that changes nothing."""


def headline(report: Report) -> list[str]:
    """The report in a few sentences, the most important first: of MindSpore if it was measured, then its peers."""
    valid = ranked(report.groups)
    own = [group for group in valid if group.row.framework == Framework.MINDSPORE.value] or valid
    if not valid:
        sentences = ["Nothing was measured: no case succeeded."]
    else:
        best = own[0]
        rivals = [each for each in own if _is_rival(each.row, best.row)]
        peers = [each for each in valid if each.row.framework != best.row.framework]
        sentences = [_fastest(report, best), *_margin(best, rivals), _samples(best)]
        sentences += [*_tuning(own, best), *_release(report), *_peers(best, peers)]
    return [*sentences, _learning(report), *_failures(report)]


def ranked(groups: Sequence[Group]) -> list[Group]:
    """The groups with a valid speed, the fastest first."""
    return sorted((group for group in groups if group.speed is not None), key=lambda group: -(group.speed or 0))


def _is_rival(row: Row, best: Row) -> bool:
    """Whether it is another mode or framework in the same place."""
    return _same_place(row, best) and (row.framework, row.mode) != (best.framework, best.mode)


def _same_place(row: Row, best: Row) -> bool:
    """Whether two speeds may be compared: the same machine, device and data."""
    same_device = row.machine == best.machine and row.device_target == best.device_target
    return same_device and row.dataset_sha256 == best.dataset_sha256


def _fastest(report: Report, best: Group) -> str:
    row = best.row
    words = f"{mode(row)} on {row.device_target} at batch {row.batch_size:,}"
    if row.profile != AS_INSTALLED:
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
    return [f"That is {listed(words)} on the same device.", _certainty(best, rivals[0], "the second")]


def _certainty(best: Group, second: Group, name: str) -> str:
    """Whether the first is faster than the other, called `name`.

    It is decided by the difference that `compare` uses, if that is one of processes.
    """
    found = difference(second.measured, best.measured) if best.measured and second.measured else None
    if found is None or found.unit == "windows" or found.interval is None:
        return {
            True: f"Its spread does not overlap with that of {name}.",
            False: f"Its spread overlaps with that of {name}: which of the two is faster stays open.",
            None: "Whether that is more than noise stays open: a figure has no spread.",
        }[_apart(best.row, second.row)]
    groups = f"Within {count(found.groups, 'group')} of workers that took turns"
    rests = groups if found.unit == "groups" else "Of independent processes"
    words = f"{rests} it is {times(found.interval.low)} to {times(found.interval.high)} as fast as {name}"
    if found.p is None:
        least = LEAST_GROUPS if found.unit == "groups" else MIN_PROCESSES
        return f"{words}, in these processes only: which is faster in others stays open (--repeat {least} or more)."
    ((mark, _),) = decide([found])
    wanted = needed(found.unit, found.needed(MARGIN), MARGIN)
    verdict = {
        Mark.FASTER: "it is faster",
        Mark.SLOWER: f"{name} is faster, though its median is not",
        Mark.SAME: f"they are the same within {MARGIN:.0%}",
    }.get(mark, f"which of the two is faster stays open ({wanted})")
    return f"{words}: {verdict}."


def _tuning(groups: Sequence[Group], best: Group) -> list[str]:
    """What the best profile gains over the same case as installed."""
    if best.row.profile == AS_INSTALLED or best.speed is None:
        return []
    case = key(best.row, without=("profile", "run"))
    same = [each for each in groups if each.row.profile == AS_INSTALLED]
    same = [each for each in same if key(each.row, without=("profile", "run")) == case and each.speed]
    if not same:
        return []
    words = f"As installed the same case has {same[0].speed:,.0f} images/s: its profile gains"
    return [f"{words} {times(best.speed / (same[0].speed or 1))}. {_certainty(best, same[0], 'the default profile')}"]


def _release(report: Report) -> list[str]:
    """What the newest release changed in the one before it, over the cases that both have."""
    if not several((row.framework_version for row in report.rows), "framework_version"):
        return []  # comparing thousands of records of one release finds no step
    found = [each for each in steps([entry.record for entry in report.entries]) if each.before is not None]
    if not found:
        return []
    newest = max((each.version for each in found), key=version_order)
    last = [each for each in found if each.version == newest]
    marks = Counter(each.comparison.mark.value for each in last)
    words = listed([f"{number:,} {mark}" for mark, number in marks.most_common()])
    before = listed(sorted({each.before or "" for each in last}, key=version_order))
    return [f"Release {newest} against {before}: {words} of {count(len(last), 'case')} (table --by version)."]


def _peers(best: Group, peers: Sequence[Group]) -> list[str]:
    """The fastest of each other framework in the same place, beside the best."""
    sentences = []
    for framework in dict.fromkeys(each.row.framework for each in peers):
        there = [each for each in peers if each.row.framework == framework and _same_place(each.row, best.row)]
        if there and best.speed:
            row = there[0].row
            words = f"{framework} {row.framework_version or ''}".strip()
            words += f", {mode(row)} at {', '.join(setting(row))}: {row.images_per_second:,.0f} images/s"
            sentences.append(f"{words}, {times((there[0].speed or 0) / best.speed)} that.")
    return sentences


def setting(row: Row) -> list[str]:
    """Batch size, profile and what else is not as usual: the best of a place may have any."""
    named = ("framework", "mode", "device_target", "batch_size", "profile", "world_size")
    return [f"batch {row.batch_size:,}", row.profile, *settings(row, without=named)]


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
