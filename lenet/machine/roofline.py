"""Measure this machine's roofline: peak arithmetic of matrix products and memory bandwidth, on all usable cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lenet.cases.case import Frozen
from lenet.machine.cores import usable_cores

MATRIX = 1024
"""Side of the square matrices: large enough to fill the cores, small enough to stay in the outer caches."""
COPY_BYTES = 64 * 2**20
"""A thread's block, larger than any shared cache."""


class Roofline(Frozen):
    """This machine's peak rates, the best of several measurements."""

    gflops: float
    """10⁹ float32 operations per second of a matrix product (numpy's sgemm)."""
    gigabytes_per_second: float
    """10⁹ bytes per second, read and written, of copying large blocks with a thread per core."""


def measure(seconds: float = 1.0) -> Roofline:
    """Measure both rates, for about `seconds` each."""
    return Roofline(gflops=_matrix_product(seconds), gigabytes_per_second=_copy(seconds))


def _matrix_product(seconds: float) -> float:
    generator = np.random.default_rng(1)
    a = generator.random((MATRIX, MATRIX), dtype=np.float32)
    b = generator.random((MATRIX, MATRIX), dtype=np.float32)
    out = np.empty_like(a)
    np.matmul(a, b, out=out)  # starts numpy's threads
    return 2 * MATRIX**3 / _fastest(seconds, lambda: np.matmul(a, b, out=out)) / 1e9


def _copy(seconds: float) -> float:
    threads = len(usable_cores())
    pairs = [(np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)) for _ in range(min(threads, 16))]
    with ThreadPoolExecutor(len(pairs)) as pool:
        # numpy releases the interpreter's lock while it copies.
        fastest = _fastest(seconds, lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs)))
    return 2 * COPY_BYTES * len(pairs) / fastest / 1e9


def _fastest(seconds: float, work: Callable[[], object]) -> float:
    """Seconds of the fastest of the calls that fit into the time, at least one."""
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or fastest == float("inf"):
        began = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest
