"""The runs in results/ that earlier versions wrote: tabulated and reported as before, stale for resume."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lenet.cases.axes import axis
from lenet.cases.frameworks import Framework
from lenet.cases.values import Mode
from lenet.commands.measurement import open_run
from lenet.dataset import Dataset
from lenet.report import render, rows
from lenet.report.content.gather import gather
from lenet.report.document.markdown import document
from lenet.store.freshness import State, outstanding
from lenet.store.manifest import run_folders
from lenet.store.run import Store

RESULTS = Path(__file__).parents[1] / "results"
OLD = RESULTS / "amd-epyc-2c-1c1449de"
RECORDS = {"pytorch": 36, "reproduction": 1, "standard": 36, "tutorial-graph": 1, "versions": 36}


def test_every_run_is_found():
    assert [path.name for path in run_folders(OLD)] == list(RECORDS)


@pytest.fixture(params=RECORDS)
def folder(request):
    return OLD / request.param


def test_its_rows_hold_what_they_held(folder):
    store = Store.open(folder)
    new = json.loads(render(rows(store.records(), store.name), "json"))
    old = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert len(new) == len(old) == RECORDS[folder.name]
    for before, after in zip(old, new, strict=True):
        for key, value in before.items():
            if key == "run" or key.startswith("convergence"):  # a folder's name, the references that were shipped
                continue
            if key == "mode" and after["framework"] == "pytorch":
                assert (value, after[key]) == ("pynative", "eager")  # its own name, since PyTorch has two modes
                continue
            same = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value  # another SciPy's last bits
            assert after[key] == same, key


def test_resume_calls_it_stale_and_says_why(folder):
    cards = Store.open(folder).manifest.datasets
    run = open_run(folder, lambda name: Dataset(Path("/nowhere"), cards[name]))
    states = run.states()
    assert {each.state for each in states} == {State.STALE}
    assert all(each.reason.startswith("the workload's source has changed") for each in states)
    assert len(outstanding(states)) == RECORDS[folder.name]


def figures(text):
    """Accuracies, losses and speeds in the tables of a Markdown document; how many digits a ratio has may change."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return {number for line in lines for number in re.findall(r"\b\d+(?:,\d{3})+\b|\b\d+\.\d{2,}\b(?!×)", line)}


def test_they_are_reported_with_the_same_figures():
    report = gather([RESULTS])
    assert report.notes == []
    assert len(gather([OLD]).entries) == sum(RECORDS.values()) < len(report.entries)
    text, _ = document(report, None, None)
    before = (RESULTS / "README.md").read_text(encoding="utf-8")
    rest = [path.read_text(encoding="utf-8") for path in sorted((RESULTS / "README-pictures").glob("*.md"))]
    assert figures(text) == figures(before).union(*map(figures, rest))
    assert len(figures(text)) > 50
    # The headline has come to name all that is not usual of a case, such as its pipeline.
    assert set(before.splitlines()[2].split()) <= set(text.splitlines()[2].split())


def test_pytorch_is_shown_as_eager_and_its_records_keep_their_names():
    folder = OLD / "pytorch"
    store = Store.open(folder)
    theirs = [record for record in store.records() if record.case.framework is Framework.PYTORCH]
    assert len(theirs) == 12
    assert {record.case_id for record in theirs} == {record.case.id for record in theirs}
    assert {record.case.mode for record in theirs} == {Mode.PYNATIVE}
    assert {record.case.label.split(" · ")[1] for record in theirs} == {"eager"}
    new = [record.case.model_copy(update={"mode": Mode.EAGER}) for record in theirs]
    mode = axis("mode")
    assert {mode.identity(mode.of_case(case)) for case in new} == {mode.record_identity(each) for each in theirs}
    lines = [line for line in render(rows(theirs, store.name), "github").splitlines() if line.startswith("| CPU")]
    assert len(lines) == 4
    assert all("| eager" in line and "1.00×" in line for line in lines), "the baseline `mode=pynative` is eager there"
