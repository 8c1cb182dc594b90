"""The order in which MindSpore's `MnistDataset` gives its images, without MindSpore.

Its sampler shuffles 0..n-1 with C++'s `std::shuffle` and a Mersenne twister that the seed starts; a new iterator
starts it anew. How `std::shuffle` spends its numbers is up to the C++ library: here it is libstdc++'s before GCC 11,
which MindSpore's wheels carry. Source: MindSpore's public `random_sampler.cc`; the C++ standard, [rand.eng.mers]. A
test proves the order equal to MindSpore's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_LARGEST = 0xFFFFFFFF


def order(count: int, seed: int) -> npt.NDArray[np.int64]:
    """The indices 0..count-1 in the order of one pass, int64 (count,). Every pass has the same."""
    numbers = _numbers(seed)
    indices = list(range(count))

    def swap(one: int, other: int) -> None:
        indices[one], indices[other] = indices[other], indices[one]

    if count * count > _LARGEST:
        for index in range(1, count):
            swap(index, _below(index + 1, numbers))
        return np.array(indices, np.int64)
    # Few enough that one number of 32 bits decides two swaps; an even count leaves one over, which goes first.
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
    """mt19937's numbers of 32 bits. numpy's legacy generator starts it from a seed as C++ does."""
    generator = np.random.RandomState(seed)
    while True:
        yield from generator.randint(0, 1 << 32, size=4096, dtype=np.uint32).tolist()


def _below(bound: int, numbers: Iterator[int]) -> int:
    """A whole number from 0 to `bound` - 1: numbers beyond the last whole multiple are thrown away."""
    width = _LARGEST // bound
    for number in numbers:
        if number < bound * width:
            return number // width
    raise AssertionError("the generator has no end")
