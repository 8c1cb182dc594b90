"""`bench/recording.py`: the planted work, and how often its comparisons call a difference."""

import importlib.util
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lenet.analysis.paired import LEAST_GROUPS, TimedTurn

ROOT = Path(__file__).parents[2]

_spec = importlib.util.spec_from_file_location("recording", ROOT / "bench/recording.py")
recording = importlib.util.module_from_spec(_spec)
sys.modules["recording"] = recording
_spec.loader.exec_module(recording)

MADE_AND_REPORTED = """
import sitecustomize
from itertools import islice
from types import SimpleNamespace
from lenet import training

made = 0

class Trainer:
    software = "as usual"
    def train_epoch(self, observe=None):
        global made
        while True:
            made += 1
            yield made
    train_resident = train_epoch

sitecustomize.build = lambda case, dataset: Trainer()
case = SimpleNamespace(hyperparameters=SimpleNamespace(seed={seed}))
trainer = training.build(case, None)
for steps in (trainer.train_epoch(), trainer.train_resident()):
    made = 0
    reported = sum(1 for _ in islice(steps, 200))
    print(made, reported, trainer.software)
"""


@pytest.mark.parametrize(("seed", "made"), [(1, 200), (3, 203), (4, 209), (5, 219)])
def test_a_planted_worker_trains_more_steps_than_it_reports(seed, made):
    """Of 200 reported steps, each 50th, 20th and 10th is followed by one more, as long as another is asked for."""
    done = subprocess.run(
        [sys.executable, "-c", MADE_AND_REPORTED.format(seed=seed), "lenet.worker"],
        env={"PYTHONPATH": f"{ROOT / 'bench/planted'}:{ROOT}", "LENET_BENCH_PLANTED": json.dumps(recording.EVERY)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == f"{made} 200 as usual"
    # The count goes on over the passes: the second begins with the step that the first did not ask for.
    assert second == f"{made + (made > 200)} 200 as usual"


def normal(generator, scatter, count):
    """Values whose own mean is 0 and whose own standard deviation is the scatter."""
    values = generator.normal(0, 1, count)
    return scatter * (values - values.mean()) / values.std(ddof=1)


def simulated(groups, scatter, ratio, processes=40, process_scatter=0.12):
    """Groups whose log ratio to the first seed has that standard deviation, and processes that scatter on their own.

    Seed 2 is as fast as the first; the others have `ratio` times its throughput.
    """
    generator = np.random.default_rng(5)
    logs = {seed: 0.0 if seed in recording.UNCHANGED else math.log(ratio) for seed in recording.MORE_WORK}
    members = {
        seed: [
            recording.Member([TimedTurn(block, round(1e9 * rate), 1.0) for block in range(4)], 15.0)
            for rate in np.exp(logs[seed] + normal(generator, scatter if seed != 1 else 0.0, groups))
        ]
        for seed in recording.IN_GROUPS
    }
    alone = {
        seed: [
            recording.Process(rate, rate, 10.0) for rate in np.exp(log + normal(generator, process_scatter, processes))
        ]
        for seed, log in logs.items()
    }
    listed = [{seed: members[seed][number] for seed in members} for number in range(groups)]
    return recording.Recorded("machine", "case", listed, alone)


def t_power(effect, scatter, groups):
    """Power of a two-sided one-sample t test at 5%, from the noncentral t distribution."""
    shift, border = effect / scatter * math.sqrt(groups), stats.t.ppf(0.975, groups - 1)
    return stats.nct.sf(border, groups - 1, shift) + stats.nct.cdf(-border, groups - 1, shift)


class TestCalled:
    def test_detection_is_the_power_of_the_t_test(self):
        recorded = simulated(400, 0.036, 1 / 1.02)
        for count in (5, 10, 20):
            called = recording.interleaved(recorded, 3, count, random.Random(1))
            assert called.value == pytest.approx(t_power(math.log(1.02), 0.036, count), abs=0.08)
            assert called.low <= called.value <= called.high

    def test_false_alarms_are_at_the_level(self):
        called = recording.interleaved(simulated(400, 0.036, 1 / 1.02), 2, 8, random.Random(1))
        assert 0.02 <= called.value <= 0.08

    def test_independent_processes_find_less(self):
        recorded = simulated(400, 0.036, 1 / 1.05, processes=400)
        alone = recording.independent(recorded, 4, 10, random.Random(1))
        assert alone.value < recording.interleaved(recorded, 4, 10, random.Random(1)).value / 2

    def test_as_many_as_fit_the_wall_time(self):
        recorded = simulated(50, 0.036, 1 / 1.05)
        assert recording.groups_in(recorded, 4, 300) == 10  # two members of 15 s each
        assert recording.processes_in(recorded, 4, 300) == 15  # two processes of 10 s each

    def test_too_few_for_a_verdict(self):
        recorded = simulated(5, 0.036, 1 / 1.05)
        assert recording.interleaved(recorded, 4, LEAST_GROUPS - 1, random.Random(1)) is None
        assert recording.interleaved(recorded, 4, LEAST_GROUPS, random.Random(1)) is not None

    def test_a_difference_that_equal_cases_happened_to_have_is_no_alarm(self):
        recorded = simulated(400, 0.036, 1 / 1.05)
        for group in recorded.groups:
            group[2] = group[4]  # 5% slower in every group
        assert recording.interleaved(recorded, 2, 16, random.Random(1)).value <= 0.08

    def test_the_ratio_to_processes_alone(self):
        """Members of groups are simulated as 1e9 times as fast."""
        found = recording.taking_turns(simulated(300, 0.12, 1.0, processes=300))
        assert found.times.value / 1e9 == pytest.approx(1, abs=0.02)
        assert found.times.low < 1e9 < found.times.high
        assert found.alone.low < 1 < found.alone.high
        assert found.in_groups.low <= 1e9 <= found.in_groups.high
        assert (found.processes, found.members) == (600, 600)

    def test_one_process_has_no_ratio(self):
        recorded = simulated(20, 0.12, 1.0)
        processes = {seed: listed[:1] for seed, listed in recorded.processes.items()}
        assert recording.taking_turns(recorded._replace(processes=processes)) is None


MEASURED = sorted((ROOT / "bench/measured").glob("power-*.json"))


class TestMeasured:
    """The analysis on what was recorded on real machines: the files of bench/measured."""

    def test_a_tenth_of_the_processes_where_the_machine_changes_between_them(self):
        """On a noisier machine processes one after another differ by 12%, those that take turns by 3.4%."""
        recorded = recording.read(ROOT / "bench/measured/prototype.json")
        assert recording.scatter_in_groups(recorded.groups, 2) == pytest.approx(0.034, abs=0.001)
        assert recording.processes_saved(recorded, 2).value >= 10

    @pytest.mark.parametrize("file", MEASURED, ids=lambda file: file.stem)
    def test_planted_work_is_found_and_none_is_invented(self, file):
        recorded = recording.read(file)
        assert len(recorded.groups) >= 100
        chance = random.Random(2)
        five, twenty = (recording.groups_in(recorded, 4, 60 * minutes) for minutes in (5, 20))
        assert recording.interleaved(recorded, 2, five, chance).value <= 0.05
        assert recording.interleaved(recorded, 4, five, chance).value >= 0.95
        assert recording.interleaved(recorded, 3, twenty, chance).value >= 0.80

    @pytest.mark.parametrize("file", MEASURED, ids=lambda file: file.stem)
    def test_the_places_of_the_starts_explain_a_part_of_the_scatter(self, file):
        recorded = recording.read(file)
        found = recording.estimates(recorded.groups, 2)
        assert all(each.places is not None for each in found)
        plain = recording.group_mean([each._replace(places=None) for each in found])
        assert recording.group_mean(found).deviation < plain.deviation


ALONE = sorted((ROOT / "bench/measured").glob("alone-*/*.json"))


@pytest.mark.parametrize("file", ALONE, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_taking_turns_does_not_change_the_speed_that_is_measured(file):
    found = recording.taking_turns(recording.read(file))
    assert found.times.low <= 1 <= found.times.high
    assert found.times.high / found.times.low < 1.5


@pytest.mark.parametrize("file", ALONE, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_page_has_what_was_recorded(file):
    found = recording.taking_turns(recording.read(file))
    row = f"| {found.alone} | {found.in_groups} | {found.times} | {found.processes}, {found.members} |"
    assert row in (ROOT / "docs/statistics.md").read_text(encoding="utf-8")


class TestProcessesSaved:
    def test_the_ratio_of_the_variances(self):
        recorded = simulated(400, 0.04, 1 / 1.05, processes=400, process_scatter=0.12)
        saved = recording.processes_saved(recorded, 2)
        assert saved.value == pytest.approx(2 * 0.12**2 / 0.04**2, rel=0.05)
        assert saved.low < saved.value < saved.high
