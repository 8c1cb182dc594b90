"""Steps, images and answers: whole numbers, which have no tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lenet.analysis.verify.evidence import Evidence, Messages
from lenet.cases.case import STEADY_WINDOWS_AT_LEAST
from lenet.cases.window_sizes import WindowSizes
from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Resident, Sketched, Started, Steps, Traced

CLASSES = 10
STAGES: Mapping[type[Event], int] = {
    Started: 0,
    Traced: 1,
    Sketched: 1,
    Steps: 1,
    Compiled: 1,
    Evaluated: 1,
    Resident: 2,
    Finished: 3,
    Failed: 3,
}
"""When a worker reports each type of event; a failure can come at any time."""

ONCE = (Started, Compiled, Finished, Failed)


def images(e: Evidence) -> Messages:
    """A window's images are its steps times the batch of all processes, and each step of training has its loss."""
    batch = e.case.global_batch_size
    for line, event in [*e.attempt.of(Steps), *e.attempt.of(Resident)]:
        if event.images != event.steps * batch:
            yield e.on(line), f"{event.steps} steps of {batch} are not {event.images} images"
    for line, steps in e.attempt.of(Steps):
        if len(steps.losses) != steps.steps:
            yield e.on(line), f"{steps.steps} steps have {len(steps.losses)} losses"


def order(e: Evidence) -> Messages:
    """Events come in the order of a worker's stages, and what happens once is reported once."""
    reached = 0
    seen: set[type[Event]] = set()
    for each in e.attempt.events:
        kind = type(each.event)
        if STAGES[kind] < reached:
            yield e.on(each.line), f"{each.event.event} comes too late"
        if kind in seen and kind in ONCE:
            yield e.on(each.line), f"{each.event.event} comes a second time"
        reached = max(reached, STAGES[kind])
        seen.add(kind)
    if seen and not seen & {Started, Failed}:
        yield e.on(e.attempt.events[0].line), "the worker reports work before it has started"
    timed = [each.event for each in e.attempt.events if not isinstance(each.event, Traced | Sketched)]
    compiled = e.attempt.first(Compiled)
    if compiled and timed[:3][-1] != compiled[1]:
        yield e.on(compiled[0]), "compiled does not follow the first window"


def windows_touch(e: Evidence) -> Messages:
    """Windows follow one another, from step 0, without a gap and without a step twice."""
    for windows in (e.attempt.of(Steps), e.attempt.of(Resident)):
        expected = 0
        for line, event in windows:
            if event.first_step != expected:
                yield e.on(line), f"begins at step {event.first_step}, and the one before ended before {expected}"
            expected = event.first_step + event.steps


