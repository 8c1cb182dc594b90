"""The order in which MindSpore's `MnistDataset` yields its images, computed without MindSpore.

Its sampler shuffles 0..n-1 with C++'s `std::shuffle` and a Mersenne Twister that is seeded again for every iterator.
How `std::shuffle` uses the random numbers depends on the C++ library: here it is libstdc++ before GCC 11, which is in
MindSpore's wheels. Sources: MindSpore's public `random_sampler.cc`; the C++ standard, [rand.eng.mers]. A test compares
the order with MindSpore's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_LARGEST = 0xFFFFFFFF


def order(count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices 0..count-1 in the order of a pass, int64 (count,). Every pass has the same order."""
    numbers = _numbers(seed)
    indices = list(range(count))

    def swap(one: int, other: int) -> None:
        indices[one], indices[other] = indices[other], indices[one]

    if count * count > _LARGEST:
        for index in range(1, count):
            swap(index, _below(index + 1, numbers))
        return np.array(indices, np.int64)
    # One 32-bit number decides two swaps. For an even count, a single swap comes first.
    start = 1
    if count % 2 == 0 and count:
        swap(1, _below(2, numbers))
        start = 2
    for index in range(start, count, 2):
        first, second = divmod(_below((index + 1) * (index + 2), numbers), index + 2)
        swap(index, first)
        swap(index + 1, second)
    return np.array(indices, np.int64)


def _numbers(seed: int) -> Iterator[int]:
    """The 32-bit numbers of mt19937. numpy's legacy generator seeds it as C++ does."""
    generator = np.random.RandomState(seed)
    while True:
        yield from generator.randint(0, 1 << 32, size=4096, dtype=np.uint32).tolist()


def _below(bound: int, numbers: Iterator[int]) -> int:
    """A uniform integer in [0, bound): numbers beyond the last whole multiple of `bound` are rejected."""
    width = _LARGEST // bound
    for number in numbers:
        if number < bound * width:
            return number // width
    raise AssertionError("the generator has no end")
