"""Verdicts: each reason from its planted cause, and none without one."""

from __future__ import annotations

import numpy as np
import pytest

from lenet.analysis.stability import PRECISION, REASONS, assess, has_outliers, is_bimodal, sample, width
from lenet.machine.load import CaseLoad, Load
from lenet.store.record import Record, Status, Window
from tests.analysis.test_compare import record


def verdict(processes, load=None):
    records = [record(rates, index) for index, rates in enumerate(processes)]
    if load is not None:
        records = [each.model_copy(update={"load": load}) for each in records]
    (found,) = assess([[(each, sample(each.windows)) for each in records]])
    return found


def scattered(seed, processes, windows, scatter=0.005):
    rng = np.random.default_rng(seed)
    return (1000 * np.exp(rng.normal(0, scatter, (processes, windows)))).tolist()


def load(before=0.0, during=0.0, after=0.0, mhz=3000.0):
    return CaseLoad(
        logical_cores=2, before=Load(foreign_cores=before, frequency_mhz=3000.0),
        after=Load(foreign_cores=after, frequency_mhz=mhz), during_foreign_cores=during,
    )  # fmt: skip


def test_quiet_processes_are_stable():
    found = verdict(scattered(1, 6, 12), load())
    assert (found.text, found.more, found.processes) == ("stable", 0, 6)
    assert found.interval.low <= 1000 <= found.interval.high


def test_one_process_is_too_few_and_says_how_many_more():
    found = verdict(scattered(1, 1, 12))
    assert (found.text, found.more, found.interval) == ("unstable: too few samples", 2, None)


def test_processes_that_scatter_are_too_few_and_say_how_many_more():
    found = verdict([[rate] * 5 for rate in (900, 1000, 1100, 950, 1060, 990)])
    assert found.reasons == ("n",)
    assert 10 < found.more < 80
    assert width(found.interval, (900, 1000, 1100, 950, 1060, 990)) > PRECISION


@pytest.mark.parametrize(
    ("letter", "processes"),
    [
        ("d", [[1000 - 20 * i for i in range(15)] for _ in range(4)]),
        ("o", [[1000, 1001, 1002, 1003, 1000, 1001, 1002, 1003, 1001, 500, 510, 1002] for _ in range(4)]),
        ("b", [[1000, 1400, 1003, 1405, 1001, 1402, 1002, 1399, 1004, 1401] for _ in range(4)]),
        ("b", [[rate] * 5 for rate in (8500, 18700, 8510, 18650, 8490, 18720, 8505, 18690)]),
        ("d", [[1000 - 20 * i] * 5 for i in range(12)]),
    ],
    ids=["drift", "outliers", "bimodal", "bimodal processes", "drift over processes"],
)
def test_a_planted_cause_is_named(letter, processes):
    assert letter in verdict(processes).reasons


@pytest.mark.parametrize(
    ("letter", "around"),
    [("l", load(before=0.5)), ("l", load(during=0.5)), ("l", load(after=0.5)), ("f", load(mhz=2000.0))],
)
def test_what_the_machine_did_is_named(letter, around):
    assert verdict(scattered(1, 6, 12), around).reasons == (letter,)


def test_processes_that_failed_do_not_count():
    bad = record([10.0] * 5, status=Status.DIVERGED)
    (found,) = assess([[(bad, sample(bad.windows))]])
    assert found is None


@pytest.mark.parametrize("shape", ["normal", "uniform", "exponential"])
@pytest.mark.parametrize("size", [6, 10, 20, 60])
def test_one_group_is_called_two_in_2_of_100_at_most(shape, size):
    rng = np.random.default_rng(9)
    draws = getattr(rng, {"normal": "normal", "uniform": "uniform", "exponential": "exponential"}[shape])(
        size=(500, size)
    )
    assert sum(is_bimodal(each) for each in np.exp(0.1 * draws).tolist()) <= 10


def test_a_single_odd_window_is_no_reason():
    assert not has_outliers([1000.0] * 20 + [300.0])
    assert not is_bimodal([1000.0] * 20 + [300.0])


def test_the_short_rest_of_an_epoch_and_the_warm_up_are_left_out():
    def window(steps, warmup=False):
        return Window(epoch=1, first_step=0, steps=steps, images=steps * 32, seconds=1, warmup=warmup)

    assert sample([window(500, True), window(20), window(7), window(20)]).rates == (640, 640)
    assert sample([window(20, True)]) is None


def test_every_reason_has_a_letter_of_its_own():
    assert all(len(letter) == 1 for letter in REASONS)
    assert len(set(REASONS.values())) == len(REASONS)


def test_records_from_before_the_load_was_measured_are_read():
    old = record([1.0]).model_dump(mode="json")
    del old["load"]
    assert Record.model_validate(old).load is None
