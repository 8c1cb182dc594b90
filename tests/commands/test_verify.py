"""A stranger's run: the honest one passes, and each fault that is planted is refused by its own rule."""

from __future__ import annotations

import csv
import json
import os
import shutil
import struct
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.analysis import references
from lenet.analysis.verify import CASE_RULES, Evidence, counts, limits
from lenet.analysis.verify import run as run_rules
from lenet.analysis.verify.document import document
from lenet.cases.case import Case, DeviceTarget, Hyperparameters, Plan
from lenet.commands.run import begin
from lenet.commands.verify import verify
from lenet.dataset.known import KNOWN
from lenet.engine.local import LocalEngine
from lenet.errors import StoreError, UsageError
from lenet.machine.card import MachineCard, describe
from lenet.report import render, rows
from lenet.store.events import Compiled, Event, Resident
from lenet.store.record import Record, Status, summarise
from lenet.store.run import Store

REFERENCE = Path(__file__).parents[1] / "reference" / "digits-b32-lr0.05-m0.9.json"


@pytest.fixture
def run(honest_run, tmp_path):
    """The honest run, to be tampered with."""
    return shutil.copytree(honest_run, tmp_path / "copy")


@pytest.fixture(scope="module")
def names(honest_run):
    """The case ids: a measurement of speed, and one of whole epochs."""
    cases = Store.open(honest_run).manifest.cases
    return cases[0].id, cases[2].id


def rules(folder):
    return {finding.rule for finding in verify(folder).findings}


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=1) + "\n")


def edit_events(folder, name, change):
    """Change the events of one case, each a dictionary, in place."""
    path = folder / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        if event["case_id"] == name:
            change(event)
    path.write_text("".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events))


def no_tables(folder):
    for path in folder.glob("table.*"):
        path.unlink()


def derive_again(folder, name):
    """Make the record what its events give: a forger who knows the format."""
    store = Store.open(folder)
    (case,) = (case for case in store.manifest.cases if case.id == name)
    events = list(store.events(case))
    windows = tuple(event.window for event in events if event.event == "steps")
    resident = tuple(event.window for event in events if event.event == "resident")
    evaluations = tuple(event.evaluation for event in events if event.event == "evaluated")
    finished = events[-1]
    losses = [loss for event in events if event.event == "steps" for loss in event.losses]
    record = Record.model_validate_json(store.record_path(case).read_text())
    made = record.model_copy(
        update={
            "windows": windows,
            "resident_windows": resident,
            "evaluations": evaluations,
            "phases": finished.phases,
            "losses_sha256": finished.losses_sha256,
            "summary": summarise(
                finished.phases, windows, resident, evaluations, losses[-1], finished.peak_memory_bytes
            ),
        }
    )
    store.write_record(made)


def scale(event, factor, phases):
    for holder in (event, event.get("phases", {}) if phases else {}):
        for key in holder:
            if key.endswith("seconds"):
                holder[key] *= factor


def test_an_honest_run_is_verified(honest_run):
    verdict = verify(honest_run)
    assert [str(finding) for finding in verdict.findings] == []
    assert (verdict.cases, verdict.events > 40) == (4, True)
    assert {name.partition("/")[0] for name in verdict.unjudged} == {"logs"}
    assert verdict.remarks == ["2 cases were asked for beyond the matrix"]


@pytest.mark.parametrize("baseline", [None, "mode=graph,batch_size=64", "batch_size=64,dataset=digits"])
def test_tables_with_another_baseline_are_honest_too(run, baseline):
    store = Store.open(run)
    table = rows(store.records(), "run")
    store.write_text("table.md", render(table, "github", baseline))
    store.write_text("table.html", render(table, "html", baseline))
    assert verify(run).findings == []


def test_an_interrupted_worker_is_no_fault_and_is_told(run, names):
    path = run / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    begun = [line for line in lines if names[0] in line][:3]
    path.write_text("".join(begun + lines))
    verdict = verify(run)
    assert verdict.findings == []
    assert any("2 workers began it" in remark for remark in verdict.remarks)


def test_a_finished_attempt_that_was_thrown_away_is_refused(run, names):
    path = run / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([line for line in lines if names[0] in line] + lines))
    assert "complete" in rules(run)


