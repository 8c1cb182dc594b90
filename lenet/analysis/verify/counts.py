"""Steps, images and answers: whole numbers that leave no room."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from lenet.analysis.verify.evidence import Evidence, Violations
from lenet.cases.case import STEADY_WINDOWS_AT_LEAST
from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Layer, Resident, Started, Steps, Traced
from lenet.store.sketch import PROJECTIONS, distance

CLASSES = 10
SKETCH_ERROR = 8.0
"""Factor between a layer's norm and the estimate by its sketch. The estimate's square is a chi-squared variable of 16
degrees of freedom: beyond this factor once in 10**11 layers."""
STAGES: Mapping[type[Event], int] = {
    Started: 0,
    Traced: 1,
    Steps: 1,
    Compiled: 1,
    Evaluated: 1,
    Resident: 2,
    Finished: 3,
    Failed: 3,
}
"""When a worker reports each type of event; a failure can come at any time."""


def images(e: Evidence) -> Violations:
    """A window's images are its steps times the batch of all processes, and each step of training has its loss."""
    batch = e.case.global_batch_size
    for line, event in [*e.attempt.steps, *e.attempt.resident]:
        if event.images != event.steps * batch:
            yield e.on(line), f"{event.steps} steps of {batch} are not {event.images} images"
    for line, steps in e.attempt.steps:
        if len(steps.losses) != steps.steps:
            yield e.on(line), f"{steps.steps} steps have {len(steps.losses)} losses"


def order(e: Evidence) -> Violations:
    """Events come in the order of a worker's stages, and none comes twice."""
    reached = 0
    for each in e.attempt.numbered:
        stage = STAGES[type(each.event)]
        if stage < reached:
            yield e.on(each.line), f"{each.event.event} comes too late"
        reached = max(reached, stage)
    for kind in (Started, Compiled, Finished, Failed):
        for line, event in e.attempt.of(kind)[1:]:
            yield e.on(line), f"{event.event} comes a second time"
    if e.attempt.numbered and not (e.attempt.started or e.attempt.failed):
        yield e.on(e.attempt.numbered[0].line), "the worker reports work before it has started"
    measured = [each.event for each in e.attempt.numbered if not isinstance(each.event, Traced)]
    if e.attempt.compiled and measured[:3][-1] != e.attempt.compiled[1]:
        yield e.on(e.attempt.compiled[0]), "compiled does not follow the first window"


def windows_touch(e: Evidence) -> Violations:
    """Windows follow one another, from step 0, without a gap and without a step twice."""
    for windows in (e.attempt.steps, e.attempt.resident):
        expected = 0
        for line, event in windows:
            if event.first_step != expected:
                yield e.on(line), f"begins at step {event.first_step}, and the one before ended before {expected}"
            expected = event.first_step + event.steps


