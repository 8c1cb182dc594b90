"""What is measured: hyperparameters, runtime profile, measurement plan, case and matrix.

All models are frozen, refuse unknown fields and validate on construction, so that a `Case` which exists can be run.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Self

from lenet.cases.frameworks import ABILITIES, Framework

MINDSPORE_UNSET_SEED = 5489
"""The seed that MindSpore's data engine reads as "no seed": every run would see another order."""

WARMUP_STEPS_AT_LEAST = 60
"""MindSpore's CPU kernels tune themselves by the clock during about the first 50 steps (RELEASE notes of 1.7.0)."""

VERSION = r"^[0-9]{1,4}(\.[0-9]{1,4}){1,3}((a|b|rc|\.post|\.dev)[0-9]{1,4})?$"
"""A release as package indexes write it: 2.10.0, 2.7.1.post1."""

STEADY_WINDOWS_AT_LEAST = 3
"""A budget never ends a case before this many steady windows: fewer have no spread."""


class Frozen(BaseModel):
    """Base of every value here: immutable, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DeviceTarget(str, Enum):
    """MindSpore's names of device targets."""

    CPU = "CPU"
    GPU = "GPU"
    ASCEND = "Ascend"


class Mode(str, Enum):
    """How a step is executed.

    `pynative`: operator by operator. `graph`: the functional step under GRAPH_MODE. `jit`: the whole step, optimiser
    included, as one `@ms.jit` function under PyNative.
    """

    PYNATIVE = "pynative"
    GRAPH = "graph"
    JIT = "jit"

    @property
    def label(self) -> str:
        """What ran, in words, for a table."""
        return {
            Mode.PYNATIVE: "PyNative",
            Mode.GRAPH: "Graph (functional step)",
            Mode.JIT: "jit (whole step)",
        }[self]


class Pipeline(str, Enum):
    """Where the batches come from: made anew in every pass, or made once and held (`lenet.training.pipeline`)."""

    TUTORIAL = "tutorial"
    CACHED = "cached"


class Scaling(str, Enum):
    """What stays when a training is spread over several processes.

    `strong`: the batch, which the processes share. `weak`: each process's batch, so that the whole grows with them.
    """

    STRONG = "strong"
    WEAK = "weak"


