"""A run whose workers took turns: an honest one passes, turns that are impossible are refused."""

from __future__ import annotations

import json
import shutil

import pytest
from forging import derive_again, edit, edit_events, no_tables, refused_by

from lenet.cases.case import Plan
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import begin
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.store.record import Status

PLAN = Plan(warmup_steps=6, window_steps=4, window_seconds=0.1, windows=10, resident_windows=2)


@pytest.fixture(scope="module")
def honest_group(digits, numpy_worker, tmp_path_factory):
    """Two repetitions of two cases that took turns. Do not change it."""
    matrix = Matrix(name="group", modes=("graph",), datasets=("digits",), batch_sizes=(32, 64), repeat=2, plan=PLAN)
    made = begin(matrix.cases(), lambda name: digits, tmp_path_factory.mktemp("group") / "run", matrix=matrix)
    records = made.measure(made.cases, LocalEngine(command=numpy_worker, interleave="windows"))
    assert [record.status for record in records] == [Status.OK] * 4, records
    assert len({record.group for record in records}) == 2
    made.write_tables("batch_size=64")
    return made.store.path


@pytest.fixture
def group(honest_group, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(honest_group, folder)
    no_tables(folder)
    return folder


@pytest.fixture
def name(group):
    return sorted(path.stem for path in (group / "records").iterdir())[0]


def forge_windows(folder, name, change):
    """Change the timed windows of a case, in the log and in the record."""

    def change_turn(event):
        if event.get("turn") is not None:
            change(event)

    edit_events(folder, name, change_turn)
    derive_again(folder, name)


def test_an_honest_run_is_verified(honest_group):
    assert [str(each) for each in verify(honest_group).violations] == []


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (lambda event: event.update(turn=event["turn"] + 1), {"groups"}),
        (lambda event: event.update(turn=7), {"turns", "groups"}),
        (lambda event: event.update(cycle=3), {"turns", "groups"}),
        (lambda event: event.update(cycle=None), {"turns"}),
        (lambda event: event.update(turn=None, cycle=None), {"turns"}),
    ],
    ids=["turns of another", "one turn twice", "one cycle", "no cycle", "no turn"],
)
def test_impossible_turns_are_refused(group, name, change, rules):
    forge_windows(group, name, change)
    found = refused_by(group)
    assert found <= rules | {"turns", "groups"}
    assert found & rules


def test_waiting_less_than_the_others_trained_is_refused(group, name):
    def change(event):
        if event["event"] == "finished":
            taken = 0.9 * event["phases"]["waiting_seconds"]
            event["phases"]["waiting_seconds"] -= taken
            event["phases"]["other_seconds"] += taken

    edit_events(group, name, change)
    derive_again(group, name)
    assert refused_by(group) == {"groups"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"group": ""}, "sequence"),  # without its group it ran at the same time as the others
        ({"turn_seconds": None}, "turns"),
        ({"turn_seconds": 10.0}, "window sizes"),
    ],
    ids=["no group", "no length of a turn", "another length of a turn"],
)
def test_a_record_that_hides_how_it_was_measured_is_refused(group, name, change, rule):
    edit(group / "records" / f"{name}.json", lambda data: data.update(change))
    assert rule in refused_by(group)


@pytest.mark.parametrize("places", [(1, 0), (0, 0), (1, 1)])
def test_places_that_contradict_the_starts_are_refused(group, places):
    started = sorted((group / "records").iterdir(), key=lambda file: json.loads(file.read_text())["started_at"])
    for file, place in zip(started[:2], places, strict=True):
        edit(file, lambda data, place=place: data.update(place=place))
    assert refused_by(group) == {"groups"}


def lead_ins(record):
    """The places of the lead-ins among the windows."""
    plan = record["case"]["plan"]
    return [
        number
        for number, window in enumerate(record["windows"])
        if window["warmup"] and window["first_step"] >= plan["warmup_steps"]
    ]


@pytest.fixture
def led_in(group):
    """A case whose steps are short enough for a lead-in."""
    for path in sorted((group / "records").iterdir()):
        if lead_ins(json.loads(path.read_text())):
            return path
    pytest.skip("this machine is too slow: no step fits a lead-in")


def test_each_turn_of_a_fast_case_begins_with_steps_that_do_not_count(led_in):
    record = json.loads(led_in.read_text())
    windows, found = record["windows"], lead_ins(record)
    assert [windows[number]["turn"] for number in found] == [None] * len(found)
    timed = [number for number, window in enumerate(windows) if not window["warmup"]]
    assert timed == [number + 1 for number in found]
    assert len({windows[number]["steps"] for number in found}) == 1
    assert all(windows[number]["turn"] is not None for number in timed)


def test_a_lead_in_that_counts_is_refused(group, led_in):
    name = led_in.stem
    first = json.loads(led_in.read_text())["windows"][lead_ins(json.loads(led_in.read_text()))[0]]["first_step"]

    def count(event):
        if event.get("first_step") == first and event["event"] == "steps":
            event["warmup"] = False

    edit_events(group, name, count)
    derive_again(group, name)
    assert "window sizes" in refused_by(group)


def test_a_record_that_hides_its_lead_ins_is_refused(group, led_in):
    edit(led_in, lambda data: data.update(lead_in_seconds=0.0))
    assert "window sizes" in refused_by(group)


def test_turns_in_a_case_that_ran_alone_are_refused(honest_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(honest_run, folder)
    no_tables(folder)
    name = sorted(path.stem for path in (folder / "records").iterdir())[0]

    def change(event):
        if event["event"] == "steps" and not event["warmup"]:
            event.update(turn=event["first_step"], cycle=event["first_step"])

    edit_events(folder, name, change)
    derive_again(folder, name)
    assert refused_by(folder) == {"turns"}
