"""One list of columns: what it promises to every view."""

from __future__ import annotations

import csv
import io

import pytest

from lenet.cases.case import Mode
from lenet.cases.frameworks import Framework
from lenet.report import render, rows
from lenet.report.charts.points import NAMES
from lenet.report.table.column import Figure, Line
from lenet.report.table.columns import PAGE, TABLE, for_page, for_table
from lenet.report.table.groups import grouped
from lenet.report.table.speed_ups import SpeedUp
from lenet.store.record import Status

OWN = {"spread", "efficiency", "seconds_to_accuracy"}
"""Figures that no single row has as a field."""


def test_a_columns_name_is_what_csv_calls_it(measured):
    (line,) = csv.DictReader(io.StringIO(render(rows([measured(epochs=1)], "r"), "csv")))
    names = {column.name for column in (*TABLE, *PAGE)}
    assert names - set(line) - NAMES == OWN
    assert len({column.name for column in PAGE}) == len(PAGE)


def test_every_cell_of_every_column_is_written(measured):
    records = [measured(epochs=1, correct=98), measured((), mode=Mode.JIT, status=Status.CRASHED, reason="why")]
    for group in grouped(rows(records, "r")):
        for column in TABLE:
            for line in (Line(group, SpeedUp(1.5), 1), Line(group, None, None)):
                assert column.name == "verdict" or (column.text(line) and column.terse(line)), column.name


@pytest.mark.parametrize("view", ["document", "terminal"])
def test_a_column_in_which_all_rows_agree_is_omitted(measured, view):
    alike = {column.name for column in for_table(grouped(rows([measured(), measured(mode=Mode.JIT)], "r")), view)}
    apart = {column.name for column in for_table(grouped(rows([measured(), measured(seed=2)], "r")), view)}
    assert apart - alike == {"seed"}
    assert ("profile" in alike) == (view == "document")
    assert {"device_target", "resident_images_per_second"} & alike == (
        {"device_target", "resident_images_per_second"} if view == "document" else set()
    )


def test_a_version_is_a_column_where_one_framework_has_several(measured):
    ours, newer = measured(version="2.9.0"), measured(version="2.10.0")
    twin = measured(version="2.13.0", framework=Framework.PYTORCH, mode=Mode.PYNATIVE)

    def named(*records):
        return {column.name for column in for_table(grouped(rows(records, "run")), "terminal")}

    assert "framework_version" not in named(ours, twin), "the framework says which"
    assert "framework_version" in named(ours, newer, twin)


def test_an_unknown_version_makes_no_column(measured):
    groups = grouped(rows([measured(), measured((), mode=Mode.JIT, status=Status.CRASHED)], "r"))
    assert {group.row.framework_version for group in groups} == {"2.10.0", None}
    assert "framework_version" not in {column.name for column in for_table(groups, "document")}


def test_the_page_has_no_column_without_a_value(measured):
    flat = [
        row.flat() | {"series": "Graph", "speed_up": None} for row in rows([measured(), measured(batch_size=64)], "r")
    ]
    shown = {column.name: column for column in for_page(flat, "mode=pynative")}
    assert {"device_target", "series", "batch_size", "images_per_second", "spread", "case_id"} <= set(shown)
    assert not {"speed_up", "seed", "profile", "resident_images_per_second", "seconds_to_accuracy_0.95"} & set(shown)
    flat[0]["speed_up"] = 2.0
    assert next(c for c in for_page(flat, "mode=pynative") if c.name == "speed_up").heading == "over mode=pynative"


def test_a_figure_is_divided_rounded_and_marked():
    assert Figure(divisor=2**20).text(2**30) == "1,024"
    assert Figure(2, suffix="×").text(1.005001) == "1.01×"
    assert Figure(4).text(0) == "0.0000"
    assert Figure().text(None) == "–"
