"""The command line, called in this process."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timezone

import pytest
import typer.main

from lenet.cli import app, main
from lenet.cli.signals import HANDLED
from lenet.engine.local import LocalEngine
from lenet.files.http import Client, DownloadError
from lenet.machine.card import describe
from lenet.store.record import Record, Status

MOST_CASES = 12
"""After as many cases of one command in `world` the measurement is interrupted."""


@pytest.fixture
def lenet_bench(tmp_path, monkeypatch, capfd):
    """Call the command in an empty folder; returns what a subprocess would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    handlers = {number: signal.getsignal(number) for number in HANDLED}

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code, out, err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def call_in():
    """Call the command in a folder, with these variables; returns its exit code and what it printed."""

    def call(folder, words, **variables):
        handlers = {number: signal.getsignal(number) for number in HANDLED}
        out, err = io.StringIO(), io.StringIO()
        try:
            with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
                patch.chdir(folder)
                patch.setattr(sys, "argv", ["lenet-bench", *map(str, words)])
                for name, value in variables.items():
                    patch.setenv(name, value)
                stack.enter_context(contextlib.redirect_stdout(out))
                stack.enter_context(contextlib.redirect_stderr(err))
                with pytest.raises(SystemExit) as ended:
                    main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return ended.value.code, out.getvalue(), err.getvalue()

    return call


@pytest.fixture
def world(honest_run, tmp_path, monkeypatch, call_in):
    """Call the command in a folder with what the paths name, which is made anew if the call before changed it."""
    folder, profiles = tmp_path / "world", tmp_path / "profiles"
    measured, made = [], []

    def measure(self, cases, datasets, store, *_, **__):
        records = []
        for case in cases:
            measured.append(case)
            if len(measured) > MOST_CASES:
                raise KeyboardInterrupt
            now = datetime(2026, 1, 2, tzinfo=timezone.utc)
            failed = len(measured) % 3 == 0
            record = Record(
                case_id=case.id, case=case, status=Status.CRASHED if failed else Status.OK, started_at=now,
                finished_at=now, dataset=datasets[case.dataset].card, machine_id=describe().id,
            )  # fmt: skip
            store.write_record(record)
            records.append(record)
        return records

    def fail(*_, **__):
        raise OSError(2, "No such file or directory")

    def offline(*_, **__):
        raise DownloadError("no connection")

    describe()  # before nothing can be started
    monkeypatch.setattr(LocalEngine, "run", measure)
    if importlib.util.find_spec("ray") is not None:
        monkeypatch.setattr("lenet.engine.ray.RayEngine.run", measure)
    monkeypatch.setattr(subprocess, "Popen", fail)
    monkeypatch.setattr(Client, "download", offline)
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(profiles))
    monkeypatch.setenv("COLUMNS", "80")

    group = typer.main.get_command(app)  # to make it takes longer than many a command
    monkeypatch.setattr("typer.main.get_command", lambda _: group)

    def make():
        for each in (folder, profiles):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(honest_run, folder / "run")
        shutil.copytree(honest_run, folder / "all" / "inside")
        shutil.copytree(honest_run, folder / "damaged")
        next((folder / "damaged" / "records").iterdir()).write_bytes(b'{"case": \xff')
        (folder / "file").write_text("x")
        (folder / "link").symlink_to("run")
        (folder / "ring").symlink_to("ring")
        (folder / "m.toml").write_text('modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [32]\n')
        (folder / "data").mkdir()

    def state():
        places = sorted([*folder.rglob("*"), *profiles.rglob("*")])
        return [(each, found.st_ino, found.st_size, found.st_mtime_ns) for each in places for found in [each.lstat()]]

    def call(line):
        measured.clear()
        if made != state() or not made:
            make()
            made[:] = state()
        return call_in(folder, line)

    return call
