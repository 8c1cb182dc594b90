"""The frameworks and what each supports.

The parent process reads this table and never imports a trainer; `lenet.training.build` imports it in a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lenet.cases.values import Mode


class Framework(str, Enum):
    """The library that runs the workload."""

    MINDSPORE = "mindspore"
    PYTORCH = "pytorch"


@dataclass(frozen=True)
class Abilities:
    """The part of a matrix that a framework supports. Where None is possible, it is everything."""

    title: str
    package: str
    """What pip and the installed packages' metadata call it."""
    trainer: str
    """`module:class`, imported in a worker and nowhere else."""
    modes: tuple[Mode, ...]
    """In the order of a table."""
    other_names: Mapping[Mode, Mode] = field(default_factory=dict)
    """Modes of other frameworks that name one of its own."""
    single_process_modes: frozenset[Mode] = frozenset()
    """Modes in which several processes cannot train together."""
    device_targets: frozenset[str] | None = None
    profile_settings: frozenset[str] | None = None
    data_parallel: bool = True
    """Whether several processes can train together."""

    def has(self, mode: Mode) -> bool:
        """Whether the framework has the mode, under its own name or another."""
        return self.own_mode(mode) in self.modes

    def own_mode(self, mode: Mode) -> Mode:
        """The framework's own name of a mode; the mode itself if the framework does not know it."""
        return self.other_names.get(mode, mode)

    def refusal(self, device_target: str, mode: Mode, profile: Mapping[str, Any], world_size: int) -> str | None:
        """Why the framework does not support these values, as half a sentence; None if it does.

        `profile` maps the settings of a profile to their values.
        """
        if self.device_targets is not None and device_target not in self.device_targets:
            return f"its device targets are {', '.join(sorted(self.device_targets))}, not {device_target}"
        if not self.has(mode):
            return f"its modes are {', '.join(each.value for each in self.modes)}, not {mode.value}"
        if self.profile_settings is not None and (strange := sorted(set(profile) - self.profile_settings)):
            return f"the profile setting {', '.join(strange)} is not supported"
        if world_size > 1 and not self.data_parallel:
            return f"it trains in one process, not in {world_size}"
        if world_size > 1 and mode in self.single_process_modes:
            return f"in mode {mode.value} it trains in one process, not in {world_size}"
        return None


ABILITIES: Mapping[Framework, Abilities] = {
    Framework.MINDSPORE: Abilities(
        "MindSpore",
        "mindspore",
        "lenet.training.mindspore:MindSporeTrainer",
        modes=(Mode.PYNATIVE, Mode.GRAPH, Mode.JIT, Mode.MODEL),
        # Its cells average gradients with DistributedGradReducer, which is documented for GPU and Ascend only.
        single_process_modes=frozenset({Mode.MODEL}),
    ),
    Framework.PYTORCH: Abilities(
        "PyTorch",
        "torch",
        "lenet.training.torch:TorchTrainer",
        device_targets=frozenset({"CPU", "GPU"}),
        modes=(Mode.EAGER, Mode.COMPILE),
        # Records of older versions, and whoever runs both frameworks, call its eager mode by MindSpore's name.
        other_names={Mode.PYNATIVE: Mode.EAGER},
        data_parallel=False,
        profile_settings=frozenset(
            {"operator_threads", "dispatch_threads", "launch_blocking", "onednn_isa", "allocator"}
        ),
    ),
}


def shared_mode(mode: Mode) -> Mode:
    """The mode under which it compares with those of other frameworks: PyTorch's `eager` is MindSpore's `pynative`."""
    names = {own: other for each in ABILITIES.values() for other, own in each.other_names.items()}
    return names.get(mode, mode)
