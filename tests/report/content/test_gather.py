"""Runs found in folders, and what a report holds of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lenet.cases.case import Mode
from lenet.errors import StoreError, UsageError
from lenet.report.content.gather import gather
from lenet.report.content.grids import published, runs
from lenet.report.content.traces import thin

ROOT = Path(__file__).parents[3]


def test_a_tree_of_runs_is_one_report(tmp_path, measured, write_run):
    write_run(tmp_path / "a" / "run-1", [measured(), measured(mode=Mode.JIT)])
    write_run(tmp_path / "b" / "run-1", [measured()], cpu="Another CPU")
    (tmp_path / "b" / ".hidden").mkdir()
    report = gather([tmp_path])
    assert {line[0]: line[-1] for line in runs(report).lines} == {"a/run-1": "2 of 2", "b/run-1": "1 of 1"}
    assert len(report.entries) == 3
    assert sorted(card.cpu for card in report.machines.values()) == ["Another CPU", "Example CPU"]
    assert all(entry.row.case_id == entry.record.case_id for entry in report.entries)


def test_a_run_named_twice_counts_once_and_equal_names_stay_apart(tmp_path, measured, write_run):
    for parent in ("a", "b"):
        write_run(tmp_path / parent / "run", [measured()])
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    report = gather([*folders, folders[0]])
    assert sorted(report.runs) == ["run", "run (2)"]
    assert len({row.run for row in report.rows}) == 2


def test_the_machines_of_a_run_over_several_are_known(spread_run):
    report = gather([spread_run])
    machines = {row.machine for row in report.rows}
    assert len(machines) == 2
    assert machines <= report.machines.keys()
    assert len({report.machine(name) for name in machines}) == 2


def test_a_damaged_run_is_a_note_in_a_tree_and_an_error_by_itself(tmp_path, measured, write_run):
    write_run(tmp_path / "good", [measured()])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{}", encoding="utf-8")
    report = gather([tmp_path])
    assert list(report.runs) == ["good"]
    (note,) = report.notes
    assert note.startswith("left out: bad/manifest.json is damaged")
    with pytest.raises(StoreError, match="damaged"):
        gather([tmp_path / "bad"])


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_a_run_is_an_error(tmp_path, made):
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    with pytest.raises(UsageError, match="holds no run" if made else "name a run, or a folder"):
        gather([folder])


def test_a_run_without_a_record_is_a_usage_error(tmp_path, measured, write_run):
    store = write_run(tmp_path / "run", [measured()])
    store.record_path(measured().case).unlink()
    with pytest.raises(UsageError, match="no record to report"):
        gather([tmp_path])


def test_one_loss_trace_is_read_for_each_kind_of_case(tmp_path, measured, write_run):
    records = [measured(), measured(repetition=1), measured(mode=Mode.JIT)]
    write_run(tmp_path / "run", records, losses=[2.0, 1.0, None, 0.5])
    report = gather([tmp_path])
    assert {trace.case.mode for trace in report.traces} == {Mode.GRAPH, Mode.JIT}
    assert len(report.traces) == 2
    assert [point[:2] for point in report.traces[0].points] == [(1, 2.0), (2, 1.0), (4, 0.5)], "a loss that is none"


@pytest.mark.parametrize(
    "fields", [{"pipeline": "cached"}, {"world_size": 4}, {"batch_size": 64}, {"epochs": 1}, {"mode": Mode.JIT}]
)
def test_cases_of_two_kinds_have_a_trace_each(tmp_path, measured, write_run, fields):
    records = [measured(world_size=2), measured(**{"world_size": 2, **fields}), measured(world_size=2, seed=2)]
    write_run(tmp_path / "run", records, losses=[2.0, 1.0])
    assert len(gather([tmp_path]).traces) == 2


def test_a_damaged_event_log_loses_the_curve_but_not_the_report(tmp_path, measured, write_run):
    store = write_run(tmp_path / "run", [measured()])
    (store.path / "events.jsonl").write_text(f"nonsense of {store.manifest.cases[0].id}\n", encoding="utf-8")
    report = gather([tmp_path / "run"])
    assert not report.traces
    assert "no loss curve" in report.notes[0]


def test_thinning_keeps_the_extremes():
    trace = [1.0] * 999 + [math.nan] + [1.0] * 500 + [9.0] + [1.0] * 499
    points = thin(trace, most=10)
    assert [last for last, *_ in points] == list(range(200, 2001, 200))
    assert max(high for *_, high in points) == 9.0
    assert points[4][1] == 1.0  # the one that is not finite is in no mean
    assert thin([math.nan], 10) == []


def test_published_figures_stand_beside_records_of_the_same_training():
    """The committed trainings of the tutorial's ten epochs."""
    report = gather([ROOT / "results/amd-epyc-2c-1c1449de/tutorial-graph"])
    lines = {(line[0], line[1]): line[2:] for line in published(report).lines}
    verdict, stated, measured = lines["tutorial", "test accuracy after epoch 10"]
    assert (verdict, stated) == ("not comparable", "0.9870 to 0.9890")  # three seeds are needed, and there is one
    assert 0.98 < float(measured) < 0.995


def test_no_published_figures_beside_another_training(tmp_path, measured, write_run):
    write_run(tmp_path / "run", [measured()])
    assert published(gather([tmp_path])).lines == []
