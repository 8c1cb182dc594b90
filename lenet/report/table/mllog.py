"""Records as MLPerf log lines, `:::MLLOG {json}`, which mlcommons' `mlperf_logging` parses.

The keys are those of its `mllog.constants`, and `train_loss` and `tracked_stats` as in published logs. Times are those
of the training clock, so that epochs and the run have the measured length. This is the format, not a submission: LeNet
is not an MLPerf benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lenet import __version__
from lenet.analysis.stability import sample
from lenet.cases.axes import AXES
from lenet.errors import UsageError
from lenet.store.record import Record, Status

FORMAT = "mllog"
TOKEN = ":::MLLOG "  # noqa: S105 (the first word of a line, not a secret)


def render(records: Sequence[Record]) -> str:
    """The lines of all records, case by case; the namespace of a line is the id of its case.

    Raises:
        UsageError: there is no record.
    """
    if not records:
        raise UsageError("there is no record to log: the run has none yet")
    return "".join(f"{line}\n" for record in records for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    names = ("namespace", "time_ms", "event_type", "key", "value", "metadata")
    for entry in _events(record):
        values = dict(zip(names, (record.case_id, *entry), strict=True))
        # ASCII only: the parser reads Latin-1.
        yield TOKEN + json.dumps(values, ensure_ascii=True, allow_nan=False)


LogEntry = tuple[int, str, str, Any, dict[str, Any]]
"""Milliseconds since 1970, type, key, value, metadata."""


def _events(record: Record) -> Iterator[LogEntry]:
    case, hyper = record.case, record.case.hyperparameters
    began = record.started_at.timestamp()

    def at(seconds: float) -> int:
        return int((began + seconds) * 1000)

    def point(seconds: float, key: str, value: Any, **metadata: Any) -> LogEntry:
        return at(seconds), "POINT_IN_TIME", key, value, metadata

    yield point(0, "submission_benchmark", "lenet", lenet_bench=__version__)
    if record.software is not None:
        axes = {axis.name: axis.as_plain(axis.of_record(record)) for axis in AXES}
        yield point(0, "submission_platform", f"{case.framework.value} {axes['framework_version']}", **axes)
    yield point(0, "seed", hyper.seed)
    yield point(0, "global_batch_size", case.global_batch_size)
    yield point(0, "opt_name", "sgd", momentum=hyper.momentum)
    yield point(0, "opt_base_learning_rate", hyper.learning_rate)
    if record.dataset is not None:
        card = {"dataset": record.dataset.name, "sha256": record.dataset.sha256}
        yield point(0, "train_samples", record.dataset.training_images, **card)
        yield point(0, "eval_samples", record.dataset.test_images, **card)
    setup = record.phases.import_and_setup_seconds if record.phases else 0.0
    yield at(0), "INTERVAL_START", "init_start", None, {}
    yield at(setup), "INTERVAL_END", "init_stop", None, {}
    yield at(setup), "INTERVAL_START", "run_start", None, {}
    clock = setup
    for clock, event in _training(record, setup):
        yield at(clock), *event
    end = max(clock, setup + (record.phases.training_seconds if record.phases else 0.0))
    measured = sample(record.windows)
    if measured is not None:
        yield point(end, "tracked_stats", {"throughput": measured.median}, unit="images/s", windows=len(measured.rates))
    status = "success" if record.status is Status.OK else "aborted"
    yield at(end), "INTERVAL_END", "run_stop", None, {"status": status, "lenet_status": record.status.value}


def _training(record: Record, setup: float) -> Iterator[tuple[float, tuple[str, str, Any, dict[str, Any]]]]:
    """Epochs and evaluations with the seconds since the case began: the training clock plus the evaluations."""
    evaluated, before = 0.0, setup
    whole = record.case.plan.epochs is not None
    for evaluation in record.evaluations:
        metadata = {"epoch_num": evaluation.epoch, "step_num": evaluation.steps}
        start, stop = before, setup + evaluation.training_seconds + evaluated
        if whole:
            yield start, ("INTERVAL_START", "epoch_start", None, metadata)
            yield stop, ("INTERVAL_END", "epoch_stop", None, metadata)
        yield stop, ("INTERVAL_START", "eval_start", None, metadata)
        evaluated += evaluation.seconds
        before = stop + evaluation.seconds
        if evaluation.training_loss is not None:
            yield before, ("POINT_IN_TIME", "train_loss", evaluation.training_loss, metadata)
        samples = {**metadata, "samples": evaluation.images}
        yield before, ("POINT_IN_TIME", "eval_accuracy", evaluation.accuracy, samples)
        yield before, ("INTERVAL_END", "eval_stop", None, metadata)
