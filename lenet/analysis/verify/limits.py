"""Nothing is faster than arithmetic allows: the workload's operations against a generous peak of the machine."""

from __future__ import annotations

from lenet.analysis.verify.evidence import Evidence, Violations
from lenet.cases.case import DeviceTarget
from lenet.machine.card import MachineCard
from lenet.workload.layers import forward_flops, training_flops

FASTEST_CLOCK_HZ = 6.5e9
"""No processor is sold that clocks higher; a card may have been made while the clock was low."""

FLOPS_A_CYCLE = {"avx512f": 64, "sve": 64, "avx2": 32, "asimd": 32, "avx": 16, "sse4_1": 8}
"""float32 operations a core and cycle, at the widest units that have the instruction set: for AVX-512 two of sixteen
lanes, a multiplication and an addition each. The matrix units of AMX do not take float32."""

ACCELERATOR_FLOPS = 4e15
"""Operations a second that no single GPU or NPU reaches in float32, reduced precision for it included."""


def peak_flops(machine: MachineCard, target: DeviceTarget) -> float:
    """Operations a second that the machine cannot pass."""
    if target is not DeviceTarget.CPU:
        return ACCELERATOR_FLOPS
    widest = max((FLOPS_A_CYCLE.get(name, 0) for name in machine.instruction_sets), default=0)
    return machine.usable_cores * FASTEST_CLOCK_HZ * (widest or max(FLOPS_A_CYCLE.values()))


def training_possible(e: Evidence) -> Violations:
    """No window trains faster than the machine multiplies."""
    limit = peak_flops(e.machine, e.case.device_target) / training_flops()
    for line, event in [*e.attempt.steps, *e.attempt.resident]:
        if event.images > limit * event.seconds:
            yield (
                e.on(line),
                f"{event.images / event.seconds:,.0f} images/s, and this machine's arithmetic ends at {limit:,.0f}",
            )


def evaluation_possible(e: Evidence) -> Violations:
    """No evaluation is faster than the machine multiplies."""
    limit = peak_flops(e.machine, e.case.device_target) / forward_flops()
    for line, event in e.attempt.evaluated:
        if event.images > limit * event.seconds:
            yield (
                e.on(line),
                f"{event.images} images in {event.seconds} s; this machine's arithmetic ends at {limit:,.0f}/s",
            )


def machine_possible(e: Evidence) -> Violations:
    """The machine has no more cores than it has."""
    if e.machine.usable_cores > e.machine.logical_cores or e.machine.usable_cores < 1:
        yield e.at("machine_id"), f"{e.machine.usable_cores} of {e.machine.logical_cores} cores are said to be usable"


RULES = (training_possible, evaluation_possible, machine_possible)
