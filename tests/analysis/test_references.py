"""References as files: made from runs, refused where they would mix, read back, shipped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lenet.analysis import references
from lenet.analysis.bands import band
from lenet.cases.case import Case, Mode, Pipeline, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.store.record import Status
from lenet.store.run import Store


@pytest.fixture
def runs(tmp_path, trained, draw):
    """Runs whose records are drawn: `runs(seeds, …)` makes one."""

    def create(seeds, name="run", epochs=2, *, status=lambda seed: Status.OK, **fields):
        generator = np.random.default_rng(len(name))
        records = []
        for seed in seeds:
            record = trained(draw(generator, epochs), seed=seed, status=status(seed), **fields)
            records.append(record)
        store = Store.create(tmp_path / name, Matrix(), [record.case for record in records], {}, describe())
        for record in records:
            store.write_record(record)
        return store

    return create


def test_two_runs_make_one_reference(runs):
    (made,) = references.make([runs(range(10), "one"), runs(range(10, 20), "two")])
    assert [curve.seed for curve in made.seeds] == list(range(20))
    assert (made.batch_size, made.epochs, made.test_images) == (32, 2, 9984)
    assert len(made.origins) == 2
    assert made.origins[0].machine_id == describe().id
    assert made.software.framework_version == "2.10.0"


def test_the_band_can_be_made_again_from_the_file(runs, tmp_path):
    (made,) = references.make([runs(range(20))])
    path = references.write(made, tmp_path / "new" / "reference")
    assert path.name == "mnist-b32.json"
    (again,) = references.read_given(path.parent)
    assert again == made
    assert band(again.seeds, again.test_images, again.false_alarms) == again.band


def test_a_batch_size_each(runs):
    stores = [runs(range(20), "a"), runs(range(20), "b", batch_size=128)]
    made = references.make(stores)
    assert sorted(each.batch_size for each in made) == [32, 128]


def test_what_crashed_is_left_out_and_a_plateau_is_not(runs):
    store = runs(range(22), status=lambda seed: {3: Status.CRASHED, 4: Status.PLATEAU}.get(seed, Status.OK))
    (made,) = references.make([store])
    assert len(made.seeds) == 21
    assert 4 in [curve.seed for curve in made.seeds]


class TestRefused:
    def complaint(self, *stores):
        with pytest.raises(UsageError) as caught:
            references.make(stores)
        return str(caught.value)

    def test_too_few_seeds(self, runs):
        assert "19 seeds, and a reference needs 20" in self.complaint(runs(range(19)))

    def test_a_seed_twice(self, runs):
        store = runs(range(20))
        assert "seed 0 occurs more than once" in self.complaint(store, store)

    def test_two_modes(self, runs):
        complaint = self.complaint(runs(range(10), "a"), runs(range(10, 20), "b", mode=Mode.JIT))
        assert "differ in mode" in complaint

    @pytest.mark.parametrize(
        ("axis", "values"),
        [
            ("pipeline", (Pipeline.TUTORIAL, Pipeline.CACHED)),
            ("profile", (RuntimeProfile(), RuntimeProfile.parse("launch_blocking"))),
            ("processes", (1, 2)),
        ],
    )
    def test_trainings_that_differ_in_another_axis(self, runs, axis, values):
        field = "world_size" if axis == "processes" else axis
        one, other = (
            runs(range(10 * index, 10 * index + 10), str(index), **{field: value}) for index, value in enumerate(values)
        )
        assert f"differ in {axis}" in self.complaint(one, other)

    def test_other_epochs(self, runs):
        assert "differ in epochs" in self.complaint(runs(range(10), "a"), runs(range(10, 20), "b", epochs=3))

    def test_a_diverged_training(self, runs):
        store = runs(range(20), status=lambda seed: Status.DIVERGED if seed == 7 else Status.OK)
        assert "diverged" in self.complaint(store)

    def test_measurements_of_speed(self, new_store, digits):
        assert "no case of whole epochs" in self.complaint(new_store([Case(dataset="digits")], digits))


def test_each_seed_is_judged_by_the_others(reference):
    made = reference()
    assert len(references.flagged_seeds(made)) <= 1
    odd = made.seeds[5].model_copy(update={"training_loss": (9.0, *made.seeds[5].training_loss[1:])})
    seeds = tuple(odd if curve.seed == 5 else curve for curve in made.seeds)
    assert 5 in references.flagged_seeds(made.model_copy(update={"seeds": seeds}))


@pytest.mark.parametrize(("learning_rate", "word"), [(1e-2, "mnist-b32.json"), (0.05, "mnist-b32-lr0.05-m0.9.json")])
def test_the_files_name(reference, learning_rate, word):
    assert references.name(reference(learning_rate=learning_rate)) == word


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 99}', "{" * 5000])
def test_what_is_no_reference_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json is not a reference"):
        references.read_given(tmp_path)


def test_a_reference_whose_parts_do_not_fit(reference, tmp_path):
    content = json.loads(reference().model_dump_json())
    content["seeds"][0]["correct"].append(1)
    with pytest.raises(UsageError, match="one item per epoch"):
        references.read(json.dumps(content), "x")


def test_an_empty_folder(tmp_path):
    with pytest.raises(UsageError, match="has no reference"):
        references.read_given(tmp_path)


def test_the_shipped_references_are_whole_and_their_bands_are_those_of_their_seeds():
    shipped = references.shipped()
    keys = [(each.dataset.sha256, each.learning_rate, each.momentum, each.batch_size) for each in shipped]
    assert len(set(keys)) == len(keys)
    for made in shipped:
        again = band(made.seeds, made.test_images, made.false_alarms)
        for ours, theirs in zip(again, made.band, strict=True):
            assert ours.accuracy.low == pytest.approx(theirs.accuracy.low)
            assert ours.accuracy.high == pytest.approx(theirs.accuracy.high)
            assert ours.training_loss.low == pytest.approx(theirs.training_loss.low)
            assert ours.training_loss.high == pytest.approx(theirs.training_loss.high)
        assert len(references.flagged_seeds(made)) <= 1, "more of its own seeds flagged than chance explains"
