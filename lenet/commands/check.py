"""What `lenet-bench check` asks of this machine: the pairs of cases of each rung, and whether a rung holds.

The ladder: the same case twice, another seed, other modes, another profile, another framework, another device, and a
whole epoch that must learn. Every case but the last is traced and short; none is timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from enum import Enum

from pydantic import ValidationError

from lenet.analysis import check as ladder
from lenet.analysis.check import Comparison, Outcome
from lenet.analysis.convergence import Convergence, Reference, Verdict, expected, judge
from lenet.cases.case import Case, DeviceTarget, Frozen, Hyperparameters, Mode, Plan, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.cases.matrix import Matrix
from lenet.store.record import DatasetCard, Record, Status
from lenet.store.run import Store

STEPS = 100
TOLERANCE = 1e-3


class Rung(str, Enum):
    """The rungs, in their order."""

    REPEAT = "repeat"
    SEED = "seed"
    MODES = "modes"
    PROFILE = "profile"
    FRAMEWORK = "framework"
    DEVICE = "device"
    LEARN = "learn"


class Pair(Frozen):
    """Two cases to be compared, or one that must learn, or the reason why a rung is skipped."""

    rung: Rung
    compared: str
    """What is compared, in words."""
    a: Case | None = None
    b: Case | None = None
    skipped: str = ""


class Finding(Frozen):
    """What a pair showed."""

    rung: Rung
    compared: str
    holds: bool | None
    """Whether the rung holds; null when it was skipped."""
    comparison: Comparison | None = None
    verdict: Verdict | None = None
    """Of the rung `learn`."""
    reason: str = ""
    """Why it was skipped or failed, or what the verdict rests on."""


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
    return list(dict.fromkeys(case for pair in pairs for case in (pair.a, pair.b) if case is not None))


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
            refused = error.errors()[0]["msg"].removeprefix("Value error, ")
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
    bands, why = expected(dataset.sha256, base.hyperparameters, references)
    compared = "one epoch / reference"
    if not bands:
        return Pair(rung=Rung.LEARN, compared=compared, skipped=why)
    update = {"plan": Plan(epochs=1, resident_windows=0), "profile": profile or base.profile}
    return Pair(rung=Rung.LEARN, compared=compared, a=base.model_copy(update=update))


def findings(store: Store, pairs: Iterable[Pair], tolerance: float, references: Sequence[Reference]) -> list[Finding]:
    """What the records and traces of the run in `store` show of each pair.

    Raises:
        StoreError: the run cannot be read.
    """
    records = {record.case: record for record in store.records()}
    return [_finding(store, pair, records, tolerance, references) for pair in pairs]


def _finding(
    store: Store, pair: Pair, records: dict[Case, Record], tolerance: float, references: Sequence[Reference]
) -> Finding:
    def skipped(reason: str, holds: bool | None = None) -> Finding:
        return Finding(
            rung=pair.rung, compared=pair.compared, holds=holds, comparison=ladder.skipped(reason), reason=reason
        )

    if pair.a is None:
        return skipped(pair.skipped)
    for case in filter(None, (pair.a, pair.b)):
        record = records.get(case)
        if record is None:
            return skipped("not carried out")
        if record.status is Status.UNAVAILABLE:
            return skipped(record.reason)
        if record.status not in (Status.OK, Status.PLATEAU, Status.DIVERGED):
            return skipped(f"{case.label} {record.status.value}: {record.reason}", holds=False)
    if pair.b is None:
        found: Convergence = judge(records[pair.a], references)
        return Finding(
            rung=pair.rung,
            compared=pair.compared,
            holds=None if found.verdict is Verdict.NO_REFERENCE else found.verdict is Verdict.CONVERGED,
            verdict=found.verdict,
            reason=found.reason,
        )
    comparison = ladder.compare(store, pair.a, pair.b, tolerance)
    return Finding(
        rung=pair.rung,
        compared=pair.compared,
        holds=_holds(pair.rung, comparison),
        comparison=comparison,
        reason=comparison.reason,
    )


def _holds(rung: Rung, comparison: Comparison) -> bool:
    """What the rung demands: the same case twice the same bits, another seed another training, the rest closeness."""
    if rung is Rung.SEED:
        return comparison.same_order is False and comparison.same_initial_weights is False
    if rung is Rung.REPEAT:
        return comparison.outcome is Outcome.IDENTICAL
    return comparison.outcome in (Outcome.IDENTICAL, Outcome.WITHIN)
