"""Tables beside a run: written by another version or on another processor they are the same, doctored they are not."""

from __future__ import annotations

import json

import pytest

from lenet.analysis.verify.tables import table_csv, table_json, table_text


def in_csv(written, derived):
    return list(table_csv(f"run,x\nr,{written}\n", lambda *_: f"run,x\nr,{derived}\n"))


@pytest.mark.parametrize(
    ("written", "derived"),
    [("256.0", "256"), ("3778.7540510287845", "3778.7540510287913"), ("", ""), ("1e-07", "1e-07"), ("2.10", "2.10")],
)
def test_a_figure_of_csv_may_be_written_otherwise(written, derived):
    assert in_csv(written, derived) == []


@pytest.mark.parametrize(
    ("written", "derived"),
    [
        ("2.10", "2.1"), ("2.1", "2.10"), ("256.0", "257"), ("4294967295", "4294967294"), ("", "0"), ("nan", "1"),
        ("3778.754051", "3778.754052"), ("1", "true"), ("graph", "jit"), ("0.95", "0.9500001"),
    ],
)  # fmt: skip
def test_another_value_is_a_violation(written, derived):
    assert len(in_csv(written, derived)) == 1


@pytest.mark.parametrize("line", ["r", "r,1,2"])
def test_a_line_with_a_cell_too_few_or_too_many_is_a_violation(line):
    assert len(list(table_csv(f"run,x\n{line}\n", lambda *_: "run,x\nr,1\n"))) == 1


def test_rows_of_json_keep_their_types():
    def violations(written, derived):
        rows = [json.dumps([{"run": "r", "x": value}]) for value in (written, derived)]
        return list(table_json(rows[0], lambda *_: rows[1]))

    assert violations(6985.928945672389, 6985.928945672376) == []
    assert violations("2.1", "2.1") == []
    for written, derived in ((1, 1.0), (1, True), ("1", 1), (None, 0), (0.5, 0.5000001), ("1.0", "1")):
        assert len(violations(written, derived)) == 1, (written, derived)


CELL = '<tr><td style="text-align: right;">{}</td><td>{}</td></tr>'


@pytest.mark.parametrize(
    ("written", "derived"), [(" 0.6 ", "0.60"), ("1", "1.00"), ("0.25", "0.25"), ("-0.5", "-0.50")]
)
def test_a_cell_of_a_page_may_be_padded_otherwise(written, derived):
    assert list(table_text("table.html", CELL.format(written, "jit "), CELL.format(derived, "jit"))) == []


@pytest.mark.parametrize(
    ("written", "derived"),
    [("0.61", "0.60"), ("100", "10"), ("1000", "1"), ("2.1", "2.10.0"), ("10", "1.0"), ("<s>9</s>", "9")],
)
def test_another_cell_is_a_violation(written, derived):
    assert len(list(table_text("table.html", CELL.format(written, ""), CELL.format(derived, "")))) == 1


def test_a_line_of_markdown_is_as_it_was():
    assert len(list(table_text("table.md", "| 0.6 |", "| 0.60 |"))) == 1
