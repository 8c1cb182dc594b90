"""Published figures against measured ones."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest
from scipy import stats

from lenet.analysis.published import PublishedVerdict, compare_published, prediction_interval
from lenet.cases.case import Case, Hyperparameters, Mode, Plan, RuntimeProfile
from lenet.cases.claims import Publication
from lenet.cases.values import DeviceTarget
from lenet.store.record import Evaluation, Record, Status

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
SECONDS, EVALUATION, STEPS = 6.0, 1.0, 300
"""Of an epoch."""


def publication(figure, **fields):
    return Publication.model_validate(
        {
            "name": "page",
            "title": "A page",
            "source": "a book",
            "not_stated": ["machine", "seed"],
            "same_training": True,
            "matrix": {"modes": ["pynative"], "datasets": ["mnist"], "plan": {"epochs": 2}},
            "figures": [figure],
            **fields,
        }
    )


def record(seed, accuracy, *, status=Status.OK, machine="here", mode=Mode.PYNATIVE, epochs=2, **fields):
    hyper = Hyperparameters(seed=seed, **{key: fields.pop(key) for key in ("batch_size", "momentum") if key in fields})
    case = Case(mode=mode, hyperparameters=hyper, plan=Plan(epochs=epochs), **fields)
    evaluations = [
        Evaluation(
            epoch=epoch, steps=STEPS * epoch, training_seconds=3 + SECONDS * epoch, seconds=EVALUATION, images=10_000,
            correct=round(10_000 * (accuracy if epoch == epochs else 0.5)), distinct_answers=10,
        )
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    return Record(
        case_id=case.id, case=case, status=status, started_at=NOW, finished_at=NOW, machine_id=machine,
        evaluations=tuple(evaluations),
    )  # fmt: skip


ACCURACY = {"quantity": "test accuracy", "epoch": 2, "low": 0.95}


def result(figure, records, **fields):
    (found,) = compare_published(publication(figure, **fields), records)
    return found


class TestAccuracy:
    def test_inside_is_reproduced(self):
        found = result(ACCURACY, [record(1, 0.948), record(2, 0.950), record(3, 0.953)])
        assert found.verdict is PublishedVerdict.REPRODUCED
        assert (found.trainings, found.measured) == (3, pytest.approx(0.9503, abs=1e-4))

    def test_outside_is_refuted_by_how_much(self):
        found = result({**ACCURACY, "low": 0.99}, [record(1, 0.950), record(2, 0.951), record(3, 0.949)])
        assert found.verdict is PublishedVerdict.REFUTED
        apart = 0.99 - found.high
        assert f"{apart:+.4g} outside" in found.why

    def test_a_range_that_touches_the_interval_is_reproduced(self):
        trainings = [record(1, 0.950), record(2, 0.951), record(3, 0.949)]
        assert result({**ACCURACY, "low": 0.94, "high": 0.99}, trainings).verdict is PublishedVerdict.REPRODUCED
        assert result({**ACCURACY, "low": 0.97, "high": 0.99}, trainings).verdict is PublishedVerdict.REFUTED

    def test_modes_and_profiles_of_a_seed_are_one_training(self):
        fast = RuntimeProfile.parse("launch_blocking")
        records = [record(1, 0.95), record(1, 0.95, mode=Mode.GRAPH), record(1, 0.95, profile=fast), record(2, 0.96)]
        found = result(ACCURACY, records)
        assert (found.verdict, found.trainings) == (PublishedVerdict.NOT_COMPARABLE, 2)
        assert found.why == "3 trainings are needed, 2 so far"

    @pytest.mark.parametrize(
        "other",
        [
            {"batch_size": 64},
            {"momentum": 0.8},
            {"dataset": "digits"},
            {"world_size": 2},
            {"status": Status.PLATEAU},
        ],
        ids=str,
    )
    def test_another_training_does_not_count(self, other):
        assert result(ACCURACY, [record(1, 0.95, **other)]).trainings == 0

    def test_a_source_that_does_not_give_its_training(self):
        trainings = [record(1, 0.950), record(2, 0.951), record(3, 0.949)]
        found = result(ACCURACY, trainings, same_training=False, not_stated=["initial weights"])
        assert found.verdict is PublishedVerdict.NOT_COMPARABLE
        assert "initial weights" in found.why
        assert found.measured is not None


class TestSpeed:
    @pytest.mark.parametrize(
        ("quantity", "expected"),
        [
            ("seconds per epoch", SECONDS),
            ("seconds per epoch with evaluation", SECONDS + EVALUATION),
            ("milliseconds per step", 1000 * SECONDS / STEPS),
        ],
    )
    def test_an_unnamed_machine_is_not_comparable_and_shown(self, quantity, expected):
        found = result({"quantity": quantity, "low": 5}, [record(seed, 0.95) for seed in (1, 2, 3)])
        assert (found.verdict, found.measured) == (PublishedVerdict.NOT_COMPARABLE, pytest.approx(expected))
        assert found.why == "the source does not name its machine"

    def test_the_named_machine_is_comparable(self):
        records = [record(seed, 0.95, machine="abc") for seed in (1, 2, 3)]
        figure = {"quantity": "seconds per epoch", "low": SECONDS}
        assert result(figure, records, machine_id="abc").verdict is PublishedVerdict.REPRODUCED
        assert result({**figure, "low": 5}, records, machine_id="abc").verdict is PublishedVerdict.REFUTED
        assert "another machine" in result(figure, records, machine_id="def").why

    def test_another_mode_device_or_profile_is_left_out(self):
        figure = {"quantity": "seconds per epoch", "low": SECONDS}
        tuned = record(1, 0.95, profile=RuntimeProfile.parse("launch_blocking"))
        for records in ([record(1, 0.95, mode=Mode.GRAPH)], [tuned]):
            assert result(figure, records).measured is None
        assert result(figure, [record(1, 0.95)], device=DeviceTarget.ASCEND).measured is None

    def test_the_first_epoch_is_left_out(self):
        """It holds the compilation: here three seconds that no other epoch has."""
        assert result({"quantity": "seconds per epoch", "low": 5}, [record(1, 0.95, epochs=1)]).measured is None


def test_nineteen_of_twenty_further_trainings_lie_inside():
    generator = np.random.default_rng(7)
    inside = 0
    for _ in range(2000):
        *seen, another = generator.normal(0.98, 0.002, 4)
        found = prediction_interval(seen)
        inside += found.low <= another <= found.high
    assert 0.935 <= inside / 2000 <= 0.965


def test_the_interval_is_hahn_and_meekers():
    """x̄ ± t(0.975; n-1) s √(1 + 1/n)."""
    values = [1.0, 2.0, 4.0]
    found = prediction_interval(values)
    reach = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) * (4 / 3) ** 0.5
    assert (found.low, found.high) == pytest.approx((7 / 3 - reach, 7 / 3 + reach))
