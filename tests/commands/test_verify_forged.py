"""Each fault that is planted in an honest run is refused by its own rule."""

from __future__ import annotations

import csv
import json
import shutil
import struct
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from forging import add, derive_again, edit, edit_events, forge, no_tables, numbers, refused_by, scale
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.analysis import references
from lenet.analysis.verify.rules import CASE_RULES
from lenet.commands.verify import verify
from lenet.errors import UsageError
from lenet.report import render, rows
from lenet.store.run import Store

REFERENCE = Path(__file__).parents[1] / "reference" / "digits-b32-lr0.05-m0.9.json"


class TestPlantedFaults:
    def test_a_hand_edited_record_is_refused_with_file_and_line(self, run, names):
        path = run / "records" / f"{names[1]}.json"
        text = path.read_text()
        (number,) = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith('  "accuracy"')]
        edit(path, lambda data: data["summary"].update(accuracy=0.999))
        no_tables(run)
        (violation,) = verify(run).violations
        assert violation.rule == "summary"
        assert (violation.place.file, violation.place.line) == (f"records/{names[1]}.json", number)
        assert "0.999" in violation.message

    def test_a_swapped_dataset(self, run):
        edit(run / "manifest.json", lambda data: data["datasets"]["digits"].update(sha256="ab" * 32))
        for path in (run / "records").iterdir():
            edit(path, lambda data: data["dataset"].update(sha256="ab" * 32))
        no_tables(run)
        assert refused_by(run) == {"manifest", "dataset"}

    def test_windows_shortened_in_events_and_record(self, run, names):
        """The training took a second more than its windows say: what is left when windows are cut."""

        def longer(event):
            if event["event"] == "evaluated":
                event["training_seconds"] += 1
            if event["event"] == "finished":
                event["phases"]["training_seconds"] += 1
                event["phases"]["wall_seconds"] += 1

        edit_events(run, names[0], longer)
        derive_again(run, names[0])
        no_tables(run)
        assert {"training clock", "training phase"} <= refused_by(run)

    def test_a_first_window_shortened_in_events_and_record(self, run, names):
        edit_events(run, names[0], lambda e: e.get("first_step") == 0 and scale(e, 0.5, phases=False))
        derive_again(run, names[0])
        no_tables(run)
        assert "compilation" in refused_by(run)

    def test_one_steady_window_shortened_in_events_and_record(self, run, names):
        def shorten(event):
            if event["event"] == "steps" and not event["warmup"]:
                event["seconds"] *= 1e-3

        edit_events(run, names[0], shorten)
        derive_again(run, names[0])
        no_tables(run)
        assert "training possible" in refused_by(run)

    def test_the_whole_workers_clock_shortened(self, run, names):
        """Every second of a case divided, and the record made to fit: the parent saw more time pass."""
        path = run / "records" / f"{names[0]}.json"
        finished = datetime.fromisoformat(json.loads(path.read_text())["finished_at"].replace("Z", "+00:00"))
        longer = (finished + timedelta(seconds=60)).isoformat().replace("+00:00", "Z")
        edit_events(run, names[0], lambda e: scale(e, 0.9, phases=True))
        derive_again(run, names[0])
        edit(path, lambda data: data.update(finished_at=longer))
        no_tables(run)
        assert "wall clock" in refused_by(run)

    def test_every_clock_shortened_is_faster_than_arithmetic(self, run, names):
        path = run / "records" / f"{names[0]}.json"
        edit_events(run, names[0], lambda e: scale(e, 2.0**-9, phases=True))
        derive_again(run, names[0])
        edit(path, lambda data: data.update(finished_at=data["started_at"].replace("Z", "") + "Z"))
        no_tables(run)
        assert "training possible" in refused_by(run)

    def test_a_removed_case(self, run, names):
        (run / "records" / f"{names[0]}.json").unlink()
        no_tables(run)
        assert refused_by(run) == {"complete"}

    def test_a_case_removed_everywhere_but_from_its_rounds(self, run, names):
        (run / "records" / f"{names[0]}.json").unlink()
        edit(run / "manifest.json", lambda data: data["cases"].pop(0))
        path = run / "events.jsonl"
        path.write_text("".join(line for line in path.read_text().splitlines(True) if names[0] not in line))
        no_tables(run)
        assert refused_by(run) == {"manifest"}

    @pytest.mark.parametrize("kind", ["steps", "compiled", "evaluated", "resident", "finished"])
    def test_a_duplicated_event(self, run, names, kind):
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        index = next(i for i, line in enumerate(lines) if names[0] in line and f'"event":"{kind}"' in line)
        path.write_text("".join([*lines[: index + 1], lines[index], *lines[index + 1 :]]))
        assert "order" in refused_by(run)
        assert any(f.place.line == index + 2 for f in verify(run).violations)

    def test_a_removed_event(self, run, names):
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        index = next(i for i, line in enumerate(lines) if names[1] in line and '"event":"steps"' in line)
        path.write_text("".join(lines[:index] + lines[index + 1 :]))
        assert {"windows", "windows touch", "losses"} <= refused_by(run)

    def test_losses_of_another_training(self, run, names):
        def better(event):
            if event["event"] == "steps":
                event["losses"] = [struct.unpack("<f", struct.pack("<f", x / 2))[0] for x in event["losses"]]
            if event["event"] == "evaluated":
                event["training_loss"] /= 2

        edit_events(run, names[1], better)
        derive_again(run, names[1])
        no_tables(run)
        assert "losses" in refused_by(run)

    def test_a_loss_that_is_no_float32(self, run, names):
        edit_events(run, names[0], lambda e: e["event"] == "steps" and e["losses"].__setitem__(0, 0.1))
        assert any("no float32" in each.message for each in verify(run).violations)

    def test_tables_from_before_and_after_there_was_a_reference_are_honest(self, run, monkeypatch):
        update = {"batch_size": 64, "learning_rate": 0.01}
        newer = references.read(REFERENCE.read_text(encoding="utf-8"), REFERENCE.name).model_copy(update=update)
        monkeypatch.setattr("lenet.commands.verify.shipped", lambda: [newer])
        store = Store.open(run)
        before = render(rows(store.records(), store.name), "github", "mode=graph")
        after = render(rows(store.records(), store.name, [newer]), "github", "mode=graph")
        assert before != after, "the reference applies to these trainings"
        assert verify(run).violations == []
        store.write_text("table.json", render(rows(store.records(), store.name, [newer]), "json"))
        assert refused_by(run) == {"table"}, "half of them before and half of them after"
        for path in run.glob("table.*"):
            path.unlink()
        store.write_text("table.md", after)
        assert verify(run).violations == []

    @pytest.mark.parametrize("name", ["table.json", "table.csv", "table.md", "table.html"])
    def test_a_doctored_table(self, run, name):
        path = run / name
        if name == "table.json":
            edit(path, lambda data: data[2].update(accuracy=0.99))
        elif name == "table.csv":
            with path.open(newline="") as file:
                table = list(csv.reader(file))
            table[1][table[0].index("images_per_second")] = "99999.0"
            with path.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(table)
        else:
            path.write_text(path.read_text().replace("1.00×", "1.10×", 1))
        (first, *_) = violations = verify(run).violations
        assert {violation.rule for violation in violations} == {"table"}
        assert first.place.file == name

    def test_another_machine(self, run):
        edit(run / "manifest.json", lambda data: data["machine"].update(cpu="Faster"))
        no_tables(run)
        assert refused_by(run) == {"machine"}

    def test_cases_that_overlap(self, run, names):
        edit(run / "records" / f"{names[0]}.json", lambda data: data.update(finished_at="2999-01-01T00:00:00Z"))
        no_tables(run)
        assert "sequence" in refused_by(run)

    def test_more_right_answers_than_images(self, run, names):
        edit_events(run, names[1], lambda e: e["event"] == "evaluated" and e.update(correct=513))
        assert "answers" in refused_by(run)


