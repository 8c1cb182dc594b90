"""This machine's limits, measured: the peak of matrix products and the bandwidth of memory, on all usable cores."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lenet.cases.case import Frozen
from lenet.machine.cores import usable

MATRIX = 1024
"""Side of the square matrices: large enough to fill the cores, small enough to stay in the outer caches."""
COPY_BYTES = 64 * 2**20
"""A thread's block, read and written: far beyond any cache that the cores could share."""


class Limits(Frozen):
    """What this machine can do at best, as it was just measured."""

    gflops: float
    """10⁹ float32 operations a second of a matrix product (numpy's sgemm), the best of several."""
    gigabytes_per_second: float
    """10⁹ bytes a second, read and written, of copying large blocks, a thread a core, the best of several."""


def measure(seconds: float = 1.0) -> Limits:
    """Measure both, about `seconds` each."""
    return Limits(gflops=_matrix_product(seconds), gigabytes_per_second=_copy(seconds))


def _matrix_product(seconds: float) -> float:
    generator = np.random.default_rng(1)
    a = generator.random((MATRIX, MATRIX), dtype=np.float32)
    b = generator.random((MATRIX, MATRIX), dtype=np.float32)
    out = np.empty_like(a)
    np.matmul(a, b, out=out)  # starts the threads
    fastest = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or fastest == float("inf"):
        began = time.perf_counter()
        np.matmul(a, b, out=out)
        fastest = min(fastest, time.perf_counter() - began)
    return float(2 * MATRIX**3 / fastest / 1e9)


def _copy(seconds: float) -> float:
    threads = len(usable())
    pairs = [(np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)) for _ in range(min(threads, 16))]
    fastest = float("inf")
    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(len(pairs)) as pool:
        while time.perf_counter() < end or fastest == float("inf"):
            began = time.perf_counter()
            # numpy lets go of the interpreter's lock while it copies.
            list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))
            fastest = min(fastest, time.perf_counter() - began)
    return 2 * COPY_BYTES * len(pairs) / fastest / 1e9
