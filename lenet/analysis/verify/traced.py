"""What workers report of their weights: no figure of a table rests on it, but `check` and recomputations do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lenet.analysis.verify.evidence import Evidence, Messages
from lenet.store.events import Layer, Sketched, Steps, Traced
from lenet.store.sketch import PROJECTIONS, SKETCHED_STEPS, distance

SHA256 = re.compile(r"[0-9a-f]{64}")

SKETCH_ERROR = 8.0
"""Factor between a layer's norm and the estimate by its sketch. The estimate's square is a chi-squared variable of 16
degrees of freedom: beyond this factor once in 10**11 layers."""


def traces(e: Evidence) -> Messages:
    """A traced case reports its weights before the first step and after each one, another after some steps."""
    expected = 0
    parameters: list[str] | None = None
    for each in e.attempt.events:
        event = each.event
        if isinstance(event, Steps) and e.case.plan.trace and event.first_step + event.steps + 1 != expected:
            yield e.on(each.line), f"ends after step {event.first_step + event.steps}, and {expected} steps are traced"
        if not isinstance(event, Traced):
            continue
        if not e.case.plan.trace:
            yield e.on(each.line), "is a trace, and the case is not traced"
        if event.step != expected:
            yield e.on(each.line), f"is the trace of step {event.step}, and step {expected} is next"
        expected = event.step + 1
        for digest in (event.images_sha256, event.labels_sha256):
            if (SHA256.fullmatch(digest or "") is None) != (event.step == 0):
                yield e.on(each.line), f"the digest of the batch of step {event.step} is {digest}"
        names = [layer.name for layer in event.layers]
        if not names or len(set(names)) < len(names) or names != (parameters or names):
            yield e.on(each.line), "has other parameters than the trace before it, or one twice"
        parameters = names
        for layer in event.layers:
            yield from ((e.on(each.line), message) for message in _norm(layer))


def _norm(layer: Layer) -> Iterator[str]:
    """The norm is that of the sketch, as far as an estimate can say."""
    if (layer.norm is None) != (not layer.sketch) or len(layer.sketch) not in (0, PROJECTIONS):
        yield f"{layer.name} has a norm of {layer.norm} and a sketch of {len(layer.sketch)} numbers"
    elif layer.norm is not None:
        estimate = distance(layer.sketch, (0.0,) * PROJECTIONS)
        if not layer.norm / SKETCH_ERROR <= estimate <= layer.norm * SKETCH_ERROR:
            yield f"{layer.name} has a norm of {layer.norm}, and its sketch gives {estimate}"


def sketches(e: Evidence) -> Messages:
    """A case that is not traced reports its weights after its first steps and after the last, each once."""
    steps = sum(event.steps for _, event in e.attempt.of(Steps))
    before = 0
    for line, event in e.attempt.of(Sketched):
        # A window may end later than the step, or never.
        if e.case.plan.trace or event.step <= before or event.step not in (*SKETCHED_STEPS, steps):
            yield e.on(line), f"is a sketch of step {event.step}, which is not one that is reported here"
        before = event.step
        yield from ((e.on(line), message) for layer in event.layers for message in _norm(layer))


RULES = (traces, sketches)
