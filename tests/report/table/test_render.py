"""Tables as a person and as a program read them."""

from __future__ import annotations

import csv
import html.parser
import io
import json

import pandas as pd
import pytest

from lenet.cases.case import Mode, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.errors import UsageError
from lenet.report import FORMATS, render, rows
from lenet.report.layout import clean
from lenet.store.record import Status

HOSTILE = [
    "<script>alert(1)</script>", "a|b", "a\nb", "\x1b[31mred", "[x](javascript:alert(1))", "\u202egpj.exe",
    "x" * 10_000, "=1+1", "`code`", "&lt;", "~~gone~~",
]  # fmt: skip


@pytest.fixture
def table(measured):
    return rows(
        [
            measured((100, 100, 100), mode=Mode.PYNATIVE),
            measured((100, 200, 400)),
            measured((), mode=Mode.JIT, status=Status.CRASHED, reason="the worker ended with SIGSEGV"),
            measured((1000, 2000, 4000), batch_size=64, status=Status.DIVERGED, reason="the loss of step 9 is nan"),
            measured((5000,), mode=Mode.PYNATIVE, batch_size=64, epochs=10, correct=98),
        ],
        "run-1",
    )


TERMINAL = """\
epochs  mode      batch  images/s       spread  speed-up  accuracy  status
–       pynative     32       100      100–100     1.00×    (0.50)  ok ?n
–       graph        32       200      150–300     2.00×    (0.50)  ok ?n
–       jit          32         –            –         –         –  crashed (1)
10      pynative     64     5,000            –     1.00×    0.9800  ok ?n
–       graph        64   [2,000]  1,500–3,000         –    (0.50)  diverged (2)

(1) the worker ended with SIGSEGV
(2) the loss of step 9 is nan
"""


def test_terminal(table):
    lines = render(table, "terminal").splitlines()
    assert set(lines.pop(1)) == {"─"}
    assert [line.split() for line in lines[:9]] == [line.split() for line in TERMINAL.splitlines()]
    text = " ".join(" ".join(lines).split())
    for words in ("Dataset: mnist (sha256 abababababab)", "mindspore 2.10.0", "Device: CPU", "a-machine"):
        assert words in text


def test_a_terminal_of_80_columns_is_enough(table, measured):
    wide = [
        measured((12345,) * 3, mode=mode, batch_size=1024, dataset=dataset, repetition=1, seed=seed,
                 profile=profile, status=Status.OUT_OF_MEMORY, reason="why so")
        for mode in ABILITIES[Framework.MINDSPORE].modes
        for dataset in ("mnist", "fashion@0123456789ab")
        for seed in (1, 4294967295)
        for profile in ("default", "onednn_isa=avx2+launch_blocking+operator_threads=16")
    ]  # fmt: skip
    for text in (render(table, "terminal"), render(rows(wide, "run-1"), "terminal")):
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
        assert "…" not in text
    assert "12,345–12,345" in text, "a figure is never cut"


def test_what_all_lines_share_is_in_the_caption_of_a_terminals_table(measured):
    table = rows([measured((100, 100), batch_size=size, pipeline="cached") for size in (32, 64)], "r")
    text = render(table, "terminal")
    assert text.split("\n")[0].split() == ["batch", "images/s", "spread", "accuracy"]
    assert "All: graph, cached pipeline, status ok ?n." in " ".join(text.split())
    assert render(table[:1], "terminal").split("\n")[0].split()[:2] == ["mode", "batch"], "a single case is named"


def test_a_short_name_of_a_profile_is_explained_and_a_long_one_adds_to_it(measured):
    fast = RuntimeProfile(name="fast", launch_blocking=True, onednn_isa="AVX2")
    more = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking+operator_threads=16")
    records = [measured((100, 100)), *(
        record.model_copy(update={"case": record.case.model_copy(update={"profile": profile})})
        for profile in (fast, more) for record in [measured((200, 200))]
    )]  # fmt: skip
    table = rows(records, "r")
    text = render(table, "terminal")
    assert [line.split()[0] for line in text.split("\n")[2:5]] == ["default", "fast", "A"]
    assert "profile A: fast + operator_threads=16\n" in text
    assert "Profile fast: launch_blocking+onednn_isa=AVX2.\n" in text
    assert "Profile fast: launch\\_blocking+onednn\\_isa=AVX2." in render(table, "github")
    assert {line["profile"] for line in json.loads(render(table, "json"))} >= {"fast", "default"}


def _cells(line):
    return [each.strip() for each in line.strip().strip("|").split("|")]


