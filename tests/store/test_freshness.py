"""What makes a record stale, and which cases are then measured."""

from __future__ import annotations

import dataclasses
import platform
import shutil
from pathlib import Path

import grimp
import numpy as np
import pytest

import lenet
from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.machine import installed
from lenet.machine.card import describe
from lenet.store import freshness
from lenet.store.freshness import Conditions, State, changes, conditions, outstanding, states, workload_sha256
from lenet.store.record import DatasetCard, Software, Status

NOW = Conditions("w" * 64, "machine", {"digits": "d" * 64}, {"python": "3", "numpy": "1", "mindspore": "2"})
CARD = DatasetCard(name="digits", sha256="d" * 64, training_images=1, test_images=1)
SOFTWARE = Software(framework_version="2", python_version="3", numpy_version="1")


@pytest.fixture
def measured(plain_record):
    def make(case=None, status=Status.OK, **fields):
        same = {"workload_sha256": "w" * 64, "machine_id": "machine", "dataset": CARD, "software": SOFTWARE}
        return plain_record(case or Case(dataset="digits"), status).model_copy(update={**same, **fields})

    return make


def test_nothing_changed(measured):
    assert changes(measured(), NOW) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"workload_sha256": "x" * 64}, "the workload's source has changed"),
        ({"workload_sha256": None}, "the workload's source was not recorded"),
        ({"machine_id": "other"}, "machine other, now machine"),
        ({"machine_id": ""}, "machine unknown, now machine"),
        ({"dataset": CARD.model_copy(update={"sha256": "e" * 64})}, "data eeeeeeeeeeee, now dddddddddddd"),
        ({"software": SOFTWARE.model_copy(update={"framework_version": "1"})}, "mindspore 1, now 2"),
        ({"software": SOFTWARE.model_copy(update={"python_version": "4"})}, "python 4, now 3"),
        ({"software": SOFTWARE.model_copy(update={"numpy_version": "2"})}, "numpy 2, now 1"),
    ],
)
def test_each_condition_counts_and_is_named(measured, fields, words):
    assert changes(measured(**fields), NOW) == [words]


@pytest.mark.parametrize("release", ["1.9", "2.11.0@0123456789ab"])
def test_what_an_environment_has_is_not_compared_with_what_is_installed(measured, release):
    other = Software(framework_version="1", python_version="9", numpy_version="9")
    case = Case(dataset="digits", framework_version=release)
    assert changes(measured(case, software=other), NOW) == []
    assert changes(measured(case, software=other, machine_id="other"), NOW) == ["machine other, now machine"]


def test_the_installed_release_is_compared_though_the_case_names_it(measured):
    now = dataclasses.replace(NOW, versions={**NOW.versions, "mindspore": "2.0"})
    case, software = Case(dataset="digits", framework_version="2.0"), {"framework_version": "2.0", "numpy_version": "9"}
    record = measured(case, software=SOFTWARE.model_copy(update=software))
    assert changes(record, now) == ["numpy 9, now 1"]


@pytest.mark.parametrize(
    ("reported", "installed", "stale"),
    [
        ("2.11.0+cu130", "2.11.0", False),
        ("2.13.0+cpu", "2.13.0+cpu", False),
        ("2.11.0+cu130", "2.12.0", True),
        ("2.13.0+cpu", "2.13.0+cu130", True),
        ("2.13.0", "2.13.0+cpu", True),
    ],
)
def test_pytorch_with_cuda_reports_a_build_that_its_package_does_not_name(measured, reported, installed, stale):
    case = Case(framework="pytorch", mode="eager", dataset="digits")
    software = SOFTWARE.model_copy(update={"framework_version": reported})
    now = dataclasses.replace(NOW, versions={**NOW.versions, "pytorch": installed})
    assert bool(changes(measured(case, software=software), now)) is stale


ELSEWHERE = {"machine_id": "other", "software": SOFTWARE.model_copy(update={"framework_version": "1"})}


def test_a_record_of_a_cluster_node_is_fresh_on_the_cluster_only(measured):
    cluster = dataclasses.replace(NOW, cluster=True)
    assert changes(measured(**ELSEWHERE, node="aa"), cluster) == []
    assert len(changes(measured(**ELSEWHERE, node="aa"), NOW)) == 2
    assert len(changes(measured(**ELSEWHERE), cluster)) == 2, "not measured by a node"
    other = measured(**ELSEWHERE, node="aa", workload_sha256="x" * 64).model_copy(update={"dataset": None})
    assert changes(other, cluster) == ["the workload's source has changed"]


def test_a_framework_and_data_that_are_no_longer_there(measured):
    gone = dataclasses.replace(NOW, versions={"python": "3", "numpy": "1"}, datasets={})
    assert changes(measured(), gone) == ["data dddddddddddd, now absent", "mindspore 2, now absent"]


def test_a_case_that_never_started_names_no_software(measured):
    assert changes(measured(status=Status.UNAVAILABLE, software=None, dataset=None), NOW) == []


@pytest.fixture
def found(measured):
    cases = [Case(dataset="digits", repetition=index) for index in range(6)]
    records = [
        measured(cases[0]),
        measured(cases[1], machine_id="other"),
        measured(cases[2], Status.CRASHED),
        measured(cases[3], Status.PLATEAU),
        measured(cases[5], Status.CRASHED, machine_id="other"),
    ]
    return states(cases, records, NOW)