def test_cases_that_failed_are_no_violation(digits, new_store, numpy_worker):
    """A divergence by the worker's own word, a crash without a word, a case that could not begin."""
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
    assert [str(finding) for finding in verify(store.path).findings] == []
    edit(store.record_path(cases[0]), lambda data: data.update(status="ok"))
    assert rules(store.path) == {"ending"}


class TestPlantedFaults:
    def test_a_hand_edited_record_is_refused_with_file_and_line(self, run, names):
        path = run / "records" / f"{names[1]}.json"
        text = path.read_text()
        (number,) = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith('  "accuracy"')]
        edit(path, lambda data: data["summary"].update(accuracy=0.999))
        no_tables(run)
        (finding,) = verify(run).findings
        assert finding.rule == "summary"
        assert (finding.place.file, finding.place.line) == (f"records/{names[1]}.json", number)
        assert "0.999" in finding.message

    def test_a_swapped_dataset(self, run):
        edit(run / "manifest.json", lambda data: data["datasets"]["digits"].update(sha256="ab" * 32))
        for path in (run / "records").iterdir():
            edit(path, lambda data: data["dataset"].update(sha256="ab" * 32))
        no_tables(run)
        assert rules(run) == {"manifest", "dataset"}

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
        assert {"training clock", "training phase"} <= rules(run)

    def test_a_first_window_shortened_in_events_and_record(self, run, names):
        edit_events(run, names[0], lambda e: e.get("first_step") == 0 and scale(e, 0.5, phases=False))
        derive_again(run, names[0])
        no_tables(run)
        assert "compilation" in rules(run)

    def test_one_steady_window_shortened_in_events_and_record(self, run, names):
        def shorten(event):
            if event["event"] == "steps" and not event["warmup"]:
                event["seconds"] *= 1e-3

        edit_events(run, names[0], shorten)
        derive_again(run, names[0])
        no_tables(run)
        assert "training possible" in rules(run)

    def test_the_whole_workers_clock_shortened(self, run, names):
        """Every second of a case divided, and the record made to fit: the parent saw more time pass."""
        path = run / "records" / f"{names[0]}.json"
        finished = datetime.fromisoformat(json.loads(path.read_text())["finished_at"].replace("Z", "+00:00"))
        longer = (finished + timedelta(seconds=60)).isoformat().replace("+00:00", "Z")
        edit_events(run, names[0], lambda e: scale(e, 0.9, phases=True))
        derive_again(run, names[0])
        edit(path, lambda data: data.update(finished_at=longer))
        no_tables(run)
        assert "wall clock" in rules(run)

    def test_every_clock_shortened_is_faster_than_arithmetic(self, run, names):
        path = run / "records" / f"{names[0]}.json"
        edit_events(run, names[0], lambda e: scale(e, 2.0**-9, phases=True))
        derive_again(run, names[0])
        edit(path, lambda data: data.update(finished_at=data["started_at"].replace("Z", "") + "Z"))
        no_tables(run)
        assert "training possible" in rules(run)

    def test_a_removed_case(self, run, names):
        (run / "records" / f"{names[0]}.json").unlink()
        no_tables(run)
        assert rules(run) == {"complete"}

    def test_a_case_removed_everywhere_but_from_its_rounds(self, run, names):
        (run / "records" / f"{names[0]}.json").unlink()
        edit(run / "manifest.json", lambda data: data["cases"].pop(0))
        path = run / "events.jsonl"
        path.write_text("".join(line for line in path.read_text().splitlines(True) if names[0] not in line))
        no_tables(run)
        assert rules(run) == {"manifest"}

    @pytest.mark.parametrize("kind", ["steps", "compiled", "evaluated", "resident", "finished"])
    def test_a_duplicated_event(self, run, names, kind):
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        index = next(i for i, line in enumerate(lines) if names[0] in line and f'"event":"{kind}"' in line)
        path.write_text("".join([*lines[: index + 1], lines[index], *lines[index + 1 :]]))
        assert "order" in rules(run)
        assert any(f.place.line == index + 2 for f in verify(run).findings)

    def test_a_removed_event(self, run, names):
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        index = next(i for i, line in enumerate(lines) if names[1] in line and '"event":"steps"' in line)
        path.write_text("".join(lines[:index] + lines[index + 1 :]))
        assert {"windows", "windows touch", "losses"} <= rules(run)

    def test_losses_of_another_training(self, run, names):
        def better(event):
            if event["event"] == "steps":
                event["losses"] = [struct.unpack("<f", struct.pack("<f", x / 2))[0] for x in event["losses"]]
            if event["event"] == "evaluated":
                event["training_loss"] /= 2

        edit_events(run, names[1], better)
        derive_again(run, names[1])
        no_tables(run)
        assert "losses" in rules(run)

    def test_a_loss_that_is_no_float32(self, run, names):
        edit_events(run, names[0], lambda e: e["event"] == "steps" and e["losses"].__setitem__(0, 0.1))
        assert any("no float32" in finding.message for finding in verify(run).findings)

    def test_tables_from_before_and_after_there_was_a_reference_are_honest(self, run, monkeypatch):
        update = {"batch_size": 64, "learning_rate": 0.01}
        newer = references.read(REFERENCE.read_text(encoding="utf-8"), REFERENCE.name).model_copy(update=update)
        monkeypatch.setattr("lenet.commands.verify.shipped", lambda: [newer])
        store = Store.open(run)
        before = render(rows(store.records(), store.name), "github", "mode=graph")
        after = render(rows(store.records(), store.name, [newer]), "github", "mode=graph")
        assert before != after, "the reference says something of these trainings"
        assert verify(run).findings == []
        store.write_text("table.json", render(rows(store.records(), store.name, [newer]), "json"))
        assert rules(run) == {"table"}, "half of them before and half of them after"
        for path in run.glob("table.*"):
            path.unlink()
        store.write_text("table.md", after)
        assert verify(run).findings == []

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
        (first, *_) = findings = verify(run).findings
        assert {finding.rule for finding in findings} == {"table"}
        assert first.place.file == name

    def test_another_machine(self, run):
        edit(run / "manifest.json", lambda data: data["machine"].update(cpu="Faster"))
        no_tables(run)
        assert rules(run) == {"machine"}

    def test_cases_that_overlap(self, run, names):
        edit(run / "records" / f"{names[0]}.json", lambda data: data.update(finished_at="2999-01-01T00:00:00Z"))
        no_tables(run)
        assert "sequence" in rules(run)

    def test_more_right_answers_than_images(self, run, names):
        edit_events(run, names[1], lambda e: e["event"] == "evaluated" and e.update(correct=513))
        assert "answers" in rules(run)


