"""Recorded cases again: loaded from a folder, a file or an address, run for real, result."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lenet.analysis.published import PublishedVerdict, compare_published
from lenet.analysis.reproduce import Verdict
from lenet.cases.case import Case, Plan
from lenet.cases.claims import load_publication
from lenet.commands.measurement import begin
from lenet.commands.reproduce import evaluate, load, prepare, prepare_published, prove
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.errors import DatasetError, StoreError, UsageError
from lenet.store.run import Store

REFERENCE = (sys.executable, str(Path(__file__).parents[1] / "training/reference_worker.py"))


@pytest.fixture(scope="module")
def whole(honest_run):
    """The case id of a training of whole epochs."""
    return Store.open(honest_run).manifest.cases[2].id


@pytest.fixture(scope="module")
def again(honest_run, whole, digits, numpy_worker, tmp_path_factory):
    """One case of the honest run, run again: the original, its records, the new run."""
    original = load(str(honest_run))
    records = original.choose([whole])
    run = prepare(records, lambda name: digits, print, tmp_path_factory.mktemp("again") / "run")
    LocalEngine(command=numpy_worker).run(run.store.missing(), run.datasets, run.store)
    return original, records, run


def test_an_honest_run_is_reproduced(again):
    result = evaluate(*again, {})
    verdicts = {claim.name: claim.verdict for claim in result.claims}
    assert verdicts["accuracy"] is Verdict.YES
    assert verdicts["loss trace"] is Verdict.YES
    assert verdicts["training"] is Verdict.CANNOT_TELL, "nothing was recomputed"
    assert "identical to the last bit" in result.claims[2].figures
    assert set(verdicts) == {"training", "accuracy", "loss trace", "throughput"}
    assert result.differences == ()


@pytest.fixture(scope="module")
def reference_run(digits, tmp_path_factory):
    """A run of the reference trainer. Not to be changed."""
    plan = Plan(warmup_steps=12, window_steps=4, window_seconds=0, windows=3, resident_windows=0)
    case = Case(dataset="digits", plan=plan)
    run = begin([case], lambda name: digits, tmp_path_factory.mktemp("reference") / "run")
    LocalEngine(command=REFERENCE).run([case], run.datasets, run.store)
    run.store.release()
    return run.store.path


class TestTraining:
    """A case of the reference trainer, run again as it was and with another momentum."""

    def claim(self, folder, digits, target, *change):
        original = load(str(folder))
        records = original.choose()
        run = prepare(records, lambda name: digits, print, target)
        LocalEngine(command=(*REFERENCE, *change)).run(run.store.missing(), run.datasets, run.store)
        proofs = prove(original, records, run, 200.0)
        found = {claim.name: claim for claim in evaluate(original, records, run, proofs).claims}
        assert list(run.store.proofs()) == [records[0].case_id], "tables show it"
        return found["training"]

    def test_it_is_confirmed(self, reference_run, digits, tmp_path):
        claim = self.claim(reference_run, digits, tmp_path / "again")
        assert claim.verdict is Verdict.YES
        assert claim.figures == "proved here, proved then: the losses of the first 24 steps were recomputed"

    def test_another_training_is_not(self, reference_run, digits, tmp_path):
        claim = self.claim(reference_run, digits, tmp_path / "again", "momentum=0.8")
        assert claim.verdict is Verdict.NO
        assert claim.figures.startswith("another training (from step 3) here, proved then: ")

    def test_a_record_alone_is_confirmed_by_its_reproduction(self, reference_run, digits, tmp_path):
        (record,) = (reference_run / "records").iterdir()
        shutil.copy(record, tmp_path / "record.json")
        claim = self.claim(tmp_path / "record.json", digits, tmp_path / "again")
        assert (claim.verdict, claim.figures[:13]) == (Verdict.YES, "proved here: ")


def test_the_reproduction_is_itself_a_run(again):
    store = again[2].store
    assert [record.case_id for record in store.records()] == [again[1][0].case_id]
    assert verify(store.path).violations == []


def test_a_false_claim_is_a_no(again, tmp_path):
    original, (record,), run = again
    last = record.evaluations[-1].model_copy(update={"correct": 512})
    false = record.model_copy(update={"evaluations": (last,), "weights_sha256": {}})
    result = evaluate(original, [false], run, {})
    assert result.claims[1].verdict is Verdict.NO
    assert "1.0000 then" in result.claims[1].figures


def test_what_differs_is_said(again):
    original, (record,), run = again
    software = record.software.model_copy(update={"framework_version": "9"})
    other = record.model_copy(update={"software": software, "machine_id": "another"})
    result = evaluate(original, [other], run, {})
    assert {(each.name, each.then) for each in result.differences} == {("mindspore", "9"), ("machine", "another")}
    assert result.claims[3].verdict is Verdict.CANNOT_TELL


class TestLoad:
    def test_a_record_in_its_run_brings_the_events(self, honest_run, whole):
        original = load(str(honest_run / "records" / f"{whole}.json"))
        assert [record.case_id for record in original.records] == [whole]
        assert original.store is not None

    def test_a_record_alone(self, honest_run, whole, tmp_path):
        shutil.copy(honest_run / "records" / f"{whole}.json", tmp_path / "x.json")
        original = load(str(tmp_path / "x.json"))
        assert original.store is None

    def test_a_merged_store_asks_for_one_of_its_runs(self, honest_run, tmp_path):
        from lenet.commands.merge import merge

        merge([honest_run], tmp_path / "all")
        with pytest.raises(StoreError, match="name one of them"):
            load(str(tmp_path / "all"))

    @pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"schema_version": 1}'])
    def test_what_is_no_record(self, tmp_path, text):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(StoreError, match="is not a record"):
            load(str(tmp_path / "x.json"))

    def test_what_is_not_there(self):
        with pytest.raises(StoreError, match="does not exist"):
            load("nowhere")

    @pytest.mark.parametrize("address", ["http://localhost/x.json", "file:///etc/passwd", "ftp://localhost/x"])
    def test_only_https(self, address):
        with pytest.raises(UsageError, match="only https"):
            load(address)

    def test_a_case_that_is_not_there(self, honest_run):
        with pytest.raises(UsageError, match="no such record; there are cpu-graph"):
            load(str(honest_run)).choose(["cpu-x"])

    def test_other_data_under_the_same_name(self, honest_run, digits, tmp_path):
        records = load(str(honest_run)).choose()
        card = records[0].dataset.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(DatasetError, match="other data"):
            prepare([records[0].model_copy(update={"dataset": card})], lambda name: digits, print, tmp_path / "run")
        assert not (tmp_path / "run").exists()


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server(honest_run, whole, tmp_path_factory):
    """A real https server on this machine; its address."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(honest_run / "records" / f"{whole}.json", folder / "record.json")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made = http.server.ThreadingHTTPServer(("localhost", 0), functools.partial(Handler, directory=str(folder)))
    made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        patch.setenv("NO_PROXY", "localhost")
        patch.setenv("no_proxy", "localhost")
        yield f"https://localhost:{made.server_address[1]}"
    made.shutdown()
    made.server_close()
    thread.join(5)


