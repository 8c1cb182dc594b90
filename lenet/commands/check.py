"""Plans `lenet-bench check`: the pairs of cases of each rung.

The ladder: the same case twice, another seed, other modes, another profile, another framework, another device, and a
whole epoch that must learn. Every case but the last is traced and short; none is timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from lenet.analysis.check import Pair, Rung
from lenet.analysis.convergence import Reference, expected
from lenet.cases.case import Case, DeviceTarget, Hyperparameters, Mode, Plan, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.cases.matrix import Matrix
from lenet.errors import problems
from lenet.store.record import DatasetCard


def base_case(matrix: Matrix, steps: int) -> Case:
    """The traced case that the others are compared with: the first of each axis of `matrix`, as installed."""
    return Case(
        device_target=matrix.device_targets[0],
        mode=matrix.modes[0],
        dataset=matrix.datasets[0],
        hyperparameters=Hyperparameters(
            batch_size=matrix.batch_sizes[0],
            learning_rate=matrix.learning_rate,
            momentum=matrix.momentum,
            seed=matrix.seeds[0],
        ),
        plan=Plan(
            trace=True, warmup_steps=steps, windows=1, resident_windows=0, evaluation_images=matrix.batch_sizes[0]
        ),
    )


def plan(
    base: Case,
    rungs: Iterable[Rung],
    *,
    profile: RuntimeProfile | None,
    devices: Sequence[DeviceTarget],
    dataset: DatasetCard,
    references: Sequence[Reference],
) -> list[Pair]:
    """The pairs of those rungs, in the ladder's order. `profile` None: none is compared with the default."""
    wanted = set(rungs)
    pairs = [
        *_repeat_and_seed(base),
        *(
            Pair(
                rung=Rung.MODES,
                compared=f"{base.mode.value} / {mode.value}",
                a=base,
                b=base.model_copy(update={"mode": mode}),
            )
            for mode in Mode
            if mode is not base.mode
        ),
        _profile(base, profile),
        _framework(base),
        *_devices(base, devices),
        _learn(base, profile, dataset, references),
    ]
    return [pair for pair in pairs if pair.rung in wanted]


def cases(pairs: Iterable[Pair]) -> list[Case]:
    """Every case of the pairs once, in order."""
    return list(dict.fromkeys(case for pair in pairs for case in pair.cases))


def settled(pairs: Iterable[Pair], run_cases: Sequence[Case]) -> list[Pair]:
    """The pairs with the cases that the run has in the place of `cases(pairs)`, in the same order.

    A run may settle what a case leaves open, as the settings that a profile's name stands for on this machine.
    """
    pairs = list(pairs)
    now = dict(zip(cases(pairs), run_cases, strict=True))
    return [
        pair.model_copy(update={"a": now[pair.a] if pair.a else None, "b": now[pair.b] if pair.b else None})
        for pair in pairs
    ]


def _repeat_and_seed(base: Case) -> list[Pair]:
    hyper = base.hyperparameters
    # Not the next seed where that is the one which MindSpore reads as none.
    other = next(seed for seed in (hyper.seed + 1, hyper.seed + 2, 0) if _is_seed(seed))
    again = base.model_copy(update={"repetition": base.repetition + 1})
    changed = hyper.model_copy(update={"seed": other})
    return [
        Pair(rung=Rung.REPEAT, compared=f"{base.mode.value}, twice", a=base, b=again),
        Pair(
            rung=Rung.SEED,
            compared=f"seed {hyper.seed} / {other}",
            a=base,
            b=base.model_copy(update={"hyperparameters": changed}),
        ),
    ]


def _is_seed(seed: int) -> bool:
    try:
        Hyperparameters(seed=seed)
    except ValidationError:
        return False
    return True


def _profile(base: Case, profile: RuntimeProfile | None) -> Pair:
    if profile is None or profile == base.profile:
        reason = "name the profile that is compared with default: --profile"
        return Pair(rung=Rung.PROFILE, compared="default / another", skipped=reason)
    return Pair(
        rung=Rung.PROFILE,
        compared=f"default / {profile.name}",
        a=base,
        b=base.model_copy(update={"profile": profile}),
    )


def _framework(base: Case) -> Pair:
    compared = "mindspore / pytorch"
    twin = next((each for each in Framework if str(each.value) == "pytorch"), None)
    if twin is None:
        return Pair(rung=Rung.FRAMEWORK, compared=compared, skipped="this lenet-bench has no PyTorch twin")
    if importlib.util.find_spec("torch") is None:
        return Pair(rung=Rung.FRAMEWORK, compared=compared, skipped="PyTorch is not installed")
    refused = ""
    for mode in (base.mode, *Mode):  # the twin may have fewer modes than MindSpore
        try:
            other = Case.model_validate({**base.model_dump(), "framework": twin, "mode": mode})
        except ValidationError as error:
            refused = problems(error)[0].message
            continue
        return Pair(rung=Rung.FRAMEWORK, compared=compared, a=base, b=other)
    return Pair(rung=Rung.FRAMEWORK, compared=compared, skipped=refused)


def _devices(base: Case, devices: Sequence[DeviceTarget]) -> list[Pair]:
    others = [each for each in devices if each is not base.device_target]
    if not others:
        return [Pair(rung=Rung.DEVICE, compared=f"{base.device_target.value} / another", skipped="no second device")]
    return [
        Pair(
            rung=Rung.DEVICE,
            compared=f"{base.device_target.value} / {each.value}",
            a=base,
            b=base.model_copy(update={"device_target": each}),
        )
        for each in others
    ]


def _learn(base: Case, profile: RuntimeProfile | None, dataset: DatasetCard, references: Sequence[Reference]) -> Pair:
    bands, why = expected(dataset.sha256, base, references)
    compared = "one epoch / reference"
    if not bands:
        return Pair(rung=Rung.LEARN, compared=compared, skipped=why)
    update = {"plan": Plan(epochs=1, resident_windows=0), "profile": profile or base.profile}
    return Pair(rung=Rung.LEARN, compared=compared, a=base.model_copy(update=update))
