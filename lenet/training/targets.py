"""MindSpore's device API: choosing a device target, joining ranks, deterministic kernels, precision.

The parts for GPU and Ascend follow MindSpore's documentation and sources and are tested against a fake of these few
functions; they have not run on such a device.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
import numpy as np

from lenet.cases.case import DeviceTarget, RuntimeProfile
from lenet.machine.devices import missing
from lenet.training import DeviceUnavailableError

BACKENDS = {DeviceTarget.CPU: "mccl", DeviceTarget.GPU: "nccl", DeviceTarget.ASCEND: "hccl"}
"""MindSpore's libraries of collective communication."""


def full_precision(target: DeviceTarget) -> None:
    """Turn off TF32 and HF32, which are on by default in convolutions."""
    if target is DeviceTarget.GPU:
        ms.device_context.gpu.op_precision.conv_allow_tf32(False)
        ms.device_context.gpu.op_precision.matmul_allow_tf32(False)
    elif target is DeviceTarget.ASCEND:
        ms.device_context.ascend.op_precision.conv_allow_hf32(False)
        ms.device_context.ascend.op_precision.matmul_allow_hf32(False)


def precision(target: DeviceTarget, full: bool) -> str:
    """Return how float32 is multiplied, in words; `full` is whether `full_precision` was called."""
    if full or target is DeviceTarget.CPU:
        return "float32"
    short = "TF32" if target is DeviceTarget.GPU else "HF32"
    return f"float32, {short} in convolutions (the default)"


def choose_device(target: DeviceTarget, world_size: int = 1, *, full: bool = False) -> None:
    """Open `target` for this process, and join the other ranks if there are several.

    `full` turns full float32 precision on, before anything is multiplied. The device is the first of those that are
    visible, or for a rank the one that msrun assigns to it. CUDA_VISIBLE_DEVICES and ASCEND_RT_VISIBLE_DEVICES choose
    which are visible.

    Raises:
        DeviceUnavailableError: MindSpore cannot use it here.
    """
    try:
        if world_size > 1 and target is not DeviceTarget.CPU:
            ms.set_device(target.value, int(os.environ.get("DEVICE_ID", "0")))
        else:
            ms.set_device(target.value)
        if full:
            full_precision(target)
        if world_size > 1:
            join(target)  # before the first operator
        if target is not DeviceTarget.CPU:
            ms.Tensor(np.zeros(1, np.float32)).__add__(1).asnumpy()  # the device opens at its first operator
    except (RuntimeError, ValueError) as error:
        # MindSpore's message is about Ascend for every target; the log has all of it.
        lacking = "; ".join(missing(target)) or " ".join(str(error).split())[:300]
        raise DeviceUnavailableError(f"MindSpore {ms.__version__} cannot use {target.value} here: {lacking}") from error


def make_deterministic(profile: RuntimeProfile, target: DeviceTarget) -> None:
    """Turn on deterministic kernels if the profile asks for them, before any device is opened.

    `set_deterministic` affects Ascend's kernels and HCCL. MindSpore's GPU target ignores it: there the convolutions'
    algorithms are set to those that are documented as deterministic. On CPU there is nothing to set.
    """
    if not profile.deterministic:
        return
    if target is DeviceTarget.ASCEND:
        ms.set_deterministic(True)
    elif target is DeviceTarget.GPU:
        tuning = ms.device_context.gpu.op_tuning
        tuning.conv_fprop_algo("implicit_gemm")
        tuning.conv_dgrad_algo("algo_1")
        tuning.conv_wgrad_algo("algo_1")


def join(target: DeviceTarget) -> None:
    """Join the other ranks that msrun started; in msrun's scheduler, serve them until they end.

    Raises:
        RuntimeError: they are not found in time.
    """
    from mindspore.communication import init

    init(BACKENDS[target])


def rank() -> int:
    """Return this process's rank, 0 to `world_size` - 1."""
    from mindspore.communication import get_rank

    return int(get_rank())


def mean_over_ranks(world_size: int) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return a function from this rank's gradients to the mean of all ranks' gradients.

    It divides AllReduce's sum: MindSpore's CPU target has no other operation, and its DistributedGradReducer documents
    GPU and Ascend only. For equal shares of a batch this mean is the gradient of the whole batch.
    """
    reduce = ms.ops.AllReduce()

    def mean(gradients: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(reduce(gradient) / world_size for gradient in gradients)

    return mean