def test_markdown(table):
    lines = render(table, "github").splitlines()
    header = _cells(lines[0])
    found = [dict(zip(header, _cells(line), strict=True)) for line in lines[2:7]]
    assert [each["images/s"] for each in found] == ["100", "200", "–", "5,000", "~~2,000~~"]
    assert found[0]["speed-up"] == "1.00×"
    assert "Speed-up: over mode=pynative" in render(table, "github")
    assert found[0]["mode"] == "PyNative"
    assert found[1]["accuracy"] == "(0.500 after 300 images)"
    assert found[3]["accuracy"] == "0.9800"
    assert found[3]["seconds to accuracy"] == "0.95: 12.5, 0.97: 12.5, 0.98: 12.5"
    assert found[1]["peak MiB"] == "1,024"
    assert found[2]["status"] == "crashed (1)"


def test_json_is_strict_and_has_one_row_per_record(table):
    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(render(table, "json"), parse_constant=refuse)
    assert [each["images_per_second"] for each in found] == pytest.approx([100, 200, None, 5000, 2000])
    assert found[2]["reason"] == "the worker ended with SIGSEGV"


def test_csv_is_read_back_by_pandas(table):
    frame = pd.read_csv(io.StringIO(render(table, "csv")))
    assert list(frame.status) == ["ok", "ok", "crashed", "ok", "diverged"]
    assert frame.images_per_second.iloc[1] == pytest.approx(200)
    assert frame.images_per_second.isna().tolist() == [False, False, True, False, False]
    assert frame["seconds_to_accuracy_0.98"].iloc[3] == 12.5


def test_a_figure_of_csv_is_written_as_in_json(table):
    """A column of whole numbers in which one is missing stays one of whole numbers."""
    found = json.loads(render(table, "json"))
    lines = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert {line["epochs"] for line in lines} == {"", "10"}
    assert {line["seed"] for line in lines} == {"1"}
    for row, line in zip(found, lines, strict=True):
        row |= {f"seconds_to_accuracy_{name}": value for name, value in row.pop("seconds_to_accuracy").items()}
        assert line == {name: "" if value is None else str(value) for name, value in row.items()}


def test_a_value_has_the_same_digits_in_every_form(measured):
    """Also in columns that hold nothing but figures."""
    table = rows(
        [measured((100, 200, 400), mode=mode, batch_size=64) for mode in ABILITIES[Framework.MINDSPORE].modes], "r"
    )
    markdown = [_cells(line) for line in render(table, "github").splitlines() if line.startswith("|")]
    columns = dict(zip(*[markdown[0], zip(*markdown[2:], strict=True)], strict=True))
    assert set(columns["final loss"]) == {"0.1250"}
    assert set(columns["compile s"]) == {"0.25"}
    page = Page(render(table, "html"))
    assert page.rows == [[cell.strip("~") for cell in line] for line in (markdown[0], *markdown[2:])]
    for name in ("images/s", "spread", "speed-up"):
        shown = [line.split() for line in render(table, "terminal").splitlines()[2:6]]
        for line, value in zip(shown, columns[name], strict=True):
            assert value.replace("~~", "") in [word.strip("[]") for word in line]


class Page(html.parser.HTMLParser):
    """The tags of a page, its text, and the cells of its tables."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.rows = set(), "", []
        self.feed(text)
        self.rows = [["".join(cell).strip() for cell in row] for row in self.rows]

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append([])
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1] and self.lasttag in ("td", "th", "s"):
            self.rows[-1][-1].append(data)


@pytest.mark.parametrize("reason", HOSTILE, ids=lambda text: text[:12])
@pytest.mark.parametrize("form", FORMATS)
def test_hostile_text_in_a_record_is_escaped(measured, reason, form):
    text = render(rows([measured((), status=Status.CRASHED, reason=reason)], "r"), form)
    assert "\x1b" not in text
    if form == "html":
        page = Page(text)
        assert not page.tags & {"script", "img", "a", "iframe"}
        assert clean(reason) in page.text
    elif form == "csv":
        ((given,),) = [[line["reason"]] for line in csv.DictReader(io.StringIO(text))]
        assert given[:1] not in "=+-@"
    elif form == "json":
        assert json.loads(text)[0]["reason"] == reason
    else:
        assert "\u202e" not in text
        if form == "github":
            assert "<script>" not in text
            assert "[x](javascript" not in text


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("form", FORMATS)
def test_every_status_is_shown_in_every_format(measured, status, form):
    assert status.value in render(rows([measured((), status=status, reason="why so")], "r"), form)


def test_other_data_is_never_shown_as_mnist(measured):
    for form in ("terminal", "github", "html"):
        text = render(rows([measured(dataset="digits")], "r"), form)
        assert "NOT MNIST: digits" in text
        assert "NOT MNIST" not in render(rows([measured()], "r"), form)


def test_the_spread_of_repeated_cases_is_explained(measured):
    table = rows([measured((rate,), repetition=i) for i, rate in enumerate((100, 300))], "r")
    assert "the range over fewer than 3 processes" in render(table, "terminal")


@pytest.mark.parametrize("form", FORMATS)
def test_no_record_is_a_usage_error(form):
    with pytest.raises(UsageError, match="no record to show"):
        render([], form)
