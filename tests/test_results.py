"""The runs that are committed in results/: each is verified, and the pages are what `report` writes of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lenet.commands.verify import verify
from lenet.report.content.gather import gather
from lenet.report.document.forms import write
from lenet.store.manifest import run_folders
from lenet.store.proof import TrainingStatus
from lenet.store.run import Store

RESULTS = Path(__file__).parents[1] / "results"
OWN = "run-"
"""Begins the names of runs of whoever works here, which git ignores."""
FOUND = [path.relative_to(RESULTS).as_posix() for path in run_folders(RESULTS)]
RUNS = [name for name in FOUND if not name.startswith(OWN)]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_verified_and_stands_with_those_of_its_machine(name):
    """The trainings were recomputed when the runs were made, or by whoever took them in."""
    folder = RESULTS / name
    assert [str(each) for each in verify(folder).violations] == []
    store = Store.open(folder)
    assert folder.parent.name == store.manifest.machine.id
    assert TrainingStatus.ANOTHER not in {proof.status for proof in store.proofs().values()}


def test_the_pages_are_what_report_writes(tmp_path):
    """`lenet-bench report results -o results/README.md` writes them again."""
    committed = shutil.copytree(RESULTS, tmp_path / "results", symlinks=True, ignore=shutil.ignore_patterns(f"{OWN}*"))
    shutil.rmtree(committed / "README-pictures")
    report = gather([committed])
    assert report.notes == []
    write(report, "markdown", committed / "README.md", None)
    names = sorted(path.name for path in (RESULTS / "README-pictures").iterdir())
    assert names == sorted(path.name for path in (committed / "README-pictures").iterdir())
    # Pictures are not compared: another version of the library that draws them writes other ones.
    for name in ("README.md", *(f"README-pictures/{name}" for name in names if name.endswith(".md"))):
        assert (RESULTS / name).read_text(encoding="utf-8") == (committed / name).read_text(encoding="utf-8"), name
