"""The cases that each rung of the ladder plans."""

from __future__ import annotations

from lenet.analysis.check import Rung
from lenet.cases.case import DeviceTarget, Mode, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.commands import check
from lenet.commands.check import base_case, cases, plan
from lenet.store.record import DatasetCard

CARD = DatasetCard(name="digits", sha256="12" * 32, training_images=1285, test_images=512)
BASE = base_case(Matrix(modes=(Mode.GRAPH,), datasets=("digits",)), 50)
FAST = RuntimeProfile.parse("onednn_isa=AVX2")


def planned(*rungs, base=BASE, profile=None, devices=(DeviceTarget.CPU,), references=()):
    return plan(base, rungs or list(Rung), profile=profile, devices=devices, dataset=CARD, references=references)


def test_every_rung_has_cases_or_a_reason_to_be_skipped():
    pairs = planned()
    assert list(dict.fromkeys(pair.rung for pair in pairs)) == list(Rung)
    assert all((pair.a is None) == bool(pair.skipped) for pair in pairs)


def test_no_case_is_planned_twice_and_all_are_traced():
    pairs = planned(profile=FAST)
    asked = cases(pairs)
    assert len(asked) == len(set(asked))
    assert asked[0] == BASE
    assert all(case.plan.trace and case.plan.epochs is None for case in asked)
    assert {case.plan.warmup_steps for case in asked} == {50}


def test_each_pair_differs_only_in_the_axis_of_its_rung():
    found = {pair.compared: pair for pair in planned(profile=FAST, devices=tuple(DeviceTarget)) if pair.b}
    for pair in found.values():
        ours, theirs = pair.a.model_dump(), pair.b.model_dump()
        differing = {name for name in ours if ours[name] != theirs[name]}
        assert (
            differing
            in {
                Rung.REPEAT: [{"repetition"}],
                Rung.SEED: [{"hyperparameters"}],
                Rung.MODES: [{"mode"}],
                Rung.PROFILE: [{"profile"}],
                Rung.FRAMEWORK: [{"framework", "mode"}, {"framework"}],
                Rung.DEVICE: [{"device_target"}],
            }[pair.rung]
        )
    assert {"graph / pynative", "graph / jit", "CPU / GPU", "CPU / Ascend", "default / onednn_isa=avx2"} <= set(found)


def test_pairs_take_the_cases_of_the_run():
    pairs = planned(Rung.REPEAT, Rung.PROFILE, Rung.DEVICE, profile=FAST)
    known = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking")
    run_cases = [case.model_copy(update={"profile": known}) if case.profile == FAST else case for case in cases(pairs)]
    repeat, profile, device = check.settled(pairs, run_cases)
    assert repeat == pairs[0]
    assert (profile.a, profile.b.profile) == (BASE, known)
    assert device.skipped


def test_chosen_rungs_only():
    assert {pair.rung for pair in planned(Rung.MODES, Rung.DEVICE)} == {Rung.MODES, Rung.DEVICE}


def test_a_rung_without_a_second_case_is_skipped_with_its_reason():
    reasons = {pair.rung: pair.skipped for pair in planned()}
    assert "--profile" in reasons[Rung.PROFILE]
    assert reasons[Rung.DEVICE] == "no second device"
    assert reasons[Rung.LEARN] == "there is no reference for this data"


def test_the_other_seed_is_never_the_one_that_mindspore_reads_as_none():
    hyper = BASE.hyperparameters.model_copy(update={"seed": 5488})
    (pair,) = planned(Rung.SEED, base=BASE.model_copy(update={"hyperparameters": hyper}))
    assert pair.b.hyperparameters.seed == 5490
    last = BASE.hyperparameters.model_copy(update={"seed": 2**32 - 1})
    (pair,) = planned(Rung.SEED, base=BASE.model_copy(update={"hyperparameters": last}))
    assert pair.b.hyperparameters.seed == 0