def add_to_phase(name, seconds):
    return lambda event: event["phases"].update({name: event["phases"][name] + seconds})


FORGED = {
    # rule: the kind of event that is changed everywhere, and how; the record is then made to fit.
    "images": ("steps", add("images", 64)),
    "order": ("compiled", lambda event: event.update(event="resident", epoch=1, first_step=0, steps=1, images=64,
                                                     warmup=False)),
    "windows_touch": ("steps", add("first_step", 1)),
    "window_sizes": ("steps", add("epoch", 1)),
    "turns": ("steps", lambda event: event.update(turn=1, cycle=1)),
    "answers": ("evaluated", add("images", -64)),
    "evaluations_in_place": ("evaluated", add("steps", 1)),
    "plan_fulfilled": ("evaluated", lambda event: event.update(event="compiled", seconds=1)),
    "phases_add_up": ("finished", add_to_phase("other_seconds", 1e-3)),
    "compilation": ("compiled", add("seconds", 1e-9)),
    "training_clock": ("evaluated", add("training_seconds", 0.5)),
    "training_phase": ("finished", add_to_phase("training_seconds", 0.5)),
    "evaluation_phase": ("evaluated", add("seconds", 1e-3)),
    "resident_phase": ("resident", add("seconds", 1)),
    "wall_clock": ("finished", add_to_phase("wall_seconds", 60)),
    "training_possible": ("steps", lambda event: event.update(seconds=1e-7)),
    "evaluation_possible": ("evaluated", lambda event: event.update(seconds=1e-7)),
    "training_loss": ("evaluated", add("training_loss", 1e-9)),
    "sketches": ("sketched", add("step", 1)),
    "losses": ("finished", lambda event: event.update(losses_sha256="0" * 64)),
}  # fmt: skip

