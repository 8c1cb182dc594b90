"""Speed-ups over the row that the user picks."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest

from lenet.analysis.compare import compare
from lenet.analysis.selection import parse_over, select
from lenet.cases.case import DeviceTarget, Mode, Pipeline
from lenet.cases.frameworks import Framework
from lenet.errors import UsageError
from lenet.report import render
from lenet.report.table.groups import grouped
from lenet.report.table.rows import rows
from lenet.report.table.speed_ups import caption, speed_ups, with_speed_ups
from lenet.store.record import Status


def ratios(groups, selector):
    return [found and found.value for found in speed_ups(groups, selector)]


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
    assert ratios(groups, None) == pytest.approx([1, 2.5, 1, 1.5])


def test_against_a_batch_size(groups):
    assert ratios(groups, "batch_size=64") == pytest.approx([0.5, 250 / 300, 1, 1])


@pytest.mark.parametrize(
    ("cases", "over"),
    [
        ([{}], "mode=pynative"),
        ([{"profile": "fast"}, {"profile": "faster"}], "mode=pynative"),
        ([{}, {"mode": Mode.PYNATIVE}, {"profile": "fast"}], "mode=pynative"),
        ([{}, {"profile": "fast"}], "profile=default"),
        ([{"mode": Mode.PYNATIVE}, {"mode": Mode.PYNATIVE, "profile": "fast"}], "profile=default"),
        ([{}, {"pipeline": Pipeline.CACHED}], "pipeline=tutorial"),
        ([{}, {"device_target": DeviceTarget.GPU}], "device=CPU"),
        ([{"mode": Mode.EAGER, "framework": Framework.PYTORCH}], "mode=eager"),
        ([{"mode": mode, "framework": Framework.PYTORCH} for mode in (Mode.EAGER, Mode.COMPILE)], "mode=eager"),
    ],
)
def test_the_usual_baseline_is_the_first_that_compares_something(measured, cases, over):
    """It is called as the rows call it, and two processes of one case are no comparison."""
    table = rows([measured((100,), **each, repetition=number) for each in cases for number in range(2)], "r")
    assert f"Speed-up: over {over}, all else equal." in render(table, "github")
    assert {row.speed_up_over for row in with_speed_ups(table)} == {over}


class TestAgainstAnotherFramework:
    """A release is one of its framework, so that it is no other axis."""

    @pytest.fixture
    def both(self, measured):
        peer = {"framework": Framework.PYTORCH, "mode": Mode.EAGER}
        cases = [
            ((100,), {"version": "2.10.0"}), ((300,), {"version": "2.10.0", "profile": "capped"}),
            ((600,), {**peer, "version": "2.13.0"}), ((900,), {**peer, "version": "2.13.0", "batch_size": 64}),
        ]  # fmt: skip
        return [measured(rates, **fields) for rates, fields in cases]

    def test_each_case_of_the_same_batch_size_is_compared_with_the_peer(self, both):
        found = ratios(grouped(rows(both, "r")), "framework=pytorch,mode=eager,profile=default")
        assert found == pytest.approx([1 / 6, 0.5, 1, 1])

    def test_of_two_releases_none_is_the_baseline_of_another_framework(self, both, measured):
        older = measured((500,), framework=Framework.PYTORCH, mode=Mode.EAGER, version="2.9.0")
        found = ratios(grouped(rows([*both, older], "r")), "framework=pytorch,mode=eager,profile=default")
        assert found == [None, None, 1, 1, 1]


def test_against_one_row(groups):
    assert ratios(groups, "mode=graph, batch_size=32") == pytest.approx([0.4, 1, 0.8, 1.2])


def test_a_figure_of_a_failed_case_is_no_baseline_and_has_no_speed_up(measured):
    records = [measured((100,), mode=Mode.PYNATIVE, status=Status.DIVERGED), measured((250,))]
    assert ratios(grouped(rows(records, "r")), None) == [None, None]


def test_a_default_that_is_not_there_is_no_error(measured):
    assert ratios(grouped(rows([measured()], "r")), None) == [None]


def test_a_value_that_is_not_there_names_those_that_are(groups):
    with pytest.raises(UsageError, match=r"no row has it; the table has mode: graph, pynative"):
        speed_ups(groups, "mode=jit")


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
    assert {(row.framework_version, row.mode): row.speed_up for row in with_speed_ups(table)} == {
        ("2.7.0", "pynative"): 1, ("2.7.0", "graph"): pytest.approx(3),
        ("2.10.0", "pynative"): 1, ("2.10.0", "graph"): pytest.approx(4),
    }  # fmt: skip


@pytest.mark.parametrize("selector", ["mode=graph,device=cpu", "version=2.10.0,mode=GRAPH", "run=r,mode=graph"])
def test_values_are_named_as_the_command_line_names_them(groups, selector):
    assert ratios(groups, selector) == pytest.approx([0.4, 1, 200 / 300, 1])


def with_batch(record, size):
    hyperparameters = record.case.hyperparameters.model_copy(update={"batch_size": size})
    case = record.case.model_copy(update={"hyperparameters": hyperparameters})
    return record.model_copy(update={"case": case, "case_id": case.id})


class TestIntervals:
    def test_members_of_the_same_groups_are_compared_within_them(self, together):
        """Between groups the machine differs by 30%, within them by 1%: only a paired ratio is this narrow."""
        table = rows(together(4, 1.05), "r")
        found = dict(zip([group.row.mode for group in grouped(table)], speed_ups(grouped(table), None), strict=True))
        paired = found["graph"]
        assert (paired.unit, paired.difference.groups, paired.mark.value) == ("groups", 4, "faster")
        assert 1.03 < paired.interval.low < paired.value < paired.interval.high < 1.07
        assert (found["pynative"].unit, found["pynative"].interval) == (None, None)

    def test_it_is_the_ratio_that_compare_shows(self, together):
        records = together(4, 1.05)
        pair = select(records, records, parse_over("mode=pynative,graph"))
        (compared,) = compare(pair.a, pair.b, over=pair.over)
        row = next(each for each in with_speed_ups(rows(records, "r")) if each.mode == "graph")
        assert (row.speed_up, row.speed_up_low, row.speed_up_high) == (compared.ratio, compared.low, compared.high)
        assert (row.speed_up_unit, row.speed_up_groups, row.speed_up_verdict) == ("groups", 4, compared.mark.value)

    def test_independent_processes_have_welchs_interval(self, apart):
        table = rows(apart(4, 2.0), "r")
        found = next(each for each in speed_ups(grouped(table), None) if each.unit)
        assert (found.unit, found.difference.groups, found.mark.value) == ("processes", 0, "faster")
        assert found.interval.low < 2 < found.interval.high

    @pytest.mark.parametrize("groups", [1, 2])
    def test_one_or_two_groups_give_an_interval_and_no_verdict(self, groups, together):
        table = rows(together(groups, 3.0), "r")
        found = next(each for each in speed_ups(grouped(table), None) if each.unit)
        assert found.interval.low < found.value < found.interval.high
        assert found.mark.value == "unresolved"
        text = " ".join(render(table, "terminal").split())
        assert f"within {groups} group{'s' if groups > 1 else ''}: the intervals are of these processes only" in text

    def test_single_processes_have_the_quotient_and_nothing_else(self, measured):
        table = rows([measured((100, 110), mode=Mode.PYNATIVE), measured((250, 260))], "r")
        found = next(each for each in speed_ups(grouped(table), None) if each.unit)
        assert (found.value, found.interval, found.mark, found.unit) == (255 / 105, None, None, "windows")

    def test_holms_correction_counts_the_rows(self, measured):
        """p is 0.02 for one comparison: of three, none is established."""
        records = [
            with_batch(measured((rate,) * 3, mode=mode, repetition=repetition), batch)
            for batch, factor in ((32, 1.06), (64, 1.0), (128, 1.0))
            for mode, times in ((Mode.PYNATIVE, 1.0), (Mode.GRAPH, factor))
            for repetition, rate in enumerate((980 * times, 1000 * times, 1020 * times))
        ]
        marks = {
            count: [found.mark.value for found in speed_ups(grouped(rows(records[:count], "r")), None) if found.unit]
            for count in (6, 18)
        }
        assert marks == {6: ["faster"], 18: ["unresolved"] * 3}

    def test_identical_cases_are_called_faster_or_slower_in_5_of_100_tables_at_most(self, together):
        marks = [
            found.mark.value
            for seed in range(60)
            for found in speed_ups(grouped(rows(together(4, 1.0, seed=seed), "r")), None)
            if found.unit
        ]
        # 5% of 60 with a standard deviation of 1.7, and three of them.
        assert marks.count("faster") + marks.count("slower") <= 3 + 5


class TestText:
    def test_every_form_has_the_interval_and_says_what_it_rests_on(self, together):
        table = rows(together(4, 1.05), "r")
        (found,) = [each for each in speed_ups(grouped(table), None) if each.unit]
        within = "Ratios of workers that took turns, within 4 groups"
        markdown, terminal = render(table, "github"), render(table, "terminal")
        assert f"| {found.value:.2f}× ({found.interval.low:.2f}×–{found.interval.high:.2f}×) |" in markdown
        assert within in markdown
        assert re.search(rf"{found.value:.2f}× ±0\.\d%", terminal)
        assert within in " ".join(terminal.split())
        assert "1 faster" in " ".join(terminal.split())
        assert max(map(len, terminal.splitlines())) <= 80

    def test_json_and_csv_have_fields(self, together):
        table = rows(together(4, 1.05), "r")
        (line,) = {
            tuple(row[name] for name in ("speed_up_unit", "speed_up_groups", "speed_up_verdict", "speed_up_over"))
            for row in json.loads(render(table, "json", "mode=pynative"))
            if row["mode"] == "graph"
        }
        assert line == ("groups", 4, "faster", "mode=pynative")
        first = next(row for row in csv.DictReader(io.StringIO(render(table, "csv"))) if row["mode"] == "graph")
        assert float(first["speed_up_low"]) < float(first["speed_up"]) < float(first["speed_up_high"])

    def test_an_unresolved_one_says_so_and_what_it_takes(self, apart):
        table = rows(apart(3, 1.0, 0.1, seed=3), "r")
        ups = speed_ups(grouped(table), None)
        assert " unresolved |" in render(table, "github")
        assert "1 unresolved (±1% takes over 1,000 processes on each side)" in caption(ups, "mode=pynative")

    def test_both_kinds_in_one_table_are_counted(self, together, apart):
        other = [with_batch(each, 64) for each in apart(3, 2.0)]
        text = " ".join(render(rows([*together(4, 1.5), *other], "r"), "github").split())
        assert "1 ratio of workers that took turns, within 4 groups" in text
        assert "1 ratio of independent processes" in text

    def test_without_intervals_it_is_the_table_of_earlier_versions(self, apart):
        table = rows(apart(3, 2.0), "r")
        text = render(table, "github", intervals=False)
        by_mode = {group.row.mode: group.speed for group in grouped(table)}
        assert re.search(rf"\| +{by_mode['graph'] / by_mode['pynative']:.2f}× \|", text)
        assert "Speed-up: over mode=pynative, all else equal.\n" in text
        assert math.isclose(by_mode["graph"] / by_mode["pynative"], 2, rel_tol=0.1)
