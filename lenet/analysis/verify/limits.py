"""Nothing is faster than arithmetic allows: the workload's operations against a generous peak of the machine."""

from __future__ import annotations

from lenet.analysis.verify.evidence import Evidence, Messages
from lenet.cases.case import DeviceTarget
from lenet.machine.card import MachineCard
from lenet.store.events import Evaluated, Resident, Steps
from lenet.workload.layers import forward_flops, training_flops

FASTEST_CLOCK_HZ = 6.5e9
"""No processor is sold that clocks higher; a card may have been made while the clock was low."""

FLOPS_PER_CYCLE = {"avx512f": 64, "sve": 64, "avx2": 32, "asimd": 32, "avx": 16, "sse4_1": 8}
"""float32 operations per core and cycle of the widest units with that instruction set: for AVX-512 two units of sixteen
lanes, a multiplication and an addition each. The matrix units of AMX do not take float32."""

ACCELERATOR_FLOPS = 4e15
"""Operations per second that no single GPU or NPU reaches, in float32 or in the reduced precision used for it."""


def peak_flops(machine: MachineCard, target: DeviceTarget) -> float:
    """Operations per second that the machine, or one of its accelerators, cannot exceed."""
    if target is not DeviceTarget.CPU:
        return ACCELERATOR_FLOPS
    widest = max((FLOPS_PER_CYCLE.get(name, 0) for name in machine.instruction_sets), default=0)
    return machine.usable_cores * FASTEST_CLOCK_HZ * (widest or max(FLOPS_PER_CYCLE.values()))


def training_possible(e: Evidence) -> Messages:
    """No window trains faster than the devices of the case multiply."""
    devices = 1 if e.case.device_target is DeviceTarget.CPU else e.case.world_size
    limit = devices * peak_flops(e.machine, e.case.device_target) / training_flops()
    for line, event in [*e.attempt.of(Steps), *e.attempt.of(Resident)]:
        if event.images > limit * event.seconds:
            message = f"{event.images / event.seconds:,.0f} images/s, and this machine cannot exceed {limit:,.0f}"
            yield e.on(line), message


def evaluation_possible(e: Evidence) -> Messages:
    """No evaluation is faster than the device multiplies."""
    limit = peak_flops(e.machine, e.case.device_target) / forward_flops()
    for line, event in e.attempt.of(Evaluated):
        if event.images > limit * event.seconds:
            message = f"{event.images} images in {event.seconds} s, and this machine cannot exceed {limit:,.0f}/s"
            yield e.on(line), message


def machine_possible(e: Evidence) -> Messages:
    """No more cores are usable, and no more memory is available, than the machine has."""
    if e.machine.usable_cores > e.machine.logical_cores or e.machine.usable_cores < 1:
        yield e.at("machine_id"), f"{e.machine.usable_cores} of {e.machine.logical_cores} cores are usable"
    if e.machine.memory_available_bytes is not None and e.machine.memory_available_bytes > e.machine.memory_bytes:
        yield e.at("machine_id"), "more memory is available than the machine has"


RULES = (training_possible, evaluation_possible, machine_possible)
