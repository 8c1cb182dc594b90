"""Text for a terminal: nothing is lost but what is cut with a mark, figures are never cut, and everything fits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lenet.report.layout import WIDTH, clean, grid, number, shortened, table_width, wrapped

WORDS = st.text(st.sampled_from("ab漢e\u0301🧪 +/:\n\x1b\u202e"), max_size=300)


def squeezed(text):
    return "".join(text.split())


@given(st.text(st.characters()))
def test_cleaned_text_is_one_line_of_visible_characters(text):
    shown = clean(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("\x1b\u202e\u2066\ufeff\udcff")
    assert shown.encode().decode() == shown, "no half of a character"


@given(WORDS, st.integers(0, 60), st.integers(0, 60))
def test_a_paragraph_keeps_every_character(text, first, rest):
    lines = wrapped(text, "*" * first, "." * rest).split("\n")
    assert all(cell_len(line) <= WIDTH for line in lines)
    assert lines[0].startswith("*" * first)
    assert all(line.startswith("." * rest) for line in lines[1:])
    assert squeezed(lines[0][first:] + "".join(line[rest:] for line in lines[1:])) == squeezed(clean(text))


@given(WORDS, st.integers(2, 90))
def test_what_is_cut_off_is_marked(text, width):
    short = shortened(text, width)
    assert cell_len(short) <= width
    assert short == clean(text) or (short.endswith("…") and clean(text).startswith(short[:-1]))


def test_a_long_word_is_divided_where_its_parts_end():
    profile = "onednn_isa=AVX2+launch_blocking+operator_threads=128+dispatch_threads=64+dataset_workers=16"
    assert wrapped(profile).split("\n")[0].endswith("+")


@given(st.lists(st.tuples(WORDS, st.integers(0, 10**30), WORDS, st.integers(0, 10**9)), min_size=1, max_size=4))
def test_a_table_keeps_words_and_figures(rows):
    lines = [[a, f"{b:,}", c, f"{d:,}"] for a, b, c, d in rows]
    text = grid(["name", "first", "a longer title", "second"], lines, "wfwf")
    assert all(cell_len(line) <= WIDTH for line in text.split("\n"))
    for _, first, _, second in lines:
        assert first in text
        assert second in text


def test_columns_that_do_not_fit_beside_each_other_are_named_above():
    titles = [f"axis-{index}" for index in range(12)]
    lines = [[f"value-{index}" for index in range(12)], [f"other-{index}" for index in range(12)]]
    text = grid([*titles, "images/s"], [[*line, "1,234"] for line in lines], "w" * 12 + "f")
    assert all(len(line) <= WIDTH for line in text.split("\n"))
    assert "axis-0 value-0, axis-1 value-1" in text
    assert "axis-0 other-0, axis-1 other-1" in text
    shown = text.split("\n")[0].split()
    assert shown == [*titles[-len(shown) + 1 :], "images/s"]
    again = grid([*titles, "images/s"], [[*lines[0], "1"], [*lines[0], "2"]], "w" * 12 + "f")
    assert again.count("axis-0") == 1, "rows that agree stand below one line"
    partly = grid([*titles, "images/s"], [[*lines[0], "1"], [lines[0][0], *lines[1][1:], "2"]], "w" * 12 + "f")
    assert partly.count("axis-0") == 1, "nor is what stays the same repeated"
    assert partly.count("axis-1 ") == 2


def test_no_word_is_broken_while_a_column_can_go_above():
    titles = ["framework", "machine", "mode", "status", "a", "b"]
    lines = [["mindspore", "amd-epyc-2c-1c1449de-somewhere", "pynative", "ok", "1" * 12, "2" * 12]] * 2
    text = grid(titles, lines, "wwwwff")
    assert all(cell in text for cell in lines[0])
    assert all(cell_len(line) <= WIDTH for line in text.split("\n"))
    long = grid(["case", "speed"], [["graph, launch_blocking+operator_threads=16+dispatch_threads=16", "1" * 30]], "wf")
    assert "operator_threads=16+" in long, "divided after a sign"


def test_a_table_has_any_width_where_nobody_reads_it_in_a_terminal():
    line = ["a word " * 30, "x" * 200, "1"]
    with table_width(math.inf):
        assert grid(["a", "b", "c"], [line], "wwf").split("\n")[-1] == "  ".join([line[0].strip(), line[1], "1"])
    assert max(map(cell_len, grid(["a", "b", "c"], [line], "wwf").split("\n"))) <= WIDTH


def test_a_table_is_as_narrow_as_its_cells():
    assert grid(["mode", "images/s"], [["graph", "1,234"], ["漢字", "5"]], "wf") == (
        "mode   images/s\n───────────────\ngraph     1,234\n漢字          5"
    )
    assert grid(["", ""], [["a", "1"], ["bb", "22"]], "wf") == "a    1\nbb  22"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(None, 0, "–"), (1234.5, 0, "1,234"), (0.6, 2, "0.60"), (1e300, 2, "1e+300"), (-2e12, 0, "-2e+12")],
)
def test_a_figure(value, digits, text):
    assert number(value, digits) == text
