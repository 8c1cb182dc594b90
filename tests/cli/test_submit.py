"""A run that one person measures and submits, and another one verifies and takes in."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from lenet.store.manifest import run_folders

TESTS = Path(__file__).resolve().parents[1]
MATRIX = """
modes = ["graph"]
datasets = ["digits"]
batch_sizes = [32]
repeat = 2
[plan]
warmup_steps = 6
window_steps = 4
window_seconds = 0.02
windows = 3
resident_windows = 2
"""

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


class Person:
    """Somebody with a clone, a home and an SSH key."""

    def __init__(self, folder, call_in):
        self.call_in = call_in
        self.folder = folder / "clone"
        self.folder.mkdir(parents=True)
        (self.folder / "small.toml").write_text(MATRIX)
        ssh = folder / "home" / ".ssh"
        ssh.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ssh / "id_ed25519")], check=True)
        self.public_key = (ssh / "id_ed25519.pub").read_text()
        self.environment = {
            "HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(TESTS / "cheap"), str(TESTS.parent)]),
            "CHEAP_TRAINER": "reference",
            "COLUMNS": "80",
        }

    def __call__(self, *words, code=0):
        ended, out, err = self.call_in(self.folder, words, **self.environment)
        assert ended == code, err + out
        assert "Traceback" not in err
        return " ".join((out + err).split())


@pytest.fixture(scope="module")
def anna(tmp_path_factory, call_in):
    """She measured, and submitted `anna.zip`."""
    person = Person(tmp_path_factory.mktemp("anna"), call_in)
    person("run", "--matrix", "small.toml", "-o", "results/run-mine", "--quiet")
    said = person("submit", "results/run-mine", "--sign", "-o", "anna.zip")
    assert "anna.zip: 2 records" in said
    assert "signed by ED25519 key SHA256:" in said
    return person


@pytest.fixture
def bert(anna, tmp_path, call_in):
    """He got the file, and knows her key."""
    person = Person(tmp_path, call_in)
    shutil.copy(anna.folder / "anna.zip", person.folder)
    (person.folder / "allowed_signers").write_text(f"anna@example.org {anna.public_key}")
    return person


def test_a_run_is_sealed_when_it_ends(anna):
    run = anna.folder / "results/run-mine"
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS", "--quiet"], cwd=run, check=False).returncode == 0
    assert {"training.json", "manifest.json", "events.jsonl"} <= {
        line.split()[1] for line in (run / "SHA256SUMS").read_text().splitlines()
    }
    before = (run / "SHA256SUMS").read_text()
    anna("run", "--resume", "results/run-mine", "--force", "--quiet")
    assert (run / "SHA256SUMS").read_text().count("superseded/") == 2
    assert (run / "SHA256SUMS").read_text() != before
    assert not (run / "SHA256SUMS.sig").exists(), "she signed the run as it was before"
    assert "sealed:" in anna("verify", "results/run-mine")


def test_what_one_submits_another_verifies_and_merges(bert):
    allowed = ("--allowed-signers", "allowed_signers")
    said = bert("verify", "anna.zip", *allowed)
    assert "training proved" in said
    assert "anna.zip: verified: no violation (2 records" in said
    said = bert("merge", "anna.zip", "-o", "results", *allowed)
    assert "new, signed by anna@example.org, ED25519 key SHA256:" in said
    (run,) = run_folders(bert.folder / "results")
    assert run.parent.parent == bert.folder / "results"
    said = bert("verify", "results", *allowed)
    assert "signed by anna@example.org" in said
    assert "digits" in bert("table", "results")
    bert("report", "results", "-o", "results/README.md")
    assert "there already" in bert("merge", "anna.zip", "-o", "results")
    assert sorted(path.name for path in run.iterdir()) == [
        *("SHA256SUMS", "SHA256SUMS.sig", "events.jsonl", "manifest.json", "records", "training.json")
    ]


def changed(folder, digit):
    """Anna's file with one digit of a record's speed changed; without `digit` only packed again."""
    with zipfile.ZipFile(folder / "anna.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("records/"))
    at = members[name].index(b'"median": ') + 10
    if digit:
        other = b"%d" % (int(members[name][at : at + 1]) % 9 + 1)
        members[name] = members[name][:at] + other + members[name][at + 1 :]
    with zipfile.ZipFile(folder / "forged.zip", "w") as archive:
        for each, data in members.items():
            archive.writestr(each, data)
    return name


def test_a_forged_one_is_refused(bert):
    changed(bert.folder, digit=False)
    assert "verified: no violation" in bert("verify", "forged.zip", "--steps", "0")
    name = changed(bert.folder, digit=True)
    for words in (("verify", "forged.zip", "--steps", "0"), ("merge", "forged.zip", "-o", "results")):
        said = bert(*words, code=1)
        assert f"{name}: seal: was changed after the run was sealed" in said
        assert "summary: median is" in said
    assert not list((bert.folder / "results").rglob("*.json"))


def test_one_whom_the_file_does_not_name_is_refused(bert):
    (bert.folder / "allowed_signers").write_text(f"bert@example.org {bert.public_key}")
    said = bert("merge", "anna.zip", "-o", "results", "--allowed-signers", "allowed_signers", code=1)
    assert "whom allowed_signers does not allow" in said
    assert "refused: 1 of 1 submissions" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submit", "nowhere"], "is not a run"),
        (["submit", "anna.zip"], "is not a run"),
        (["submit", ".", "--key", "x"], "add --sign"),
        (["verify", "small.toml"], "small.toml is no submission: File is not a zip file"),
        (["verify", "anna.zip", "--allowed-signers", "nowhere"], "there is no such file"),
        (["merge", "small.toml", "-o", "results"], "is no submission"),
        (["merge", "anna.zip", ".", "-o", "results"], "merge one kind at a time"),
        (["merge", ".", "-o", "results", "--allowed-signers", "small.toml"], "is for submissions"),
        (["merge", "anna.zip", "-o", "small.toml"], "cannot write"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(bert, words, message):
    assert message in bert(*words, code=2)
