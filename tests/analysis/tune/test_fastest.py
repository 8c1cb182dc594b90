"""Which tuned cases meet in a final, and what its groups say."""

from __future__ import annotations

import pytest

from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.candidate import Measured
from lenet.analysis.tune.fastest import fastest, finals
from lenet.cases.case import Case, Hyperparameters, RuntimeProfile

BLOCKING = RuntimeProfile.parse("launch_blocking")
OLD = Case(framework_version="2.7.0", mode="jit")
NEW = Case(framework_version="2.10.0", profile=BLOCKING)


def samples(*rates):
    return tuple(
        Measured(rate, group=f"group {number}", turns=tuple(TimedTurn(block, 100, 100 / rate) for block in range(4)))
        for number, rate in enumerate(rates)
    )


def test_releases_modes_and_profiles_compete_and_nothing_else():
    large = Case(framework_version="2.10.0", hyperparameters=Hyperparameters(batch_size=256))
    peer = Case(framework="pytorch", mode="eager")
    assert finals({NEW: 10.0, OLD: 11.0, large: 99.0, peer: 99.0}) == [[OLD, NEW]]


def test_one_case_has_no_final():
    assert finals({NEW: 10.0}) == []


def test_what_is_far_behind_is_no_finalist_but_the_second_always_is():
    third = Case(framework_version="2.8.0")
    assert finals({NEW: 100.0, OLD: 60.0, third: 49.0}) == [[NEW, OLD]]
    assert finals({NEW: 100.0, OLD: 5.0, third: 4.0}) == [[NEW, OLD]]


def test_the_groups_decide_and_not_the_searches():
    found = fastest({NEW: samples(10, 10.2, 9.9), OLD: samples(12, 12.1, 11.9)})
    assert [each.case for each in found.finalists] == [OLD, NEW]
    assert found.leads[0] is None
    assert found.leads[1].value == pytest.approx(1.2, rel=0.01)
    assert found.clear


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((10, 10.2, 9.9), (10.1, 9.8, 10.3)), ((12, 12), (10, 10))],
    ids=["the interval holds 1", "too few groups"],
)
def test_a_lead_within_the_noise_or_of_few_groups_is_not_clear(ours, theirs):
    assert not fastest({NEW: samples(*ours), OLD: samples(*theirs)}).clear


def test_a_finalist_that_could_not_be_measured_is_last():
    found = fastest({NEW: (Measured(None, "crashed"),), OLD: samples(1, 1, 1)})
    assert [each.case for each in found.finalists] == [OLD, NEW]
    assert found.leads == (None, None)