def phase(name, seconds):
    return lambda event: event["phases"].update({name: event["phases"][name] + seconds})


def add(key, value):
    return lambda event: event.update({key: event[key] + value})


FORGED = {
    # rule: the kind of event that is changed everywhere, and how; the record is then made to fit.
    "images": ("steps", add("images", 64)),
    "order": ("compiled", lambda event: event.update(event="resident", epoch=1, first_step=0, steps=1, images=64,
                                                     warmup=False)),
    "windows_touch": ("steps", add("first_step", 1)),
    "window_sizes": ("steps", add("epoch", 1)),
    "answers": ("evaluated", add("images", -64)),
    "evaluations_in_place": ("evaluated", add("steps", 1)),
    "plan_fulfilled": ("evaluated", lambda event: event.update(event="compiled", seconds=1)),
    "phases_add_up": ("finished", phase("other_seconds", 1e-3)),
    "compilation": ("compiled", add("seconds", 1e-9)),
    "training_clock": ("evaluated", add("training_seconds", 0.5)),
    "training_phase": ("finished", phase("training_seconds", 0.5)),
    "evaluation_phase": ("evaluated", add("seconds", 1e-3)),
    "resident_phase": ("resident", add("seconds", 1)),
    "wall_clock": ("finished", phase("wall_seconds", 60)),
    "training_possible": ("steps", lambda event: event.update(seconds=1e-7)),
    "evaluation_possible": ("evaluated", lambda event: event.update(seconds=1e-7)),
    "training_loss": ("evaluated", add("training_loss", 1e-9)),
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
        assert FORGED.keys() | EDITED.keys() | {"machine_possible", "traces"} == CASE_RULES.keys()

    @pytest.mark.parametrize("rule", FORGED)
    def test_in_events_and_record(self, run, names, rule):
        kind, change = FORGED[rule]
        edit_events(run, names[1], lambda event: event["event"] == kind and forge(event, change))
        derive_again(run, names[1])
        no_tables(run)
        assert rule.replace("_", " ") in rules(run)

    @pytest.mark.parametrize("rule", EDITED)
    def test_in_the_record_alone(self, run, names, rule):
        edit(run / "records" / f"{names[0]}.json", EDITED[rule])
        no_tables(run)
        assert rules(run) == {rule.replace("_", " ")}

    def test_more_cores_than_there_are(self, run):
        edit(run / "manifest.json", lambda data: data["machine"].update(usable_cores=10**6))
        machine = Store.open(run).manifest.machine.id
        for path in (run / "records").iterdir():
            edit(path, lambda data: data.update(machine_id=machine))
        no_tables(run)
        assert rules(run) == {"machine possible"}


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


TRACE_FORGED = {
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
        assert [str(finding) for finding in verify(traced_run).findings] == []

    @pytest.mark.parametrize("fault", TRACE_FORGED)
    def test_a_forged_trace_is_refused(self, traced_run, tmp_path, fault):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        (record,) = (run / "records").iterdir()
        kind, change = TRACE_FORGED[fault]
        edit_events(run, record.stem, lambda event: event["event"] == kind and change(event))
        assert "traces" in rules(run)

    @pytest.mark.parametrize("trace", [1, 3, 5])
    def test_a_missing_trace_is_refused(self, traced_run, tmp_path, trace):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        del lines[[number for number, line in enumerate(lines) if '"traced"' in line][trace]]
        path.write_text("".join(lines))
        assert "traces" in rules(run)

    def test_fewer_steps_than_planned_are_refused(self, traced_run, tmp_path):
        run = shutil.copytree(traced_run, tmp_path / "copy")
        edit(run / "manifest.json", lambda data: data["cases"][0]["plan"].update(warmup_steps=6))
        (case,) = Store.open(run).manifest.cases
        (record,) = (run / "records").iterdir()
        edit(record, lambda data: (data["case"]["plan"].update(warmup_steps=6), data.update(case_id=case.id)))
        path = run / "events.jsonl"
        path.write_text(path.read_text().replace(record.stem, case.id))
        record.rename(record.with_name(f"{case.id}.json"))
        assert "plan fulfilled" in rules(run)

    def test_a_trace_in_a_case_that_is_timed_is_refused(self, traced_run, run, names):
        (trace,) = [line for line in (traced_run / "events.jsonl").read_text().splitlines() if '"step":0' in line]
        event = {**json.loads(trace), "case_id": names[0]}
        path = run / "events.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        first = next(number for number, line in enumerate(lines) if names[0] in line)
        event["attempt"] = json.loads(lines[first])["attempt"]
        path.write_text("".join([*lines[: first + 1], json.dumps(event) + "\n", *lines[first + 1 :]]))
        assert rules(run) == {"traces"}


def test_every_type_of_event_has_its_stage():
    """A type that no rule knows must fail here and not in a user's hands."""
    assert set(counts.STAGES) == set(get_args(Event))


class TestSeveralMachines:
    """A run over two nodes, the second of which has a card of its own."""

    @pytest.fixture
    def spread(self, spread_run, tmp_path):
        return shutil.copytree(spread_run, tmp_path / "copy")

    @pytest.fixture
    def card(self, spread):
        (path,) = spread.glob("machine-*.json")
        return path

    @pytest.fixture
    def there(self, spread, card):
        """The records of the second machine, with the line that names it."""
        machine = card.stem.removeprefix("machine-")
        records = {f"records/{path.name}": path.read_text() for path in sorted((spread / "records").iterdir())}
        return {
            name: next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(' "machine_id"'))
            for name, text in records.items()
            if f'"machine_id": "{machine}"' in text
        }

    def test_it_is_verified(self, spread, card):
        verdict = verify(spread)
        assert [str(finding) for finding in verdict.findings] == []
        assert (verdict.cases, card.name in verdict.unjudged) == (4, False)

    def test_a_machine_without_a_card(self, spread, card, there):
        card.unlink()
        found = verify(spread).findings
        assert there
        assert {(each.place.file, each.place.line) for each in found} == set(there.items())
        assert {each.rule for each in found} == {"machine"}
        assert "no card" in found[0].message

    @pytest.mark.parametrize("field", ["cpu", "usable_cores", "memory_bytes"])
    def test_an_edited_card(self, spread, card, there, field):
        """As in the manifest, what the machine's id is made of: more cores would allow for more speed."""
        edit(card, lambda data: data.update({field: "Faster" if field == "cpu" else data[field] * 4}))
        found = verify(spread).findings
        assert {(each.place.file, each.place.line) for each in found} == {(card.name, 1), *there.items()}
        assert {each.rule for each in found} == {"machine"}

    def test_a_card_with_a_field_that_is_none(self, spread, card):
        edit(card, lambda data: data.update(usable_cores="one"))
        (line,) = [n for n, text in enumerate(card.read_text().splitlines(), 1) if '"usable_cores"' in text]
        first = verify(spread).findings[0]
        assert (first.rule, first.place.file, first.place.line) == ("schema", card.name, line)

    def test_a_renamed_card(self, spread, card):
        other = card.rename(spread / "machine-another.json")
        assert (other.name, 1) in {(each.place.file, each.place.line) for each in verify(spread).findings}

    def test_a_card_that_is_a_link(self, spread, card, tmp_path):
        card.rename(tmp_path / "outside.json")
        card.symlink_to(tmp_path / "outside.json")
        assert rules(spread) == {"folder", "machine"}

    def test_more_cores_than_the_second_machine_has(self, spread, card, there):
        made = MachineCard.model_validate_json(card.read_text()).model_copy(update={"usable_cores": 10**6})
        card.unlink()
        (spread / f"machine-{made.id}.json").write_text(made.model_dump_json(indent=1))
        for name in there:
            edit(spread / name, lambda data: data.update(machine_id=made.id))
        no_tables(spread)
        assert rules(spread) == {"machine possible"}

    def test_nothing_is_faster_than_the_second_machine_multiplies(self, spread, card, there):
        """It is its card that is asked: the first machine has twice the cores."""
        limit = limits.peak_flops(MachineCard.model_validate_json(card.read_text()), DeviceTarget.CPU)
        case = next(iter(there)).removeprefix("records/").removesuffix(".json")
        seconds = 64 * 4 * limits.training_flops() / (limit * 1.5)
        edit_events(spread, case, lambda event: event["event"] == "steps" and event.update(seconds=seconds))
        derive_again(spread, case)
        no_tables(spread)
        assert "training possible" in rules(spread)

    def test_cases_that_overlap_on_one_node(self, spread, there):
        """On two they may: that these do is in test_node."""
        records = [json.loads(path.read_text()) for path in sorted((spread / "records").iterdir())]
        node = json.loads((spread / next(iter(there))).read_text())["node"]
        for path in (spread / "records").iterdir():
            edit(path, lambda data: data.update(node=node))
        no_tables(spread)
        assert len({record["node"] for record in records}) == 2
        assert rules(spread) == {"sequence"}
        for path in (spread / "records").iterdir():
            edit(path, lambda data: data.update(node=""))
        assert rules(spread) == {"sequence"}

    @pytest.mark.parametrize(("gpus", "world_size", "fits"), [(2, 1, True), (1, 1, False), (4, 2, True), (3, 2, False)])
    def test_a_node_has_as_many_cases_at_once_as_devices(self, spread, gpus, world_size, fits):
        store = Store.open(spread)
        card = store.manifest.machine.model_copy(update={"gpus": ("GPU",) * gpus})
        one, two = (
            case.model_copy(update={"device_target": DeviceTarget.GPU, "world_size": world_size})
            for case in store.manifest.cases[:2]
        )
        path = spread / "records" / f"{store.manifest.cases[0].id}.json"
        record = store.records()[0]
        evidence = [
            Evidence(case, card, record.dataset, record, document(path.read_text()), path.name, "events.jsonl")
            for case in (one, two)
        ]
        assert (list(run_rules.sequence(store.manifest, evidence)) == []) is fits


def forge(event, change):
    """Change an event; one that becomes another kind keeps that kind's fields alone."""
    change(event)
    kind = {"compiled": Compiled, "resident": Resident}.get(event["event"])
    for key in [*event] if kind else ():
        if key not in (*kind.model_fields, "case_id", "attempt"):
            del event[key]


class TestAHostileFolder:
    def test_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(StoreError, match="is not a run"):
            verify(tmp_path)

    def test_a_newer_run_asks_for_an_upgrade(self, run):
        edit(run / "manifest.json", lambda data: data.update(schema_version=99))
        with pytest.raises(UsageError, match=r"schema 99.*upgrade"):
            verify(run)

    def test_links_and_pipes_are_findings_and_are_not_opened(self, run, names):
        (run / "records" / "secret.json").symlink_to("/etc/passwd")
        os.mkfifo(run / "records" / "pipe.json")
        path = run / "records" / f"{names[0]}.json"
        path.rename(run.parent / "outside.json")
        path.symlink_to(run.parent / "outside.json")
        found = {finding.place.file: finding.rule for finding in verify(run).findings if finding.rule == "folder"}
        assert found.keys() == {"records/secret.json", "records/pipe.json", f"records/{names[0]}.json"}

    def test_odd_names(self, run):
        (run / "records" / "a\nb\x1b[31m.json").write_text("{}")
        (run / b"\xff".decode("utf-8", "surrogateescape")).write_text("")
        odd = [finding for finding in verify(run).findings if finding.rule == "folder"]
        assert len(odd) == 2
        assert all(str(finding).isprintable() for finding in odd)

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "null",
         "[" * 50_000, '{"a":' * 50 + "1" + "}" * 50, '{"a": NaN}', '{"a": 1, "a": 1}', "9" * 9999],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["manifest.json", "events.jsonl", "record", "table.json"])
    def test_what_is_no_run_is_a_finding(self, run, names, name, text):
        path = run / (f"records/{names[0]}.json" if name == "record" else name)
        path.write_text(text)
        findings = verify(run).findings
        assert path.relative_to(run).as_posix() in {finding.place.file for finding in findings} or text == ""
        assert findings

    def test_a_file_that_is_too_large(self, run, names):
        with (run / "records" / f"{names[0]}.json").open("wb") as file:
            file.truncate(65 * 2**20)
        assert any("larger than 64 MiB" in finding.message for finding in verify(run).findings)

    def test_a_key_that_is_there_twice(self, run, names):
        path = run / "records" / f"{names[0]}.json"
        path.write_text(path.read_text().replace('"status":', '"status": "ok",\n "status":', 1))
        assert any("'status' is there twice" in finding.message for finding in verify(run).findings)

    def test_a_number_that_is_written_as_text(self, run, names):
        edit(run / "records" / f"{names[0]}.json", lambda data: data["summary"].update(trained_images="896"))
        assert any("not written as it is read" in finding.message for finding in verify(run).findings)