def window_sizes(e: Evidence) -> Violations:
    """Windows end where the worker ends them: after the first step, the warm-up, an epoch, or when they are full."""
    plan, whole = e.case.plan, e.case.plan.epochs is not None
    an_epoch = max(e.steps_an_epoch, 1)
    size = min(plan.window_steps, an_epoch) if whole else plan.window_steps
    for line, event in e.attempt.steps:
        first, end = event.first_step, event.first_step + event.steps
        ends = [first + size, *(mark for mark in (1, plan.warmup_steps) if mark > first)]
        if whole:
            ends.append((first // an_epoch + 1) * an_epoch)
        if end != min(ends):
            yield e.on(line), f"ends after step {end}, and this plan ends it after {min(ends)}"
        if event.warmup != (first < plan.warmup_steps or plan.trace):
            yield e.on(line), f"warmup is {event.warmup}, and the warm-up has {plan.warmup_steps} steps"
        if event.epoch != math.ceil(end / an_epoch):
            yield e.on(line), f"epoch is {event.epoch}, and an epoch has {an_epoch} steps"
        if end == plan.warmup_steps and first > 0:
            wanted = max(plan.window_steps, math.ceil(plan.window_seconds / (event.seconds / event.steps)))
            size = min(wanted, an_epoch) if whole else wanted
    for line, resident in e.attempt.resident:
        if resident.steps != size or resident.epoch != 1 or resident.warmup:
            yield e.on(line), f"is not a resident window of {size} steps"


def answers(e: Evidence) -> Violations:
    """An evaluation is over whole batches of the test set, as many as planned, and not right more often than that."""
    # Each process evaluates the whole test set by itself, in batches of one process.
    batch, plan = e.case.hyperparameters.batch_size, e.case.plan
    most = e.card.test_images // batch * batch
    wanted = most
    if plan.epochs is None and plan.evaluation_images is not None:
        wanted = min(most, math.ceil(plan.evaluation_images / batch) * batch)
    for line, event in e.attempt.evaluated:
        if event.images != wanted:
            yield e.on(line), f"judged {event.images} images, and the plan's whole batches are {wanted}"
        if event.correct > event.images:
            yield e.on(line), f"{event.correct} of {event.images} answers are right"
        if event.distinct_answers > min(CLASSES, event.images):
            yield e.on(line), f"{event.distinct_answers} different answers"


def evaluations_in_place(e: Evidence) -> Violations:
    """An evaluation stands after its steps: after each whole epoch, or once at the end."""
    done = count = 0
    for each in e.attempt.numbered:
        if isinstance(each.event, Steps):
            done = each.event.first_step + each.event.steps
        elif isinstance(each.event, Evaluated):
            count += 1
            epoch, steps = each.event.epoch, each.event.steps
            an_epoch = max(e.steps_an_epoch, 1)
            expected = count if e.case.plan.epochs is not None else max(math.ceil(done / an_epoch) - 1, 0)
            if steps != done:
                yield e.on(each.line), f"says {steps} steps, and {done} were reported before it"
            if epoch != expected:
                yield e.on(each.line), f"says epoch {epoch}, and it is epoch {expected}"
            if e.case.plan.epochs is not None and steps != count * an_epoch:
                yield e.on(each.line), f"{steps} steps are not {count} epochs of {an_epoch}"


def plan_fulfilled(e: Evidence) -> Violations:
    """A case that is called finished did what its plan asks for, no less and no more."""
    if e.attempt.finished is None:
        return
    line, plan = e.attempt.finished[0], e.case.plan
    evaluated = len(e.attempt.evaluated)
    if evaluated != (plan.epochs or 1):
        yield e.on(line), f"finished with {evaluated} evaluations, and the plan has {plan.epochs or 1}"
    if plan.trace and plan.epochs is None:
        steps = sum(event.steps for _, event in e.attempt.steps)
        if steps != plan.warmup_steps:
            yield e.on(line), f"finished after {steps} steps, and the plan traces {plan.warmup_steps}"
    elif plan.epochs is None and evaluated:
        steady = sum(not event.warmup for _, event in e.attempt.steps)
        spent = e.attempt.evaluated[-1][1].training_seconds
        early = steady >= STEADY_WINDOWS_AT_LEAST and spent >= plan.budget_seconds
        if steady > plan.windows or (steady < plan.windows and not early):
            yield e.on(line), f"finished with {steady} steady windows, and the plan has {plan.windows}"
    if len(e.attempt.resident) != plan.resident_windows:
        yield (
            e.on(line),
            f"finished with {len(e.attempt.resident)} resident windows, and the plan has {plan.resident_windows}",
        )


def traces(e: Evidence) -> Violations:
    """A traced case reports its weights before the first step and after each one, and no other case does."""
    expected = 0
    names: list[str] | None = None
    for each in e.attempt.numbered:
        event = each.event
        if isinstance(event, Steps) and e.case.plan.trace and event.first_step + event.steps + 1 != expected:
            yield (
                e.on(each.line),
                f"the window ends after step {event.first_step + event.steps}, and the trace does not",
            )
        if not isinstance(event, Traced):
            continue
        if not e.case.plan.trace:
            yield e.on(each.line), "is a trace, and the case is not traced"
        if event.step != expected:
            yield e.on(each.line), f"is the trace of step {event.step}, and step {expected} is next"
        expected = event.step + 1
        for digest in (event.images_sha256, event.labels_sha256):
            if (re.fullmatch("[0-9a-f]{64}", digest or "") is None) != (event.step == 0):
                yield e.on(each.line), f"the digest of the batch of step {event.step} is {digest}"
        layers = [layer.name for layer in event.layers]
        if not layers or len(set(layers)) < len(layers) or layers != (names or layers):
            yield e.on(each.line), "has other parameters than the trace before it, or one twice"
        names = layers
        for layer in event.layers:
            yield from ((e.on(each.line), what) for what in _layer(layer))


def _layer(layer: Layer) -> Iterator[str]:
    """The norm is that of the sketch, as far as an estimate can say."""
    if (layer.norm is None) != (not layer.sketch) or len(layer.sketch) not in (0, PROJECTIONS):
        yield f"{layer.name} has a norm of {layer.norm} and a sketch of {len(layer.sketch)} numbers"
    elif layer.norm is not None:
        estimate = distance(layer.sketch, (0.0,) * PROJECTIONS)
        if not layer.norm / SKETCH_ERROR <= estimate <= layer.norm * SKETCH_ERROR:
            yield f"{layer.name} has a norm of {layer.norm}, and its sketch says {estimate}"


RULES = (images, order, windows_touch, window_sizes, answers, evaluations_in_place, plan_fulfilled, traces)
