"""The account of a step: from recorded steps and from blocks whose parts are known, whole and with a broken part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lenet.analysis.explain.account import DATA, HOST, KERNELS, REST, account
from lenet.store.parts import PartTimes
from lenet.worker.parts import StepMarks, divided
from lenet.worker.profilers import read_spans

RECORDED = Path(__file__).parents[2] / "worker/recorded"


def recorded(mode):
    """Blocks of two recorded steps each; their plain steps took as long."""
    marks = [StepMarks(*each) for each in json.loads((RECORDED / f"{mode}-marks.json").read_text())["marks"]]
    spans = list(read_spans((RECORDED / f"{mode}-times.txt").read_text().splitlines()))
    blocks = [marks[first : first + 2] for first in range(0, 6, 2)]
    return [divided((each[-1].ended - each[0].begun) / 1e9, each, spans) for each in blocks]


def block(plain=10.0, data=1.0, host=2.0, kernels=6.0, rest=1.0, steps=10):
    """A block; the figures are milliseconds per step."""
    return PartTimes(
        steps=steps,
        plain_seconds=plain * steps / 1e3,
        data_seconds=data * steps / 1e3,
        host_seconds=host * steps / 1e3,
        kernel_seconds=None if kernels is None else kernels * steps / 1e3,
        rest_seconds=rest * steps / 1e3,
    )


@pytest.mark.parametrize("mode", ["graph", "pynative"])
class TestRecorded:
    def test_the_account_adds_up(self, mode):
        found = account(recorded(mode))
        assert found.adds_up
        assert found.covered == pytest.approx(1, abs=0.02)

    @pytest.mark.parametrize("field", ["kernel_seconds", "host_seconds"])
    @pytest.mark.parametrize("factor", [0, 2])
    def test_a_part_that_is_missing_or_counted_twice_is_seen(self, mode, field, factor):
        broken = [each.model_copy(update={field: factor * getattr(each, field)}) for each in recorded(mode)]
        assert not account(broken).adds_up

    def test_every_part_is_within_its_interval(self, mode):
        found = account(recorded(mode))
        assert [part.name for part in found.parts] == [DATA, HOST, KERNELS, REST]
        for part in (found.step, *found.parts):
            assert 0 <= part.low <= part.milliseconds <= part.high


@pytest.mark.parametrize(("plain", "adds_up"), [(10.0, True), (10.5, True), (9.6, True), (10.7, False), (9.4, False)])
def test_the_sum_is_within_5_percent_of_the_step(plain, adds_up):
    found = account([block(plain)] * 3)
    assert found.sum == pytest.approx(10)
    assert found.adds_up is adds_up


def test_the_interval_is_students_over_the_blocks():
    found = account([block(kernels=5), block(kernels=6), block(kernels=7)])
    (kernels,) = [part for part in found.parts if part.name == KERNELS]
    assert kernels.milliseconds == pytest.approx(6)
    assert kernels.high - kernels.milliseconds == pytest.approx(4.3027 / 3**0.5, rel=1e-3)


def test_one_block_gives_no_interval_and_none_no_account():
    assert account([]) is None
    assert account([block()]).step.low is None


def test_a_part_that_was_not_measured_is_none_of_the_account():
    found = account([block(kernels=None)] * 2)
    assert found.part(KERNELS) is None
    assert not found.adds_up


def test_shares():
    assert account([block()]).share(DATA, KERNELS) == pytest.approx(0.7)
