"""What notebooks and scripts call: `lenet.read`, `compare`, `measure`, and the notebook and the page that show them."""

from __future__ import annotations

import ast
import fcntl
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pandas as pd
import pytest

import lenet
import lenet_bench
from lenet import api
from lenet.cases.axes import with_option
from lenet.engine import local
from lenet.errors import StoreError, UsageError
from lenet.report.progress.notebook import NotebookObserver
from lenet.report.table.rows import Row
from lenet.store.record import Status
from lenet.store.run import Store

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def cheap(numpy_worker, monkeypatch, tmp_path):
    """Workers train in NumPy, in an empty working folder."""
    monkeypatch.setattr(local, "worker_command", lambda *_: numpy_worker)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text(
        "[plan]\nwarmup_steps = 6\nwindow_steps = 4\nwindow_seconds = 0.02\nwindows = 3\nresident_windows = 1\n",
        encoding="utf-8",
    )
    return path


def is_locked(folder):
    with (folder / ".lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class TestImport:
    def test_is_light(self):
        heavy = "pandas,mindspore,torch,pydantic,rich,numpy,scipy"
        code = f"import sys, lenet, lenet_bench; assert not set('{heavy}'.split(',')) & sys.modules.keys(); lenet.read"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_the_stub_types_the_names_that_there_are(self):
        stub = ast.parse((ROOT / "lenet/__init__.pyi").read_text(encoding="utf-8"))
        imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert imported | {"__version__"} == set(lenet.__all__)
        assert imported == set(api.__all__)
        assert all(getattr(lenet, name) is getattr(api, name) for name in imported)
        assert set(lenet.__all__) <= set(dir(lenet))
        assert (ROOT / "lenet/py.typed").is_file()

    def test_a_name_that_there_is_not(self):
        with pytest.raises(AttributeError, match="has no attribute 'mesure'"):
            lenet.mesure  # noqa: B018


class TestShadow:
    """A user's own lenet.py is found before the package."""

    def run(self, folder, *command):
        (folder / "lenet.py").write_text("class Network: pass\n", encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
        return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, cwd=folder)

    def test_is_named_by_the_import(self, tmp_path):
        done = self.run(tmp_path, "-c", "import lenet_bench; lenet_bench.measure()")
        assert done.stderr.splitlines()[-1] == (
            f"ImportError: `import lenet` finds {tmp_path / 'lenet.py'} and not lenet-bench's package: rename that file"
        )

    def test_is_named_by_the_command(self, tmp_path):
        done = self.run(tmp_path, "-c", "import lenet_bench; lenet_bench.main()")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert str(tmp_path / "lenet.py") in done.stderr

    def test_without_one_both_names_are_the_same(self):
        assert lenet_bench.measure is lenet.measure


class TestMeasure:
    def test_has_a_keyword_for_each_axis(self):
        keywords = inspect.signature(lenet.measure).parameters
        assert {axis.parameter for axis in with_option()} < set(keywords)
        assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in keywords.values())

    def test_returns_the_run_and_leaves_no_lock(self, cheap, matrix, capsys):
        run = lenet.measure(
            mode=["pynative", "graph"], batch_size=(32, 64), dataset="digits", device="cpu", matrix=matrix
        )
        assert [(each.mode, each.batch_size) for each in run.rows] == [
            *(("pynative", 32), ("graph", 32)), *(("pynative", 64), ("graph", 64)),
        ]  # fmt: skip
        assert {record.status for record in run.records} == {Status.OK}
        (folder,) = run.folders
        assert folder.name.startswith("run-")
        assert not is_locked(folder)
        assert (folder / "table.md").read_text(encoding="utf-8") == run.table("github")
        assert (folder / "training.json").is_file()
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "[4/4]" in shown.err

    def test_resumes(self, cheap, matrix, capsys):
        first = lenet.measure(mode="graph", batch_size=32, dataset="digits", output="a", matrix=matrix, quiet=True)
        (first.folders[0] / "records" / f"{first.records[0].case_id}.json").unlink()
        assert len(lenet.read("a")) == 0
        assert len(lenet.measure(resume="a", quiet=True)) == 1
        assert capsys.readouterr().err == ""

    def test_an_interrupt_leaves_no_lock_and_says_how_to_resume(self, cheap, matrix, monkeypatch, capsys):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(local.LocalEngine, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lenet.measure(mode="graph", batch_size=32, dataset="digits", output="a", matrix=matrix)
        assert not is_locked(Path("a"))
        assert "lenet.measure(resume='a')" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "kind", "message"),
        [
            ({"mode": "grph"}, UsageError, "--mode: unknown value 'grph', choose from pynative,"),
            ({"batch_size": [32, 32]}, UsageError, "listed twice"),
            ({"batchsize": 32}, TypeError, "unexpected keyword argument 'batchsize'"),
            ({"resume": "a", "mode": "graph"}, UsageError, "omit the axes"),
            ({"resume": "nowhere"}, StoreError, "is not a run"),
        ],
    )
    def test_bad_input_is_one_sentence(self, cheap, options, kind, message):
        with pytest.raises(kind, match=message):
            lenet.measure(**options)
        assert list(Path().iterdir()) == []


