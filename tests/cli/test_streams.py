"""What is printed: to readers that end early, to full disks, to closed descriptors, in every encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading

import pytest
import typer.main

from lenet.cli import app
from lenet.cli.output import put

PRINTING = {
    **{name: [name, "--help"] for name in typer.main.get_group(app).commands},
    "table": ["table", "RUN", "--format", "csv"],
    "report": ["report", "RUN", "--format", "markdown"],
    "compare": ["compare", "RUN", "RUN"],
    "verify": ["verify", "RUN", "--steps", "0"],
    "check": ["check", "RUN"],
    "merge": ["merge", "RUN", "-o", "merged"],
    "run": ["run", "--resume", "RUN", "--dry-run"],
}
"""Each command as it prints without a measurement, or else its help."""


@pytest.fixture(scope="module")
def expected(honest_run, tmp_path_factory, call_in):
    """Exit code and standard output of a command whose output is read."""
    known = {}

    def ask(name):
        if name not in known:
            code, printed, err = call_in(tmp_path_factory.mktemp("read"), words_of(name, honest_run))
            assert "Traceback" not in err
            known[name] = code, printed
        return known[name]

    return ask


def words_of(name, run):
    return [str(run) if word == "RUN" else word for word in PRINTING[name]]


def command(name, run):
    return " ".join([f'"{sys.executable}" -m lenet.cli', *words_of(name, run)])


def shell(folder, line, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder, env={**environment, **variables}, capture_output=True, text=True, timeout=200, errors="replace",
    )  # fmt: skip


@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("name", PRINTING)
def test_a_reader_that_has_ended_changes_no_exit_code(expected, honest_run, tmp_path, name, variables):
    code, printed = expected(name)
    assert printed
    reader, writer = os.pipe()
    os.close(reader)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", command(name, honest_run)],
        cwd=tmp_path, env={**environment, **variables}, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=200,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == code, done.stderr
    assert "rror" not in done.stderr


@pytest.mark.parametrize("name", PRINTING)
def test_a_full_disk_is_one_sentence(honest_run, tmp_path, name):
    done = shell(tmp_path, f"{command(name, honest_run)} > /dev/full")
    assert done.returncode == 2, done
    assert done.stderr.splitlines()[-1] == (
        "lenet-bench: error: standard output cannot be written: No space left on device"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["2> /dev/full", "2>&-", "2> /dev/full < /dev/null", "<&-"])
def test_what_cannot_be_said_changes_nothing_else(expected, honest_run, tmp_path, closed):
    assert shell(tmp_path, f"{command('table', honest_run)} {closed}").stdout == expected("table")[1]
    assert shell(tmp_path, f"{command('table', tmp_path / 'nowhere')} {closed}").returncode == 2


def test_without_a_standard_output(honest_run, tmp_path):
    done = shell(tmp_path, f"{command('table', honest_run)} >&- && {command('table', honest_run)} -o out >&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out").read_text().startswith("framework,")


def test_a_failed_comparison_fails_though_nobody_reads_it(honest_run, tmp_path):
    line = f'"{sys.executable}" -m lenet.cli verify {honest_run.parent}'
    (honest_run.parent / "forged").mkdir()
    try:
        subprocess.run(["cp", "-r", f"{honest_run}/.", f"{honest_run.parent}/forged"], check=True)
        (honest_run.parent / "forged" / "table.csv").write_text("device\nmine\n")
        assert shell(tmp_path, line).returncode == 1
        reader, writer = os.pipe()
        os.close(reader)
        assert subprocess.run(["bash", "-c", line], stdout=writer, cwd=tmp_path, timeout=100).returncode == 1
        os.close(writer)
    finally:
        subprocess.run(["rm", "-r", f"{honest_run.parent}/forged"], check=True)


@pytest.mark.parametrize("form", ["-o out", "--output out"])
def test_a_pipe_whose_reader_ends_early(honest_run, tmp_path, form):
    os.mkfifo(tmp_path / "out")
    reader = threading.Thread(target=lambda: os.close(os.open(tmp_path / "out", os.O_RDONLY)))
    reader.start()
    done = shell(tmp_path, f"{command('table', honest_run)} {form}")
    reader.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out").is_fifo()


ENCODINGS = {
    "c": {"LC_ALL": "C"},
    "posix": {"LC_ALL": "POSIX"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "absent": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR"},
    "nonsense": {"LC_ALL": "no/such\tlocale"},
    "latin": {"PYTHONIOENCODING": "latin-1:strict"},
    "strict-ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "wide": {"PYTHONIOENCODING": "utf-16"},
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_in_every_locale_and_encoding(honest_run, tmp_path, name):
    folder = tmp_path / "Größe 的 \N{GRINNING FACE} İı"
    subprocess.run(["cp", "-r", honest_run, folder], check=True)

    def printed(*words):
        done = subprocess.run(
            [sys.executable, "-m", "lenet.cli", *map(str, words)],
            cwd=tmp_path, env={**os.environ, **ENCODINGS[name]}, capture_output=True, timeout=100,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    verified = json.loads(printed("verify", folder, "--steps", "0", "--format", "json").decode())
    shown = json.dumps(verified, ensure_ascii=False)
    # Where Python takes names for ASCII, their other bytes are surrogates.
    assert "Größe 的 \N{GRINNING FACE} İı" in shown.encode(errors="surrogateescape").decode()
    page = printed("table", folder, "--format", "html").decode()
    assert "–" in page
    assert "\\u" not in page
    assert printed("report", folder)


@pytest.mark.parametrize("columns", ["0", "00", ""])
def test_a_terminal_of_no_column_is_one_of_unknown_width(lenet_bench, honest_run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert "images/s" in lenet_bench("report", honest_run).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "utf-8"])
def test_a_document_is_utf8_and_text_for_people_as_their_terminal_has_it(monkeypatch, encoding):
    for form, expected in (("html", "– ö \\udcff\n".encode()), ("terminal", None)):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors="lenet-escaped"))
        put("– ö \udcff\n", form)
        sys.stdout.flush()
        if expected is None:
            expected = "– ö \\udcff\n".encode(encoding, errors="lenet-escaped")
        assert written.getvalue() == expected
