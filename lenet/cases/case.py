"""What is measured: hyperparameters, measurement plan and case.

Models are frozen, refuse unknown fields and validate on construction: a `Case` that exists can be run. The values of
axes (`Mode`, `RuntimeProfile`, ...) can be imported from here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from lenet.cases.axes import label, values_of
from lenet.cases.base import Frozen as Frozen
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.profile import TUNED as TUNED
from lenet.cases.profile import RuntimeProfile as RuntimeProfile
from lenet.cases.values import VERSION
from lenet.cases.values import DeviceTarget as DeviceTarget
from lenet.cases.values import Mode as Mode
from lenet.cases.values import Pipeline as Pipeline
from lenet.cases.values import Scaling as Scaling

MINDSPORE_UNSET_SEED = 5489
"""MindSpore's data engine reads this seed as "no seed": each run would see another order."""

WARMUP_STEPS_AT_LEAST = 60
"""MindSpore's CPU kernels tune themselves by the clock during about the first 50 steps (RELEASE notes of 1.7.0)."""

STEADY_WINDOWS_AT_LEAST = 3
"""A budget never ends a case before this many steady windows: fewer have no spread."""


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


class SteadyWindows(NamedTuple):
    """The windows past the warm-up."""

    steps: int
    """Training steps of each."""
    windows: int
    resident_windows: int
    lead_in: int = 0
    """Training steps before each, at the start of a turn, whose times do not count."""


class TurnLength(Frozen):
    """How long a worker that takes turns trains in each of them."""

    seconds: float = Field(gt=0)
    """Of its window, about."""
    lead_in_seconds: float = Field(default=0.0, ge=0)
    """Of the steps before the window, about, whose times do not count."""
    pace_change: float | None = Field(default=None, gt=1)
    """How many times slower or faster than planned the steps of the turns so far are when turns get another number of
    steps; None keeps the number that the warm-up gave."""


class Plan(Frozen):
    """How much of the training is run and measured.

    With `epochs` the case trains that many whole epochs, evaluating the whole test set after each. Without, it
    trains until `windows` steady windows are measured or `budget_seconds` of training are spent, whichever is first,
    and evaluates once. A steady window is `window_steps` steps, or, where training is fast, as many as fill
    `window_seconds` at the speed of the warm-up: the cost of reading the clock then stays below the noise.
    """

    epochs: int | None = Field(default=None, ge=1, le=10_000)
    """Train this many whole epochs, and evaluate the whole test set after each."""
    warmup_steps: int = Field(default=WARMUP_STEPS_AT_LEAST, ge=1)
    """Steps before the first steady window. Their times never count."""
    window_steps: int = Field(default=20, ge=1, le=100_000)
    """Steps of a window, at least."""
    window_seconds: float = Field(default=0.5, ge=0, le=3600)
    """Seconds of a window, about; 0 makes every window `window_steps` long."""
    windows: int = Field(default=10, ge=1, le=1_000_000)
    """Steady windows to measure, without `epochs`."""
    resident_windows: int = Field(default=3, ge=0, le=1_000_000)
    """Windows on one batch that stays on the device."""
    budget_seconds: float = Field(default=60.0, gt=0)
    """Seconds of training after which the case ends before all windows are measured, without `epochs`."""
    evaluation_images: int | None = Field(default=None, ge=1)
    """Test images that a plan without whole epochs evaluates; None is the whole test set."""
    trace: bool = False
    """Report weights and batches of every step instead of times, with full float32 arithmetic on every device: for
    comparing trainings. Without `epochs`, `warmup_steps` steps are trained."""

    def steady_windows(self, pace: float, turn: TurnLength | None = None) -> SteadyWindows:
        """Length and number of the steady windows of a training whose steps take `pace` seconds after the warm-up.

        A worker that takes turns trains one window in each `turn`. Every member of a group gets
        the same time, `windows` times `window_seconds`, so that a slow one does not hold up the others, but at least
        the steps of one window of the plan. Before each window it trains the whole steps that the lead-in holds.
        """
        if turn is None:
            steps = max(self.window_steps, math.ceil(self.window_seconds / pace))
            return SteadyWindows(steps, self.windows, self.resident_windows)
        steps = max(1, math.ceil(turn.seconds / pace))
        if self.window_seconds:
            wanted = max(self.windows * self.window_seconds / pace, self.window_steps)
        else:
            wanted = self.windows * self.window_steps
        count = max(STEADY_WINDOWS_AT_LEAST, math.ceil(wanted / steps))
        resident_windows = math.ceil(count * self.resident_windows / self.windows)
        return SteadyWindows(steps, count, resident_windows, math.floor(turn.lead_in_seconds / pace))


class Case(Frozen):
    """One point of the matrix: what one worker process runs."""

    framework: Framework = Framework.MINDSPORE
    framework_version: str | None = Field(default=None, pattern=VERSION)
    """The release or wheel file to run, in its own environment; None is the installed release."""
    device_target: DeviceTarget = DeviceTarget.CPU
    mode: Mode = Mode.GRAPH
    """The name that it was given. `Abilities.own_mode` is the framework's own."""
    dataset: str = Field(default="mnist", min_length=1, max_length=120)
    """`mnist`, `digits`, or `FOLDER@DIGEST` for other data of MNIST's shape."""
    pipeline: Pipeline = Pipeline.TUTORIAL
    profile: RuntimeProfile = RuntimeProfile()
    world_size: int = Field(default=1, ge=1, le=1024)
    """Processes, each with its own device, that train together (data parallel)."""
    scaling: Scaling = Scaling.STRONG
    repetition: int = Field(default=0, ge=0)
    hyperparameters: Hyperparameters = Hyperparameters()
    plan: Plan = Plan()

    @model_validator(mode="after")
    def _has_a_meaning(self) -> Case:
        if (why := self.refusal(values_of(self))) is not None:
            raise ValueError(why)
        if self.world_size == 1 and self.scaling is not Scaling.STRONG:
            raise ValueError("one process has no scaling; use strong")
        if self.world_size > 1 and self.plan.trace:
            raise ValueError("the batches of several processes are not traced; use one process")
        return self

    @staticmethod
    def refusal(values: Mapping[str, Any]) -> str | None:
        """Why no case can have these values, by the names of the axes; None if one can."""
        framework, world_size, batch_size = values["framework"], values["world_size"], values["batch_size"]
        why = ABILITIES[framework].refusal(
            values["device_target"].value, values["mode"], values["profile"].settings, world_size
        )
        if why is not None:
            return f"{framework.value} cannot run this: {why}"
        if values["scaling"] is Scaling.STRONG and batch_size % world_size:
            return (
                f"a batch of {batch_size} images cannot be shared by {world_size} processes; "
                "choose a multiple, or weak scaling"
            )
        return None

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
        """A stable name, safe as a file name: readable fields, then a digest of every field that is not its default.

        Without the defaults, an axis that is added later does not change the names of older cases.
        """
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        words = [self.device_target.value.lower(), self.mode.value, f"b{self.hyperparameters.batch_size}", digest]
        if self.framework is not Framework.MINDSPORE:
            words.insert(0, self.framework.value)
        return "-".join(words)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy, without the cached id of the original."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("id", None)
        return copy

    @property
    def first_repetition(self) -> Case:
        """This case as its first repetition, which stands for all of them."""
        return self.model_copy(update={"repetition": 0})

    @property
    def label(self) -> str:
        """The case in words, for progress lines."""
        return label(self, _DEFAULT)


_DEFAULT = Case()
