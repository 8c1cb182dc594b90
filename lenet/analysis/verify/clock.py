"""Seconds: the phases add up, the windows lie in them, and the parent's clock agrees.

A worker sums each phase from readings of one clock. Each reading adds a rounding error of at most half the last place
of a reading: 2**-29 s on a machine that has been up for less than a year.
"""

from __future__ import annotations

from collections.abc import Sequence

from lenet.analysis.verify.evidence import Evidence, Messages
from lenet.store.events import Compiled, Evaluated, Finished, Resident, Steps

READING_ERROR = 2.0**-28
"""Seconds that one reading may add to a sum by rounding."""

UNSEEN_SECONDS = 0.1
"""Training time outside windows for each evaluation: older workers counted the report of the last window as training,
a few hundred microseconds on an idle machine."""

START_AND_END_SECONDS = 5.0
"""Between the parent's clock and the worker's: a process starts and ends. Half a second on an idle machine, four on a
busy one."""
START_AND_END_SHARE = 0.05


def _rounding(e: Evidence) -> float:
    return READING_ERROR * (2 * len(e.attempt.events) + 16)


def phases_add_up(e: Evidence) -> Messages:
    """Every moment belongs to one phase: their sum is the wall time."""
    for line, finished in e.attempt.of(Finished):
        parts = finished.phases.model_dump()
        wall = parts.pop("wall_seconds")
        if abs(sum(parts.values()) - wall) > _rounding(e):
            yield e.on(line), f"the phases add up to {sum(parts.values())} s, and wall_seconds is {wall}"


def compilation(e: Evidence) -> Messages:
    """The first window is the compilation, from the same two readings of the clock."""
    compiled, finished, steps = e.attempt.first(Compiled), e.attempt.first(Finished), e.attempt.first(Steps)
    if compiled and steps and compiled[1].seconds != steps[1].seconds:
        yield e.on(compiled[0]), f"{compiled[1].seconds} s, and the first window took {steps[1].seconds}"
    if finished and (compiled is None or finished[1].phases.compile_and_first_step_seconds != compiled[1].seconds):
        yield e.on(finished[0]), "compile_and_first_step_seconds is not what `compiled` reported"


def training_clock(e: Evidence) -> Messages:
    """At each evaluation the training clock shows the sum of all windows, and little else."""
    seen, count = 0.0, 0
    for each in e.attempt.events:
        if isinstance(each.event, Steps):
            seen += each.event.seconds
        elif isinstance(each.event, Evaluated):
            count += 1
            shown = each.event.training_seconds
            if not -_rounding(e) <= shown - seen <= count * UNSEEN_SECONDS:
                yield e.on(each.line), f"the training clock shows {shown} s, and the windows until then took {seen}"


def training_phase(e: Evidence) -> Messages:
    """The windows fill the training phase."""
    for line, finished in e.attempt.of(Finished):
        spent = finished.phases.compile_and_first_step_seconds + finished.phases.training_seconds
        seen = _seconds(e.attempt.of(Steps))
        evaluated = e.attempt.of(Evaluated)
        if not -_rounding(e) <= spent - seen <= (len(evaluated) + 1) * UNSEEN_SECONDS:
            yield e.on(line), f"compilation and training took {spent} s, and the windows {seen}"
        for at, event in evaluated:
            if event.training_seconds > spent + _rounding(e):
                yield e.on(at), f"the training clock shows {event.training_seconds} s, and all training took {spent}"


def evaluation_phase(e: Evidence) -> Messages:
    """The evaluations are the evaluation phase."""
    for line, finished in e.attempt.of(Finished):
        spent, seen = finished.phases.evaluation_seconds, _seconds(e.attempt.of(Evaluated))
        if abs(spent - seen) > _rounding(e):
            yield e.on(line), f"evaluation_seconds is {spent}, and the evaluations took {seen}"


def resident_phase(e: Evidence) -> Messages:
    """The resident windows lie in the resident phase, which also fetches their batch."""
    for line, finished in e.attempt.of(Finished):
        spent, seen = finished.phases.resident_seconds, _seconds(e.attempt.of(Resident))
        if seen > spent + _rounding(e):
            yield e.on(line), f"resident_seconds is {spent}, and the windows took {seen}"


def wall_clock(e: Evidence) -> Messages:
    """The parent's clock measured the worker's whole life, and little else."""
    elapsed = (e.record.finished_at - e.record.started_at).total_seconds()
    if elapsed < 0:
        yield e.at("finished_at"), "is before started_at"
    timed: list[tuple[int, Steps | Evaluated | Resident]] = [
        *e.attempt.of(Steps),
        *e.attempt.of(Evaluated),
        *e.attempt.of(Resident),
    ]
    wall = e.record.phases.wall_seconds if e.record.phases else _seconds(timed)
    if wall > elapsed + 1e-3:
        yield e.at("finished_at"), f"the worker's clock shows {wall} s, and {elapsed} s passed from start to end"
    elif e.record.phases and elapsed - wall > START_AND_END_SECONDS + START_AND_END_SHARE * elapsed:
        yield e.at("finished_at"), f"{elapsed} s passed from start to end, and the worker's clock shows {wall} s"


def _seconds(events: Sequence[tuple[int, Steps | Evaluated | Resident]]) -> float:
    return sum(event.seconds for _, event in events)


RULES = (
    phases_add_up, compilation, training_clock, training_phase, evaluation_phase, resident_phase, wall_clock,
)  # fmt: skip
