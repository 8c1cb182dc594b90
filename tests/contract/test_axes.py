"""Each axis in each place that reads the axis table: cases that differ in it stay apart, equal ones come together.

The tests are parametrised over the table, so that an axis which is added there is tested without an edit.
`test_an_added_axis.py` runs them again with an axis that no other file knows.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console
from typer.testing import CliRunner

from lenet.analysis.compare import compare
from lenet.analysis.selection import COMPARED, parse_over, select
from lenet.analysis.verdict import Mark
from lenet.analysis.versions import steps
from lenet.cases.axes import AXES, axis, with_option
from lenet.cases.axis import Kind
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file, override
from lenet.cases.profile import RuntimeProfile
from lenet.cli import app
from lenet.commands import explain, reproduce, sampling
from lenet.report import render, rows
from lenet.report.charts.points import datasets
from lenet.report.content.gather import Entry, Report
from lenet.report.content.grids import leaderboard
from lenet.report.content.headline import headline
from lenet.report.progress.scoreboard import WAITING, Scoreboard
from lenet.report.table import compare as comparison_table
from lenet.report.table import mllog
from lenet.report.table import versions as versions_table
from lenet.report.table.columns import for_page, for_table
from lenet.report.table.groups import grouped
from lenet.report.table.speed_ups import speed_ups
from lenet.store.record import DatasetCard, Record, Software, summarise
from tests.steady import steady

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
DIGESTS = {"mnist": "ab" * 32, "digits": "cd" * 32}

ALL = pytest.mark.parametrize("axis", AXES, ids=lambda each: each.name)
SPANNED = pytest.mark.parametrize("axis", [each for each in AXES if each.field and each.several], ids=lambda a: a.name)
APART = pytest.mark.parametrize("axis", [each for each in AXES if each.kind is Kind.CASE], ids=lambda a: a.name)
NOT_REPEATED = pytest.mark.parametrize(
    "axis", [each for each in AXES if each.kind is not Kind.REPETITION], ids=lambda a: a.name
)


def ratios(groups, selector):
    return [found and found.value for found in speed_ups(groups, selector)]


def texts(axis):
    """Two values of the axis as a person types them."""
    known = [str(member.value) for member in axis.values] if axis.values else list(axis.examples)
    return (known or ["here", "there"])[:2]


def values(axis):
    return [axis.parse(text) for text in texts(axis)]


def changed(case, path, value):
    """The case with another value there, validated anew."""
    data = {name: getattr(case, name) for name in Case.model_fields}
    *parents, name = path.split(".")
    if parents:
        (parent,) = parents
        data[parent] = {**dict(data[parent]), name: value}
    else:
        data[name] = value
    case, mode_axis = Case(**data), next(each for each in AXES if each.name == "mode")
    return case.model_copy(update={"mode": mode_axis.of_case(case)})  # as a matrix names it


BASES = (Case(mode="pynative"), Case(mode="pynative", world_size=2))


def two_cases(axis):
    """Two cases that differ in the axis alone."""
    if not axis.path:
        return [BASES[0]] * 2
    for base in BASES:
        try:
            return [changed(base, axis.path, value) for value in values(axis)]
        except ValidationError:
            continue
    raise AssertionError(f"no two cases differ in {axis.name} alone")


def record(case, rate=1000.0, version="2.10.0", machine="here", repetition=None):
    if repetition is not None:
        case = case.model_copy(update={"repetition": repetition})
    windows = steady(rate + i for i in range(3))
    return Record(
        case_id=case.id, case=case, status="ok", machine_id=machine, started_at=NOW, finished_at=NOW,
        dataset=DatasetCard(
            name=case.dataset, sha256=DIGESTS[case.dataset], training_images=60000, test_images=10000
        ),
        software=Software(
            framework_version=case.framework_version or version, python_version="3", numpy_version="1"
        ),
        windows=windows, summary=summarise(None, windows, (), (), None, None),
    )  # fmt: skip


def two_records(axis, rates=(1000.0, 2000.0)):
    """Two records that differ in the axis alone."""
    machines = texts(axis) if axis.name == "machine" else ["here", "here"]
    return [
        record(case, rate, machine=machine)
        for case, rate, machine in zip(two_cases(axis), rates, machines, strict=True)
    ]


def report_of(records):
    table = rows(records, "run")
    by_id = {(each.case_id, each.machine_id): each for each in records}
    entries = [Entry(row, by_id[row.case_id, row.machine]) for row in table]
    return Report(entries, grouped(table), {}, {}, [], [])


@pytest.fixture(scope="module")
def pytest_help():
    """What `pytest bench/ --help` prints."""
    command = [sys.executable, "-m", "pytest", "bench", "--help", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


class TestTable:
    def test_names_are_unique(self):
        names = [name for each in AXES for name in (each.name, *each.aliases)]
        assert len(names) == len(set(names))

    @ALL
    def test_two_values_are_two_identities(self, axis):
        ours, theirs = two_records(axis)
        assert axis.record_identity(ours) != axis.record_identity(theirs)

    @ALL
    def test_a_label_and_an_id_tell_them_apart(self, axis):
        if axis.path:
            ours, theirs = two_cases(axis)
            assert ours.label != theirs.label
            assert ours.id != theirs.id


class TestMatrix:
    @SPANNED
    def test_it_spans_the_values(self, axis):
        base = next(case for case in two_cases(axis))
        around = Matrix.around([base]).model_dump() | {axis.field: values(axis)}
        cases = Matrix.model_validate(around).cases()
        assert [axis.identity(axis.of_case(case)) for case in cases] == [axis.identity(each) for each in values(axis)]
        assert len({case.id for case in cases}) == 2

    @SPANNED
    def test_a_value_that_is_listed_twice_is_refused(self, axis):
        with pytest.raises(ValidationError, match="listed twice"):
            Matrix(**{axis.field: [values(axis)[0]] * 2})

    @SPANNED
    def test_a_file_sets_it(self, axis, tmp_path):
        cases = two_cases(axis)
        lines = Matrix.around(cases).model_dump(mode="json")
        path = tmp_path / "matrix.toml"
        kept = [each for each in AXES if each.field and each.several and each.spans != ()] + [axis]
        path.write_text(
            "".join(f"{each.field} = {json.dumps(_toml(lines[each.field]))}\n" for each in dict.fromkeys(kept))
        )
        assert {axis.identity(axis.of_case(case)) for case in load_file(path).cases()} == {
            axis.identity(each) for each in values(axis)
        }

    @ALL
    def test_the_matrix_around_cases_spans_them(self, axis):
        cases = two_cases(axis)
        if axis.field and axis.several:
            assert set(Matrix.around(cases).cases()) == set(cases)

    @SPANNED
    def test_its_span_names_the_values(self, axis):
        span = Matrix.around(two_cases(axis)).span
        assert all(axis.words(axis.as_plain(value)).split()[-1] in span or str(axis.as_plain(value)) in span
                   for value in values(axis))  # fmt: skip


def _toml(values):
    return [value["name"] if isinstance(value, dict) else value for value in values]


class TestOptions:
    @pytest.mark.parametrize("axis", with_option(), ids=lambda each: each.name)
    def test_the_command_line_sets_it(self, axis):
        text = "2" if axis.kind is Kind.REPETITION else texts(axis)[1]
        base = Matrix.around([two_cases(axis)[0]])
        found = {axis.identity(axis.of_case(case)) for case in override(base, **{axis.parameter: text}).cases()}
        assert found == {"0", "1"} if axis.kind is Kind.REPETITION else {axis.identity(axis.parse(text))}
        if axis.several:
            assert len(override(base, **{axis.parameter: ",".join(texts(axis))}).cases()) == 2

    @pytest.mark.parametrize("axis", with_option(), ids=lambda each: each.name)
    @pytest.mark.parametrize("command", ["run", "explain"])
    def test_the_commands_have_it(self, axis, command):
        if command == "explain" and axis.name in ("epochs", "repetition"):
            return  # it measures by a plan of its own
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}, terminal_width=200)
        assert re.search(rf"{axis.option}\b", shown.output)

    @pytest.mark.parametrize("axis", with_option(), ids=lambda each: each.name)
    def test_pytest_has_it(self, axis, pytest_help):
        assert re.search(rf"^ +{axis.option}[ =]", pytest_help, re.MULTILINE)

    @pytest.mark.parametrize("axis", with_option(), ids=lambda each: each.name)
    def test_nonsense_is_one_sentence_that_names_the_option(self, axis):
        from lenet.errors import UsageError

        if axis.name == "dataset":
            return  # a dataset's name is looked up where the data is
        with pytest.raises(UsageError, match=re.escape(axis.option)) as error:
            override(Matrix(), **{axis.parameter: "?"})
        assert len(str(error.value).splitlines()) == 1


class TestCompare:
    @APART
    def test_cases_that_differ_are_not_merged(self, axis):
        ours, theirs = two_records(axis)
        found = compare([ours, theirs], [ours])
        assert [each.mark for each in found if each.mark is Mark.ONLY_A] == [Mark.ONLY_A]
        assert [each.samples_a for each in found] == [1, 1]

    @ALL
    def test_over_it_the_two_are_compared(self, axis):
        if axis.kind is Kind.REPETITION:
            return
        ours, theirs = two_records(axis)
        one, other = texts(axis)
        pair = select([ours, theirs], [ours, theirs], parse_over(f"{axis.name}={one},{other}"))
        (found,) = compare(pair.a, pair.b, over=pair.over)
        assert (found.a, found.b) == (pytest.approx(1001, abs=2), pytest.approx(2001, abs=2))
        assert (found.values_a[axis.name], found.values_b[axis.name]) == tuple(
            str(axis.as_plain(axis.of_record(each))) for each in (ours, theirs)
        )

    @NOT_REPEATED
    @pytest.mark.parametrize("form", ["terminal", "github", "html", "csv", "json"])
    def test_every_format_says_what_a_and_b_are(self, axis, form):
        ours, theirs = two_records(axis)
        found = compare([ours], [theirs], over=[*COMPARED, axis.name])
        text = comparison_table.render(found, form, 0.01, ("before", "after"))
        shown = [str(axis.as_plain(axis.of_record(each))) for each in (ours, theirs)]
        if form == "csv":
            (line,) = csv.DictReader(io.StringIO(text))
            assert [line[f"{axis.name}_a"], line[f"{axis.name}_b"]] == shown
        elif form == "json":
            (entry,) = json.loads(text)
            assert [entry["values_a"][axis.name], entry["values_b"][axis.name]] == shown
        else:
            flat = re.sub(r"\s+|\\", " ", text).replace(" _", "_")
            a, b = flat.split("A: before", 1)[1].split("B: after", 1)
            assert shown[0] in a.replace("\\", "")
            assert shown[1] in b.split(".  ")[0].replace("\\", "")

    def test_a_repetition_is_one_more_sample(self):
        ours, theirs = two_records(axis("repetition"))
        (found,) = compare([ours, theirs], [ours])
        assert (found.samples_a, found.samples_b) == (2, 1)


class TestRows:
    @APART
    def test_cases_that_differ_are_two_lines(self, axis):
        groups = grouped(rows(two_records(axis), "run"))
        assert [group.of for group in groups] == [1, 1]
        for view in ("document", "terminal"):
            assert axis.name in {column.name for column in for_table(groups, view)}

    @ALL
    def test_a_row_has_its_value_in_every_format(self, axis):
        records = two_records(axis)
        table = rows(records, "run")
        records.sort(
            key=lambda each: [row.case_id + row.machine for row in table].index(each.case_id + each.machine_id)
        )
        plain = [axis.as_plain(axis.of_record(each)) for each in records]
        assert [getattr(row, axis.name) for row in table] == plain
        assert [row[axis.name] for row in json.loads(render(table, "json"))] == plain
        lines = list(csv.DictReader(io.StringIO(render(table, "csv"))))
        assert [float(line[axis.name]) if isinstance(value, (int, float)) else line[axis.name] or None
                for line, value in zip(lines, plain, strict=True)] == plain  # fmt: skip

    @NOT_REPEATED
    def test_it_can_be_the_baseline(self, axis):
        groups = grouped(rows(two_records(axis), "run"))
        assert ratios(groups, f"{axis.name}={texts(axis)[0]}") in (
            pytest.approx([1, 2], rel=0.01),
            pytest.approx([2, 1], rel=0.01),
        )

    @NOT_REPEATED
    def test_another_baseline_keeps_them_apart(self, axis):
        from lenet.cases.axes import axis as named

        other = named("profile" if axis.name == "mode" else "mode")
        value = other.as_plain(other.of_record(two_records(axis)[0]))
        groups = grouped(rows(two_records(axis), "run"))
        assert ratios(groups, f"{other.name}={value}") == pytest.approx([1, 1])

    def test_repetitions_are_one_line(self):
        (group,) = grouped(rows(two_records(axis("repetition")), "run"))
        assert group.of == 2

    @NOT_REPEATED
    def test_sampling_treats_them_as_two_cases_and_repetitions_as_one(self, axis):
        if not axis.path:
            return
        ours, theirs = two_records(axis)
        records = [each.model_copy(update={"case": each.case.model_copy(update={"repetition": number})})
                   for each in (ours, theirs) for number in (0, 1)]  # fmt: skip
        assert [each.processes for each in sampling.precisions(records)] == [2, 2]


class TestLog:
    @ALL
    def test_the_log_for_mlperf_has_its_value(self, axis):
        record = two_records(axis)[1]
        lines = [json.loads(line.removeprefix(mllog.TOKEN)) for line in mllog.render([record]).splitlines()]
        (platform,) = [line for line in lines if line["key"] == "submission_platform"]
        assert platform["metadata"][axis.name] == axis.as_plain(axis.of_record(record))


class TestVersions:
    @APART
    def test_cases_that_differ_are_not_one_history(self, axis):
        found = steps(two_records(axis))
        assert [each.comparison.samples_b for each in found] == [1, 1]
        assert [each.before for each in found] == [None, None]

    @APART
    def test_the_table_shows_it(self, axis):
        text = versions_table.render(two_records(axis), "json")
        assert len({entry[axis.name] for entry in json.loads(text)}) == 2
        assert axis.column_title in versions_table.render(two_records(axis), "github").splitlines()[0]


class TestReport:
    @NOT_REPEATED
    def test_points_have_labels_of_their_own(self, axis):
        report = report_of(two_records(axis))
        points = datasets(report)["rows"]
        assert len({point[axis.name] for point in points}) == 2
        assert len({point["label"] for point in points}) == 2

    @NOT_REPEATED
    def test_a_panel_and_its_lines_tell_them_apart(self, axis):
        """What a chart draws as one dot: a panel, a colour and a place on the x axis."""
        ours, theirs = datasets(report_of(two_records(axis)))["rows"]
        for panel, x in (("place", "batch_size"), ("way", "profile"), ("release", "framework_version"),
                         ("parallel", "world_size")):  # fmt: skip
            drawn = [(point["series"], point[panel], point[x]) for point in (ours, theirs)]
            assert drawn[0] != drawn[1], panel

    def test_one_meaning_has_one_label_and_two_have_two(self):
        def labels(*profiles):
            records = [record(Case(profile=each, repetition=n)) for n, each in enumerate(profiles)]
            return len({point["label"] for point in datasets(report_of(records))["rows"]})

        threads = [RuntimeProfile.parse(f"operator_threads=1+dispatch_threads=1+dataset_workers={n}") for n in (1, 2)]
        tuned = [RuntimeProfile(name="tuned", tuned_by="r", operator_threads=n) for n in (1, 2)]
        assert labels(*threads) == 2, "their names begin alike"
        assert labels(*tuned) == 2
        assert labels(tuned[0], RuntimeProfile.parse("operator_threads=1")) == 1

    @APART
    def test_a_figure_that_is_quoted_names_what_is_not_usual(self, axis):
        usual = Case()
        here, there = (record(case, 1000.0 + 1000 * n, machine=machine) for n, (case, machine) in enumerate(
            [(usual, "here"), (next(each for each in two_cases(axis)[::-1]), "there")]))  # fmt: skip
        report = report_of([here, there])
        words = axis.words(axis.as_plain(axis.of_record(there)))
        first, line = headline(report), ", ".join(leaderboard(report).lines[0])
        if axis.name == "mode":
            words = there.case.mode.label
        # Another framework is what MindSpore is compared with: it has its row, and never the headline.
        assert (words in first) is (axis.name != "framework")
        assert words in line or f"× {there.case.world_size}" in line

    @NOT_REPEATED
    def test_the_page_filters_by_it(self, axis):
        points = datasets(report_of(two_records(axis)))["rows"]
        filters = {column.name for column in for_page(points, "mode=pynative") if column.filter}
        assert ("series" if axis.name == "mode" else axis.name) in filters


class TestLiveView:
    @APART
    def test_cases_that_differ_have_a_cell_each(self, axis):
        cases = two_cases(axis)
        console = Console(file=io.StringIO(), width=200)
        console.print(Scoreboard(cases))
        assert console.file.getvalue().count(WAITING) == 2


class TestReproduce:
    @ALL
    def test_a_run_that_reproduces_has_the_recorded_cases(self, axis, tmp_path, digits):
        if not axis.path or axis.name == "dataset":
            return
        records = [record(changed(case, "dataset", "digits")) for case in two_cases(axis)]
        card = digits.card
        records = [each.model_copy(update={"dataset": card}) for each in records]
        run = reproduce.prepare(records, lambda name: digits, print, tmp_path / "run", exact=True)
        assert run.store.manifest.cases == tuple(each.case for each in records)
        if axis.field and axis.several:
            assert set(run.store.manifest.matrix.cases()) == {each.case for each in records}


class TestExplain:
    @ALL
    def test_the_case_that_is_explained_is_the_one_that_was_named(self, axis, tmp_path, digits, monkeypatch):
        if not axis.path or axis.name in ("repetition", "epochs", "dataset"):
            return  # it measures by a plan of its own, once
        case = changed(two_cases(axis)[1], "dataset", "digits")
        monkeypatch.setattr(explain.releases, "prepare", lambda cases, log: None)  # makes environments
        run = explain.prepare(case, lambda name: digits, print, tmp_path / "run")
        (planned,) = run.store.manifest.cases
        assert axis.of_case(planned) == axis.of_case(case)
