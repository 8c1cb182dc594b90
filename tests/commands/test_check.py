"""The cases that each rung of the ladder plans."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from lenet.analysis.check import Rung
from lenet.cases.case import TUNED, Case, DeviceTarget, Mode, RuntimeProfile
from lenet.commands.check import cases, plan, prepare, traced
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.store.profiles import Scope, TunedProfile, save
from lenet.store.record import DatasetCard

CARD = DatasetCard(name="digits", sha256="12" * 32, training_images=1285, test_images=512)
BASE = traced(Case(mode=Mode.GRAPH, dataset="digits"), 50)
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
                Rung.FRAMEWORK: [{"framework", "mode"}],
                Rung.DEVICE: [{"device_target"}],
            }[pair.rung]
        )
    assert not {"graph / eager", "graph / compile"} & set(found), "those are PyTorch's"
    modes = {"graph / pynative", "graph / jit", "graph / model"}
    assert {*modes, "CPU / GPU", "CPU / Ascend", "default / onednn_isa=avx2"} <= set(found)


def test_pairs_have_the_settings_of_a_tuned_profile(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tmp_path / "profiles"))
    tuned = TunedProfile(
        scope=Scope.of(BASE, describe().id),
        profile=RuntimeProfile(name=TUNED, tuned_by="run-tune", launch_blocking=True),
        tuned_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
        default_images_per_second=500,
        tuned_images_per_second=2000,
    )
    save(tuned)
    axes, rungs = {"dataset": "digits", "profile": "tuned"}, [Rung.REPEAT, Rung.PROFILE, Rung.DEVICE]
    run, pairs = prepare(axes, rungs, 100, (), lambda _: digits, print, tmp_path / "run")
    by_rung = {pair.rung: pair for pair in pairs}
    assert by_rung[Rung.PROFILE].b.profile == tuned.profile
    assert {case for pair in pairs for case in pair.cases} == set(run.store.manifest.cases)


@pytest.mark.parametrize(
    ("axes", "rungs", "words"),
    [
        ({"mode": "graph,jit"}, list(Rung), "--mode graph,jit: this command takes one case"),
        ({"dataset": "digits"}, [Rung.PROFILE], "every rung is skipped .profile: name the profile"),
    ],
)
def test_a_check_that_cannot_be_run_is_refused(digits, tmp_path, axes, rungs, words):
    with pytest.raises(UsageError, match=words):
        prepare(axes, rungs, 100, (), lambda _: digits, print, tmp_path / "run")
    assert not (tmp_path / "run").exists()


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
