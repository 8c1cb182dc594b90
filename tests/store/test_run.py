"""The store: files are written whole or not at all, and read without trust."""

from __future__ import annotations

import json
import os

import pytest

from lenet.cases.case import Case
from lenet.errors import StoreError
from lenet.files.text import write_atomically
from lenet.store.events import Compiled
from lenet.store.manifest import run_folders
from lenet.store.record import Status
from lenet.store.run import Store


@pytest.fixture
def cases():
    return [Case(dataset="digits", repetition=index) for index in range(3)]


@pytest.fixture
def store(cases, digits, new_store):
    return new_store(cases, digits)


def test_a_run_is_read_as_it_was_written(store, cases, plain_record):
    store.write_record(plain_record(cases[2], Status.CRASHED, "why"))
    store.write_record(plain_record(cases[0]))
    again = Store.open(store.path)
    assert again.manifest == store.manifest
    assert [record.case for record in again.records()] == [cases[0], cases[2]]
    assert again.missing() == [cases[1]]


def test_a_run_is_never_overwritten(store, cases, digits, new_store):
    with pytest.raises(StoreError, match="--resume"):
        new_store(cases, digits)


def test_a_folder_that_is_not_a_run(tmp_path):
    with pytest.raises(StoreError, match="is not a run"):
        Store.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema_version": 1}', "[" * 100_000, "\udcff"])
def test_a_damaged_manifest_is_one_sentence(store, text):
    (store.path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError) as caught:
        Store.open(store.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("new", [{}, {"something_new": True}])
def test_a_newer_schema_says_so(store, new):
    path = store.path / "manifest.json"
    data = json.loads(path.read_text()) | {"schema_version": 99} | new
    path.write_text(json.dumps(data))
    with pytest.raises(StoreError, match=r"schema 99.*upgrade"):
        Store.open(store.path)


def test_a_record_under_another_cases_name_is_refused(store, cases, plain_record):
    store.write_record(plain_record(cases[0]))
    store.record_path(cases[0]).rename(store.record_path(cases[1]))
    with pytest.raises(StoreError, match="another case"):
        store.records()


def test_a_record_that_is_too_large_is_refused(store, cases):
    with store.record_path(cases[0]).open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(StoreError, match="larger than"):
        store.records()


def test_events_are_appended_as_lines(store, cases):
    store.append_event(cases[0], Compiled(seconds=1.5))
    store.append_event(cases[1], Compiled(seconds=2.5))
    lines = (store.path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["seconds"] for line in lines] == [1.5, 2.5]


def test_the_process_that_locks_a_run_removes_an_incomplete_line_of_its_log(store, cases):
    store.append_event(cases[0], Compiled(seconds=1.5))
    whole = (store.path / "events.jsonl").read_bytes()
    (store.path / "events.jsonl").write_bytes(whole + whole[:-9])
    store.release()
    again = Store.open(store.path)
    assert (store.path / "events.jsonl").read_bytes() != whole, "reading changes nothing"
    again.hold()
    assert (store.path / "events.jsonl").read_bytes() == whole
    again.release()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.md"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \udcff")
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]


def test_a_read_only_folder_is_one_sentence(tmp_path, cases, digits):
    if os.geteuid() == 0:
        # The superuser can write everywhere, but no folder can be below a file.
        target = tmp_path / "file" / "run"
        (tmp_path / "file").write_text("")
    else:
        tmp_path.chmod(0o555)
        target = tmp_path / "run"
    from lenet.cases.matrix import Matrix
    from lenet.machine.card import describe

    with pytest.raises(StoreError, match=r"cannot write .* choose another --output"):
        Store.create(target, Matrix(), cases, {"digits": digits.card}, describe())


class TestRunFolders:
    @pytest.fixture
    def tree(self, tmp_path):
        for name in ("a", "deep/er/b", "merged/runs/c", ".hidden/d", "a/superseded"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "manifest.json").write_text("{}")
        (tmp_path / "link").symlink_to(tmp_path / "a")
        return tmp_path

    def test_every_run_below_once(self, tree):
        found = [path.relative_to(tree).as_posix() for path in run_folders(tree)]
        assert found == ["a", "deep/er/b", "merged/runs/c"]

    def test_a_run_is_itself(self, tree):
        assert run_folders(tree / "a") == [tree / "a"]
        assert run_folders(tree / "link") == [tree / "link"], "a link that the user named"

    @pytest.mark.parametrize("name", ["none", "file", "empty"])
    def test_no_run_is_one_sentence(self, tree, name):
        (tree / "empty").mkdir()
        (tree / "file").write_text("")
        with pytest.raises(StoreError, match="name a"):
            run_folders(tree / name)
