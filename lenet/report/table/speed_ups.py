"""Speed-ups of the rows of a table over their baselines."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.difference import SpeedDifference, Unit, difference, unit_of
from lenet.analysis.statistics import Interval
from lenet.analysis.verdict import MARGIN, Mark, decide
from lenet.cases.baseline import baselines, held_text, parse, usual
from lenet.errors import UsageError
from lenet.report.table.basis import basis, needed
from lenet.report.table.groups import Group, merged
from lenet.report.table.rows import Row, held, repetitions


@dataclass(frozen=True)
class SpeedUp:
    """A case's images/s over those of its baseline."""

    value: float
    difference: SpeedDifference | None = None
    """What it was estimated from; None for the baseline itself."""
    mark: Mark | None = None
    """Faster, slower, same or unresolved; None for the baseline itself and for single processes that took no turns."""

    @property
    def unit(self) -> Unit | None:
        """What it was estimated from; None for the baseline itself."""
        return self.difference.unit if self.difference else None

    @property
    def interval(self) -> Interval | None:
        """Its 95% interval; None for the baseline itself and for single processes that took no turns."""
        return self.difference.interval if self.difference else None

    @property
    def reach(self) -> float | None:
        """How far the interval reaches from the value, to the farther side, relative to the value."""
        if self.interval is None:
            return None
        return max(self.interval.high / self.value - 1, 1 - self.interval.low / self.value)


def _bases(groups: Sequence[Group], selector: str | None, required: bool) -> list[Group | None]:
    """The baseline of each group, as the selector says.

    Raises:
        UsageError: no group at all has the selector's values, and that is `required`.
    """
    wanted = parse(selector or usual_baseline(groups))
    found = baselines(groups, wanted, lambda group: held(group.row))
    if required and selector is not None and not any(found):
        has = {name: sorted({held_text(name, getattr(group.row, name)) for group in groups}) for name in wanted}
        choices = "; ".join(f"{name}: {', '.join(itertools.islice(values, 12))}" for name, values in has.items())
        raise UsageError(f"--baseline {selector!r}: no row has it; the table has {choices}")
    return found


def usual_baseline(groups: Sequence[Group]) -> str:
    """The selector of the baseline where none is given."""
    return usual(groups, lambda group: held(group.row))


def speed_ups(
    groups: Sequence[Group], selector: str | None, intervals: bool = True, required: bool = True
) -> list[SpeedUp | None]:
    """Each group's speed-up over its baseline; None if there is none, or if one of the two has no valid figure.

    Where both were members of the same groups of workers that took turns, it is estimated within these, otherwise from
    independent processes; Holm's correction is over all of them. Between single processes it is the quotient of their
    images/s, and without `intervals` it always is.

    Raises:
        UsageError: no group at all has the selector's values, and that is `required`.
    """
    found: list[SpeedUp | None] = []
    tested: list[tuple[int, Group, Group]] = []
    for index, (base, group) in enumerate(zip(_bases(groups, selector, required), groups, strict=True)):
        if base is None or not base.speed or not group.speed:
            found.append(None)
            continue
        value = group.speed / base.speed
        unit = unit_of(base.measured, group.measured) if intervals and base is not group else None
        found.append(SpeedUp(value, SpeedDifference(unit, value, None, None) if unit else None))
        if unit in ("groups", "processes"):
            tested.append((index, base, group))
    for (index, _, _), each in zip(tested, _decided([(base, group) for _, base, group in tested]), strict=True):
        found[index] = each or found[index]
    return found


def compared(pairs: Sequence[tuple[Group, Group]]) -> list[SpeedUp]:
    """The speed-up of each second group over its first, which both have a valid speed; decided together.

    Between single processes it is the quotient of their images/s, without an interval.
    """
    plain = [SpeedUp((group.speed or 0) / (base.speed or 1)) for base, group in pairs]
    tested = [i for i, (a, b) in enumerate(pairs) if unit_of(a.measured, b.measured) in ("groups", "processes")]
    decided = dict(zip(tested, _decided([pairs[i] for i in tested]), strict=True))
    return [decided.get(i) or each for i, each in enumerate(plain)]


def _decided(pairs: Sequence[tuple[Group, Group]]) -> list[SpeedUp | None]:
    """The speed-up of each pair by its test; None where that gives no ratio. Holm's correction is over all."""
    differences = [difference(base.measured, group.measured, len(pairs)) for base, group in pairs]
    return [
        SpeedUp(each.ratio, each, mark) if each.ratio is not None else None
        for each, (mark, _) in zip(differences, decide(differences), strict=True)
    ]


def with_speed_ups(table: Sequence[Row], selector: str | None = None, required: bool = True) -> list[Row]:
    """The rows, each successful one with the speed-up of its case.

    Raises:
        UsageError: no row has the selector's values, and that is `required`.
    """
    groups = [merged([table[index] for index in indices]) for indices in repetitions(table)]
    over = selector or usual_baseline(groups)
    changed = [row.model_copy(update={"speed_up_over": over}) for row in table]
    found = speed_ups(groups, over, required=required and selector is not None)
    for indices, each in zip(repetitions(table), found, strict=True):
        if each is None:
            continue
        update = {
            "speed_up": each.value,
            "speed_up_low": each.interval.low if each.interval else None,
            "speed_up_high": each.interval.high if each.interval else None,
            "speed_up_unit": each.unit,
            "speed_up_groups": each.difference.groups if each.difference and each.unit == "groups" else None,
            "speed_up_verdict": each.mark.value if each.mark else None,
        }
        for index in indices:
            if table[index].sound and table[index].images_per_second is not None:
                changed[index] = changed[index].model_copy(update=update)
    return changed


def caption(found: Sequence[SpeedUp | None], against: str) -> str:
    """What the speed-ups are over and rest on, and their verdicts, in sentences."""
    known = [each for each in found if each is not None]
    sentences = [
        f"Speed-up: over {against}, all else equal.",
        basis([each.difference for each in known if each.difference]),
    ]
    if any(each.interval for each in known):
        sentences.append("Beside a speed-up: its 95% interval.")
    decided = [each for each in known if each.mark is not None]
    if counts := Counter(each.mark.value for each in decided if each.mark):
        of_unit: dict[Unit, list[int | None]] = {}
        for each in decided:
            if each.mark is Mark.UNRESOLVED and each.difference and each.difference.p is not None:
                of_unit.setdefault(each.difference.unit, []).append(each.difference.needed(MARGIN))
        wanted = [
            needed(unit, None if None in numbers else max(number for number in numbers if number), MARGIN)
            for unit, numbers in of_unit.items()
        ]
        more = f" ({', '.join(wanted)})" if wanted else ""
        words = ", ".join(f"{number} {mark}" for mark, number in counts.items())
        sentences.append(f"Verdicts, with a margin of {MARGIN:.0%}: {words}{more}.")
    return " ".join(filter(None, sentences))
