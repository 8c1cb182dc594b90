"""`verify` recomputes the trainings of a run: honest ones are proved, others refused, and what is absent is said."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from pathlib import Path

import pytest
from forging import edit, edit_events

from lenet.analysis.training import RecordedTraining
from lenet.cases.case import Case, Hyperparameters, Mode, Plan
from lenet.cases.profile import RuntimeProfile
from lenet.commands import recompute
from lenet.commands.verify import verify
from lenet.dataset import at_hand
from lenet.engine.local import LocalEngine
from lenet.errors import DatasetError
from lenet.report import render, rows
from lenet.store.events import Sketched
from lenet.store.proof import TRAINING, CaseProof, TrainingProofs, TrainingStatus
from lenet.store.run import Store
from lenet.workload.layers import PARAMETERS

TESTS = Path(__file__).parents[1]
PLAN = Plan(
    warmup_steps=12, window_steps=4, window_seconds=0, windows=3, resident_windows=1, evaluation_images=64
)  # fmt: skip
CASE = Case(dataset="digits", plan=PLAN)


def trained(new_store, digits, cases, *arguments, worker="training/reference_worker.py"):
    store = new_store(cases, digits)
    engine = LocalEngine(command=(sys.executable, str(TESTS / worker), *arguments))
    records = engine.run(cases, {"digits": digits}, store)
    assert all(record.windows for record in records), [record.reason for record in records]
    store.release()
    return store


def recomputing(steps=recompute.STEPS, find=at_hand, **options):
    return functools.partial(recompute.recompute, find=find, steps=steps, **options)


@pytest.fixture(scope="module")
def honest(digits, tmp_path_factory):
    """A run of two modes of one training. Not to be changed."""
    from lenet.cases.matrix import Matrix
    from lenet.machine.card import describe

    def new_store(cases, dataset):
        folder = tmp_path_factory.mktemp("honest") / "run"
        return Store.create(folder, Matrix.around(cases), cases, {"digits": dataset.card}, describe())

    cases = [CASE, CASE.model_copy(update={"mode": Mode.PYNATIVE})]
    return trained(new_store, digits, cases).path


@pytest.fixture
def copy(honest, tmp_path):
    return shutil.copytree(honest, tmp_path / "copy")


class TestHonest:
    def test_it_is_proved_to_its_end_with_its_accuracy(self, honest):
        steps = []
        result = verify(honest, recomputing(progress=lambda training, done, wanted: steps.append((done, wanted))))
        assert [str(each) for each in result.violations] == []
        assert {proof.status for proof in result.trainings.values()} == {TrainingStatus.PROVED}
        assert [proof.steps for proof in result.trainings.values()] == [24, 24]
        for words in ("the weights after the first 2 are", "so are the weights after", "so is the accuracy"):
            assert all(words in proof.reason for proof in result.trainings.values())
        assert steps == [(number, 24) for number in range(1, 25)], "both modes share one recomputation"

    def test_a_worker_reports_its_weights_after_the_first_steps_and_the_last(self, honest):
        store = Store.open(honest)
        events = [event for event in store.events(store.manifest.cases[0]) if isinstance(event, Sketched)]
        assert [event.step for event in events] == [1, 2, 24]
        assert all([layer.name for layer in event.layers] == list(PARAMETERS) for event in events)

    def test_a_run_without_weights_is_proved_by_its_losses(self, copy):
        path = copy / "events.jsonl"
        lines = [line for line in path.read_text().splitlines(True) if '"sketched"' not in line]
        path.write_text("".join(lines))
        result = verify(copy, recomputing())
        assert result.violations == []
        assert {(proof.status, "weights" in proof.reason) for proof in result.trainings.values()} == {
            (TrainingStatus.PROVED, False)
        }

    def test_no_more_steps_than_wanted(self, honest):
        proofs = verify(honest, recomputing(steps=5)).trainings.values()
        assert [proof.steps for proof in proofs] == [5, 5]
        assert not any("accuracy" in proof.reason for proof in proofs)

    def test_nothing_is_recomputed_unless_wanted(self, honest):
        assert verify(honest).trainings == {}

    def test_data_that_is_not_at_hand_is_no_violation(self, honest):
        def find(card):
            raise DatasetError(f"{card.name} is not at hand")

        result = verify(honest, recomputing(find=find))
        assert result.violations == []
        assert {(each.status, each.reason) for each in result.trainings.values()} == {
            (TrainingStatus.NOT_PROVED, "digits is not at hand")
        }

    def test_within_a_time_limit_it_gets_the_steps_that_fit_or_says_so(self, honest):
        proof, *_ = verify(honest, recomputing(seconds=200.0)).trainings.values()
        assert (proof.status, proof.steps) == (TrainingStatus.PROVED, 24)
        proof, *_ = verify(honest, recomputing(seconds=0.01)).trainings.values()
        assert proof.status is TrainingStatus.NOT_PROVED
        assert "longer than the run allows" in proof.reason


class TestAnotherTraining:
    @pytest.mark.parametrize(
        ("change", "step"), [("momentum=0.8", 3), ("learning_rate=0.01001", 2), ("momentum=0.899", 3), ("seed=2", 1)]
    )
    def test_it_is_refused_with_its_step(self, new_store, digits, change, step):
        store = trained(new_store, digits, [CASE], change)
        assert verify(store.path).violations == [], "its record is consistent"
        result = verify(store.path, recomputing())
        (violation,) = result.violations
        assert violation.rule == "training"
        (proof,) = result.trainings.values()
        assert (proof.status, proof.parted_at) == (TrainingStatus.ANOTHER, step)
        line = json.loads((store.path / "events.jsonl").read_text().splitlines()[violation.place.line - 1])
        assert line["event"] == "steps"
        assert line["first_step"] < step <= line["first_step"] + line["steps"]

    def test_other_final_weights_are_refused(self, copy):
        """As those of a training that changed too late for its losses to show it."""
        name = Store.open(copy).manifest.cases[0].id

        def change(event):
            if event["event"] == "sketched" and event["step"] == 24:
                event["layers"][4]["sketch"] = [each * (1 + 1e-3) for each in event["layers"][4]["sketch"]]

        edit_events(copy, name, change)
        (violation,) = verify(copy, recomputing()).violations
        assert violation.rule == "training"
        assert "the weights after its last step are others (layers.9.weight)" in violation.message

    def test_another_accuracy_is_refused(self, copy):
        name = Store.open(copy).manifest.cases[0].id
        edit(copy / "records" / f"{name}.json", lambda data: data["evaluations"][-1].update(correct=60))
        proofs = verify(copy, recomputing()).trainings
        assert proofs[name].status is TrainingStatus.ANOTHER
        assert "test images" in proofs[name].reason


def write(folder, status, attempt=None):
    cases = [
        CaseProof(case_id=each.case_id, attempt=attempt or each.attempt, status=status, steps=20)
        for each in Store.open(folder).records()
    ]
    (folder / TRAINING).write_text(TrainingProofs(cases=tuple(cases)).model_dump_json(indent=1))


class TestTheFileOfProofs:
    def test_one_that_is_right(self, copy):
        write(copy, TrainingStatus.PROVED)
        result = verify(copy, recomputing())
        assert (result.violations, TRAINING in result.unread) == ([], False)

    def test_one_that_left_a_training_unproved(self, copy):
        write(copy, TrainingStatus.NOT_PROVED)
        assert verify(copy, recomputing()).violations == []

    def test_a_forged_one_is_not_believed(self, new_store, digits):
        store = trained(new_store, digits, [CASE], "momentum=0.8")
        write(store.path, TrainingStatus.PROVED)
        places = {each.place.file for each in verify(store.path, recomputing()).violations}
        assert places == {"events.jsonl", TRAINING}

    def test_one_that_slanders(self, copy):
        write(copy, TrainingStatus.ANOTHER)
        assert {each.place.file for each in verify(copy, recomputing()).violations} == {TRAINING}

    def test_one_of_another_schema_is_refused(self, copy):
        (copy / TRAINING).write_text('{"cases": [{"case_id": 1}]}')
        assert {each.rule for each in verify(copy).violations} == {"schema"}


class TestAtTheEndOfARun:
    def prove(self, folder, digits, seconds=200.0):
        store = Store.open(folder)
        recompute.prove_run(store, {"digits": digits}, seconds / recompute.SHARE)
        return store

    def test_its_results_are_kept_and_verified(self, copy, digits):
        store = self.prove(copy, digits)
        assert {proof.text for proof in store.proofs().values()} == {"proved"}
        before = (copy / TRAINING).read_bytes()
        self.prove(copy, digits, seconds=0.001)
        assert (copy / TRAINING).read_bytes() == before, "what is proved is not recomputed"
        table = rows(store.records(), "r", proofs=store.proofs())
        assert "| proved" in render(table, "github")
        assert "Trainings recomputed in numpy: 2 proved." in render(table, "terminal")
        (copy / "table.md").write_text(render(table, "github"))
        assert verify(copy, recomputing()).violations == []

    def test_what_was_proved_before_ctrl_c_is_kept(self, new_store, digits):
        other = CASE.model_copy(update={"hyperparameters": Hyperparameters(seed=2)})
        store = trained(new_store, digits, [CASE, other])

        def stop(training, done, wanted):
            if "seed 2" in training:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            recompute.prove_run(store, {"digits": digits}, 200.0, stop)
        assert {name: proof.text for name, proof in Store.open(store.path).proofs().items()} == {CASE.id: "proved"}

    def test_without_time_nothing_is_proved(self, copy, digits):
        store = self.prove(copy, digits, seconds=0.01)
        assert {proof.status for proof in store.proofs().values()} == {TrainingStatus.NOT_PROVED}

    def test_a_speed_of_another_training_is_struck_out(self, new_store, digits):
        store = trained(new_store, digits, [CASE], "momentum=0.8")
        self.prove(store.path, digits)
        (row,) = rows(store.records(), "r", proofs=store.proofs())
        assert (row.training, row.sound) == ("another training (from step 3)", False)
        text = render([row], "github")
        assert "~~" in text
        assert "| another training (1) |" in text
        assert "momentum" in text
        assert "~~" not in render(rows(store.records(), "r"), "github"), "nothing is said that was not found"

    def test_a_case_that_is_measured_again_is_not_proved_any_more(self, copy, digits):
        store = self.prove(copy, digits)
        first = store.manifest.cases[0]
        edit(copy / "records" / f"{first.id}.json", lambda data: data.update(attempt="0" * 12))
        assert store.proofs().keys() == {store.manifest.cases[1].id}


class TestAtHand:
    def test_digits_are_in_the_package(self, digits):
        assert at_hand(digits.card) == digits

    def test_mnist_is_not_downloaded(self, digits):
        card = digits.card.model_copy(update={"name": "mnist"})
        with pytest.raises(DatasetError, match="mnist is not at hand: name the folder that holds it with --data-dir"):
            at_hand(card)

    def test_other_data_in_the_folder(self, digits):
        card = digits.card.model_copy(update={"name": "mine@0000"})
        assert at_hand(card, digits.folder).card.sha256 == digits.card.sha256
        with pytest.raises(DatasetError, match=r"holds other data \(sha256 .{12}\) than mine@0000 \(000000000000\)"):
            at_hand(card.model_copy(update={"sha256": "0" * 64}), digits.folder)


def test_cases_without_losses_or_data_are_left_out(plain_record):
    claims = [RecordedTraining(plain_record(CASE), ()), RecordedTraining(plain_record(CASE), (2.3,))]
    assert list(recompute.recompute(claims, at_hand)) == []


AVX2 = RuntimeProfile(name="avx2", onednn_isa="AVX2", launch_blocking=True)
REAL = CASE.model_copy(update={"profile": AVX2, "hyperparameters": Hyperparameters(seed=3)})


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("fault", "step"), [("none", None), ("learning_rate", 2), ("file_order", 1), ("missing_relu", 1)]
)
def test_a_training_of_mindspore(new_store, digits, fault, step):
    store = trained(new_store, digits, [REAL], fault, worker="planted.py")
    (proof,) = verify(store.path, recomputing()).trainings.values()
    assert proof.parted_at == step, proof
    assert proof.status is (TrainingStatus.ANOTHER if step else TrainingStatus.PROVED)