def window_sizes(e: Evidence) -> Messages:
    """Windows end where the worker ends them: after the first step, the warm-up, an epoch, or when they are full."""
    plan, whole = e.case.plan, e.case.plan.epochs is not None
    epoch = e.steps_per_epoch
    sizes = _planned_sizes(e)
    leads_in = False
    for line, event in e.attempt.of(Steps):
        first, end = event.first_step, event.first_step + event.steps
        leads_in = sizes.lead_in > 0 and not leads_in
        ends = [
            first + (sizes.lead_in if leads_in else sizes.steps),
            *(mark for mark in (1, plan.warmup_steps) if mark > first),
        ]
        if whole:
            ends.append((first // epoch + 1) * epoch)
        if end != min(ends):
            yield e.on(line), f"ends after step {end}, and this plan ends it after {min(ends)}"
        if event.warmup != (first < plan.warmup_steps or plan.trace or leads_in):
            words = f"the warm-up has {plan.warmup_steps} steps, and a turn's lead-in {sizes.lead_in}"
            yield e.on(line), f"warmup is {event.warmup}, and {words}"
        if event.epoch != math.ceil(end / epoch):
            yield e.on(line), f"epoch is {event.epoch}, and an epoch has {epoch} steps"
        if sizes.ends_warmup(first, event.steps):
            sizes.warmed_up(event.seconds / event.steps)
        elif event.turn is not None:
            sizes.turn_ended(event.steps, event.seconds)
    for line, resident in e.attempt.of(Resident):
        if resident.steps != sizes.steps or resident.epoch != 1 or resident.warmup:
            yield e.on(line), f"is not a resident window of {sizes.steps} steps"


def answers(e: Evidence) -> Messages:
    """An evaluation is over whole batches of the test set, as many as planned, and not right more often than that."""
    # Each process evaluates the whole test set by itself, in batches of one process.
    batch, plan = e.case.hyperparameters.batch_size, e.case.plan
    most = e.card.test_images // batch * batch
    wanted = most
    if plan.epochs is None and plan.evaluation_images is not None:
        wanted = min(most, math.ceil(plan.evaluation_images / batch) * batch)
    for line, event in e.attempt.of(Evaluated):
        if event.images != wanted:
            yield e.on(line), f"evaluated {event.images} images, and the plan's whole batches have {wanted}"
        if event.correct > event.images:
            yield e.on(line), f"{event.correct} of {event.images} answers are right"
        if event.distinct_answers > min(CLASSES, event.images):
            yield e.on(line), f"{event.distinct_answers} different answers"


def evaluations_in_place(e: Evidence) -> Messages:
    """An evaluation comes after its steps: after each whole epoch, or once at the end."""
    done = count = 0
    for each in e.attempt.events:
        if isinstance(each.event, Steps):
            done = each.event.first_step + each.event.steps
        elif isinstance(each.event, Evaluated):
            count += 1
            epoch, steps = each.event.epoch, each.event.steps
            expected = count if e.case.plan.epochs is not None else max(math.ceil(done / e.steps_per_epoch) - 1, 0)
            if steps != done:
                yield e.on(each.line), f"has {steps} steps, and {done} were reported before it"
            if epoch != expected:
                yield e.on(each.line), f"has epoch {epoch}, and it is epoch {expected}"
            if e.case.plan.epochs is not None and steps != count * e.steps_per_epoch:
                yield e.on(each.line), f"{steps} steps are not {count} epochs of {e.steps_per_epoch}"


def plan_fulfilled(e: Evidence) -> Messages:
    """A finished case did what its plan asks for, no less and no more."""
    finished = e.attempt.first(Finished)
    if finished is None:
        return
    line, plan, planned = finished[0], e.case.plan, _planned_sizes(e)
    for _, window in e.attempt.of(Steps):
        if planned.ends_warmup(window.first_step, window.steps):
            planned.warmed_up(window.seconds / window.steps)
    evaluated, resident = e.attempt.of(Evaluated), e.attempt.of(Resident)
    if len(evaluated) != (plan.epochs or 1):
        yield e.on(line), f"finished with {len(evaluated)} evaluations, and the plan has {plan.epochs or 1}"
    if plan.trace and plan.epochs is None:
        steps = sum(event.steps for _, event in e.attempt.of(Steps))
        if steps != plan.warmup_steps:
            yield e.on(line), f"finished after {steps} steps, and the plan traces {plan.warmup_steps}"
    elif plan.epochs is None and evaluated:
        steady = sum(not event.warmup for _, event in e.attempt.of(Steps))
        early = steady >= STEADY_WINDOWS_AT_LEAST and evaluated[-1][1].training_seconds >= plan.budget_seconds
        if steady > planned.windows or (steady < planned.windows and not early):
            yield e.on(line), f"finished with {steady} steady windows, and the plan has {planned.windows}"
    if len(resident) != planned.resident_windows:
        message = f"finished with {len(resident)} resident windows, and the plan has {planned.resident_windows}"
        yield e.on(line), message


def _planned_sizes(e: Evidence) -> WindowSizes:
    return WindowSizes(e.case.plan, e.steps_per_epoch, e.record.turn)


def turns(e: Evidence) -> Messages:
    """Each window past the warm-up is a turn of its own in a cycle of its own, if the worker took turns, or none is."""
    number = cycle = -1
    windows: list[tuple[int, Steps | Resident]] = [*e.attempt.of(Steps), *e.attempt.of(Resident)]
    for line, event in sorted(windows, key=lambda each: each[0]):
        if (event.turn is None) is not (event.cycle is None):
            yield e.on(line), "has a turn without a cycle, or a cycle without a turn"
        elif event.turn is None or event.cycle is None:
            if e.record.turn_seconds is not None and not event.warmup:
                yield e.on(line), "is no turn, and the worker took turns"
        elif e.record.turn_seconds is None or not e.record.group or event.warmup:
            yield e.on(line), f"is turn {event.turn}, and no turn was to be taken here"
        elif event.turn <= number or event.cycle <= cycle:
            yield e.on(line), f"is turn {event.turn} of cycle {event.cycle} after turn {number} of cycle {cycle}"
        else:
            number, cycle = event.turn, event.cycle
    if e.record.turn_seconds is not None:
        return
    waited = e.record.phases.waiting_seconds if e.record.phases else 0
    if waited:
        yield e.at("phases", "waiting_seconds"), f"is {waited}, and the worker took no turns"
    for name in ("lead_in_seconds", "pace_change"):
        if value := getattr(e.record, name):
            yield e.at(name), f"is {value:g}, and the worker took no turns"


RULES = (images, order, windows_touch, window_sizes, turns, answers, evaluations_in_place, plan_fulfilled)
