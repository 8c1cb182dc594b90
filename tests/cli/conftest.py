"""The command line, called in this process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lenet.cli import main
from lenet.cli.signals import HANDLED


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