class TestDownload:
    def test_a_record_from_an_address(self, server, whole):
        assert load(f"{server}/record.json").records[0].case_id == whole

    def test_what_the_server_does_not_have_is_one_sentence(self, server):
        with pytest.raises(UsageError, match=r"cannot download https.*answers 404"):
            load(f"{server}/none")

    def test_a_certificate_that_is_not_trusted(self, server, monkeypatch):
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(UsageError, match="certificate cannot be verified"):
            load(f"{server}/record.json")


def test_the_verdicts_are_written_as_json(again):
    result = evaluate(*again, {})
    assert json.loads(result.model_dump_json())["claims"][1]["verdict"] == "yes"


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")

    def go(*arguments):
        import os
        import sys

        return subprocess.run(
            [sys.executable, "-m", "lenet.cli", *arguments],
            cwd=folder, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    go.folder = folder
    return go


@pytest.fixture(scope="module")
def made(execute):
    done = execute(
        *("run", "--device", "cpu", "--mode", "graph", "--batch-size", "64", "--epochs", "4"),
        *("--profile", "onednn_isa=AVX2+launch_blocking", "--dataset", "digits", "--output", "run"),
    )
    assert (execute.folder / "run" / "table.md").exists(), done.stderr
    return execute.folder / "run"


@pytest.mark.mindspore
class TestForReal:
    """One epoch of the digits in MindSpore, from the command line: run, verified, reproduced."""

    def test_it_is_verified(self, execute, made):
        done = execute("verify", "run")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "run: verified: no violation (1 record, " in done.stdout

    def test_it_is_reproduced_to_the_last_bit(self, execute, made):
        done = execute("reproduce", "run", "--output", "again")
        written = json.loads((execute.folder / "again" / "reproduction.json").read_text())
        claims = {claim["name"]: claim for claim in written["claims"]}
        # What the machine does beside this test is not its to say: a throughput that is refused is exit code 1.
        assert done.returncode == (claims["throughput"]["verdict"] == "no"), done.stdout + done.stderr
        assert {claims[name]["verdict"] for name in ("training", "accuracy", "loss trace")} == {"yes"}
        assert "identical to the last bit (80 steps)" in claims["loss trace"]["figures"]
        assert "[1/1]" in done.stderr
        assert max(map(len, done.stdout.splitlines()[:4])) <= 80
        assert verify(execute.folder / "again").violations == []

    def test_a_doctored_copy_is_refused(self, execute, made):
        shutil.copytree(made, execute.folder / "doctored")
        (path,) = (execute.folder / "doctored" / "records").iterdir()
        path.write_text(path.read_text().replace('"correct": ', '"correct": 1', 1))
        done = execute("verify", "doctored")
        assert done.returncode == 1
        assert "evaluations: correct is 1" in done.stdout


PUBLICATION = """
title = "Digits"
source = "a page"
not_stated = ["machine"]
same_training = true
[matrix]
datasets = ["digits"]
seeds = [1, 2, 3]
modes = ["pynative"]
[matrix.plan]
epochs = 2
[[figures]]
quantity = "test accuracy"
epoch = 2
low = {low}
high = 1.0
[[figures]]
quantity = "seconds per epoch"
low = 4.6
"""


@pytest.fixture(scope="module")
def published(digits, numpy_worker, tmp_path_factory):
    """A publication and the run of its matrix, in Graph mode by an option."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "page.toml").write_text(PUBLICATION.format(low=0.001))
    publication = load_publication(str(folder / "page.toml"))
    run = prepare_published(publication, {"mode": "graph"}, lambda name: digits, print, folder / "run")
    LocalEngine(command=numpy_worker).run(run.store.missing(), run.datasets, run.store)
    return publication, run


def test_a_publication_is_trained_and_compared(published):
    publication, run = published
    assert {case.mode.value for case in run.cases} == {"graph"}
    accuracy, seconds = compare_published(publication, run.store.records())
    assert (accuracy.verdict, accuracy.trainings) == (PublishedVerdict.REPRODUCED, 3)
    assert (seconds.verdict, seconds.measured) == (PublishedVerdict.NOT_COMPARABLE, None)
    assert verify(run.store.path).violations == []


def test_a_false_publication_is_refuted(published):
    publication, run = published
    false = publication.model_copy(
        update={"figures": (publication.figures[0].model_copy(update={"low": 0.9999, "high": 0.9999}),)}
    )
    (found,) = compare_published(false, run.store.records())
    assert found.verdict is PublishedVerdict.REFUTED
