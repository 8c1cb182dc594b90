"""The matrix: the set of cases that a preset, a TOML file or the command line spans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from operator import attrgetter
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from lenet.cases.case import (
    VERSION,
    Case,
    DeviceTarget,
    Frozen,
    Hyperparameters,
    Mode,
    Pipeline,
    Plan,
    RuntimeProfile,
    Scaling,
)
from lenet.cases.frameworks import Framework

MAX_CASES = 100_000
"""A matrix with more is a slip of the pen, or somebody's attempt to fill the memory: cases are made all at once."""


class Matrix(Frozen):
    """The set of cases that a preset, a TOML file or the command line spans."""

    name: str = Field(default="matrix", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = ""
    frameworks: Annotated[tuple[Framework, ...], Field(min_length=1)] = (Framework.MINDSPORE,)
    versions: tuple[Annotated[str, Field(pattern=VERSION)], ...] = ()
    """Releases of the framework, each run in an environment of its own; none is the one that is installed here."""
    device_targets: Annotated[tuple[DeviceTarget, ...], Field(min_length=1)] = (DeviceTarget.CPU,)
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = tuple(Mode)
    batch_sizes: Annotated[tuple[int, ...], Field(min_length=1)] = (32,)
    datasets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
    pipelines: Annotated[tuple[Pipeline, ...], Field(min_length=1)] = (Pipeline.TUTORIAL,)
    profiles: Annotated[tuple[RuntimeProfile, ...], Field(min_length=1)] = (RuntimeProfile(),)
    world_sizes: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    scalings: Annotated[tuple[Scaling, ...], Field(min_length=1)] = (Scaling.STRONG,)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    repeat: int = Field(default=1, ge=1, le=1000)
    learning_rate: float = 1e-2
    momentum: float = 0.9
    plan: Plan = Plan()

    @classmethod
    def around(cls, cases: Sequence[Case], name: str = "cases", description: str = "") -> Matrix:
        """The smallest matrix whose product holds these cases, at least one: a run's manifest describes its cases so.

        What is not an axis (learning rate, momentum, plan) is that of the first case.
        """

        def values(path: str) -> tuple[Any, ...]:
            return tuple(dict.fromkeys(map(attrgetter(path), cases)))

        first = cases[0]
        return cls(
            name=name,
            description=description,
            frameworks=values("framework"),
            versions=tuple(version for version in values("framework_version") if version is not None),
            device_targets=values("device_target"),
            modes=values("mode"),
            batch_sizes=values("hyperparameters.batch_size"),
            datasets=values("dataset"),
            pipelines=values("pipeline"),
            profiles=values("profile"),
            world_sizes=values("world_size"),
            scalings=values("scaling"),
            seeds=values("hyperparameters.seed"),
            learning_rate=first.hyperparameters.learning_rate,
            momentum=first.hyperparameters.momentum,
            plan=first.plan,
        )

    @field_validator("profiles", mode="before")
    @classmethod
    def _profiles_by_name(cls, profiles: Any) -> Any:
        if not isinstance(profiles, (list, tuple)):
            return profiles
        return tuple(RuntimeProfile.parse(item) if isinstance(item, str) else item for item in profiles)

    @model_validator(mode="after")
    def _every_case_is_valid_and_single(self) -> Matrix:
        axes = self._axes()
        for name, values in axes.items():
            if name != "spread" and len(set(values)) != len(values):
                raise ValueError("a value is listed twice")
        if len(set(self.world_sizes)) != len(self.world_sizes) or len(set(self.scalings)) != len(self.scalings):
            raise ValueError("a value is listed twice")
        if (count := math.prod(map(len, axes.values()))) > MAX_CASES:
            raise ValueError(f"the matrix spans {count:,} cases, and at most {MAX_CASES:,} are carried out in one run")
        cases = self.cases()
        for framework in self.frameworks:
            if not any(case.framework is framework for case in cases):
                why = Case.refusal(
                    framework, self.device_targets[0], self.modes[0], self.profiles[0], self.world_sizes[0]
                )
                raise ValueError(f"{framework.value} can carry nothing of this matrix out: {why}")
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
        if self.versions:
            words.insert(0, ", ".join(self.versions))
        if self.frameworks != (Framework.MINDSPORE,):
            words.insert(0, ", ".join(each.value for each in self.frameworks))
        if self.pipelines != (Pipeline.TUTORIAL,):
            words.append(f"{', '.join(each.value for each in self.pipelines)} pipeline")
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

    def _axes(self) -> dict[str, Sequence[Any]]:
        """The values of each axis, outermost first: repetitions are rounds, so that slow drift hits all cases alike."""
        return {
            "repetition": range(self.repeat),
            "seed": self.seeds,
            "dataset": self.datasets,
            "framework": self.frameworks,
            "framework_version": self.versions or (None,),
            "device_target": self.device_targets,
            "pipeline": self.pipelines,
            "profile": self.profiles,
            "batch_size": self.batch_sizes,
            "spread": self._spreads(),
            "mode": self.modes,
        }

    def cases(self) -> list[Case]:
        """Every case, in rounds: all cases of one repetition before the next.

        A point that has no meaning in its framework (a mode or a setting that is not its own) is no case.
        """
        axes = self._axes()
        points = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
        return [case for point in points if (case := self._case(**point)) is not None]

    def _case(
        self,
        *,
        framework: Framework,
        device_target: DeviceTarget,
        mode: Mode,
        profile: RuntimeProfile,
        spread: tuple[int, Scaling],
        seed: int,
        batch_size: int,
        **others: Any,
    ) -> Case | None:
        world_size, scaling = spread
        if Case.refusal(framework, device_target, mode, profile, world_size) is not None:
            return None
        return Case(
            framework=framework,
            device_target=device_target,
            mode=mode,
            profile=profile,
            world_size=world_size,
            scaling=scaling,
            hyperparameters=Hyperparameters(
                batch_size=batch_size, learning_rate=self.learning_rate, momentum=self.momentum, seed=seed
            ),
            plan=self.plan,
            **others,
        )
