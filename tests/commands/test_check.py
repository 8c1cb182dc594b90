"""What the ladder asks of a machine, and which rungs hold."""

from __future__ import annotations

import pytest

from lenet.analysis.check import Comparison, Outcome
from lenet.analysis.convergence import Verdict
from lenet.cases.case import DeviceTarget, Mode, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.commands import check
from lenet.commands.check import Pair, Rung, base_case, cases, findings, plan
from lenet.store.record import DatasetCard, Status

CARD = DatasetCard(name="digits", sha256="12" * 32, training_images=1285, test_images=512)
BASE = base_case(Matrix(modes=(Mode.GRAPH,), datasets=("digits",)), 50)
FAST = RuntimeProfile.parse("onednn_isa=AVX2")


def planned(*rungs, base=BASE, profile=None, devices=(DeviceTarget.CPU,), references=()):
    return plan(base, rungs or list(Rung), profile=profile, devices=devices, dataset=CARD, references=references)


def test_every_rung_is_there_once_or_says_why_not():
    pairs = planned()
    assert list(dict.fromkeys(pair.rung for pair in pairs)) == list(Rung)
    assert all((pair.a is None) == bool(pair.skipped) for pair in pairs)


def test_no_case_is_trained_twice_and_none_but_the_last_is_timed():
    pairs = planned(profile=FAST)
    asked = cases(pairs)
    assert len(asked) == len(set(asked))
    assert asked[0] == BASE
    assert all(case.plan.trace and case.plan.epochs is None for case in asked)
    assert {case.plan.warmup_steps for case in asked} == {50}


def test_each_pair_differs_in_what_its_rung_is_about():
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


def test_pairs_follow_what_a_run_settled():
    pairs = planned(Rung.REPEAT, Rung.PROFILE, Rung.DEVICE, profile=FAST)
    known = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking")
    run_cases = [case.model_copy(update={"profile": known}) if case.profile == FAST else case for case in cases(pairs)]
    repeat, profile, device = check.settled(pairs, run_cases)
    assert repeat == pairs[0]
    assert (profile.a, profile.b.profile) == (BASE, known)
    assert device.skipped


def test_chosen_rungs_only():
    assert {pair.rung for pair in planned(Rung.MODES, Rung.DEVICE)} == {Rung.MODES, Rung.DEVICE}


def test_what_is_absent_is_skipped_with_its_reason():
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


def compared(outcome, **fields):
    return Comparison(outcome=outcome, steps=50, **fields)


@pytest.mark.parametrize(
    ("rung", "comparison", "holds"),
    [
        (Rung.REPEAT, compared(Outcome.IDENTICAL), True),
        (Rung.REPEAT, compared(Outcome.WITHIN), False),
        (Rung.MODES, compared(Outcome.WITHIN), True),
        (Rung.MODES, compared(Outcome.PARTED), False),
        (Rung.FRAMEWORK, compared(Outcome.OTHER_DATA), False),
        (Rung.DEVICE, compared(Outcome.OTHER_START), False),
        (Rung.SEED, compared(Outcome.OTHER_DATA, same_order=False, same_initial_weights=False), True),
        (Rung.SEED, compared(Outcome.OTHER_START, same_order=True, same_initial_weights=False), False),
        (Rung.SEED, compared(Outcome.OTHER_DATA, same_order=False, same_initial_weights=True), False),
    ],
)
def test_what_a_rung_demands(monkeypatch, new_store, digits, plain_record, rung, comparison, holds):
    pair = Pair(rung=rung, compared="x", a=BASE, b=BASE.model_copy(update={"repetition": 1}))
    store = new_store(cases([pair]), digits)
    for case in cases([pair]):
        store.write_record(plain_record(case))
    monkeypatch.setattr(check.ladder, "compare", lambda *_: comparison)
    (found,) = findings(store, [pair], 1e-3, ())
    assert found.holds is holds


@pytest.mark.parametrize(
    ("status", "holds"), [(Status.UNAVAILABLE, None), (Status.CRASHED, False), (Status.TIMED_OUT, False)]
)
def test_a_case_that_failed(new_store, digits, plain_record, status, holds):
    pair = Pair(rung=Rung.DEVICE, compared="x", a=BASE, b=BASE.model_copy(update={"device_target": DeviceTarget.GPU}))
    store = new_store(cases([pair]), digits)
    store.write_record(plain_record(pair.a))
    store.write_record(plain_record(pair.b, status, "no such thing here"))
    (found,) = findings(store, [pair], 1e-3, ())
    assert found.holds is holds
    assert "no such thing here" in found.reason


def test_an_interrupted_check_says_what_was_not_carried_out(new_store, digits):
    pairs = planned(Rung.REPEAT)
    (found,) = findings(new_store(cases(pairs), digits), pairs, 1e-3, ())
    assert (found.holds, found.reason) == (None, "not carried out")


def test_an_epoch_that_does_not_learn_does_not_hold(new_store, digits, plain_record):
    pair = Pair(rung=Rung.LEARN, compared="x", a=BASE)
    store = new_store([BASE], digits)
    store.write_record(plain_record(BASE, Status.DIVERGED, "the loss of step 3 is nan"))
    (found,) = findings(store, [pair], 1e-3, ())
    assert (found.holds, found.verdict) == (False, Verdict.DIVERGED)
