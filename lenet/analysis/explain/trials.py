"""The effect of a change on the speed: the throughput with it over the throughput without it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from lenet.analysis.difference import Measured, Unit, difference, measured
from lenet.analysis.explain.observation import Speed
from lenet.analysis.paired import LEAST_GROUPS
from lenet.cases.base import Frozen
from lenet.store.record import Record

GAIN_AT_LEAST = 1.1
"""A change that gains less explains nothing."""


class TriedChange(Frozen):
    """A change whose effect was measured."""

    change: str
    """The option that makes the change, as `--mode graph`."""
    before: Speed
    after: Speed
    gain: float
    """Throughput with the change over throughput without."""
    low: float | None
    """The 95% interval of the gain; None where too little was measured."""
    high: float | None
    unit: Unit
    """What the interval is over: `groups` whose workers took turns, independent `processes`, or `windows`."""
    groups: int = 0
    """Groups that both were members of, where these are the unit."""

    @property
    def holds(self) -> bool:
        """Whether the whole interval is above 1."""
        return self.low is not None and self.low > 1

    @property
    def gained(self) -> bool:
        """Whether the change explains the speed: a gain beyond noise that is large enough."""
        return self.holds and self.gain >= GAIN_AT_LEAST

    @property
    def may_gain(self) -> bool:
        """Whether more measurements may show a gain."""
        return self.high is None or self.high >= GAIN_AT_LEAST

    @property
    def method(self) -> str:
        """How the two were compared, in a phrase."""
        if self.unit == "groups":
            few = "; these processes only" if self.groups < LEAST_GROUPS else ""
            return f"paired in {self.groups} group{'s' if self.groups > 1 else ''}{few}"
        count = min(len(self.before.rates), len(self.after.rates))
        if self.unit == "windows":
            return "windows of one process each, not paired; these processes only"
        return f"{count} independent processes each"

    @property
    def interval(self) -> str:
        """The gain with its interval, as `2.10 (2.03 to 2.17)`."""
        if self.low is None or self.high is None:
            return f"{self.gain:,.2f} (no interval)"
        return f"{self.gain:,.2f} ({self.low:,.2f} to {self.high:,.2f})"

    @property
    def words(self) -> str:
        """The effect in a sentence."""
        verdict = "" if self.holds else "; within the noise"
        return (
            f"tried {self.change}: {self.before.median:,.0f} to {self.after.median:,.0f} images/s, "
            f"{self.interval} times, {self.method}{verdict}"
        )


def tried(change: str, before: Iterable[Record], after: Iterable[Record]) -> TriedChange | None:
    """The effect of a change from the records without and with it.

    None if one side has no process that ended well, or the ratio cannot be computed.
    """
    a, b = measured(before), measured(after)
    if not a or not b or (found := difference(a, b)).ratio is None:
        return None
    interval = found.interval
    return TriedChange(
        change=change,
        before=_speed(a),
        after=_speed(b),
        gain=found.ratio,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        unit=found.unit,
        groups=found.groups,
    )


def _speed(side: Sequence[Measured]) -> Speed:
    return Speed(rates=tuple(rates.median for _, rates in side))


def speed(records: Iterable[Record]) -> float | None:
    """The median throughput over the processes that ended well, in images/s; None without one."""
    rates = [each.median for _, each in measured(records)]
    return statistics.median(rates) if rates else None
