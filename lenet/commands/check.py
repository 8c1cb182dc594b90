"""Plans and begins `lenet-bench check`: the pairs of cases of each rung.

The ladder: the same case twice, another seed, other modes, another profile, another framework, another device, and a
whole epoch that must learn. Every case but the last is traced and short; none is timed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lenet.analysis.bands import Reference
from lenet.analysis.check import Pair, Rung
from lenet.analysis.convergence import expected
from lenet.cases.axes import AXES
from lenet.cases.case import MINDSPORE_UNSET_SEED, Case, DeviceTarget, Plan, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import Find, Log, Run, begin
from lenet.commands.recorded import case_of
from lenet.engine.environments import releases
from lenet.errors import UsageError
from lenet.machine.card import present_devices
from lenet.machine.installed import framework_version
from lenet.store.record import DatasetCard


def prepare(
    axes: Mapping[str, str],
    rungs: Iterable[Rung],
    steps: int,
    references: Sequence[Reference],
    find: Find,
    log: Log,
    output: Path | None = None,
    resume: Path | None = None,
) -> tuple[Run, list[Pair]]:
    """Begin or resume a run of the cases of the rungs, and the pairs that its cases make.

    `axes` are the options that set an axis of the case that all others are compared with; `profile` is compared with
    it. `steps` are those of each traced case.

    Raises:
        UsageError: an axis has more than one value.
        Others as `lenet.commands.measurement.begin`.
    """
    case = case_of(axes)
    data = find(case.dataset)
    pairs = plan(
        traced(case.model_copy(update={"dataset": data.card.name}), steps),
        rungs,
        profile=case.profile if "profile" in axes else None,
        devices=present_devices(),
        dataset=data.card,
        references=references,
    )
    planned = cases(pairs)
    if not planned:
        reasons = "; ".join(f"{pair.rung.value}: {pair.skipped}" for pair in pairs)
        raise UsageError(f"every rung is skipped ({reasons}); choose another --rung")
    releases.prepare(planned, log)
    matrix = Matrix.around(planned, "check", "traced cases of `lenet-bench check`: no step is timed")
    run = begin(planned, lambda _: data, output, resume=resume, matrix=matrix)
    # The run has the settings that were tuned for this machine instead of the profile `tuned`.
    final = dict(zip(planned, run.cases, strict=True))
    return run, [
        pair.model_copy(update={"a": final[pair.a] if pair.a else None, "b": final[pair.b] if pair.b else None})
        for pair in pairs
    ]


def traced(case: Case, steps: int) -> Case:
    """The case as installed, with a plan that traces so many steps."""
    batch_size = case.hyperparameters.batch_size
    plan = Plan(trace=True, warmup_steps=steps, windows=1, resident_windows=0, evaluation_images=batch_size)
    return case.model_copy(update={"profile": RuntimeProfile(), "plan": plan})


def plan(
    base: Case,
    rungs: Iterable[Rung],
    *,
    profile: RuntimeProfile | None,
    devices: Sequence[DeviceTarget],
    dataset: DatasetCard,
    references: Sequence[Reference],
) -> list[Pair]:
    """The pairs of the rungs, in order.

    `base` is the traced case that all others are compared with, and `profile` the one to compare with the default.
    """

    def pair(rung: Rung, compared: str, **changes: object) -> Pair:
        return Pair(rung=rung, compared=compared, a=base, b=base.model_copy(update=changes))

    hyper, device, framework = base.hyperparameters, base.device_target, ABILITIES[base.framework]
    own = framework.own_mode(base.mode)
    others = [each for each in devices if each is not device]
    # The next seed may be the one that MindSpore reads as none, or too large.
    seed = next(each for each in (hyper.seed + 1, hyper.seed + 2, 0) if each != MINDSPORE_UNSET_SEED and each < 2**32)
    reseeded = hyper.model_copy(update={"seed": seed})
    pairs = [
        pair(Rung.REPEAT, f"{own.value}, twice", repetition=base.repetition + 1),
        pair(Rung.SEED, f"seed {hyper.seed} / {seed}", hyperparameters=reseeded),
        *(pair(Rung.MODES, f"{own.value} / {each.value}", mode=each) for each in framework.modes if each is not own),
        pair(Rung.PROFILE, f"default / {profile.name}", profile=profile)
        if profile is not None and profile != base.profile
        else _skipped(Rung.PROFILE, "default / another", "name the profile to compare with default: --profile"),
        *(_twin(base, each) for each in Framework if each is not base.framework),
        *(pair(Rung.DEVICE, f"{device.value} / {each.value}", device_target=each) for each in others),
        *([] if others else [_skipped(Rung.DEVICE, f"{device.value} / another", "no second device")]),
        _learn(base, profile, dataset, references),
    ]
    return [each for each in pairs if each.rung in set(rungs)]


def _skipped(rung: Rung, compared: str, reason: str) -> Pair:
    return Pair(rung=rung, compared=compared, skipped=reason)


def cases(pairs: Iterable[Pair]) -> list[Case]:
    """Every case of the pairs once, in order."""
    return list(dict.fromkeys(case for pair in pairs for case in pair.cases))


def _twin(base: Case, framework: Framework) -> Pair:
    """The case in another framework, in another mode if it does not have the case's."""
    compared = f"{base.framework.value} / {framework.value}"
    if framework_version(framework) is None:
        return _skipped(Rung.FRAMEWORK, compared, f"{ABILITIES[framework].title} is not installed")
    refusals = []
    for mode in (ABILITIES[framework].own_mode(base.mode), *ABILITIES[framework].modes):
        other = base.model_copy(update={"framework": framework, "framework_version": None, "mode": mode})
        refusal = Case.refusal({axis.name: axis.of_case(other) for axis in AXES if axis.path})
        if refusal is None:
            return Pair(rung=Rung.FRAMEWORK, compared=compared, a=base, b=other)
        refusals.append(refusal)
    return _skipped(Rung.FRAMEWORK, compared, refusals[0])


def _learn(base: Case, profile: RuntimeProfile | None, dataset: DatasetCard, references: Sequence[Reference]) -> Pair:
    compared = "one epoch / reference"
    bands, reason = expected(dataset.sha256, base, references)
    if not bands:
        return _skipped(Rung.LEARN, compared, reason)
    update = {"plan": Plan(epochs=1, resident_windows=0), "profile": profile or base.profile}
    return Pair(rung=Rung.LEARN, compared=compared, a=base.model_copy(update=update))
