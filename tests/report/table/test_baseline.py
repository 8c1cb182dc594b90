"""Speed-ups over the row that the user picks."""

from __future__ import annotations

import pytest

from lenet.cases.case import Mode
from lenet.errors import UsageError
from lenet.report.table.baseline import parse, record_speed_ups, speed_ups
from lenet.report.table.groups import grouped
from lenet.report.table.rows import rows
from lenet.store.record import Status


@pytest.fixture
def groups(measured):
    records = [
        measured((rate,), mode=mode, batch_size=batch_size)
        for mode, batch_size, rate in (
            (Mode.PYNATIVE, 32, 100), (Mode.GRAPH, 32, 250), (Mode.PYNATIVE, 64, 200), (Mode.GRAPH, 64, 300),
        )
    ]  # fmt: skip
    return grouped(rows(records, "r"))


def test_against_pynative_all_else_equal(groups):
    assert speed_ups(groups, None) == pytest.approx([1, 2.5, 1, 1.5])


def test_against_a_batch_size(groups):
    assert speed_ups(groups, "batch_size=64") == pytest.approx([0.5, 250 / 300, 1, 1])


def test_against_one_row(groups):
    assert speed_ups(groups, "mode=graph, batch_size=32") == pytest.approx([0.4, 1, 0.8, 1.2])


def test_a_figure_of_a_failed_case_is_no_baseline_and_has_no_speed_up(measured):
    records = [measured((100,), mode=Mode.PYNATIVE, status=Status.DIVERGED), measured((250,))]
    assert speed_ups(grouped(rows(records, "r")), None) == [None, None]


def test_a_default_that_is_not_there_is_no_error(measured):
    assert speed_ups(grouped(rows([measured()], "r")), None) == [None]


def test_a_value_that_is_not_there_names_those_that_are(groups):
    with pytest.raises(UsageError, match=r"no row has it; the table has mode: graph, pynative"):
        speed_ups(groups, "mode=jit")


@pytest.mark.parametrize("text", ["", "graph", "speed=9", "mode=graph,", "=", "images_per_second=1"])
def test_an_invalid_selector_is_a_usage_error(text):
    with pytest.raises(UsageError, match="write FIELD=VALUE"):
        parse(text)


def test_a_record_is_compared_with_the_baseline_of_its_own_version(measured):
    table = rows(
        [
            measured((rate,), mode=mode, version=version)
            for version, mode, rate in (
                ("2.7.0", Mode.PYNATIVE, 100), ("2.7.0", Mode.GRAPH, 300),
                ("2.10.0", Mode.PYNATIVE, 200), ("2.10.0", Mode.GRAPH, 800),
            )
        ],
        "r",
    )  # fmt: skip
    ratios = {
        (row.framework_version, row.mode): ratio
        for row, ratio in zip(table, record_speed_ups(table, grouped(table), None), strict=True)
    }
    assert ratios == {
        ("2.7.0", "pynative"): 1, ("2.7.0", "graph"): pytest.approx(3),
        ("2.10.0", "pynative"): 1, ("2.10.0", "graph"): pytest.approx(4),
    }  # fmt: skip


@pytest.mark.parametrize("selector", ["mode=graph,device=cpu", "version=2.10.0,mode=GRAPH", "run=r,mode=graph"])
def test_values_are_named_as_the_command_line_names_them(groups, selector):
    assert speed_ups(groups, selector) == pytest.approx([0.4, 1, 200 / 300, 1])