class TestFrames:
    def test_of_a_run_has_the_columns_of_its_csv_with_dtypes(self, honest_run):
        results = lenet.read(honest_run)
        frame = results.frame()
        assert list(frame) == results.table("csv").splitlines()[0].split(",")
        assert len(frame) == len(results) == 4
        kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
        assert set(kinds.values()) <= {"string", "str", "Int64", "float64"}
        assert [kinds[name] for name in ("batch_size", "epochs", "windows", "trained_images")] == ["Int64"] * 4
        assert kinds["images_per_second"] == kinds["seconds_to_accuracy_0.95"] == kinds["accuracy"] == "float64"
        assert frame["images_per_second"].tolist() == [row.images_per_second for row in results.rows]
        assert frame["epochs"].isna().sum() == 2
        assert frame["mode"].tolist() == ["graph"] * 4

    def test_every_field_of_a_row_has_a_dtype(self):
        from lenet.report.table import frames

        known = {**frames._axes(), **frames._fields(Row)}
        assert {name.removesuffix("_*") for name in known} == {
            name for name, field in Row.model_fields.items() if not field.exclude
        }

    def test_of_a_comparison(self, honest_run):
        compared = lenet.compare(honest_run, lenet.read(honest_run))
        frame = compared.frame()
        assert len(frame) == len(compared) == 2
        assert frame["batch_size"].tolist() == [64, 64]
        assert frame["ratio"].tolist() == [1.0, 1.0]
        assert pd.api.types.is_string_dtype(frame["mark"])
        assert [each.mark.value for each in compared] == frame["mark"].tolist()
        assert list(frame) == compared.table("csv").splitlines()[0].split(",")

    def test_several_runs_in_one(self, honest_run):
        assert len(lenet.read(honest_run, honest_run.parent)) == 8
        with pytest.raises(StoreError, match="holds no run"):
            lenet.read(honest_run / "logs")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: lenet.measure(until=3), "until=3: give a number between 0 and 1"),
        (lambda run: lenet.measure(until="3%"), "until='3%': give a number"),
        (lambda run: lenet.compare(run, run, min_effect=5), "min_effect=5: give a number"),
        (lambda run: lenet.compare(run), "compare needs two runs, or one and over="),
        (lambda run: lenet.compare(run, over="mode"), "compare needs two runs, or one and over="),
        (lambda run: lenet.compare(run, run).table("xml"), "'xml' is no form of a table: choose from terminal"),
        (lambda run: lenet.read(run).table("mllog"), "'mllog' is no form of a table"),
    ],
)
def test_a_value_that_cannot_be_used_is_one_sentence(honest_run, tmp_path, monkeypatch, call, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        call(honest_run)
    assert list(tmp_path.iterdir()) == []


class TestHtml:
    def test_a_text_of_a_record_is_escaped(self, honest_run, tmp_path):
        store = Store.open(honest_run)
        record = store.records()[0].model_copy(
            update={"status": Status.CRASHED, "reason": "<img src=x onerror=alert(1)>"}
        )
        fake = api.Results([store])
        fake._records = [[record]]
        shown = fake._repr_html_()
        assert "<table>" in shown
        assert "&lt;img src=x" in shown
        assert "<img" not in shown
        assert not re.search("<(script|style|html)", shown)

    def test_a_comparison(self, honest_run):
        assert "<table>" in lenet.compare(honest_run, honest_run)._repr_html_()

    def test_progress_is_escaped(self, honest_run, monkeypatch):
        store = Store.open(honest_run)
        case = store.manifest.cases[0].model_copy(update={"dataset": "<b>@1"})
        drawn = []
        monkeypatch.setattr("IPython.display.display", lambda each, **_: drawn.append(each))
        observer = NotebookObserver(2)
        observer.case_started(case, 0, 2)
        assert drawn == [observer]
        assert "&lt;b&gt;@1" in observer._repr_html_()
        observer.case_finished(case, store.records()[0])
        assert repr(observer) == "1 of 2 cases"
        assert "&lt;b&gt;" not in observer._repr_html_()

    def test_a_notebook_shows_how_far_a_group_is(self, honest_run, monkeypatch):
        store = Store.open(honest_run)
        cases = store.manifest.cases[:2]
        monkeypatch.setattr("IPython.display.display", lambda each, **_: None)
        observer = NotebookObserver(2)
        observer.group_started(cases)
        observer.case_started(cases[0], 0, 2)
        assert "2 cases take turns: 0 of 2 workers started" in observer._repr_html_()
        observer.turn(cases[0], 3, 40)
        assert "2 cases take turns: cycle 3 of 40" in observer._repr_html_()
        observer.case_finished(cases[0], store.record(cases[0]))
        assert "take turns" not in observer._repr_html_()


@pytest.fixture
def cheap_processes(monkeypatch, quick_checkout):
    """Workers of every process train in NumPy, for a short time."""
    paths = [str(ROOT / "tests/cheap"), str(quick_checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_the_notebook_runs(cheap_processes, tmp_path):
    notebook = nbformat.read(ROOT / "docs/notebook.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [[output.get("data", {}) for output in cell.outputs] for cell in cells]
    assert "4 of 4 cases" in outputs[1][0]["text/plain"]
    assert "<progress" in outputs[1][0]["text/html"]
    assert "images/s" in outputs[1][-1]["text/html"]
    assert outputs[-1][0]["text/plain"] == "True"
    assert not is_locked(tmp_path / "results/run-notebook")


def test_the_notebook_is_committed_without_outputs():
    notebook = nbformat.read(ROOT / "docs/notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_the_page_runs_as_printed(cheap_processes, tmp_path):
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 3
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "images/s" in done.stdout
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").count("\n") == 5
