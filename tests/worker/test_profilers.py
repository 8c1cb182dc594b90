"""The files of MindSpore's profiler, in the form that is known and in others."""

from __future__ import annotations

import pytest

from lenet.worker.profilers import OperatorTime, merged, read_operators, read_spans


def test_the_table_of_operators():
    lines = ["op_type,type_occurrences,total_compute_time,percent", "ReLU,80,2.5,0.1", "Conv2D,40,21.5,0.9"]
    assert [(each.name, each.calls) for each in read_operators(lines)] == [("Conv2D", 40), ("ReLU", 80)]


@pytest.mark.parametrize(
    "lines", [["a,b", "1,2"], ["op_type,type_occurrences,total_compute_time", "ReLU,x,1"]], ids=["columns", "figure"]
)
def test_another_table_is_refused(lines):
    with pytest.raises(ValueError, match=r"."):
        read_operators(lines)


def test_when_operators_ran():
    lines = ["Default/MaxPool-op0;HostCpuOps;1000,0.001,0 5000,0.002,1", "A;B/ReLU;HostCpuOps;7,1e-6,0"]
    assert list(read_spans(lines)) == [(1000, 2000), (5000, 7000), (7, 8)]


@pytest.mark.parametrize("line", ["", "name", "a;b;1,2", "a;b;x,1,0", "a;b;1,y,0"])
def test_other_times_are_refused(line):
    with pytest.raises(ValueError, match="does not know"):
        list(read_spans([line]))


def test_operators_of_several_profiles_are_added():
    first = OperatorTime(name="ReLU", calls=2, milliseconds=1)
    second = OperatorTime(name="Conv2D", calls=1, milliseconds=1.5)
    assert merged([(first, second), (first,)]) == (OperatorTime(name="ReLU", calls=4, milliseconds=2), second)
