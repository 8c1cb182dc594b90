"""Tuning through the real engine, with a worker of known speed in place of the framework."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from pathlib import Path

import pytest
from known_speed import WORKER

from lenet.analysis.paired import LEAST_GROUPS
from lenet.cases.case import Case, Mode, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.commands.tune import CONFIRMATION, RACE, counted_turns, prepare
from lenet.commands.tune import tune as run_search
from lenet.commands.verify import verify
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.report.table.words import times
from lenet.report.text.tune import tuning_text
from lenet.store.profiles import load, resolve
from lenet.store.record import Status
from lenet.store.run import Store
from tests.steady import steady


@pytest.fixture(scope="module")
def tune(tmp_path_factory, digits):
    """Tune with a worker whose speed and losses `body` changes; returns results, messages and the run's store."""

    def go(body, modes=("pynative",), budget=600):
        folder = tmp_path_factory.mktemp("tune")
        messages = []
        script = folder / "worker.py"
        script.write_text(WORKER.format(body=textwrap.dedent(body)), encoding="utf-8")
        matrix = Matrix(modes=modes, datasets=("digits",))
        run = prepare(matrix, lambda _: digits, messages.append, folder / "run")
        engine = LocalEngine(TimeLimits(30, 30), command=(sys.executable, str(script)), interleave="windows")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LENET_BENCH_PROFILES", str(folder / "profiles"))
            return list(run_search(run, budget, messages.append, engine)), messages, run.store

    return go


def test_a_case_without_a_setting_to_try_is_refused(digits, tmp_path):
    matrix = Matrix(frameworks=("pytorch",), modes=("eager",), device_targets=("GPU",), datasets=("digits",))
    with pytest.raises(UsageError, match="pytorch on GPU: no setting of a profile is worth a measurement"):
        prepare(matrix, lambda _: digits, print, tmp_path / "run")
    assert not (tmp_path / "run").exists()


FASTER = "rate *= 4 if profile['launch_blocking'] else 1"


@pytest.fixture(scope="module")
def faster(tune):
    """PyNative and Graph mode on a machine where blocking launch is worth four times, in both."""
    return tune(FASTER, ("pynative", "graph"))


def test_the_winner_is_saved_and_resolves(faster, monkeypatch):
    (tuned, _), _, store = faster
    assert tuned.search.winner.profile.launch_blocking
    assert tuned.tuned.tuned_images_per_second / tuned.tuned.default_images_per_second == pytest.approx(4, rel=0.01)
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tuned.path.parent))
    assert load(tuned.tuned.scope) == tuned.tuned
    asked = tuned.case.model_copy(update={"profile": tuned.case.profile.parse("tuned")})
    (case,) = resolve([asked], store.manifest.machine.id)
    assert case.profile.launch_blocking
    assert case.profile.tuned_by == "run"


def test_every_measurement_is_a_record_of_the_run(faster):
    _, messages, store = faster
    records = Store.open(store.path).records()
    assert len(records) == len(store.manifest.cases) > 10
    assert all("profiles are alive together; at most" in message for message in messages)
    assert {record.case.hyperparameters for record in records} == {Case().hyperparameters}, "the workload is untouched"


def test_each_mode_is_tuned_for_itself(faster):
    found, _, _ = faster
    assert [each.case.mode for each in found] == [Mode.PYNATIVE, Mode.GRAPH]
    assert [each.tuned.profile.launch_blocking for each in found] == [True, False]


def test_the_table_fits_and_has_default_each_setting_and_winner(faster):
    (tuned, _), _, _ = faster
    text = tuning_text(tuned.case, tuned.search, 200, 1e-4)
    assert max(map(len, text.splitlines())) <= 80
    for word in ("default", "race", "confirmed", "launch_blocking", "dispatch_threads=1", "4.00×", "0.0001"):
        assert word in text


def test_a_profile_that_changes_the_training_is_refused(tune):
    (tuned,), _, _ = tune(FASTER + "\nloss += 0.01 if profile['launch_blocking'] else 0")
    assert not tuned.tuned.profile.launch_blocking
    faulty = [each for each in tuned.search.tried if each.fault]
    assert faulty
    assert all(each.profile.launch_blocking for each in faulty)
    text = tuning_text(tuned.case, tuned.search, 200, 1e-4)
    assert "changes the training" in " ".join(text.split())
    assert "No gain beyond noise" in " ".join(text.split())