def test_states_are_in_the_order_of_the_cases(found):
    assert [each.state.value for each in found] == ["done", "stale", "failed", "done", "missing", "stale"]
    assert [each.reason for each in found] == [
        *("", "machine other, now machine", "crashed", "", "", "machine other, now machine")
    ]


def test_outstanding_cases(found):
    def repetitions(**options):
        return [case.repetition for case in outstanding(found, **options)]

    assert repetitions() == [1, 4, 5]
    assert repetitions(retry_failed=True) == [1, 2, 4, 5]
    assert repetitions(force=True) == [0, 1, 2, 3, 4, 5]


def test_conditions_of_this_machine():
    here = conditions(describe().id, {"digits": CARD})
    assert here.datasets == {"digits": "d" * 64}
    assert here.workload_sha256 == workload_sha256()
    assert here.machine_id == describe().id
    assert here.versions["python"] == platform.python_version()
    assert here.versions["numpy"] == np.__version__


def test_every_installed_framework_has_a_version(monkeypatch):
    """By the name of its package: under another than `torch` PyTorch's records would always be stale."""

    def version(package):
        return None if package == "numpy" else f"{package}'s"

    monkeypatch.setattr(installed, "package_version", version)
    monkeypatch.setattr(freshness, "package_version", version)
    assert conditions("m", {}).versions == {
        "python": platform.python_version(),
        **{framework.value: f"{ABILITIES[framework].package}'s" for framework in Framework},
        "pytorch": "torch's",
    }


def test_a_failure_keeps_its_reason(measured):
    record = measured(status=Status.CRASHED, reason="SIGKILL: X")
    (found,) = states([record.case], [record], NOW)
    assert found.reason == "crashed: SIGKILL: X"


NOT_THE_WORKLOAD = {
    "lenet.cases.axis": "how an axis is named and read; the values of a case are in its record",
    "lenet.cases.axes": "labels; the values of a case are in its record",
    "lenet.cases.base": "the base class of every value",
    "lenet.cases.frameworks": "names; which trainer they stand for is in the case",
    "lenet.cases.naming": "how a profile is named and read; the values of a case are in its record",
    "lenet.cases.values": "names; the value of a case is in its record",
    "lenet.cases.wheels": "which file a release is called after; the release is in the record",
    "lenet.errors": "sentences",
    "lenet.files.cache": "where files are kept; the data is checked by its digest",
    "lenet.files.http": "how files are downloaded; the data is checked by its digest",
    "lenet.files.locks": "who may write; it writes nothing",
    "lenet.files.plain": "how files are read; the data is checked by its digest",
    "lenet.machine.devices": "finds a device's libraries, before the framework is imported",
    "lenet.machine.devices.cuda": "finds a device's libraries, before the framework is imported",
    "lenet.machine.devices.libraries": "finds a device's libraries, before the framework is imported",
    "lenet.training.script": "the standalone script of a case; no worker uses it",
    "lenet.training.script.template": "the standalone script of a case; no worker uses it",
    "lenet.machine.platforms": "says whether a framework is built for this platform",
    "lenet.machine.installed": "reads the versions of packages, which are in the record",
    "lenet.machine.load": "measured by the parent, outside the worker",
    "lenet.machine.programs": "runs a compiler's `--version`",
    "lenet.store.events": "the form of what a worker reports, checked as it is read",
    "lenet.store.parts": "the form of what a traced worker reports, checked as it is read",
    "lenet.store.record": "the form of what is recorded, checked as it is read",
    "lenet.store.sketch": "describes weights after a step that is not timed",
}
"""What a worker imports and the digest leaves out, with the reason."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, of which the digest is computed."""
    root = tmp_path / "lenet"
    shutil.copytree(Path(lenet.__file__).parent, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(freshness, "__file__", str(root / "store" / "freshness.py"))
    return root


def source(package, module):
    path = package.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_digest_covers_every_module_of_a_worker_that_decides_what_is_trained_or_timed(package):
    """Whatever kind of worker: one process or several ranks, either framework, instrumented or not."""
    graph = grimp.build_graph("lenet", cache_dir=None)
    entries = [module for module in graph.modules if module.startswith(("lenet.worker.", "lenet.training."))]
    imported = {module for entry in entries for module in graph.find_upstream_modules(entry)} | set(entries)
    assert "lenet.worker.ranks.merge" in imported
    assert "lenet.training.torch" in imported
    first, left_out = workload_sha256(), set()
    for module in sorted(imported):
        path = source(package, module)
        before = path.read_bytes()
        path.write_bytes(before + b"# changed\n")
        if workload_sha256() == first:
            left_out.add(module)
        path.write_bytes(before)
    assert left_out == set(NOT_THE_WORKLOAD)


def test_the_digest_is_over_names_and_bytes_of_the_workload_alone(package):
    first = workload_sha256()
    source(package, "lenet.report.table.render").write_text("# tables do not train")
    assert workload_sha256() == first
    seen = {first}
    source(package, "lenet.worker.work").write_text("# other")
    seen.add(workload_sha256())
    (package / "training" / "new.py").write_text("")
    seen.add(workload_sha256())
    (package / "training" / "new.py").rename(package / "training" / "newer.py")
    seen.add(workload_sha256())
    assert len(seen) == 4


def test_the_words_of_the_states():
    assert {state.value for state in State} == {"done", "stale", "failed", "missing"}


def test_two_changes_are_both_named(measured):
    record = measured(machine_id="other", workload_sha256="x" * 64)
    (found,) = states([record.case], [record], NOW)
    assert found.reason == "the workload's source has changed; machine other, now machine"
