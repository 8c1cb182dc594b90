"""What MindSpore's profiler writes, in the form that is known and in others."""

from __future__ import annotations

import pytest

from lenet.worker.profilers import OperatorRun, OperatorTime, read_runs, summed


def test_when_operators_ran():
    lines = ["Default/MaxPool-op0;HostCpuOps;1000,0.001,0 5000,0.002,1", "A;B/ReLU;HostCpuOps;7,1e-6,0"]
    assert list(read_runs(lines)) == [
        OperatorRun("MaxPool", 1000, 2000, 0.001),
        OperatorRun("MaxPool", 5000, 7000, 0.002),
        OperatorRun("ReLU", 7, 8, 1e-6),
    ]


@pytest.mark.parametrize("line", ["", "name", "a;b;1,2", "a;b;x,1,0", "a;b;1,y,0"])
def test_other_times_are_refused(line):
    with pytest.raises(ValueError, match="does not know"):
        list(read_runs([line]))


def test_executions_are_added_by_operator():
    runs = [OperatorRun("ReLU", 0, 1, 1.0), OperatorRun("Conv2D", 1, 2, 2.5), OperatorRun("ReLU", 3, 4, 1.0)]
    assert summed(runs) == (
        OperatorTime(name="Conv2D", calls=1, milliseconds=2.5),
        OperatorTime(name="ReLU", calls=2, milliseconds=2.0),
    )
