"""The initial weights that MindSpore draws, computed without MindSpore.

`ms.set_seed` seeds numpy's legacy generator. Every initialiser takes one 63-bit number from it and draws its values
from a counter-based generator with that number as the key. Sources: MindSpore's `common/seed.py`,
`common/initializer.py` and the public `include/common/random.h`; Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011 (Philox4x32-10); Box and Muller, 1958. A test compares every value with MindSpore's to the last bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lenet.workload.layers import LAYERS

Floats = npt.NDArray[np.float32]

DENSE_SIGMA = 0.02

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH_BITS = np.uint64(32)
_PI = float(np.float32(3.1415926))
_SMALLEST = float(np.float32(1e-7))


def initial_weights(seed: int) -> dict[str, Floats]:
    """Return the float32 values of every parameter of `PARAMETERS` by name, as MindSpore draws them after `set_seed`.

    `seed` is 0 to 2**32 - 1.
    """
    keys = np.random.RandomState(seed)
    weights = {}
    for layer in LAYERS:
        for name, shape in layer.parameters.items():
            key, count = int(keys.randint(1, 1 << 63, dtype=np.int64)), math.prod(shape)
            if layer.is_dense and shape == layer.weight_shape:
                values = _normal(key, count, DENSE_SIGMA)
            else:
                # HeUniform(sqrt(5)) of a convolution has the bound of a dense layer's bias, 1 / sqrt(fan in).
                values = _uniform(key, count, _bound(layer.fan_in, weight=not layer.is_dense))
            weights[name] = values.reshape(shape)
    return weights


def weights_sha256(parameters: Iterable[tuple[str, npt.NDArray[np.generic]]]) -> str:
    """Return the SHA-256 of every parameter's name, shape and little-endian float32 bytes, in the order given."""
    digest = hashlib.sha256()
    for name, value in parameters:
        digest.update(f"{name}:{value.shape};".encode())
        digest.update(np.ascontiguousarray(value, dtype="<f4").tobytes())
    return digest.hexdigest()


def _bound(fan_in: int, *, weight: bool) -> float:
    """The bound of the uniform values, computed in MindSpore's order of operations."""
    if not weight:
        return 1 / math.sqrt(fan_in)
    gain = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
    return math.sqrt(3.0) * (gain / math.sqrt(fan_in))


def _philox(key: int, count: int) -> npt.NDArray[np.uint64]:
    """uint64 (count,): 32-bit numbers of Philox4x32-10. The key is also the upper half of the counter."""
    blocks = -(-count // 4)
    low, high = key & 0xFFFFFFFF, key >> 32
    state = [
        np.arange(blocks, dtype=np.uint64),
        np.zeros(blocks, np.uint64),
        np.full(blocks, low, np.uint64),
        np.full(blocks, high, np.uint64),
    ]
    for round_ in range(10):
        left, right = state[0] * np.uint64(_MULTIPLIERS[0]), state[2] * np.uint64(_MULTIPLIERS[1])
        keys = [np.uint64((half + round_ * step) & 0xFFFFFFFF) for half, step in zip((low, high), _WEYL, strict=True)]
        state = [
            (right >> _HIGH_BITS) ^ state[1] ^ keys[0],
            right & _LOW,
            (left >> _HIGH_BITS) ^ state[3] ^ keys[1],
            left & _LOW,
        ]
    return np.stack(state, axis=1).reshape(-1)[:count]


def _uniform(key: int, count: int, bound: float) -> Floats:
    """float32 (count,) uniform in [-bound, bound), computed in float64."""
    upper = float(np.float32(bound))
    share = _philox(key, count).astype(np.float64) / 2.0**32
    return ((upper + upper) * share - upper).astype(np.float32)


def _normal(key: int, count: int, sigma: float) -> Floats:
    """float32 (count,) normal around 0: pairs by the Box-Muller transform, from 23-bit numbers, in float64.

    With the functions of `math`, as numpy's differ in the last bit between machines.
    """
    raw = _philox(key, count + count % 2).astype(np.uint32)
    unit = ((raw & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)).view(np.float32) - np.float32(1)
    numbers = np.maximum(unit.astype(np.float64), _SMALLEST).tolist()
    spread = float(np.float32(sigma))
    values = []
    for first, second in zip(numbers[::2], numbers[1::2], strict=True):
        radius = math.sqrt(-2.0 * math.log(first)) * spread
        angle = 2.0 * _PI * second
        values += [radius * math.cos(angle), radius * math.sin(angle)]
    return np.array(values[:count], np.float64).astype(np.float32)
