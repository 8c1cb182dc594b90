"""Seconds: the phases add up, the windows lie in them, and the wall clock saw them pass.

A worker adds each phase up from readings of one clock. A sum then carries a rounding a reading, of at most half the
last place of a reading: 2**-29 s on a machine that has been up for less than a year.
"""

from __future__ import annotations

from lenet.analysis.verify.evidence import Evidence, Violations
from lenet.store.events import Evaluated, Steps

READING_ERROR = 2.0**-28
"""Seconds that one reading may add to a sum by rounding."""

UNSEEN_SECONDS = 0.1
"""Training time outside windows for each evaluation: older workers counted the report of the last window as training,
a few hundred microseconds on an idle machine."""

START_AND_END_SECONDS = 5.0
"""Between the parent's clock and the worker's: a process is started and ends. Half a second on an idle machine,
four on one that does much else."""
START_AND_END_SHARE = 0.05


def _rounding(e: Evidence) -> float:
    return READING_ERROR * (2 * len(e.attempt.numbered) + 16)


def phases_add_up(e: Evidence) -> Violations:
    """Every moment belongs to one phase: their sum is the wall time."""
    if e.attempt.finished is None:
        return
    parts = e.attempt.finished[1].phases.model_dump()
    wall = parts.pop("wall_seconds")
    if abs(sum(parts.values()) - wall) > _rounding(e):
        yield e.on(e.attempt.finished[0]), f"the phases add up to {sum(parts.values())} s, and wall_seconds is {wall}"


def compilation(e: Evidence) -> Violations:
    """The first window is the compilation, read from the same two readings of the clock."""
    compiled, finished = e.attempt.compiled, e.attempt.finished
    if compiled and e.attempt.steps and compiled[1].seconds != e.attempt.steps[0][1].seconds:
        yield e.on(compiled[0]), f"{compiled[1].seconds} s, and the first window took {e.attempt.steps[0][1].seconds}"
    if finished and (compiled is None or finished[1].phases.compile_and_first_step_seconds != compiled[1].seconds):
        yield e.on(finished[0]), "compile_and_first_step_seconds is not what `compiled` reported"


def training_clock(e: Evidence) -> Violations:
    """At each evaluation the training clock has seen all windows, and little else."""
    seen, count = 0.0, 0
    for each in e.attempt.numbered:
        if isinstance(each.event, Steps):
            seen += each.event.seconds
        elif isinstance(each.event, Evaluated):
            count += 1
            told = each.event.training_seconds
            if not -_rounding(e) <= told - seen <= count * UNSEEN_SECONDS:
                yield e.on(each.line), f"the training clock says {told} s, and the windows until then took {seen}"


def training_phase(e: Evidence) -> Violations:
    """The windows fill the training phase."""
    if e.attempt.finished is None:
        return
    line, finished = e.attempt.finished
    spent = finished.phases.compile_and_first_step_seconds + finished.phases.training_seconds
    seen = sum(event.seconds for _, event in e.attempt.steps)
    if not -_rounding(e) <= spent - seen <= (len(e.attempt.evaluated) + 1) * UNSEEN_SECONDS:
        yield e.on(line), f"compilation and training took {spent} s, and the windows {seen}"
    for at, event in e.attempt.evaluated:
        if event.training_seconds > spent + _rounding(e):
            yield e.on(at), f"the training clock says {event.training_seconds} s, and all training took {spent}"


def evaluation_phase(e: Evidence) -> Violations:
    """The evaluations are the evaluation phase."""
    if e.attempt.finished is None:
        return
    line, finished = e.attempt.finished
    seen = sum(event.seconds for _, event in e.attempt.evaluated)
    if abs(finished.phases.evaluation_seconds - seen) > _rounding(e):
        yield e.on(line), f"evaluation_seconds is {finished.phases.evaluation_seconds}, and the evaluations took {seen}"


def resident_phase(e: Evidence) -> Violations:
    """The resident windows lie in the resident phase, which also fetches their batch."""
    if e.attempt.finished is None:
        return
    line, finished = e.attempt.finished
    seen = sum(event.seconds for _, event in e.attempt.resident)
    if seen > finished.phases.resident_seconds + _rounding(e):
        yield e.on(line), f"resident_seconds is {finished.phases.resident_seconds}, and the windows took {seen}"


def wall_clock(e: Evidence) -> Violations:
    """The parent's clock saw the worker's whole life, and little else."""
    elapsed = (e.record.finished_at - e.record.started_at).total_seconds()
    if elapsed < 0:
        yield e.at("finished_at"), "is before started_at"
    timed = (e.attempt.steps, e.attempt.evaluated, e.attempt.resident)
    seen = sum(event.seconds for kind in timed for _, event in kind)
    wall = e.record.phases.wall_seconds if e.record.phases else seen
    if wall > elapsed + 1e-3:
        yield e.at("finished_at"), f"the worker's clock says {wall} s, and {elapsed} s passed from start to end"
    elif e.record.phases and elapsed - wall > START_AND_END_SECONDS + START_AND_END_SHARE * elapsed:
        yield e.at("finished_at"), f"{elapsed} s passed from start to end, and the worker's clock says {wall} s"


RULES = (
    phases_add_up, compilation, training_clock, training_phase, evaluation_phase, resident_phase, wall_clock,
)  # fmt: skip
