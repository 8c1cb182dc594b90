"""Merging: a union, whatever the order; nothing overwritten, conflicts named, no input trusted."""

from __future__ import annotations

import json
import shutil
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.analysis.merge import MergedRun, longest, repeated, union
from lenet.commands.merge import merge, read
from lenet.commands.verify import verify
from lenet.errors import StoreError
from lenet.machine.card import MachineCard, describe
from lenet.report import rows
from lenet.store.manifest import Manifest, run_folders
from lenet.store.record import Record
from lenet.store.run import Store


@pytest.fixture(scope="module")
def manifests(honest_run):
    """Two machines' manifests and a second run of the first machine."""
    first = Store.open(honest_run).manifest
    other = describe().model_copy(update={"cpu": "Another CPU", "usable_cores": 3})
    return (
        first,
        first.model_copy(update={"machine": other}),
        first.model_copy(update={"lenet_bench_version": "0.0.9"}),
    )


def stores(manifests):
    """Any set of copies of three runs, with records and event streams of few versions."""
    cases = st.sampled_from([case.id for case in manifests[0].cases])
    texts = st.sets(st.sampled_from("rst"), min_size=1, max_size=2)
    streams = st.sets(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3)
    run = st.builds(
        MergedRun,
        manifest=st.sampled_from(manifests),
        records=st.dictionaries(cases, texts),
        superseded=st.dictionaries(cases, texts),
        streams=st.dictionaries(cases, streams.map(longest)),
        cards=st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from("xyz")),
    )  # fmt: skip
    return st.lists(run, max_size=3).map(union)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_is_commutative_associative_and_idempotent(manifests, data):
    a, b, c = (data.draw(stores(manifests)) for _ in range(3))

    def join(x, y):
        return union([*x.values(), *y.values()])

    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(a, {}) == a
    for store in (a, b):
        for name, run in store.items():
            for case_id, texts in run.records.items():
                assert texts <= join(a, b)[name].records[case_id], "no record is lost"


@given(st.sets(st.lists(st.sampled_from("ab"), max_size=4).map(tuple)))
def test_the_longest_are_those_that_begin_no_other(streams):
    expected = {s for s in streams if not any(s != other and other[: len(s)] == s for other in streams)}
    assert longest(streams) == expected


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def elsewhere(honest_run, tmp_path):
    """The same run as if another machine had made it."""
    folder = shutil.copytree(honest_run, tmp_path / "elsewhere")
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    data["machine"]["cpu"] = "Another CPU"
    path.write_text(json.dumps(data))
    machine = Manifest.model_validate_json(path.read_text()).machine
    for record in (folder / "records").iterdir():
        data = json.loads(record.read_text())
        data["machine_id"] = machine.id
        record.write_text(json.dumps(data))
    return folder


@pytest.fixture
def partial(honest_run, tmp_path):
    """A copy that was taken before the run had ended."""
    folder = shutil.copytree(honest_run, tmp_path / "partial")
    last = Store.open(folder).manifest.cases[-1]
    (folder / "records" / f"{last.id}.json").unlink()
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(lines[:-3]))
    return folder


def test_any_order_gives_the_same_bytes(honest_run, elsewhere, partial, tmp_path):
    results = []
    for index, order in enumerate(permutations((honest_run, elsewhere, partial))):
        target = tmp_path / f"m{index}"
        merge(order, target)
        results.append(bytes_of(target))
    assert all(each == results[0] for each in results)
    again = tmp_path / "m0"
    merge([again, partial], again)
    assert bytes_of(again) == results[0]
    stepwise = tmp_path / "stepwise"
    for source in (partial, elsewhere, honest_run):
        merge([source], stepwise)
    assert bytes_of(stepwise) == results[0]


def test_machines_stay_apart_and_what_is_merged_is_verified(honest_run, elsewhere, tmp_path):
    found = merge([honest_run, elsewhere], tmp_path / "all")
    folders = run_folders(tmp_path / "all")
    assert [folder.name for folder in folders] == sorted(found)
    assert len(folders) == 2
    for folder in folders:
        assert verify(folder).violations == []
    table = [row for folder in folders for row in rows(Store.open(folder).records(), folder.name)]
    assert len({row.machine for row in table}) == 2
    assert len(table) == 8
    assert repeated(found.values()) == []


def test_a_run_over_several_machines_keeps_their_cards(spread_run, tmp_path):
    early = shutil.copytree(spread_run, tmp_path / "early")
    (card,) = early.glob("machine-*.json")
    text = card.read_text()
    data = json.loads(text)
    card.write_text(json.dumps({**data, "load_average": (data["load_average"] or 0) + 1}))
    both = [
        bytes_of(tmp_path / name)
        for name, order in (("a", (early, spread_run)), ("b", (spread_run, early)))
        if merge(order, tmp_path / name)
    ]
    assert both[0] == both[1]
    (folder,) = run_folders(tmp_path / "a")
    assert (folder / card.name).read_text() == min(text, MachineCard.model_validate_json(card.read_text())
                                                   .model_dump_json(indent=1) + "\n")  # fmt: skip
    assert verify(folder).violations == []
    assert len(Store.open(folder).records()) == 4
    machines = {row.machine for row in rows(Store.open(folder).records(), "run")}
    assert len(machines) == 2
    again = shutil.copytree(spread_run, tmp_path / "again")
    path = again / "manifest.json"
    path.write_text(path.read_text().replace('"name": "spread"', '"name": "again"'))
    assert {each.machine for each in repeated(merge([spread_run, again], tmp_path / "two").values())} == machines


