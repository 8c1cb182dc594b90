"""How many images a step trains on, over all processes: one answer, `Case.global_batch_size`, wherever it is needed."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone

import pytest
from rich.console import Console

from lenet.analysis import convergence, references
from lenet.analysis.onednn import Library
from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.commands.measurement import begin
from lenet.commands.watch import observe
from lenet.dataset.known import KNOWN
from lenet.errors import UsageError
from lenet.machine.roofline import Roofline
from lenet.report import rows
from lenet.report.charts import charts
from lenet.report.charts.points import datasets
from lenet.report.content.gather import Entry, Report
from lenet.report.progress.live import LiveObserver
from lenet.report.table import mllog
from lenet.report.table.groups import grouped
from lenet.store.record import Evaluation, Record, Software, Window, summarise

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
CARD = KNOWN["mnist"]

SPREADS = pytest.mark.parametrize(
    ("spread", "images"),
    [
        ({}, 32),
        ({"world_size": 2, "scaling": "strong"}, 32),
        ({"world_size": 2, "scaling": "weak"}, 64),
        ({"world_size": 4, "scaling": "weak"}, 128),
    ],
    ids=["one process", "strong", "weak", "weak over four"],
)


def record(spread, epochs=None):
    case = Case(plan=Plan(epochs=epochs), **spread)
    windows = tuple(Window(epoch=1, first_step=60 + i, steps=1, images=1000, seconds=1, warmup=False) for i in range(3))
    evaluations = tuple(
        Evaluation(
            epoch=epoch, steps=epoch * 937, training_seconds=epoch, seconds=1, images=9984, correct=9000,
            distinct_answers=10, training_loss=0.2,
        )
        for epoch in range(1, 1 + (epochs or 0))
    )  # fmt: skip
    return Record(
        case_id=case.id, case=case, status="ok", machine_id="m", started_at=NOW, finished_at=NOW, dataset=CARD,
        software=Software(framework_version="2.10.0", python_version="3", numpy_version="1"), windows=windows,
        resident_windows=windows, evaluations=evaluations,
        summary=summarise(None, windows, windows, evaluations, None, None),
    )  # fmt: skip


def report_of(each):
    table = rows([each], "run")
    return Report([Entry(table[0], each)], grouped(table), {}, {}, [], references.shipped())


def expected(case):
    return convergence.expected(CARD.sha256, case, references.shipped())[0]


def alone(images):
    """One process with a batch of that many images."""
    return Case(hyperparameters=Hyperparameters(batch_size=images))


@SPREADS
def test_the_log_for_mlperf(spread, images):
    lines = [json.loads(line.removeprefix(mllog.TOKEN)) for line in mllog.render([record(spread)]).splitlines()]
    assert [line["value"] for line in lines if line["key"] == "global_batch_size"] == [images]


@SPREADS
def test_a_row(spread, images):
    (row,) = rows([record(spread)], "run")
    assert (row.batch_size, row.global_batch_size) == (32, images)


@SPREADS
def test_the_steps_of_an_epoch_in_the_live_view(spread, images, digits):
    case = Case(dataset="digits", plan=Plan(epochs=2), **spread)
    with LiveObserver(Console(file=io.StringIO(), force_terminal=True), {"digits": digits}) as live:
        live.case_started(case, 0, 1)
        assert live._progress.tasks[-1].total == 2 * (1285 // images)


@SPREADS
def test_the_reference_that_a_training_is_compared_with(spread, images):
    assert expected(Case(**spread)) == expected(alone(images))
    assert len({expected(alone(each)) for each in (32, 64, 128)}) == 3


@SPREADS
def test_the_band_and_the_panel_of_the_accuracy_chart(spread, images):
    points = datasets(report_of(record(spread, epochs=1)))
    assert {each["training_panel"] for each in (*points["rows"], *points["band"])} == {f"batch {images}"}
    assert [each["centre"] for each in points["band"]] == [expected(alone(images))[0].accuracy.centre]


@SPREADS
def test_the_time_of_a_step_in_the_chart(spread, images):
    data = datasets(report_of(record(spread)))
    (step,) = [chart for chart, _ in charts(data) if chart.id == "step"]
    assert "global_batch_size" in step.fields(data["rows"][0])
    assert "datum.batch_size" not in json.dumps(step.spec)


@SPREADS
def test_the_time_of_a_step_that_is_explained(spread, images):
    seen = observe(record(spread), None, Library(), (), (), 2, Roofline(gflops=1, gigabytes_per_second=1))
    assert seen.step.whole == pytest.approx(images)  # milliseconds, at 1000 images/s


@SPREADS
def test_a_set_that_is_smaller_than_a_step_is_refused(spread, images, digits, tmp_path):
    small = digits.card.model_copy(update={"test_images": images - 1})
    found = type(digits)(digits.folder, small)
    with pytest.raises(UsageError, match=f"a step trains on {images} images"):
        begin([Case(dataset="digits", **spread)], lambda name: found, tmp_path / "run")
    enough = type(digits)(digits.folder, small.model_copy(update={"test_images": images}))
    begin([Case(dataset="digits", **spread)], lambda name: enough, tmp_path / "run")


def test_a_reference_is_of_the_images_of_a_step():
    spreads = [{}, {"world_size": 2, "scaling": "strong"}, {"world_size": 2, "scaling": "weak"}]
    sizes = [references.kind(record(spread, epochs=1))[-1] for spread in spreads]
    assert sizes == [32, 32, 64]
