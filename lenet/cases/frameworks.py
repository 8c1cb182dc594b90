"""The frameworks and what each supports.

The parent process reads this table and never imports a trainer; `lenet.training.build` imports it in a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Framework(str, Enum):
    """The library that runs the workload."""

    MINDSPORE = "mindspore"
    PYTORCH = "pytorch"


@dataclass(frozen=True)
class Abilities:
    """The part of a matrix that a framework supports; None is everything."""

    title: str
    package: str
    """What pip and the installed packages' metadata call it."""
    trainer: str
    """`module:class`, imported in a worker and nowhere else."""
    device_targets: frozenset[str] | None = None
    modes: frozenset[str] | None = None
    profile_settings: frozenset[str] | None = None
    data_parallel: bool = True
    """Whether several processes can train together."""

    def refusal(self, device_target: str, mode: str, profile: Mapping[str, Any], world_size: int) -> str | None:
        """Why the framework does not support these values, as half a sentence; None if it does.

        `profile` maps the settings of a profile to their values.
        """
        if self.device_targets is not None and device_target not in self.device_targets:
            return f"its device targets are {', '.join(sorted(self.device_targets))}, not {device_target}"
        if self.modes is not None and mode not in self.modes:
            return f"its modes are {', '.join(sorted(self.modes))}, not {mode}"
        if self.profile_settings is not None and (strange := sorted(set(profile) - self.profile_settings)):
            return f"the profile setting {', '.join(strange)} is not supported"
        if world_size > 1 and not self.data_parallel:
            return f"it trains in one process, not in {world_size}"
        return None


ABILITIES: Mapping[Framework, Abilities] = {
    Framework.MINDSPORE: Abilities("MindSpore", "mindspore", "lenet.training.mindspore:MindSporeTrainer"),
    # Eager only: `torch.compile` needs a C++ compiler where it runs, and its step is another one on each machine.
    Framework.PYTORCH: Abilities(
        "PyTorch",
        "torch",
        "lenet.training.torch:TorchTrainer",
        device_targets=frozenset({"CPU", "GPU"}),
        modes=frozenset({"pynative"}),
        data_parallel=False,
        profile_settings=frozenset({"operator_threads", "dispatch_threads", "launch_blocking", "onednn_isa"}),
    ),
}
