"""The headline: what is fastest, by how much, how sure that is, and whether it learned. In words, from the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.convergence import ConvergenceStatus
from lenet.report.content.gather import Report
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.words import count, listed, mode, times
from lenet.store.record import Status


@dataclass(frozen=True)
class Headline:
    """Sentences, from the one that matters most on."""

    fastest: str
    margin: str
    certainty: str
    learning: str
    trouble: str = ""
    """What did not work; empty when everything did."""

    @property
    def sentences(self) -> list[str]:
        """Those that say something."""
        return [each for each in (self.fastest, self.margin, self.certainty, self.learning, self.trouble) if each]


def headline(report: Report) -> Headline:
    """The report in a few sentences."""
    valid = ranked(report.groups)
    trouble = _trouble(report)
    if not valid:
        return Headline("Nothing was measured: no case ended well.", "", "", _learning(report), trouble)
    best = valid[0]
    others = [each for each in valid[1:] if _rival(each.row, best.row)]
    return Headline(_fastest(report, best), *_margin(best, others), _learning(report), trouble)


def ranked(groups: Sequence[Group]) -> list[Group]:
    """The groups with a valid speed, the fastest first."""
    return sorted((group for group in groups if group.speed is not None), key=lambda group: -(group.speed or 0))


def _rival(row: Row, best: Row) -> bool:
    """Another way to train on the same place: another mode or framework, or the same with other settings."""
    same_place = row.machine == best.machine and row.device_target == best.device_target
    other_way = (row.framework, row.mode) != (best.framework, best.mode)
    return same_place and other_way and row.dataset_sha256 == best.dataset_sha256


def setting(row: Row) -> str:
    """Where and how a figure came about, in words."""
    words = f"{mode(row)} on {row.device_target} at batch {row.batch_size:,}"
    if row.profile != "default":
        words += f" with the profile {row.profile}"
    if row.world_size > 1:
        words += f" over {row.world_size} processes"
    return words


def _fastest(report: Report, best: Group) -> str:
    row = best.row
    version = f"{row.framework} {row.framework_version}" if row.framework_version else row.framework
    card = report.machines.get(row.machine)
    where = f" on {card.cpu if card else row.machine}" if len(report.machines) > 1 else ""
    return f"Fastest: {setting(row)}, {row.images_per_second:,.0f} images/s ({version}{where})."


def _margin(best: Group, others: Sequence[Group]) -> tuple[str, str]:
    """By how much, and how sure."""
    first = best.row
    if not others or first.images_per_second is None:
        return "Nothing else was measured on the same device to compare it with.", _samples(best)
    shown: dict[tuple[str, str], Row] = {}
    for each in others:
        shown.setdefault((each.row.framework, each.row.mode), each.row)
    second = next(iter(shown.values()))
    words = []
    for row in shown.values():
        ratio = first.images_per_second / (row.images_per_second or 1)
        name = f"{row.framework} {mode(row)}" if row.framework != first.framework else mode(row)
        words.append(f"{times(ratio)} the best of {name} ({row.images_per_second:,.0f})")
    margin = f"That is {listed(words)} on the same device."
    separate = apart(first, second)
    if separate is None:
        return margin, f"How sure that is cannot be said: a figure has no spread. {_samples(best)}"
    if separate:
        return margin, f"Its spread and that of the second do not overlap. {_samples(best)}"
    open_end = "Its spread overlaps with that of the second: which of the two is faster stays open."
    return margin, f"{open_end} {_samples(best)}"


def apart(a: Row, b: Row) -> bool | None:
    """Whether two speeds' spreads leave each other alone; None where one has no spread."""
    ends = (a.images_per_second_low, a.images_per_second_high, b.images_per_second_low, b.images_per_second_high)
    if any(end is None for end in ends) or a.windows < 2 or b.windows < 2:
        return None
    a_low, a_high, b_low, b_high = (end for end in ends if end is not None)
    return a_low > b_high or b_low > a_high


def _samples(group: Group) -> str:
    if group.of > 1:
        return f"It rests on {count(group.processes, 'process', 'processes')}."
    return (
        f"It rests on one process ({count(group.row.windows, 'window')}); "
        "another process may settle elsewhere, and --repeat shows it."
    )


def _learning(report: Report) -> str:
    """Whether the trainings of whole epochs learned, and against what that is held."""
    whole = [row for row in report.rows if row.epochs is not None and row.accuracy is not None]
    learned = [row for row in whole if row.status == Status.OK.value and row.accuracy is not None]
    if not whole:
        return "Whether it learns was not measured: no case trained whole epochs (--epochs does)."
    if not learned:
        return "It did not learn: no training of whole epochs ended well."
    longest = max(row.epochs or 0 for row in learned)
    final = [row.accuracy for row in learned if row.epochs == longest and row.accuracy is not None]
    low, high = min(final), max(final)
    figure = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
    words = f"Test accuracy after {count(longest, 'epoch')}: {figure} ({count(len(final), 'training')})"
    held = [ConvergenceStatus(row.convergence) for row in learned if ConvergenceStatus(row.convergence).compared]
    if held:
        words += f"; {held.count(ConvergenceStatus.CONVERGED)} of {len(held)} inside the reference band"
    failed = len(whole) - len(learned)
    return f"{words}." if not failed else f"{words}; {count(failed, 'other')} did not learn."


def _trouble(report: Report) -> str:
    ended = [row.standing[0] for row in report.rows if not row.sound]
    if not ended:
        return ""
    counted = {status: ended.count(status) for status in dict.fromkeys(ended)}
    words = listed([f"{number:,} {status}" for status, number in counted.items()])
    return f"{count(len(ended), 'case')} of {len(report.rows):,} did not end well: {words}."
