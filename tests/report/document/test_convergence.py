"""A throughput from a training that failed the convergence check is struck out wherever it is shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from lenet.cli.report import report
from lenet.errors import UsageError
from lenet.report import render, rows
from lenet.report.charts.points import datasets
from lenet.report.content.gather import gather
from lenet.report.table.groups import grouped
from lenet.report.table.speed_ups import speed_ups

REFERENCE = Path(__file__).parents[2] / "reference" / "digits-b32-lr0.05-m0.9.json"


@pytest.fixture
def failed(measured):
    """As `measured`, of a training whose loss ran away: it ended well, and fails the check without any reference."""

    def create(rates=(1000.0, 2000.0, 4000.0), **fields):
        record = measured(rates, epochs=1, **fields)
        (judged,) = record.evaluations
        return record.model_copy(update={"evaluations": (judged.model_copy(update={"training_loss": 9.5}),)})

    return create


def test_a_row_has_the_result_of_the_check(failed, measured):
    bad, good, speed = rows([failed(), measured(epochs=1, batch_size=64), measured(batch_size=128)], "r")
    assert (bad.status, bad.convergence, bad.sound) == ("ok", "diverged", False)
    assert "training loss 9.5" in bad.convergence_reason
    assert bad.final_status == ("diverged", f"failed the convergence check: {bad.convergence_reason}")
    assert (good.convergence, good.final_status, good.sound) == ("no reference", ("ok", ""), True)
    assert (speed.convergence, speed.final_status, speed.sound) == ("not judged", ("ok", ""), True)


@pytest.mark.parametrize(
    ("form", "struck"), [("terminal", "[2,000]"), ("github", "~~2,000~~"), ("html", "<s>2,000</s>")]
)
def test_its_speed_is_struck_out_with_the_reason_in_a_note(failed, measured, form, struck):
    text = render(rows([failed(), measured((100,), batch_size=64, epochs=1)], "r"), form)
    assert struck in text
    assert "failed the convergence check: training loss 9.5" in " ".join(text.split())
    good = render(rows([measured(epochs=1)], "r"), form)
    assert "failed the convergence check" not in " ".join(good.split())


def test_csv_and_json_have_the_status(failed):
    table = rows([failed()], "r")
    (line,) = csv.DictReader(io.StringIO(render(table, "csv")))
    assert line["convergence"] == json.loads(render(table, "json"))[0]["convergence"] == "diverged"


def test_it_is_not_a_baseline_and_has_no_speed_up(failed, measured):
    from lenet.cases.case import Mode

    groups = grouped(rows([measured((100,), epochs=1, mode=Mode.PYNATIVE), failed()], "r"))
    assert [found and found.value for found in speed_ups(groups, None)] == [1.0, None]


def test_among_repetitions_it_is_not_counted(failed, measured):
    table = rows([measured((100,), epochs=1), failed(repetition=1)], "r")
    (group,) = grouped(table)
    assert (group.processes, group.of) == (1, 2)
    assert group.row.images_per_second == pytest.approx(100)
    assert group.row.status == "1 of 2 ok"
    assert "training loss 9.5" in group.row.reason


def test_all_repetitions_failed(failed):
    (group,) = grouped(rows([failed(), failed(repetition=1)], "r"))
    assert group.processes == 0
    assert group.row.status == "diverged"
    assert "[2,000]" in render(rows([failed(), failed(repetition=1)], "r"), "terminal")


def test_tables_and_reports_compare_trainings_with_the_shipped_references(shipped, trained, write_run, tmp_path):
    store = write_run(tmp_path / "run", [trained(), trained(nth=1, right=0.5)])
    table = rows(store.records(), "r")
    assert [row.convergence for row in table] == ["converged", "too slow"]
    found = gather([store.path])
    assert [row.convergence for row in found.rows] == ["converged", "too slow"]
    assert datasets(found)["band"]
    for form in ("terminal", "github", "html"):
        words = " ".join(render(table, form).split())
        assert "Trainings held against the references: 1 converged, 1 too slow (over 12 epochs, by the" in words


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_reference_of_the_user_replaces_the_shipped_ones(trained, write_run, tmp_path, capsys, given):
    store = write_run(tmp_path / "run", [trained()])
    path = REFERENCE if given == "file" else REFERENCE.parent
    report([store.path])
    assert "reference band" not in capsys.readouterr().out
    report([store.path], references=path)
    assert "1 of 1 inside the reference band" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ['{"32": {"1": [0.9, 0.95, 0.97]}}', "", None])
def test_a_file_that_is_not_a_reference_is_a_usage_error(trained, write_run, tmp_path, text):
    store = write_run(tmp_path / "run", [trained()])
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"not a reference|cannot read the references"):
        report([store.path], references=path)


def test_a_table_without_comparisons_does_not_name_references(measured, trained):
    for records in ([measured()], [trained()]):
        assert "references" not in render(rows(records, "r", []), "github")
