"""What separates a step from PyTorch's and from the limit of arithmetic, by its waits, host and kinds of kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lenet.analysis.explain.account import KERNELS, StepAccount
from lenet.analysis.explain.observation import Observed, Operator
from lenet.cases.base import Frozen
from lenet.workload.layers import LAYERS

CONVOLUTION, PRODUCT, OTHER = "convolution", "matrix product", "other kernels"
KINDS = (
    (CONVOLUTION, r"conv"),
    ("pooling", r"pool"),
    ("activation", r"relu|clamp_min|threshold"),
    ("loss", r"softmax|nll|cross_?entropy"),
    (PRODUCT, r"matmul|addmm|(^|_)mm$|bias_?add|dense|linear"),
    ("optimiser", r"momentum|foreach|^(add|mul|sub|addcmul)_?$|sgd|assign"),
)
"""Kinds of operators with what their names contain, in MindSpore's profiler and in PyTorch's; the first that fits."""


class GapLine(Frozen):
    """One part of a step, in milliseconds per step."""

    name: str
    ours: float
    theirs: float | None
    """PyTorch's; None if it was not measured."""
    limit: float | None
    """What its arithmetic takes at the device's measured peak; 0 for a part without counted arithmetic, None without a
    measured peak."""


def kind(operator: str) -> str:
    """The kind of an operator, by its name.

    >>> kind("Conv2DBackpropFilter"), kind("MatMul"), kind("max_pool2d_with_indices"), kind("as_strided")
    ('convolution', 'matrix product', 'pooling', 'other kernels')
    """
    return next((name for name, pattern in KINDS if re.search(pattern, operator.lower())), OTHER)


def gap(observed: Observed, twin: tuple[StepAccount, Sequence[Operator]] | None) -> tuple[GapLine, ...]:
    """The parts of the observed step beside those of its twin in PyTorch and the limit of arithmetic.

    Empty if the step has no account, or there is nothing to put beside it.

    The columns add up to the sums of the accounts, and to the step at the limit of arithmetic.
    """
    limits = _limits(observed)
    if observed.account is None or (twin is None and limits is None):
        return ()
    ours = _parts(observed.account, observed.operators)
    theirs = _parts(*twin) if twin is not None else {}
    names = [*ours, *(name for name in (*theirs, *(limits or ())) if name not in ours)]
    return tuple(
        GapLine(
            name=name,
            ours=ours.get(name, 0.0),
            theirs=theirs.get(name, 0.0) if twin is not None else None,
            limit=limits.get(name, 0.0) if limits is not None else None,
        )
        for name in dict.fromkeys(names)
    )


def _parts(account: StepAccount, operators: Sequence[Operator]) -> dict[str, float]:
    """The parts of a step, with its kernels by kind: operators that run at the same time share the time they take."""
    kinds: dict[str, float] = {}
    for each in operators:
        kinds[kind(each.name)] = kinds.get(kind(each.name), 0.0) + each.milliseconds
    total = sum(kinds.values())
    parts: dict[str, float] = {}
    for part in account.parts:
        if part.name == KERNELS and total:
            ordered = sorted(kinds, key=kinds.__getitem__, reverse=True)
            parts |= {name: part.milliseconds * kinds[name] / total for name in ordered}
        else:
            parts[part.name] = part.milliseconds
    return parts


def _limits(observed: Observed) -> dict[str, float] | None:
    """Milliseconds of the arithmetic of a step at the measured peak, by kind of kernel; None if none was measured."""
    if observed.bounds is None:
        return None
    found = {CONVOLUTION: 0.0, PRODUCT: 0.0}
    for layer in LAYERS:
        flops = layer.training_flops * observed.case.global_batch_size
        found[PRODUCT if layer.is_dense else CONVOLUTION] += flops / observed.bounds.gflops / 1e6
    return found
