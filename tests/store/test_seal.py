"""The seal: any change of a finished run's files is named, and the run's own changes break and renew it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lenet.analysis.verify.reader import RunReader
from lenet.cases.case import Case
from lenet.commands.verify import verify
from lenet.files.folder import scan
from lenet.store.events import Compiled
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.run import Store
from lenet.store.seal import SEAL, SIGNATURE, is_covered, seal_faults

PLACES = 12
"""Digits of each file that are changed, evenly spread."""


@pytest.fixture(scope="module")
def made(honest_run, tmp_path_factory):
    """The honest run with proofs, a machine's card and a superseded record, without tables and logs; sealed."""
    folder = tmp_path_factory.mktemp("sealed") / "run"
    shutil.copytree(honest_run, folder, ignore=shutil.ignore_patterns("table.*", "logs"))
    store = Store.open(folder)
    record = store.records()[0]
    store.write_proofs({record.case_id: TrainingProof(status=TrainingStatus.PROVED, steps=12)})
    store.keep_card(store.manifest.machine.model_copy(update={"usable_cores": 61}))
    store.write_record(record.model_copy(update={"stderr_tail": "measured 2 times"}))
    store.seal()
    return folder


@pytest.fixture
def sealed(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def faults(folder):
    """The files that are not as they were sealed."""
    return [each.file for each in seal_faults(scan(folder), (folder / SEAL).read_text())]


def test_it_is_a_standard_file_of_digests(sealed):
    check = ["sha256sum", "--check", "--strict", "--quiet", SEAL]
    assert subprocess.run(check, cwd=sealed, check=False).returncode == 0
    names = {line.split("  ")[1] for line in (sealed / SEAL).read_text().splitlines()}
    files = {path.relative_to(sealed).as_posix() for path in sealed.rglob("*") if path.is_file()}
    assert names == files - {SEAL, ".lock"}
    assert {name.partition("/")[0] for name in names} >= {"manifest.json", "events.jsonl", "records", "superseded"}
    assert faults(sealed) == []
    next((sealed / "records").iterdir()).write_text("{}")
    assert subprocess.run(check, cwd=sealed, check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_verify_names_every_file_in_which_a_single_digit_is_changed(sealed):
    assert verify(sealed).sealed == len((sealed / SEAL).read_text().splitlines())
    seen = 0
    for name in [name for name in scan(sealed).files if is_covered(name)]:
        path = sealed / name
        original = path.read_bytes()
        digits = [at for at, byte in enumerate(original) if chr(byte).isdigit()]
        for at in digits[:: max(1, len(digits) // PLACES)]:
            other = b"%d" % ((int(chr(original[at])) + 1) % 10)
            path.write_bytes(original[:at] + other + original[at + 1 :])
            reader = RunReader(sealed)
            reader.seal()
            assert [(each.rule, each.place.file) for each in reader.violations] == [("seal", name)], (name, at)
            seen += 1
        assert ("seal", name) in {(each.rule, each.place.file) for each in verify(sealed).violations}
        path.write_bytes(original)
    assert seen > 5 * PLACES
    assert not [each for each in verify(sealed).violations if each.rule == "seal"]


def test_verify_names_a_changed_digit_of_the_seal_itself(sealed):
    path = sealed / SEAL
    text = path.read_text()
    for number, line in enumerate(text.splitlines()):
        lines = text.splitlines()
        lines[number] = f"{(int(line[0], 16) + 1) % 16:x}{line[1:]}"
        path.write_text("\n".join(lines) + "\n")
        assert faults(sealed) == [line.split("  ")[1]]


@pytest.mark.parametrize("digit", ["2", "9"])
def test_a_changed_schema_version_is_no_reason_to_upgrade(sealed, digit):
    path = next((sealed / "records").iterdir())
    path.write_text(path.read_text().replace('"schema_version": 1', f'"schema_version": {digit}'))
    name = path.relative_to(sealed).as_posix()
    assert name in {each.place.file for each in verify(sealed).violations if each.rule == "seal"}


def test_files_that_are_missing_or_added(sealed):
    (record, *_) = sorted((sealed / "records").iterdir())
    record.rename(sealed / "records" / "other.json")
    assert faults(sealed) == [f"records/{record.name}", "records/other.json"]


def test_logs_tables_and_notes_are_not_under_it(sealed):
    (sealed / "logs").mkdir()
    for name in ("logs/x.log", "table.md", "table.json", "notes.txt", "report.html"):
        (sealed / name).write_text("1")
    assert faults(sealed) == []


@pytest.mark.parametrize(
    "line",
    ["", "0", "x" * 64 + "  manifest.json", "0" * 64 + " manifest.json", "0" * 64 + "  ../../etc/passwd",
     "0" * 64 + "  /etc/passwd", "0" * 64 + "  records/../../x", "0" * 64 + "  records/", "0" * 64 + "  logs/a.log",
     "0" * 64 + "  " + "y" * 5000, "\0" * 70, "0" * 64 + "  manifest.json\r"],
)  # fmt: skip
def test_a_line_that_is_none_of_a_seal(sealed, line):
    path = sealed / SEAL
    path.write_bytes(path.read_bytes() + f"{line}\n".encode())
    found = [each for each in verify(sealed).violations if each.rule == "seal"]
    assert [(each.place.file, each.place.line) for each in found] == [(SEAL, path.read_text().count("\n"))]
    assert all(str(each).isprintable() for each in found)


def test_a_seal_that_is_cut_or_repeats_a_file(sealed):
    path = sealed / SEAL
    text = path.read_text()
    path.write_text(text + text.splitlines()[0] + "\n")
    assert faults(sealed) == [SEAL]
    path.write_text(text[:-30])
    assert SEAL in faults(sealed)


def test_a_run_without_one_is_readable_and_says_so(honest_run):
    result = verify(honest_run)
    assert (result.sealed, result.signer, list(result.violations)) == (None, None, [])


CHANGES = {
    "event": lambda store: store.append_event(store.manifest.cases[0], Compiled(seconds=1)),
    "record": lambda store: store.write_record(store.records()[0].model_copy(update={"reason": "again"})),
    "cases": lambda store: store.extend([Case(dataset="digits", repetition=7)]),
    "machine": lambda store: store.renew(
        store.manifest.machine.model_copy(update={"usable_cores": 67}), store.manifest.datasets
    ),
    "card": lambda store: store.keep_card(store.manifest.machine.model_copy(update={"usable_cores": 71})),
    "proofs": lambda store: store.write_proofs({}),
    "verdicts": lambda store: store.write_text("reproduction.json", "{}"),
}


class TestTheRunsOwnChanges:
    @pytest.fixture
    def store(self, sealed):
        (sealed / SIGNATURE).write_text("a signature")
        return Store.open(sealed)

    @pytest.mark.parametrize("name", CHANGES)
    def test_breaks_it_and_the_end_seals_the_run_again(self, store, name):
        before = (store.path / SEAL).read_text()
        CHANGES[name](store)
        assert not (store.path / SEAL).exists()
        assert not (store.path / SIGNATURE).exists(), "it was of the other seal"
        store.seal()
        if name == "cases":
            assert not (store.path / SEAL).exists(), "a case has no record: the run is not finished"
            return
        assert (store.path / SEAL).read_text() != before
        assert faults(store.path) == []
        CHANGES["verdicts"](store)
        assert not (store.path / SEAL).exists(), "it can be changed and sealed any number of times"

    def test_what_changes_nothing_keeps_seal_and_signature(self, store):
        store.extend(store.manifest.cases)
        store.renew(store.manifest.machine, store.manifest.datasets)
        store.write_text("table.md", "another table")
        store.seal()
        assert (store.path / SIGNATURE).read_text() == "a signature"
        assert faults(store.path) == []
