"""A traced run, as `check` makes it: the honest one passes, and each fault that is planted is refused."""

from __future__ import annotations

import json
import shutil

import pytest
from forging import add, edit, edit_events, refused_by

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.commands.measurement import begin
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.store.record import Status
from lenet.store.run import Store


@pytest.fixture(scope="module")
def traced_run(digits, numpy_worker, tmp_path_factory):
    """A run of one traced case. Not to be changed."""
    plan = Plan(trace=True, warmup_steps=5, windows=1, resident_windows=0, evaluation_images=64)
    case = Case(dataset="digits", plan=plan, hyperparameters=Hyperparameters(batch_size=64))
    made = begin([case], lambda name: digits, tmp_path_factory.mktemp("traced") / "run")
    (record,) = LocalEngine(command=numpy_worker).run([case], made.datasets, made.store)
    assert record.status is Status.OK, record
    return made.store.path


def layers(change):
    return lambda event: event["layers"][0].update({key: value(event) for key, value in change.items()})


FORGED = {
    "another step": ("traced", add("step", 1)),
    "no digest": ("traced", lambda event: event.update(labels_sha256=None)),
    "a digest that is none": ("traced", lambda event: event.update(images_sha256="0" * 63)),
    "another parameter": ("traced", layers({"name": lambda event: f"weights {event['step']}"})),
    "no parameter": ("traced", lambda event: event.update(layers=[])),
    "a parameter twice": ("traced", lambda event: event.update(layers=event["layers"] * 2)),
    "another norm": ("traced", layers({"norm": lambda event: event["layers"][0]["norm"] * 100})),
    "no norm": ("traced", layers({"norm": lambda event: None})),
    "a sketch of less": ("traced", layers({"sketch": lambda event: event["layers"][0]["sketch"][:-1]})),
    "a window too long": ("steps", add("steps", 1)),
}


class TestTracedRun:
    def test_it_is_verified(self, traced_run):
        assert [str(each) for each in verify(traced_run).violations] == []

    @pytest.mark.parametrize("fault", FORGED)
    def test_a_forged_trace_is_refused(self, traced_run, tmp_path, fault):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        (record,) = (run / "records").iterdir()
        kind, change = FORGED[fault]
        edit_events(run, record.stem, lambda event: event["event"] == kind and change(event))
        assert "traces" in refused_by(run)

    @pytest.mark.parametrize("trace", [1, 3, 5])
    def test_a_missing_trace_is_refused(self, traced_run, tmp_path, trace):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        del lines[[number for number, line in enumerate(lines) if '"traced"' in line][trace]]
        path.write_text("".join(lines))
        assert "traces" in refused_by(run)

    def test_fewer_steps_than_planned_are_refused(self, traced_run, tmp_path):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        edit(run / "manifest.json", lambda data: data["cases"][0]["plan"].update(warmup_steps=6))
        (case,) = Store.open(run).manifest.cases
        (record,) = (run / "records").iterdir()
        edit(record, lambda data: (data["case"]["plan"].update(warmup_steps=6), data.update(case_id=case.id)))
        path = run / "events.jsonl"
        path.write_text(path.read_text().replace(record.stem, case.id))
        record.rename(record.with_name(f"{case.id}.json"))
        assert "plan fulfilled" in refused_by(run)

    def test_a_trace_in_a_case_that_is_timed_is_refused(self, traced_run, run, names):
        (trace,) = [line for line in (traced_run / "events.jsonl").read_text().splitlines() if '"step":0' in line]
        event = {**json.loads(trace), "case_id": names[0]}
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        first = next(number for number, line in enumerate(lines) if names[0] in line)
        event["attempt"] = json.loads(lines[first])["attempt"]
        path.write_text("".join([*lines[: first + 1], json.dumps(event) + "\n", *lines[first + 1 :]]))
        assert refused_by(run) == {"traces"}