def numbers(value, path=()):
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from numbers(each, (*path, index))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


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
    if at[0] == "load":
        return  # what the parent saw of the machine is its word alone, as the machine's card is: no event witnesses it
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
            assert verify(folder).findings == []
            return
        if path.name == "events.jsonl":
            assert verify(folder).findings, "an event is raw: each number in it is witnessed"
            return
        try:
            caught = bool(verify(folder).findings)
        except UsageError:
            return  # a newer schema: nothing is shown either
        assert caught or shown(folder) == before
    finally:
        path.write_text(original)


def test_the_arithmetic_is_that_of_the_layers():
    assert limits.forward_flops() == 833_040
    assert limits.training_flops() == 2_263_920
    card = describe().model_copy(update={"usable_cores": 2, "instruction_sets": ("avx", "avx2")})
    assert limits.peak_flops(card, DeviceTarget.CPU) == 2 * 6.5e9 * 32
    assert limits.peak_flops(card.model_copy(update={"instruction_sets": ()}), DeviceTarget.CPU) == 2 * 6.5e9 * 64
    assert limits.peak_flops(card, DeviceTarget.GPU) > 1e15


def test_the_known_digests_are_those_of_the_data(digits):
    assert KNOWN["digits"] == digits.card


def test_the_known_digest_of_mnist(mnist):
    assert KNOWN["mnist"] == mnist.card


def test_every_rule_says_what_it_demands():
    assert all(rule.__doc__ and rule.__doc__.endswith(".") for rule in CASE_RULES.values())
    assert len(set(CASE_RULES)) == len(CASE_RULES) > 20
