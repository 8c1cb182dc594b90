"""A stranger's run: an honest one passes, and nothing that a folder holds makes the command fail."""

from __future__ import annotations

import json
import os
import sys

import pytest
from forging import edit, refused_by

from lenet.cases.case import Case, Hyperparameters, Plan, RuntimeProfile
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.errors import StoreError, UsageError
from lenet.report import render, rows
from lenet.report.table.forms import TABLES
from lenet.store.run import Store


def test_an_honest_run_is_verified(honest_run):
    result = verify(honest_run)
    assert [str(each) for each in result.violations] == []
    assert (result.records, result.events > 40) == (4, True)
    assert {name.partition("/")[0] for name in result.unread} == {"logs"}
    assert result.remarks == ["2 cases are not in the matrix"]


@pytest.mark.parametrize("baseline", [None, "mode=graph,batch_size=64", "batch_size=64,dataset=digits"])
def test_tables_with_another_baseline_are_honest_too(run, baseline):
    store = Store.open(run)
    table = rows(store.records(), "run")
    for name, form in TABLES.items():
        store.write_text(name, render(table, form, baseline))
    assert verify(run).violations == []


def test_a_table_of_an_earlier_version_names_a_baseline_that_no_row_is(digits, new_store, numpy_worker):
    plan = Plan(windows=1, warmup_steps=2, window_steps=2, resident_windows=0, window_seconds=0, evaluation_images=32)
    profiles = (RuntimeProfile(), RuntimeProfile.parse("dispatch_threads=1"))
    cases = [Case(dataset="digits", plan=plan, profile=profile) for profile in profiles]
    store = new_store(cases, digits)
    LocalEngine(command=numpy_worker).run(cases, {"digits": digits}, store)
    table = rows(store.records(), "run")
    for over, required in ((None, True), ("mode=pynative", False)):
        for name, form in TABLES.items():
            store.write_text(name, render(table, form, over, required=required))
        assert (over or "profile=default") in (store.path / "table.md").read_text("utf-8")
        assert [str(each) for each in verify(store.path).violations] == []


@pytest.mark.parametrize("baseline", [5, ["mode=graph"], "speed=9", "mode=fast", "mode=pynative"])
def test_another_baseline_than_that_of_the_speed_ups_is_refused(run, baseline):
    table = json.loads((run / "table.json").read_text("utf-8"))
    (run / "table.json").write_text(json.dumps([{**row, "speed_up_over": baseline} for row in table]), "utf-8")
    found = verify(run).violations
    assert found
    assert {(each.rule, each.place.file) for each in found} == {("table", "table.json")}


def test_an_interrupted_worker_is_a_remark(run, names):
    path = run / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    begun = [line for line in lines if names[0] in line][:3]
    path.write_text("".join(begun + lines))
    result = verify(run)
    assert result.violations == []
    assert any("2 workers began it" in remark for remark in result.remarks)


def test_a_finished_attempt_that_was_thrown_away_is_refused(run, names):
    path = run / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([line for line in lines if names[0] in line] + lines))
    assert "complete" in refused_by(run)


class TestMeasuredAgain:
    """A case of a run that was resumed: the record before it is kept."""

    def test_it_is_verified_with_a_remark(self, measured_again, names):
        result = verify(measured_again)
        assert [str(each) for each in result.violations] == []
        assert f"{names[0]}: measured again; the record before it is in superseded/" in result.remarks

    def test_without_the_record_before_it_a_figure_was_thrown_away(self, measured_again, names):
        (kept,) = (measured_again / "superseded").iterdir()
        kept.unlink()
        (violation,) = verify(measured_again).violations
        assert (violation.rule, violation.place.file) == ("complete", "events.jsonl")

    def test_the_record_of_another_attempt_does_not_stand_for_it(self, measured_again):
        (kept,) = (measured_again / "superseded").iterdir()
        edit(kept, lambda data: data.update(attempt="0123456789ab"))
        assert refused_by(measured_again) == {"complete"}

    def test_a_kept_record_has_the_name_of_its_case(self, measured_again, names):
        (kept,) = (measured_again / "superseded").iterdir()
        kept.rename(kept.with_name(f"{names[1]}.1.json"))
        assert refused_by(measured_again) == {"case id"}


