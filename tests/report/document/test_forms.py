"""The forms of a report: which is meant, and the Markdown and terminal twins."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from rich.cells import cell_len
from rich.console import Console

from lenet.cases.case import Mode
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.errors import UsageError
from lenet.report.content.gather import gather
from lenet.report.document.forms import choose, text_of, write
from lenet.report.document.html import page
from lenet.report.document.terminal import report_text, show
from lenet.store.record import Status

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) | \u202egpj.exe \x1b[31mred " + "x" * 10_000


@pytest.fixture
def report(tmp_path, measured, write_run):
    records = [
        measured((990, 1000, 1010), epochs=2, correct=98),
        measured((190, 200, 210), mode=Mode.PYNATIVE),
        measured((), mode=Mode.JIT, status=Status.CRASHED, reason=HOSTILE, version=HOSTILE),
    ]
    write_run(tmp_path / "runs" / "one", records, losses=[2.3, 1.5])
    second = [measured((5000, 5000), version="2.9.0"), measured((400, 400), framework_version="2.10.0")]
    write_run(tmp_path / "runs" / "two", second, cpu=HOSTILE[:200])
    return gather([tmp_path / "runs"])


@pytest.mark.parametrize(
    ("output", "form", "meant"),
    [
        ("a/report.html", None, "html"), ("README.md", None, "markdown"), (None, None, "terminal"),
        ("x.txt", "markdown", "markdown"), (None, "html", "html"),
    ],
)  # fmt: skip
def test_the_suffix_or_the_option_chooses_the_form(output, form, meant):
    assert choose(Path(output) if output else None, form) == meant


@pytest.mark.parametrize(("output", "form"), [("report.pdf", None), (None, "pdf")])
def test_an_unknown_form_is_a_usage_error(output, form):
    with pytest.raises(UsageError, match="html"):
        choose(Path(output) if output else None, form)


def test_the_markdown_has_headline_tables_and_pictures_that_exist(report, tmp_path):
    write(report, "markdown", tmp_path / "out" / "README.md", None)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert text.startswith(
        "# Speed and accuracy of LeNet\n\n**Fastest: Graph (functional step) on CPU at batch 32, 5,000 "
    )
    assert "## Leaderboard" in text
    assert "## Machines" in text
    assert "| [one](../runs/one)" not in text, "a link never leads out of the report's folder"
    named = [line.split("](")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert named
    assert all((tmp_path / "out" / name).is_file() for name in named)
    assert len(set(named)) == len(named)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.svg")) < 500_000


@pytest.mark.parametrize("name", ["README", "the report (2) 50% \n\udcff"])
def test_every_link_of_the_markdown_leads_somewhere(report, tmp_path, name):
    write(report, "markdown", tmp_path / f"{name}.md", None)
    text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    pictures = tmp_path / f"{name}-pictures"
    details = (pictures / "details.md").read_text(encoding="utf-8")
    assert "[one](runs/one)" in text
    assert "[two](../runs/two)" in details
    for found, home in ((text, tmp_path), (details, pictures)):
        for target in re.findall(r"(?<!\\)\]\(([^)#]+)\)", found):
            assert not re.search(r"\s", target)
            assert (home / os.fsdecode(unquote_to_bytes(target))).exists(), target


def test_a_limited_address_space_is_one_sentence(report, tmp_path, monkeypatch):
    """As `ulimit -v` on a cluster's login node: the JavaScript engine ends the process."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (2**33, 2**33))
    with pytest.raises(UsageError, match="charts need 128 GiB of address space"):
        write(report, "markdown", tmp_path / "README.md", None)
    assert "images/s" in text_of(report, "markdown", None)


def test_the_pictures_are_beside_the_target_of_a_link_and_nowhere_beside_a_pipe(report, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "link.md").symlink_to("shared/report.md")
    write(report, "markdown", tmp_path / "link.md", None)
    assert (tmp_path / "shared" / "report-pictures" / "details.md").is_file()
    os.mkfifo(tmp_path / "pipe.md")
    reader = threading.Thread(target=(tmp_path / "pipe.md").read_bytes)
    reader.start()
    write(report, "markdown", tmp_path / "pipe.md", None)
    reader.join()
    assert {path.name for path in tmp_path.iterdir()} >= {"link.md", "pipe.md", "shared"}
    assert not list(tmp_path.glob("*-pictures"))


