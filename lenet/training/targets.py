"""Where the project meets MindSpore's device API: one device target chosen, joined to others, made to repeat itself.

The CPU's part runs here. What is for GPU and Ascend is written from MindSpore's documentation and sources, and tested
against a fake of these few functions; it has not been run on such a device.
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
    """Float32 multiplied as float32: off with TF32 and HF32, which are on by default in convolutions."""
    if target is DeviceTarget.GPU:
        ms.device_context.gpu.op_precision.conv_allow_tf32(False)
        ms.device_context.gpu.op_precision.matmul_allow_tf32(False)
    elif target is DeviceTarget.ASCEND:
        ms.device_context.ascend.op_precision.conv_allow_hf32(False)
        ms.device_context.ascend.op_precision.matmul_allow_hf32(False)


def precision(target: DeviceTarget, full: bool) -> str:
    """How float32 is multiplied, in words. MindSpore's defaults, where `full_precision` was not called."""
    if full or target is DeviceTarget.CPU:
        return "float32"
    short = "TF32" if target is DeviceTarget.GPU else "HF32"
    return f"float32, {short} in convolutions (the default)"


def choose_device(target: DeviceTarget, world_size: int = 1, *, full: bool = False) -> None:
    """Make `target` this process's device, and meet the other ranks where there are several.

    `full` asks for full float32 precision, before anything is multiplied.

    It is the first of the devices that are visible, or for a rank the one that msrun gives it. CUDA_VISIBLE_DEVICES
    and ASCEND_RT_VISIBLE_DEVICES choose which are visible.

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
        # MindSpore's own words speak of Ascend whatever was asked; the log keeps them whole.
        lacking = "; ".join(missing(target)) or " ".join(str(error).split())[:300]
        raise DeviceUnavailableError(f"MindSpore {ms.__version__} cannot use {target.value} here: {lacking}") from error


def make_deterministic(profile: RuntimeProfile, target: DeviceTarget) -> None:
    """The profile's switches for repeatable sums, before any device is opened.

    `set_deterministic` reaches Ascend's kernels and HCCL. MindSpore's GPU target has no reader of it: there the
    convolutions' algorithms are fixed to those that are documented as deterministic. On CPU there is nothing to set.
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
    """Meet the other ranks that msrun started; in msrun's scheduler, serve them until they end.

    Raises:
        RuntimeError: they were not found in time.
    """
    from mindspore.communication import init

    init(BACKENDS[target])


def rank() -> int:
    """This process's rank, 0 to `world_size` - 1."""
    from mindspore.communication import get_rank

    return int(get_rank())


def mean_over_ranks(world_size: int) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function that makes gradients the mean of all ranks' gradients.

    By hand over AllReduce's sum: MindSpore's CPU target knows no other operation, and its DistributedGradReducer
    documents GPU and Ascend alone. Equal shares of a batch make the mean of their means the batch's own.
    """
    reduce = ms.ops.AllReduce()

    def mean(gradients: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(reduce(gradient) / world_size for gradient in gradients)

    return mean