def test_cases_that_failed_are_no_violation(digits, new_store, numpy_worker):
    """A divergence that the worker reports, a crash without a report, a case that could not begin."""
    plan = Plan(epochs=1, warmup_steps=6, window_steps=4)
    rates = {"diverged": 1e300, "crashed": 0.01, "invalid": 0.01}
    sizes = {"diverged": 64, "crashed": 64, "invalid": 1000}
    hypers = [Hyperparameters(learning_rate=rates[fate], batch_size=sizes[fate]) for fate in rates]
    cases = [Case(dataset="digits", plan=plan, hyperparameters=each) for each in hypers]
    store = new_store(cases, digits)
    for case, command in zip(
        cases, (numpy_worker, (sys.executable, "-c", "raise SystemExit(3)"), numpy_worker), strict=True
    ):
        LocalEngine(command=command).run([case], {"digits": digits}, store)
    assert [record.status.value for record in store.records()] == list(rates)
    assert [str(each) for each in verify(store.path).violations] == []
    edit(store.record_path(cases[0]), lambda data: data.update(status="ok"))
    assert refused_by(store.path) == {"ending"}


class TestAHostileFolder:
    def test_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(StoreError, match="is not a run"):
            verify(tmp_path)

    def test_a_newer_run_asks_for_an_upgrade(self, run):
        edit(run / "manifest.json", lambda data: data.update(schema_version=99))
        with pytest.raises(UsageError, match=r"schema 99.*upgrade"):
            verify(run)

    def test_links_and_pipes_are_violations_and_are_not_opened(self, run, names):
        (run / "records" / "secret.json").symlink_to("/etc/passwd")
        os.mkfifo(run / "records" / "pipe.json")
        path = run / "records" / f"{names[0]}.json"
        path.rename(run.parent / "outside.json")
        path.symlink_to(run.parent / "outside.json")
        found = {each.place.file: each.rule for each in verify(run).violations if each.rule == "folder"}
        assert found.keys() == {"records/secret.json", "records/pipe.json", f"records/{names[0]}.json"}

    def test_odd_names(self, run):
        (run / "records" / "a\nb\x1b[31m.json").write_text("{}")
        (run / b"\xff".decode("utf-8", "surrogateescape")).write_text("")
        odd = [each for each in verify(run).violations if each.rule == "folder"]
        assert len(odd) == 2
        assert all(str(each).isprintable() for each in odd)

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "null",
         "[" * 50_000, '{"a":' * 50 + "1" + "}" * 50, '{"a": NaN}', '{"a": 1, "a": 1}', "9" * 9999],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["manifest.json", "events.jsonl", "record", "table.json"])
    def test_a_file_that_is_none_of_a_run_is_a_violation(self, run, names, name, text):
        path = run / (f"records/{names[0]}.json" if name == "record" else name)
        path.write_text(text)
        # An empty log is a log: it is the records that no event supports.
        file = f"records/{names[0]}.json" if (name, text) == ("events.jsonl", "") else path.relative_to(run).as_posix()
        assert file in {each.place.file for each in verify(run).violations}

    def test_a_file_that_is_too_large(self, run, names):
        with (run / "records" / f"{names[0]}.json").open("wb") as file:
            file.truncate(65 * 2**20)
        assert any("larger than 64 MiB" in each.message for each in verify(run).violations)

    def test_a_key_that_is_there_twice(self, run, names):
        path = run / "records" / f"{names[0]}.json"
        path.write_text(path.read_text().replace('"status":', '"status": "ok",\n "status":', 1))
        assert any("'status' occurs twice" in each.message for each in verify(run).violations)

    def test_a_number_that_is_written_as_text(self, run, names):
        edit(run / "records" / f"{names[0]}.json", lambda data: data["summary"].update(trained_images="896"))
        assert any("not written as it is read" in each.message for each in verify(run).violations)