def test_last_bits_of_a_loss_may_differ(tune):
    (tuned,), _, _ = tune(FASTER + "\nloss += 1e-6 if profile['launch_blocking'] else 0")
    assert tuned.search.winner.profile.launch_blocking


def test_a_case_that_cannot_run_saves_nothing(tune):
    (tuned,), _, _ = tune("emit(event='failed', status='unavailable', reason='no such device'); sys.exit(1)")
    assert tuned.tuned is None
    assert "no such device" in tuning_text(tuned.case, tuned.search, 200, 1e-4)


TWO_SPEEDS = """
rate = 2000.0 if profile['launch_blocking'] else 200.0
if profile['launch_blocking'] and case['plan']['warmup_steps'] == 60 and case['repetition'] == 1:
    rate = 400.0
"""


def test_two_speeds_from_process_to_process_are_named_with_how_often_each(tune):
    (tuned,), _, _ = tune(TWO_SPEEDS)
    text = " ".join(tuning_text(tuned.case, tuned.search, 200, 1e-4).split())
    slow, fast = tuned.search.best.speeds
    assert (slow.images_per_second, slow.processes) == (pytest.approx(400, rel=0.01), 1)
    assert fast.images_per_second == pytest.approx(2000, rel=0.01)
    assert f"in 1 of {1 + fast.processes} processes" in text
    both = (
        f"{times(each.images_per_second / tuned.search.default.median)} the default in {each.processes} of"
        for each in (slow, fast)
    )
    assert f" {1 + fast.processes} processes and ".join(both) in text, "no mean of the two speeds"


ALTERNATING = """
class Alternating:
    turns = 0
    def __rtruediv__(self, images):
        self.turns += 1
        return images / (4000 if self.turns % 2 else 300)
rate = Alternating() if profile['launch_blocking'] else 200.0
"""


def test_a_speed_that_changes_from_turn_to_turn_is_named_with_how_often_it_is_slow(tune):
    (tuned,), _, _ = tune(ALTERNATING)
    assert tuned.search.best.profile.launch_blocking
    text = " ".join(tuning_text(tuned.case, tuned.search, 200, 1e-4).split())
    assert "a tenth of its turns have 300 images/s or less, a tenth 4,00" in text
    turns = [turn for each in tuned.search.best.confirmed for turn in each.turns]
    slow = sum(turn.images / turn.seconds < 1000 for turn in turns) / len(turns)
    assert 0.4 < slow < 0.7
    assert f"and {slow:.0%} are nearer the slow ones" in text
    assert "default changes its speed" not in text


def test_a_worker_that_outlasts_the_budget_is_ended(tune):
    began = time.monotonic()
    (tuned,), _, store = tune("import time; time.sleep(300 if profile['launch_blocking'] else 0)", budget=8)
    assert time.monotonic() - began < 60, "not the 30 s of the silence limit for each"
    assert tuned.tuned is not None
    late = [record for record in store.records() if record.case.profile.launch_blocking]
    assert late
    assert {record.status for record in late} == {Status.DROPPED}
    assert all("--budget" in record.reason for record in late)


@pytest.fixture(scope="module")
def raced(tmp_path_factory, digits):
    """The result, and the run's folder."""
    folder = tmp_path_factory.mktemp("raced")
    script = folder / "worker.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "import numpy_worker\n"
        "honest = numpy_worker.Regression.__init__\n"
        "def build(self, case, dataset):\n"
        "    honest(self, case, dataset)\n"
        "    numpy_worker.STEP_SECONDS = 0.01 if case.profile.launch_blocking else 0.05\n"
        "numpy_worker.Regression.__init__ = build\n"
        "numpy_worker.training.build = numpy_worker.Regression\n"
        "sys.exit(numpy_worker.worker.main())\n",
        encoding="utf-8",
    )
    run = prepare(Matrix(modes=("pynative",), datasets=("digits",)), lambda _: digits, print, folder / "run")
    engine = LocalEngine(TimeLimits(60, 60), command=(sys.executable, str(script)), interleave="windows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_BENCH_PROFILES", str(folder / "profiles"))
        settings = [RuntimeProfile.parse(text) for text in ("launch_blocking", "dispatch_threads=1")]
        patch.setattr("lenet.commands.tune.space", lambda *_: settings)
        patch.setattr("lenet.analysis.tune.search.MOST_GROUPS", 3)
        (result,) = run_search(run, 600, print, engine)
    return result, folder / "run"


