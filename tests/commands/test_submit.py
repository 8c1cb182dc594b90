"""Submitting a run and taking it in: verified on both sides, byte for byte, and nothing that is forged."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from forging import edit

from lenet.commands.merge import admit, merge
from lenet.commands.submit import submit
from lenet.commands.verify import verify
from lenet.errors import StoreError
from lenet.files.folder import scan
from lenet.store.manifest import run_folders
from lenet.store.run import Store
from lenet.store.seal import SEAL, SIGNATURE, seal_faults, write_seal
from lenet.store.submission import pack


@pytest.fixture
def folder(tmp_path):
    """A place for runs that others made."""
    return tmp_path / "results"


@pytest.fixture
def submitted(run, tmp_path):
    done = submit(run, tmp_path / "mine.zip")
    assert [str(each) for each in done.verification.violations] == []
    return done.path


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def forged(run, tmp_path, change, name="manifest.json"):
    """A submission of a changed run whose seal fits again: anybody can write one."""
    copy = shutil.copytree(run, tmp_path / "forged")
    edit(copy / name, change)
    write_seal(copy)
    path = tmp_path / "forged.zip"
    path.write_bytes(pack(scan(copy)))
    return path


def test_it_is_put_where_the_runs_of_its_machine_are(run, submitted, folder):
    admission = admit(submitted, folder)
    manifest = Store.open(run).manifest
    assert admission.new
    assert admission.folder == folder / manifest.machine.id / f"honest-{manifest.digest}"
    assert run_folders(folder) == [admission.folder]
    assert [path.name for path in folder.iterdir()] == [manifest.machine.id], "no temporary folder is left"
    theirs = files(run)
    assert files(admission.folder) == {name: theirs[name] for name in files(admission.folder)}
    assert not any(name.startswith(("logs/", "table.")) for name in files(admission.folder))
    result = verify(admission.folder)
    assert (list(result.violations), result.records, result.sealed) == ([], 4, 6)


def test_a_run_without_a_seal_is_sealed_and_one_with_a_seal_stays(run, submitted, tmp_path):
    assert list(seal_faults(scan(run), (run / SEAL).read_text())) == []
    before = files(run)
    again = submit(run, tmp_path / "again.zip")
    assert files(run) == before
    assert again.path.read_bytes() == submitted.read_bytes()


def test_twice_the_same_is_there_once(submitted, folder):
    first = admit(submitted, folder)
    before = files(folder)
    again = admit(submitted, folder)
    assert (again.folder, again.new) == (first.folder, False)
    assert files(folder) == before


def test_another_version_of_a_run_that_is_there_is_refused(run, submitted, folder, tmp_path):
    admit(submitted, folder)
    before = files(folder)
    name = sorted(path.name for path in (run / "records").iterdir())[0]
    other = forged(run, tmp_path, lambda data: data["load"].update(during_foreign_cores=0.0), f"records/{name}")
    admission = admit(other, folder)
    assert admission.folder is None
    assert "differs" in admission.refused[0]
    assert files(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["summary"]["throughput"].update(median=99999.0),
        lambda data: data["windows"][2].update(seconds=data["windows"][2]["seconds"] / 2),
        lambda data: data.update(exit_code=3),
        lambda data: data["load"].update(logical_cores=data["load"]["logical_cores"] + 1),
        lambda data: data.update(losses_sha256="0" * 64),
    ],
    ids=["median", "window", "exit-code", "cores", "losses"],
)
def test_a_forged_run_is_refused_though_its_seal_fits(run, folder, tmp_path, change):
    name = sorted(path.name for path in (run / "records").iterdir())[0]
    admission = admit(forged(run, tmp_path, change, f"records/{name}"), folder)
    assert admission.folder is None
    assert any(line.startswith(f"records/{name}:") for line in admission.refused)
    assert list(folder.iterdir()) == []


def test_a_matrix_of_other_cases_is_refused(run, folder, tmp_path):
    admission = admit(forged(run, tmp_path, lambda data: data["matrix"].update(batch_sizes=[65])), folder)
    assert admission.refused == ["manifest.json: manifest: its matrix spans none of its cases"]


def test_a_file_that_was_changed_without_sealing_again_is_refused(run, folder, tmp_path):
    write_seal(run)
    edit(run / "manifest.json", lambda data: data["machine"].update(l2_cache_bytes=1))
    (tmp_path / "s.zip").write_bytes(pack(scan(run)))
    assert [line.split(":")[:2] for line in admit(tmp_path / "s.zip", folder).refused] == [["manifest.json", " seal"]]
    assert submit(run, tmp_path / "mine.zip").path is None
    assert not (tmp_path / "mine.zip").exists(), "nor is it packed"


def test_a_run_that_is_not_finished_is_not_packed(run, tmp_path):
    case = Store.open(run).manifest.cases[0]
    Store.open(run).record_path(case).unlink()
    with pytest.raises(StoreError, match="is not finished: 1 case has no record"):
        submit(run, tmp_path / "mine.zip")
    with pytest.raises(StoreError, match="is not a run"):
        submit(tmp_path, tmp_path / "mine.zip")


def test_a_run_as_the_place_is_refused(run, submitted):
    with pytest.raises(StoreError, match="choose a folder of runs"):
        admit(submitted, run)


def test_a_merge_of_folders_seals_what_it_wrote_and_refuses_what_was_changed(run, tmp_path):
    write_seal(run)
    merge([run], tmp_path / "all")
    (merged,) = run_folders(tmp_path / "all")
    assert list(seal_faults(scan(merged), (merged / SEAL).read_text())) == []
    (merged / SIGNATURE).write_text("of this seal")
    merge([run], tmp_path / "all")
    assert (merged / SIGNATURE).exists(), "nothing changed"
    path = next((merged / "records").iterdir())
    text = path.read_text()
    path.write_text(text.replace('"load_average"', '"load_average" '))
    with pytest.raises(StoreError, match=r"was changed after the run was sealed.*see `lenet-bench verify`"):
        merge([merged], tmp_path / "other")
    path.write_text(text)
    before = json.loads(text)
    edit(run / "records" / path.name, lambda data: data.update(reason="other"))
    write_seal(run)
    merge([run], tmp_path / "all")
    assert not (merged / SEAL).exists(), "copies disagree: the run is not whole"
    assert before["case_id"] in {case.id for case in Store.open(merged).missing()}


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
class TestSigned:
    @pytest.fixture
    def key(self, tmp_path):
        path = tmp_path / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path

    def test_the_signature_goes_with_the_run(self, run, key, folder, tmp_path):
        done = submit(run, tmp_path / "mine.zip", key)
        assert verify(run).signer == done.verification.signer is not None
        allowed = tmp_path / "allowed"
        allowed.write_text(f"anna {key.with_suffix('.pub').read_text()}")
        admission = admit(done.path, folder, allowed)
        assert admission.signer.name == "anna"
        assert verify(admission.folder).signer.fingerprint == admission.signer.fingerprint
        assert verify(admission.folder, allowed=allowed).violations == []

    def test_a_run_that_was_sealed_again_has_no_signer(self, run, key, tmp_path, folder):
        submit(run, tmp_path / "mine.zip", key)
        signature = (run / SIGNATURE).read_text()
        edit(run / "manifest.json", lambda data: data["machine"].update(l2_cache_bytes=1))
        write_seal(run)
        assert not (run / SIGNATURE).exists()
        (run / SIGNATURE).write_text(signature)
        (tmp_path / "s.zip").write_bytes(pack(scan(run)))
        (line,) = admit(tmp_path / "s.zip", folder).refused
        assert line.startswith(f"{SIGNATURE}: signature: is no signature of {SEAL}")

    def test_one_who_is_not_allowed_or_did_not_sign(self, run, submitted, key, tmp_path, folder):
        allowed = tmp_path / "allowed"
        allowed.write_text("")
        (line,) = admit(submitted, folder, allowed).refused
        assert "the run is not signed" in line
        (line,) = admit(submit(run, tmp_path / "signed.zip", key).path, folder, allowed).refused
        assert "does not allow" in line

    def test_a_signature_that_comes_later_is_added(self, run, submitted, key, folder, tmp_path):
        place = admit(submitted, folder).folder
        assert not admit(submit(run, tmp_path / "signed.zip", key).path, folder).new
        assert verify(place).signer is not None