class Hyperparameters(Frozen):
    """The training itself; the defaults are those of MindSpore's beginner tutorial."""

    batch_size: int = Field(default=32, ge=1, le=65536)
    learning_rate: float = Field(default=1e-2, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    seed: int = Field(default=1, ge=0, lt=2**32)

    @field_validator("seed")
    @classmethod
    def _seed_is_a_seed(cls, seed: int) -> int:
        if seed == MINDSPORE_UNSET_SEED:
            raise ValueError(f"{seed} is MindSpore's mark for an unset seed; choose another")
        return seed


TUNED = "tuned"
"""The profile that `lenet-bench tune` saved for a machine, framework version, device, mode and batch size."""


class RuntimeProfile(Frozen):
    """Settings around the training that change its speed and not its definition. `default` sets nothing."""

    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.+=-]{0,159}$")
    operator_threads: int | None = Field(default=None, ge=1, le=1024)
    dispatch_threads: int | None = Field(default=None, ge=1, le=1024)
    dataset_workers: int | None = Field(default=None, ge=1, le=1024)
    dataset_prefetch: int | None = Field(default=None, ge=1, le=1024)
    """Batches that each stage of the data pipeline holds ready."""
    cpu_affinity: int | None = Field(default=None, ge=1, le=4096)
    """How many cores the worker may use: one thread of each physical core before the second of any."""
    launch_blocking: bool = False
    onednn_isa: Literal["SSE41", "AVX", "AVX2", "AVX512_CORE"] | None = None
    jit_level: Literal["O0", "O1"] | None = None
    """How far MindSpore fuses a graph; in PyNative mode there is none."""
    deterministic: bool = False
    """The switches that make the device's kernels and sums repeat themselves, where it has such."""
    tuned_by: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,119}$")
    """The run whose measurements gave a tuned profile. A profile named `tuned` without it still has to be looked up."""

    @property
    def settings(self) -> dict[str, Any]:
        """What it sets, by name; empty for MindSpore as installed."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "tuned_by"})

    @property
    def text(self) -> str:
        """The settings as `parse` reads them; `default` where nothing is set."""
        parts = (name if value is True else f"{name}={value}" for name, value in self.settings.items())
        return "+".join(parts) or "default"

    @property
    def unresolved(self) -> bool:
        """Whether it is the name `tuned` only: the settings are those that were saved for a case."""
        return self.name == TUNED and self.tuned_by is None

    @property
    def environment(self) -> dict[str, str]:
        """Variables that must be set before the framework is imported. oneDNN before 3.0 reads the DNNL_ names."""
        variables: dict[str, str] = {}
        if self.onednn_isa is not None:
            variables |= {"ONEDNN_MAX_CPU_ISA": self.onednn_isa, "DNNL_MAX_CPU_ISA": self.onednn_isa}
        if self.deterministic:
            variables |= {"HCCL_DETERMINISTIC": "true"}
        return variables

    @classmethod
    def parse(cls, text: str) -> RuntimeProfile:
        """A profile from its name or from settings joined by `+`, as in `onednn_isa=AVX2+launch_blocking`.

        Raises:
            ValueError: an unknown name or setting, or a value out of range.
        """
        if text in ("default", TUNED):
            return cls(name=text)
        known = [field for field in cls.model_fields if field not in ("name", "tuned_by")]
        settings: dict[str, Any] = {}
        for part in text.split("+"):
            key, separator, value = part.partition("=")
            if key not in known:
                listed = ", ".join(known)
                raise ValueError(
                    f"unknown profile setting {key!r}; use 'default', 'tuned' or settings of {listed}, joined by +"
                )
            settings[key] = value if separator else True
        return cls(name=text.lower(), **settings)


class Plan(Frozen):
    """How much of the training is carried out and measured.

    With `epochs` the case trains that many whole epochs, evaluating the whole test set after each. Without, it
    trains until `windows` steady windows are measured or `budget_seconds` of training are spent, whichever is first,
    and evaluates once. A steady window is `window_steps` steps, or, where training is fast, as many as fill
    `window_seconds` at the pace of the warm-up: what a reading of the clock costs then stays below the noise.
    """

    epochs: int | None = Field(default=None, ge=1, le=10_000)
    warmup_steps: int = Field(default=WARMUP_STEPS_AT_LEAST, ge=1)
    window_steps: int = Field(default=20, ge=1, le=100_000)
    window_seconds: float = Field(default=0.5, ge=0, le=3600)
    windows: int = Field(default=10, ge=1, le=1_000_000)
    resident_windows: int = Field(default=3, ge=0, le=1_000_000)
    budget_seconds: float = Field(default=60.0, gt=0)
    evaluation_images: int | None = Field(default=None, ge=1)
    """Test images judged when the plan has no whole epochs; None is the whole test set."""
    trace: bool = False
    """A case for parity: weights and batches of every step are reported, arithmetic is full float32 on every device,
    and no step is timed. Without `epochs` it trains `warmup_steps` steps."""


class Case(Frozen):
    """One point of the matrix: exactly what one worker process carries out."""

    framework: Framework = Framework.MINDSPORE
    framework_version: str | None = Field(default=None, pattern=VERSION)
    """The release to run on, in an environment of its own; None is the one that is installed here."""
    device_target: DeviceTarget = DeviceTarget.CPU
    mode: Mode = Mode.GRAPH
    dataset: str = Field(default="mnist", min_length=1, max_length=120)
    """`mnist`, `digits`, or `FOLDER@DIGEST` for other data of MNIST's shape."""
    pipeline: Pipeline = Pipeline.TUTORIAL
    profile: RuntimeProfile = RuntimeProfile()
    world_size: int = Field(default=1, ge=1, le=1024)
    """Processes, each with a device of its own, that carry the training out together (data parallel)."""
    scaling: Scaling = Scaling.STRONG
    repetition: int = Field(default=0, ge=0)
    hyperparameters: Hyperparameters = Hyperparameters()
    plan: Plan = Plan()

    @model_validator(mode="after")
    def _the_framework_can(self) -> Case:
        why = self.refusal(self.framework, self.device_target, self.mode, self.profile, self.world_size)
        if why is not None:
            raise ValueError(f"{self.framework.value} cannot carry that out: {why}")
        return self

    @staticmethod
    def refusal(
        framework: Framework, target: DeviceTarget, mode: Mode, profile: RuntimeProfile, world_size: int
    ) -> str | None:
        """Why the framework has no such case, as half a sentence; None when it has."""
        return ABILITIES[framework].refusal(target.value, mode.value, profile.settings, world_size)

    @model_validator(mode="after")
    def _the_batch_can_be_shared(self) -> Case:
        if self.world_size == 1 and self.scaling is not Scaling.STRONG:
            raise ValueError("one process has no scaling: leave it at strong")
        if self.scaling is Scaling.STRONG and self.hyperparameters.batch_size % self.world_size:
            raise ValueError(
                f"a batch of {self.hyperparameters.batch_size} images cannot be shared by {self.world_size} processes; "
                "choose a multiple, or weak scaling"
            )
        return self

    @property
    def global_batch_size(self) -> int:
        """Images of one training step, over all processes."""
        return self.hyperparameters.batch_size * (self.world_size if self.scaling is Scaling.WEAK else 1)

    @property
    def rank_batch_size(self) -> int:
        """Images of one training step that one process trains on."""
        return self.global_batch_size // self.world_size

    @functools.cached_property
    def id(self) -> str:
        """A stable name: readable fields, then a digest of every field that is not its default. Safe as a file name.

        Defaults are left out so that an axis which is added later leaves the names of older cases as they were.
        """
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        words = [self.device_target.value.lower(), self.mode.value, f"b{self.hyperparameters.batch_size}", digest]
        if self.framework is not Framework.MINDSPORE:
            words.insert(0, self.framework.value)
        return "-".join(words)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, changed. The id that the original has kept is not the copy's."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("id", None)
        return copy

    @property
    def label(self) -> str:
        """The case in words, for progress lines."""
        words = [self.device_target.value, self.mode.value, f"batch {self.hyperparameters.batch_size}"]
        if self.framework_version is not None:
            words.insert(0, self.framework_version)
        if self.framework is not Framework.MINDSPORE:
            words.insert(0, self.framework.value)
        if self.pipeline is not Pipeline.TUTORIAL:
            words.append(f"{self.pipeline.value} pipeline")
        if self.profile.name != "default":
            words.append(self.profile.name)
        if self.world_size > 1:
            words.append(f"{self.world_size} processes, {self.scaling.value} scaling")
        words.append(f"seed {self.hyperparameters.seed}")
        if self.repetition:
            words.append(f"repetition {self.repetition + 1}")
        return " · ".join(words)
