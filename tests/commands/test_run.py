"""Beginning a run from cases or from a request, resuming one, and when a run failed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from lenet.cases.case import Case, Hyperparameters, Mode, Plan
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import RESULTS, begin, failure
from lenet.commands.run import RunRequest
from lenet.errors import UsageError
from lenet.machine.card import present_devices
from lenet.store.record import Status

CASES = (
    Case(dataset="auto", mode=Mode.GRAPH, plan=Plan(windows=3)),
    Case(dataset="auto", mode=Mode.JIT, world_size=2, hyperparameters=Hyperparameters(batch_size=64, seed=5)),
)


def test_given_cases_are_described_by_the_smallest_matrix_around_them(digits, tmp_path):
    run = begin(CASES, lambda _: digits, tmp_path / "run")
    manifest = run.store.manifest
    assert [case.model_copy(update={"dataset": "auto"}) for case in manifest.cases] == list(CASES)
    assert manifest.matrix.modes == (Mode.GRAPH, Mode.JIT)
    assert manifest.matrix.batch_sizes == (32, 64)
    assert manifest.matrix.world_sizes == (1, 2)
    assert manifest.matrix.plan == CASES[0].plan


def test_cases_and_matrix_name_the_dataset_that_was_found(digits, tmp_path):
    run = begin(CASES, lambda _: digits, tmp_path / "run", matrix=Matrix(name="mine"))
    assert {case.dataset for case in run.store.manifest.cases} == {"digits"}
    assert run.store.manifest.matrix == Matrix(name="mine", datasets=("digits",))
    assert set(run.datasets) == {"digits"}


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ((), "no case"),
        ((CASES[0], CASES[0].model_copy(update={"dataset": "digits"})), "the same data"),
        ((Case(hyperparameters=Hyperparameters(batch_size=4000)),), "choose less"),
    ],
)
def test_cases_that_cannot_be_one_run_are_refused(cases, words, digits, tmp_path):
    with pytest.raises(UsageError, match=words):
        begin(cases, lambda _: digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_runs_that_begin_in_one_second_or_after_the_clock_is_set_back_have_folders_of_their_own(
    digits, tmp_path, monkeypatch
):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 2, tzinfo=tz)

    monkeypatch.setattr("lenet.commands.measurement.datetime", Stopped)
    monkeypatch.setenv(RESULTS, str(tmp_path / "inside"))
    names = [begin(CASES, lambda _: digits, matrix=Matrix(name="mine")).store.path.name for _ in range(3)]
    assert names == [f"run-20260102T000000-mine{end}" for end in ("", "-2", "-3")]


class TestResume:
    @pytest.fixture
    def begun(self, digits, tmp_path):
        run = begin(CASES, lambda _: digits, tmp_path / "run")
        run.store.release()
        return run

    def test_a_run_that_was_begun_with_the_same_cases_is_continued(self, begun, digits):
        run = begin(CASES[:1], lambda _: digits, resume=begun.store.path)
        assert run.store.manifest == begun.store.manifest
        assert run.cases == begun.cases[:1]

    def test_other_cases_are_refused(self, begun, digits):
        with pytest.raises(UsageError, match="begun with other options"):
            begin([Case(dataset="auto", mode=Mode.PYNATIVE)], lambda _: digits, resume=begun.store.path)

    def test_it_has_a_folder_already(self, begun, digits, tmp_path):
        with pytest.raises(UsageError, match="omit --output"):
            begin(CASES, lambda _: digits, tmp_path / "other", resume=begun.store.path)


class TestRequest:
    def test_the_axes_replace_those_of_the_preset(self, digits, tmp_path):
        request = RunRequest({"mode": "graph", "batch_size": "8,16", "seed": "7"}, output=tmp_path / "run")
        run = request.begin(lambda _: digits, print)
        assert [(case.mode, case.hyperparameters.batch_size) for case in run.cases] == [
            (Mode.GRAPH, 8),
            (Mode.GRAPH, 16),
        ]
        assert {case.hyperparameters.seed for case in run.cases} == {7}
        assert {case.device_target for case in run.cases} == set(present_devices())
        assert request.outstanding(run) == list(run.cases)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"preset": "quick", "matrix": Path("x.toml")}, "give one of them"),
            ({"retry_failed": True}, "name it with --resume"),
            ({"force": True}, "name it with --resume"),
            ({"engine": "slurm"}, "choose from local, ray"),
            ({"cann": Path("nowhere/set_env.sh")}, "nowhere"),
        ],
    )
    def test_options_that_cannot_be_used(self, digits, tmp_path, fields, words):
        with pytest.raises(UsageError, match=words):
            RunRequest(output=tmp_path / "run", **fields).begin(lambda _: digits, print)
        assert not (tmp_path / "run").exists()


class TestEnvironments:
    """Of the releases that cases name: made before the run's folder, here but not for a cluster."""

    @pytest.fixture
    def prepared(self, monkeypatch):
        versions = []
        monkeypatch.setattr(
            "lenet.commands.run.prepare", lambda cases, _: versions.extend(case.framework_version for case in cases)
        )
        monkeypatch.setattr("lenet.commands.run.available", lambda _: None)
        return versions

    @pytest.mark.parametrize(("engine", "expected"), [("local", ["2.7.0"]), ("ray", [])])
    def test_they_are_made_as_a_run_begins_and_is_resumed(self, prepared, digits, tmp_path, engine, expected):
        axes = {"mode": "graph", "batch_size": "8", "device": "cpu", "versions": "2.7.0"}
        run = RunRequest(axes, output=tmp_path / "run", engine=engine).begin(lambda _: digits, print)
        run.store.release()
        assert prepared == expected
        RunRequest(resume=tmp_path / "run", engine=engine).begin(lambda _: digits, print)
        assert prepared == expected * 2


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([Status.OK, Status.PLATEAU], ""),
        ([Status.OK, Status.UNAVAILABLE], ""),
        ([Status.OK, Status.CRASHED], "some cases failed"),
        ([Status.UNAVAILABLE, Status.CRASHED], "no case could be run"),
        ([], "no case could be run"),
    ],
)
def test_when_a_run_failed(plain_record, statuses, words):
    problem = failure([plain_record(CASES[0], status) for status in statuses])
    assert problem.startswith(words)
    assert bool(problem) == bool(words)
