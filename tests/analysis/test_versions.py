"""Releases in order, each against the one before."""

from __future__ import annotations

import json

from lenet.analysis.verdict import Mark
from lenet.analysis.versions import steps
from lenet.cases.case import Mode
from lenet.report.table import versions
from tests.analysis.test_compare import STEADY, processes


def table():
    factors = {"2.7.0": 10, "2.9.0": 10, "2.10.0": 1}
    return [
        each
        for version, factor in reversed(factors.items())
        for mode in (Mode.GRAPH, Mode.JIT)
        for each in processes(
            [rate * (factor if mode is Mode.JIT else 1) for rate in STEADY], version=version, mode=mode
        )
    ]


def test_each_step_has_its_size_and_interval():
    found = steps(table())
    jit = [each for each in found if each.comparison.case["mode"] == "jit"]
    assert [(each.version, each.before) for each in jit] == [("2.7.0", None), ("2.9.0", "2.7.0"), ("2.10.0", "2.9.0")]
    assert jit[2].comparison.mark is Mark.SLOWER
    assert jit[2].comparison.low <= 0.1 <= jit[2].comparison.high
    assert jit[1].comparison.mark is not Mark.SLOWER


def test_the_table_names_the_regression():
    text = versions.render(table(), "terminal")
    (line,) = [line for line in text.splitlines() if line.startswith("jit") and "slower" in line]
    assert line.split()[:2] == ["jit", "2.10.0"]
    assert "×0.1" in line
    assert max(map(len, text.splitlines())) <= 80
    flat = json.loads(versions.render(table(), "json"))
    assert [each["step"] for each in flat if each["mode"] == "jit"][2] == "slower"
    assert "<script" not in versions.render(table(), "html")
    assert versions.render(table(), "csv").count("\n") == 7
    assert versions.render(table(), "github").startswith("| mode")


def test_the_histories_of_two_machines_are_two_and_named():
    records = [each for machine in ("m1", "m2") for each in processes(STEADY, version="2.7.0", machine=machine)]
    assert [each.comparison.case["machine"] for each in steps(records)] == ["m1", "m2"]
    lines = versions.render(records, "github").splitlines()
    assert "machine" in lines[0]
    assert "m1" in lines[2]
    assert "m2" in lines[3]
