"""Whether a case's weights after a step are those of its training, and if not, what changed the step.

The losses of the first steps hardly depend on the precision of one layer or on a small weight decay: they differ by
less than rounding. The weights do not. A step that is made twice in float32 rounds the weights themselves in the same
way: their distance is a fraction of that rounding, while float16 in one layer changes a gradient by 1e-4 of it or more.

What changed the step is found from the sketches, which are linear in the weights: their difference is a multiple of
the step's own change (learning rate), of the change before (momentum), of the gradient's part (dampening), or of the
weights (weight decay), or none of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Hyperparameters
from lenet.store.events import Layer
from lenet.store.sketch import PROJECTIONS
from lenet.workload.recomputation import RecomputedLayer

ROUNDING_SHARE = 0.25
"""Of the rounding of the weights: in the first steps nearly every value is rounded as in the emulation. MindSpore has
an eighth at most."""
FINAL_FACTOR = 10.0
"""The same many steps later. In MindSpore it is 1 at most, after 24 steps."""
TIES = 0.01
"""Of the distance from the initial values, many steps later. Where an activation is nearly 0 or two values of a pooling
block are nearly equal, rounding decides between two gradients, and once in some ten thousand images it decides
otherwise than the emulation: one such image moved a parameter by 7e-4 of that distance in 100 steps of 32 images.
A small learning rate or momentum of a later step changes as much, and changes the losses too."""
OTHERWISE = 4.0
"""Values of a parameter that may be rounded to their other neighbour, as the few of a bias."""
UPDATE_FACTOR = 10.0
"""How much more a device may round an update than the emulation of its precision does."""
NEW_ROUNDING = 4.0
"""Weights that changed otherwise are rounded otherwise: what is left of an explained difference."""
UNEXPLAINED = 0.2
"""Of the square of a difference: the most that is left of one that is explained."""
PRECISION = 0.25
"""Relative to a step's change: a lower precision changes it by less, another gradient by more. bfloat16 in a
convolution, where positive and negative parts of a gradient cancel, changes it by a tenth."""

Sketch = npt.NDArray[np.float64]
Explanation = tuple[Callable[[RecomputedLayer], Sketch], Callable[[float], str]]
"""What a difference may be a multiple of, and what the multiple says."""


@dataclass(frozen=True)
class Parted:
    """The weights are those of another training."""

    step: int
    """The first step, from 1, that belongs to it. What an update changes belongs to the next step, as in losses."""
    reason: str


@dataclass(frozen=True)
class _Layer:
    """A parameter that was recorded and recomputed."""

    name: str
    expected: RecomputedLayer
    difference: Sketch
    """Infinite where a value is not finite."""
    allowed: float

    @property
    def differs(self) -> bool:
        return math.isfinite(self.allowed) and not _norm(self.difference) <= self.allowed


@np.errstate(all="ignore")
def first_steps(
    step: int, recorded: Sequence[Layer], expected: Mapping[str, RecomputedLayer], hyper: Hyperparameters
) -> Parted | None:
    """Compare the weights after `step`, one of the first steps; None if they are those of the training."""
    found = _layers(recorded, expected, ROUNDING_SHARE, 0.0)
    changed = [each for each in found if each.differs]
    if not changed:
        return None
    others = f"the weights after step {step} are others ({_names(changed)})"
    for column, words in _explanations(step, hyper):
        share = _share(changed, [column(each.expected) for each in changed])
        if share is not None:
            return Parted(step + 1, f"{others}: {words(share)}")
    relative = max(_norm(each.difference) / max(each.expected.size, 1e-300) for each in changed)
    by = f"{others}, by {relative:.1g} of the step's change"
    if relative < PRECISION:
        return Parted(step, f"{by}: lower precision in a layer, or a small change of pixels")
    return Parted(step + 1, f"{by}: another gradient or optimiser")


@np.errstate(all="ignore")
def last_step(recorded: Sequence[Layer], expected: Mapping[str, RecomputedLayer]) -> str | None:
    """Compare the weights after many steps; which differ, in words, or None."""
    changed = [each for each in _layers(recorded, expected, FINAL_FACTOR, TIES) if each.differs]
    if not changed:
        return None
    factor = max(_norm(each.difference) / each.allowed for each in changed)
    return f"the weights after its last step are others ({_names(changed)}), by {factor:.2g} times the tolerance"


def _layers(
    recorded: Sequence[Layer], expected: Mapping[str, RecomputedLayer], rounding: float, ties: float
) -> list[_Layer]:
    """The expected layers. One that was not recorded differs by infinity."""
    sketches = {layer.name: layer.sketch for layer in recorded}
    found = []
    for name, known in expected.items():
        sketch = np.array(sketches.get(name, ()))
        if sketch.shape != known.weights.shape:
            sketch = np.full(PROJECTIONS, np.inf)
        # Rounding to the nearest has a standard deviation of a unit over the square root of 12.
        unit = math.sqrt(12 / known.values) * known.rounding
        rounded = rounding * known.rounding + OTHERWISE * unit + UPDATE_FACTOR * known.update_error
        allowed = rounded + ties * known.moved
        found.append(_Layer(name, known, sketch - known.weights, allowed))
    return found


def _norm(sketch: Sketch) -> float:
    """The Euclidean norm of what has this sketch."""
    return float(np.sqrt(np.mean(sketch**2)))


def _names(layers: Sequence[_Layer]) -> str:
    first, more = layers[0].name, len(layers) - 1
    return f"{first} and {more} later parameters" if more > 1 else " and ".join(each.name for each in layers)


def _share(layers: Sequence[_Layer], columns: Sequence[Sketch]) -> float | None:
    """The multiple of the columns that the differences are, or None. Layers count in their tolerances."""
    scale = [max(each.allowed, 1e-300) for each in layers]
    differences = np.concatenate([each.difference / most for each, most in zip(layers, scale, strict=True)])
    parts = np.concatenate([column / most for column, most in zip(columns, scale, strict=True)])
    if not np.isfinite(differences).all() or not parts.any():
        return None
    share = float(differences @ parts / (parts @ parts))
    left = differences - share * parts
    if left @ left > UNEXPLAINED * (differences @ differences):
        return None
    rest = left.reshape(len(layers), PROJECTIONS)
    if any(
        _norm(each) * most > layer.allowed + NEW_ROUNDING * layer.expected.rounding
        for each, most, layer in zip(rest, scale, layers, strict=True)
    ):
        return None
    return share


def _explanations(step: int, hyper: Hyperparameters) -> Iterator[Explanation]:
    rate, momentum = hyper.learning_rate, hyper.momentum

    def changed(share: float) -> str:
        times = f"they changed {1 + share:.4g} times as much as expected"
        if abs(share + 1) < 1e-3:
            return "they did not change: not trained, or not in every step"
        if step == 1 and abs(share - momentum) < 1e-3:
            return f"{times}: Nesterov's momentum"
        return f"{times}: a learning rate of {rate * (1 + share):.4g}, or as many times the gradient"

    yield (lambda each: each.change), changed
    yield (lambda each: each.before), lambda share: f"a weight decay of {-share / rate:.3g}"
    if step > 1:
        yield (lambda each: each.change_before), lambda share: f"a momentum of {momentum + share:.4g}"
        yield (
            lambda each: each.change - momentum * each.change_before,
            lambda share: f"a dampening of {-share:.3g}, or {1 + share:.4g} times the gradient",
        )