@pytest.mark.parametrize("text", ["{}", '"', None])
def test_a_card_that_is_none_or_anothers(spread_run, tmp_path, text):
    copy = shutil.copytree(spread_run, tmp_path / "copy")
    (card,) = copy.glob("machine-*.json")
    card.write_text(card.read_text().replace('"cpu": "', '"cpu": "Faster ') if text is None else text)
    with pytest.raises(StoreError, match=card.name):
        merge([copy], tmp_path / "all")
    card.unlink()
    with pytest.raises(StoreError, match="whose card its run does not have"):
        merge([copy], tmp_path / "all")


def test_copies_that_differ_are_a_conflict_that_loses_nothing(honest_run, tmp_path):
    other = shutil.copytree(honest_run, tmp_path / "other")
    case = Store.open(other).manifest.cases[0]
    path = other / "records" / f"{case.id}.json"
    data = json.loads(path.read_text())
    data["summary"]["trained_images"] += 1
    path.write_text(json.dumps(data))
    target = tmp_path / "all"
    (run,) = merge([honest_run, other], target).values()
    assert run.conflicts() == [case.id]
    (folder,) = run_folders(target)
    assert case in Store.open(folder).missing(), "no table shows a figure that is in doubt"
    kept = {json.loads(each.read_text())["summary"]["trained_images"] for each in (folder / "conflicts").glob("*.json")}
    assert len(kept) == 2
    before = bytes_of(target)
    merge([honest_run], target)
    assert bytes_of(target) == before, "a conflict does not go away by merging a side of it again"


def test_a_case_that_was_measured_again_is_no_conflict_and_keeps_its_first_record(
    honest_run, measured_again, names, tmp_path
):
    both = []
    for name, order in (("a", (honest_run, measured_again)), ("b", (measured_again, honest_run))):
        (merged,) = merge(order, tmp_path / name).values()
        assert merged.conflicts() == []
        both.append(bytes_of(tmp_path / name))
    assert both[0] == both[1]
    (folder,) = run_folders(tmp_path / "a")
    first, again = (
        Store.open(each).record(Store.open(each).manifest.cases[0]) for each in (honest_run, measured_again)
    )
    assert first != again
    assert Store.open(folder).record(first.case) == again
    assert Record.model_validate_json((folder / "superseded" / f"{names[0]}.1.json").read_text()) == first
    assert verify(folder).violations == []
    merge([tmp_path / "a"], tmp_path / "b")
    assert bytes_of(tmp_path / "b") == both[0]


def test_two_runs_of_one_machine_are_both_kept_and_named(honest_run, tmp_path):
    other = shutil.copytree(honest_run, tmp_path / "other")
    path = other / "manifest.json"
    path.write_text(path.read_text().replace('"name": "honest"', '"name": "again"'))
    found = merge([honest_run, other], tmp_path / "all")
    assert len(found) == 2
    assert len(repeated(found.values())) == 4


class TestBadInput:
    def test_a_target_that_holds_something_else(self, honest_run, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(StoreError, match="no merged store"):
            merge([honest_run], tmp_path)
        with pytest.raises(StoreError, match="no merged store"):
            merge([honest_run], honest_run)

    @pytest.mark.parametrize("name", ["manifest.json", "events.jsonl", "record"])
    def test_a_damaged_file(self, partial, tmp_path, name):
        path = next((partial / "records").iterdir()) if name == "record" else partial / name
        path.write_text("[" * 100_000)
        with pytest.raises(StoreError, match=path.name):
            merge([partial], tmp_path / "all")
        assert not (tmp_path / "all").exists()

    def test_no_name_from_a_file_becomes_a_path(self, partial, tmp_path):
        path = partial / "events.jsonl"
        path.write_text(path.read_text().replace('"case_id":"cpu', '"case_id":"../../cpu'))
        with pytest.raises(StoreError, match="no case"):
            merge([partial], tmp_path / "all")

    def test_a_record_of_another_machine(self, partial, tmp_path):
        path = next((partial / "records").iterdir())
        path.write_text(path.read_text().replace('"machine_id": "', '"machine_id": "x'))
        with pytest.raises(StoreError, match="a machine whose card its run does not have"):
            merge([partial], tmp_path / "all")

    def test_a_link_is_not_followed(self, partial, tmp_path):
        path = next((partial / "records").iterdir())
        outside = path.rename(tmp_path / "outside.json")
        path.symlink_to(outside)
        merge([partial], tmp_path / "all")
        assert len(read(tmp_path / "all")[0].records) == 2