EDITED = {
    # rule: what is changed in the record alone.
    "case_id": lambda data: data.update(case_id="cpu-graph-b32-0123456789"),
    "machine": lambda data: data.update(machine_id="another"),
    "dataset": lambda data: data["dataset"].update(test_images=1000),
    "windows": lambda data: data["windows"][1].update(seconds=data["windows"][1]["seconds"] * (1 + 2**-50)),
    "resident_windows": lambda data: data["resident_windows"].pop(),
    "evaluations": lambda data: data["evaluations"][-1].update(distinct_answers=9),
    "phases": lambda data: data["phases"].update(other_seconds=0.0),
    "software": lambda data: data["software"].update(framework_version="2.9.0"),
    "weights": lambda data: data["weights_sha256"].update(final="0" * 64),
    "summary": lambda data: data["summary"].update(peak_memory_bytes=1),
    "ending": lambda data: data.update(status="plateau"),
}


class TestEveryRuleHasItsFault:
    def test_none_is_forgotten(self):
        elsewhere = {"machine_possible", "traces", "turns"}  # forged in the tests of machines, traces and groups
        assert FORGED.keys() | EDITED.keys() | elsewhere == CASE_RULES.keys()

    @pytest.mark.parametrize("rule", FORGED)
    def test_in_events_and_record(self, run, names, rule):
        kind, change = FORGED[rule]
        edit_events(run, names[1], lambda event: event["event"] == kind and forge(event, change))
        derive_again(run, names[1])
        no_tables(run)
        assert rule.replace("_", " ") in refused_by(run)

    @pytest.mark.parametrize("rule", EDITED)
    def test_in_the_record_alone(self, run, names, rule):
        edit(run / "records" / f"{names[0]}.json", EDITED[rule])
        no_tables(run)
        assert refused_by(run) == {rule.replace("_", " ")}

    def test_more_cores_than_there_are(self, run):
        edit(run / "manifest.json", lambda data: data["machine"].update(usable_cores=10**6))
        machine = Store.open(run).manifest.machine.id
        for path in (run / "records").iterdir():
            edit(path, lambda data: data.update(machine_id=machine))
        no_tables(run)
        assert refused_by(run) == {"machine possible"}


def shown(folder):
    """Every figure that a table shows."""
    table = rows(Store.open(folder).records(), "run")
    return render(table, "json") + render(table, "github", "mode=graph") + render(table, "terminal", "mode=graph")


@pytest.fixture(scope="module")
def bare(honest_run, tmp_path_factory):
    """The honest run without tables, and its figures."""
    folder = shutil.copytree(honest_run, tmp_path_factory.mktemp("bare") / "run")
    no_tables(folder)
    return folder, shown(folder)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_number_that_is_edited_is_caught_or_changes_no_figure(bare, data):
    folder, before = bare
    files = [folder / "manifest.json", folder / "events.jsonl", *sorted((folder / "records").iterdir())]
    path = data.draw(st.sampled_from(files), "file")
    original = path.read_text()
    lines = original.splitlines() if path.suffix == ".jsonl" else [original]
    number = data.draw(st.integers(0, len(lines) - 1), "line")
    value = json.loads(lines[number])
    places = list(numbers(value))
    if not places:
        return
    at = data.draw(st.sampled_from(places), "place")
    if at[0] in ("load", "layers"):
        # What the parent saw of the machine is its word alone, as the machine's card is: no event witnesses it.
        # Sketches are compared with those of a recomputation.
        return
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    old = holder[at[-1]]
    near = st.sampled_from([old + 1, old - 1, old * 2, old / 2, old * (1 + 2**-52), -old, 0, 1.0])
    new = data.draw(near | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**40), "value")
    holder[at[-1]] = new
    lines[number] = json.dumps(value)
    try:
        path.write_text("\n".join(lines) + "\n")
        if new == old and type(new) is type(old):
            assert verify(folder).violations == []
            return
        if path.name == "events.jsonl":
            assert verify(folder).violations, "an event is raw: each number in it is witnessed"
            return
        try:
            caught = bool(verify(folder).violations)
        except UsageError:
            return  # a newer schema: nothing is shown either
        assert caught or shown(folder) == before
    finally:
        path.write_text(original)
