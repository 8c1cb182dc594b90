"""Releases in order, each against the one before."""

from __future__ import annotations

import json

from lenet.analysis.compare import compare
from lenet.analysis.selection import parse_over, select
from lenet.analysis.verdict import Mark
from lenet.analysis.versions import steps
from lenet.cases.case import Mode
from lenet.report import render, rows
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


def test_wheels_that_report_one_version_are_releases_of_their_own():
    """Named in the table, the verdict and a comparison: what they report says nothing of which build they are."""
    names = ("2.10.0", "2.11.0.dev1@0123456789ab", "2.11.0.dev1@ba9876543210")
    records = [
        each.model_copy(update={"case": each.case.model_copy(update={"framework_version": name})})
        for name, factor in zip(names, (2, 2, 1), strict=True)
        for each in processes([rate * factor for rate in STEADY], version="2.11.0")
    ]
    found = steps(records)
    assert [(each.version, each.before) for each in found] == list(zip(names, (None, *names), strict=False))
    assert found[2].comparison.mark is Mark.SLOWER
    (line,) = [line for line in versions.render(records, "github").splitlines() if "| slower" in line]
    assert names[2] in line
    chosen = parse_over(f"version={names[1]},{names[2]}")
    pair = select(records, records, chosen)
    (compared,) = compare(pair.a, pair.b, 0.01, pair.over)
    assert compared.mark is Mark.SLOWER
    assert all(name in render(rows(records, "run"), "github") for name in names)