def test_the_markdown_has_at_most_150_lines_whatever_there_is(tmp_path, measured, write_run):
    """Nine machines, two with four releases, of four modes, as installed and tuned, at three batch sizes."""
    for machine in range(9):
        records = [
            measured((50 + b, 60 + machine), mode=mode, batch_size=b, profile=profile, version=v, framework_version=v)
            for mode in ABILITIES[Framework.MINDSPORE].modes
            for b in (32, 64, 128)
            for profile in ("default", "a-profile-with-a-long-name")
            for v in ("2.7.0", "2.8.0", "2.9.0", "2.10.0")[: 4 if machine < 2 else 1]
        ]
        records += [measured((9, 9), epochs=10, correct=98, batch_size=32), measured((90, 90), world_size=2)]
        records += [measured((), mode=Mode.JIT, status=Status.CRASHED, reason="why", seed=2)]
        write_run(tmp_path / f"machine-{machine}", records, cpu=f"CPU {machine}")
    found = gather([tmp_path])
    write(found, "markdown", tmp_path / "README.md", None)
    lines = (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert sum(line.startswith("![") for line in lines) == 5
    details = (tmp_path / "README-pictures" / "details.md").read_text(encoding="utf-8")
    assert all(f"CPU {machine}, " in details for machine in range(9))


def test_hostile_text_is_escaped_in_markdown(report, tmp_path):
    write(report, "markdown", tmp_path / "README.md", None)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "[x](javascript" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    for line in text.splitlines():
        assert line.count("|") == 0 or not line.startswith("| one") or line.endswith("|")


def test_the_terminal_fits_80_columns_and_reads_without_colour(report):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show(report, console)
    text = console.file.getvalue()
    assert "Fastest: Graph (functional step) on CPU at batch 32, 5,000 images/s" in " ".join(text.split())
    assert "Leaderboard" in text
    assert "█" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_the_terminal_has_the_order_of_the_page(report):
    text = report_text(report)
    titles = ["Fastest: ", "Which mode is fastest?", "Training images per second", "Test accuracy by epoch",
              "Version by version", "Leaderboard", "Records: "]  # fmt: skip
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    shown = page(report)
    order = ["<h1", 'class="answers"', 'id="speeds"', "data-chart=", 'id="history"', 'id="leaderboard"', 'id="records"',
             'id="machines"']  # fmt: skip
    places = [shown.index(mark) for mark in order]
    assert places == sorted(places)


def test_a_run_with_an_undecodable_path_is_reported_in_every_form(tmp_path, measured, write_run):
    folder = tmp_path / os.fsdecode(b"\xff\xfe")
    write_run(folder / os.fsdecode(b"a \x1b[31m\xff"), [measured(), measured(mode=Mode.JIT)], losses=[2.3, 1.5])
    write_run(folder / "b", [measured()])
    (folder / os.fsdecode(b"damaged \xff")).mkdir()
    (folder / os.fsdecode(b"damaged \xff") / "manifest.json").write_text("{}", encoding="utf-8")
    found = gather([folder])
    assert set(found.runs) == {"a  [31m\N{REPLACEMENT CHARACTER}", "b"}
    for name in ("report.html", "report.md"):
        write(found, choose(tmp_path / name, None), tmp_path / name, None)
        assert "[31m" in (tmp_path / name).read_text(encoding="utf-8")
    report_text(found).encode()


def test_a_baseline_that_no_row_has_is_a_usage_error(report, tmp_path):
    for form, name in (("markdown", "a.md"), ("html", "a.html")):
        with pytest.raises(UsageError, match="no row has it"):
            write(report, form, tmp_path / name, "batch_size=7")
        assert not (tmp_path / name).exists()


def test_the_command_writes_a_page_and_refuses_bad_input(report, tmp_path):
    from typer.testing import CliRunner

    from lenet.cli import app

    target = tmp_path / "out" / "report.html"
    done = CliRunner().invoke(app, ["report", str(tmp_path / "runs"), "-o", str(target)])
    assert done.exit_code == 0
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    for arguments in (["none"], [str(tmp_path / "runs"), "-o", "x.pdf"], [str(tmp_path / "runs"), "--format", "pdf"]):
        failed = CliRunner().invoke(app, ["report", *arguments])
        assert isinstance(failed.exception, UsageError)
