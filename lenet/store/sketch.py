"""A layer's digest and its sketch, which tells how far apart the values of two layers are.

A digest says whether two layers are equal to the last bit, not how far from equal they are. The values would say it,
but LeNet's are a quarter of a megabyte a step. A sketch is 16 sums of the values with fixed random signs: the mean
square of the differences of two sketches is, in expectation, the squared Euclidean distance of the layers, with a
relative standard deviation of sqrt(2 / 16), so the distance is known to within about a fifth. Source: D. Achlioptas,
Database-friendly random projections, Journal of Computer and System Sciences 66, 2003.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lenet.store.events import Layer

PROJECTIONS = 16
SKETCHED_STEPS = (1, 2)
"""A worker reports sketches of the weights after these steps, and after the last."""


@functools.cache
def _signs(size: int) -> npt.NDArray[np.float64]:
    """Signs (PROJECTIONS, size), the same everywhere: bits of a hash, as generators change with their versions."""
    count = PROJECTIONS * size
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(b"sketch").digest(-(-count // 8)), np.uint8))[:count]
    return (bits.astype(np.float64) * 2 - 1).reshape(PROJECTIONS, size)


def layer(name: str, values: npt.NDArray[np.float32]) -> Layer:
    """The digest, norm and sketch of one parameter's values."""
    flat = np.ascontiguousarray(values, "<f4").ravel()
    wide = flat.astype(np.float64)
    finite = bool(np.isfinite(wide).all())
    return Layer(
        name=name,
        sha256=hashlib.sha256(flat.tobytes()).hexdigest(),
        norm=float(np.sqrt(np.dot(wide, wide))) if finite else None,
        sketch=tuple(project(wide).tolist()) if finite else (),
    )


def layers(weights: Iterable[tuple[str, npt.NDArray[np.float32]]]) -> tuple[Layer, ...]:
    """The same of all parameters."""
    return tuple(layer(name, values) for name, values in weights)


def project(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sketch (PROJECTIONS,) of values of any shape. It is linear in them."""
    return _signs(values.size) @ values.ravel()


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Estimated Euclidean distance of two layers of one shape by their sketches; infinite where one has none."""
    if not a or len(a) != len(b):
        return math.inf
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a))