@pytest.mark.parametrize(("turns", "first"), [(20, 12), (19, 0), (3, 0)])
def test_turns_before_the_tuning_of_kernels_count_only_where_few_come_after_it(turns, first):
    """Of five steps each, so that the kernels are tuned after the first twelve."""
    windows = [each.model_copy(update={"first_step": 5 * number}) for number, each in enumerate(steady([100] * turns))]
    assert counted_turns(windows) == windows[first:]


class TestWorkersThatTakeTurns:
    """Trained in NumPy, by the harness's own loop: blocking launch is worth much."""

    def test_the_winner_is_confirmed_in_groups(self, raced):
        result, _ = raced
        assert result.search.winner.profile.launch_blocking
        assert result.search.gain.groups == LEAST_GROUPS
        assert result.search.gain.interval.low > 2

    def test_what_has_lost_is_ended_early_and_its_record_says_so(self, raced):
        _, folder = raced
        records = Store.open(folder).records()
        dropped = [record for record in records if record.status is Status.DROPPED]
        assert dropped
        for record in dropped:
            assert not record.case.profile.launch_blocking
            assert "dropped from the race" in record.reason
            assert record.group
            assert record.phases is None
            steady = sum(not window.warmup for window in record.windows)
            assert 1 <= steady < RACE.windows * RACE.window_seconds / 0.05
        assert not any(record.status.failed for record in records)

    def test_only_the_confirmation_warms_up_past_the_tuning_of_kernels(self, raced):
        _, folder = raced
        plans = {record.case.plan.warmup_steps for record in Store.open(folder).records()}
        assert plans == {RACE.warmup_steps, CONFIRMATION.warmup_steps}
        assert RACE.warmup_steps < 10 < CONFIRMATION.warmup_steps

    def test_the_run_is_verified_and_a_dropped_record_cannot_be_forged(self, raced, tmp_path):
        _, folder = raced
        assert [str(each) for each in verify(folder).violations] == []
        run = shutil.copytree(folder, tmp_path / "copy")
        for path in (run / "records").iterdir():
            record = json.loads(path.read_text())
            if record["status"] == "ok":
                path.write_text(json.dumps({**record, "status": "dropped", "reason": "dropped from the race"}))
        assert any("is dropped" in str(each) for each in verify(run).violations)

    def test_a_resumed_search_measures_nothing_again(self, raced, digits, monkeypatch, tmp_path):
        result, folder = raced
        monkeypatch.setenv("LENET_BENCH_PROFILES", str(tmp_path))
        monkeypatch.setattr(
            "lenet.commands.tune.space",
            lambda *_: [RuntimeProfile.parse(text) for text in ("launch_blocking", "dispatch_threads=1")],
        )
        monkeypatch.setattr("lenet.analysis.tune.search.MOST_GROUPS", 3)
        # A NumPy worker reports another version than that of the installed framework, which would make it stale.
        monkeypatch.setattr("lenet.commands.measurement.changes", lambda *_: [])
        before = {path: path.read_bytes() for path in (folder / "records").iterdir()}
        run = prepare(Matrix(modes=("pynative",), datasets=("digits",)), lambda _: digits, print, None, resume=folder)
        engine = LocalEngine(TimeLimits(60, 60), command=("no such program",), interleave="windows")
        (again,) = run_search(run, 600, print, engine)
        assert {path: path.read_bytes() for path in (folder / "records").iterdir()} == before
        assert again.search.winner.profile == result.search.winner.profile
        assert again.search.gain == result.search.gain
