"""What is measured: hyperparameters, runtime profile, measurement plan, case and matrix.

All models are frozen, refuse unknown fields and validate on construction, so that a `Case` which exists can be run.
"""

from __future__ import annotations

import hashlib
import json
from enum import Enum
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MINDSPORE_UNSET_SEED = 5489
"""The seed that MindSpore's data engine reads as "no seed": every run would see another order."""

WARMUP_STEPS_AT_LEAST = 60
"""MindSpore's CPU kernels tune themselves by the clock during about the first 50 steps (RELEASE notes of 1.7.0)."""


class Frozen(BaseModel):
    """Base of every value here: immutable, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Framework(str, Enum):
    """The library that carries the workload out."""

    MINDSPORE = "mindspore"


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


class RuntimeProfile(Frozen):
    """Settings around the training that change its speed and not its definition. `default` sets nothing."""

    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.+=-]{0,79}$")
    operator_threads: int | None = Field(default=None, ge=1, le=1024)
    dispatch_threads: int | None = Field(default=None, ge=1, le=1024)
    dataset_workers: int | None = Field(default=None, ge=1, le=1024)
    launch_blocking: bool = False
    onednn_isa: Literal["SSE41", "AVX", "AVX2", "AVX512_CORE"] | None = None
    jit_level: Literal["O0", "O1"] | None = None
    """How far MindSpore fuses a graph; in PyNative mode there is none."""
    deterministic: bool = False
    """The switches that make the device's kernels and sums repeat themselves, where it has such."""

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
        if text == "default":
            return cls()
        settings: dict[str, Any] = {}
        for part in text.split("+"):
            key, separator, value = part.partition("=")
            if key == "name" or key not in cls.model_fields:
                known = ", ".join(field for field in cls.model_fields if field != "name")
                raise ValueError(f"unknown profile setting {key!r}; use 'default' or settings of {known}, joined by +")
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


class Case(Frozen):
    """One point of the matrix: exactly what one worker process carries out."""

    framework: Framework = Framework.MINDSPORE
    device_target: DeviceTarget = DeviceTarget.CPU
    mode: Mode = Mode.GRAPH
    dataset: str = Field(default="mnist", min_length=1, max_length=120)
    """`mnist`, `digits`, or `FOLDER@DIGEST` for other data of MNIST's shape."""
    profile: RuntimeProfile = RuntimeProfile()
    world_size: int = Field(default=1, ge=1, le=1024)
    """Processes, each with a device of its own, that carry the training out together (data parallel)."""
    scaling: Scaling = Scaling.STRONG
    repetition: int = Field(default=0, ge=0)
    hyperparameters: Hyperparameters = Hyperparameters()
    plan: Plan = Plan()

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

    @property
    def id(self) -> str:
        """A stable name: readable fields, then a digest of every field that is not its default. Safe as a file name.

        Defaults are left out so that an axis which is added later leaves the names of older cases as they were.
        """
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        return f"{self.device_target.value.lower()}-{self.mode.value}-b{self.hyperparameters.batch_size}-{digest}"

    @property
    def label(self) -> str:
        """The case in words, for progress lines."""
        words = [self.device_target.value, self.mode.value, f"batch {self.hyperparameters.batch_size}"]
        if self.profile.name != "default":
            words.append(self.profile.name)
        if self.world_size > 1:
            words.append(f"{self.world_size} processes, {self.scaling.value} scaling")
        words.append(f"seed {self.hyperparameters.seed}")
        if self.repetition:
            words.append(f"repetition {self.repetition + 1}")
        return " · ".join(words)


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value is listed twice")
    return values


class Matrix(Frozen):
    """The set of cases that a preset, a TOML file or the command line spans."""

    name: str = Field(default="matrix", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = ""
    frameworks: Annotated[tuple[Framework, ...], Field(min_length=1)] = (Framework.MINDSPORE,)
    device_targets: Annotated[tuple[DeviceTarget, ...], Field(min_length=1)] = (DeviceTarget.CPU,)
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = tuple(Mode)
    batch_sizes: Annotated[tuple[int, ...], Field(min_length=1)] = (32,)
    datasets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
    profiles: Annotated[tuple[RuntimeProfile, ...], Field(min_length=1)] = (RuntimeProfile(),)
    world_sizes: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    scalings: Annotated[tuple[Scaling, ...], Field(min_length=1)] = (Scaling.STRONG,)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    repeat: int = Field(default=1, ge=1, le=1000)
    learning_rate: float = 1e-2
    momentum: float = 0.9
    plan: Plan = Plan()

    @field_validator("profiles", mode="before")
    @classmethod
    def _profiles_by_name(cls, profiles: Any) -> Any:
        if not isinstance(profiles, (list, tuple)):
            return profiles
        return tuple(RuntimeProfile.parse(item) if isinstance(item, str) else item for item in profiles)

    @model_validator(mode="after")
    def _every_case_is_valid_and_single(self) -> Matrix:
        for values in (self.device_targets, self.modes, self.batch_sizes, self.datasets, self.profiles, self.seeds):
            _unique(values)
        _unique(self.world_sizes)
        _unique(self.scalings)
        self.cases()
        return self

    @property
    def span(self) -> str:
        """The axes in words, for the head of a run."""
        words = [
            ", ".join(each.value for each in self.device_targets),
            ", ".join(each.value for each in self.modes),
            f"batch {', '.join(map(str, self.batch_sizes))}",
            ", ".join(self.datasets),
            f"profile {', '.join(each.name for each in self.profiles)}",
            f"seed {', '.join(map(str, self.seeds))}",
        ]
        if self.world_sizes != (1,):
            scaling = ", ".join(each.value for each in self.scalings)
            words.append(f"{', '.join(map(str, self.world_sizes))} processes ({scaling} scaling)")
        if self.repeat > 1:
            words.append(f"{self.repeat} processes each")
        if self.plan.epochs is not None:
            words.append(f"{self.plan.epochs} whole epoch{'s' if self.plan.epochs > 1 else ''}")
        return " × ".join(words)

    def _spreads(self) -> list[tuple[int, Scaling]]:
        """World sizes with their scalings; one process is one case, whatever the scaling."""
        pairs = (
            (size, scaling if size > 1 else Scaling.STRONG) for size in self.world_sizes for scaling in self.scalings
        )
        return list(dict.fromkeys(pairs))

    def cases(self) -> list[Case]:
        """Every case, in rounds: all cases of one repetition before the next, so that slow drift hits all alike."""
        return [
            Case(
                framework=framework,
                device_target=device_target,
                mode=mode,
                dataset=dataset,
                profile=profile,
                world_size=world_size,
                scaling=scaling,
                repetition=repetition,
                hyperparameters=Hyperparameters(
                    batch_size=batch_size, learning_rate=self.learning_rate, momentum=self.momentum, seed=seed
                ),
                plan=self.plan,
            )
            for repetition, seed, dataset, framework, device_target, profile, batch_size, spread, mode in product(
                range(self.repeat),
                self.seeds,
                self.datasets,
                self.frameworks,
                self.device_targets,
                self.profiles,
                self.batch_sizes,
                self._spreads(),
                self.modes,
            )
            for world_size, scaling in (spread,)
        ]
