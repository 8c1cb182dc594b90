"""MLPerf's lines, read by mlcommons' own parser."""

from __future__ import annotations

import pytest

from lenet.errors import UsageError
from lenet.report.table import mllog
from lenet.store.record import Status

constants = pytest.importorskip("mlperf_logging.mllog.constants", reason="mlperf-logging is in lenet-bench[test]")
KEYS = {value for name, value in vars(constants).items() if name.isupper()} | {"train_loss", "tracked_stats"}


@pytest.fixture
def parsed(measured, tmp_path):
    from mlperf_logging.compliance_checker.mlp_parser import parse_file

    records = [
        measured(epochs=2, correct=98),
        measured((), batch_size=64, status=Status.CRASHED, reason='a "quoted"\nréason \u2028'),
    ]
    path = tmp_path / "result_0.txt"
    path.write_text(mllog.render(records), encoding="utf-8")
    return parse_file(str(path), "6.0.0")


def test_every_line_is_parsed(parsed):
    lines, errors = parsed[0], parsed[1]
    assert not errors
    assert {line.key for line in lines} <= KEYS
    assert len(lines) > 25


def test_the_figures_are_there(parsed):
    first = {}
    for line in parsed[0]:
        first.setdefault(line.key, line.value)
    assert first["global_batch_size"]["value"] == 32
    assert first["opt_base_learning_rate"]["value"] == 0.01
    assert first["eval_accuracy"]["value"] == 0.98
    assert first["eval_accuracy"]["metadata"]["epoch_num"] == 2
    assert first["tracked_stats"]["value"]["throughput"] == pytest.approx(200)
    assert first["run_stop"]["metadata"]["status"] == "success"


def test_times_never_go_back_within_a_case(measured):
    import json

    lines = mllog.render([measured(epochs=2)]).splitlines()
    times = [json.loads(line.removeprefix(mllog.TOKEN))["time_ms"] for line in lines]
    assert times == sorted(times)
    keys = [json.loads(line.removeprefix(mllog.TOKEN))["key"] for line in lines]
    for begin in ("init", "run", "epoch", "eval"):
        assert keys.count(f"{begin}_start") == keys.count(f"{begin}_stop") == 1


def test_a_case_that_failed_is_aborted(parsed):
    last = parsed[0][-1]
    assert (last.key, last.value["metadata"]["status"]) == ("run_stop", "aborted")


def test_no_record_is_a_usage_error():
    with pytest.raises(UsageError, match="no record"):
        mllog.render([])
