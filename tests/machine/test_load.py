"""The load of other processes is measured, that of the case itself is not part of it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lenet.machine.load import CaseLoad, Load, LoadMeter, _own_seconds, _Span, measure

BUSY = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


def test_the_load_of_another_process_is_measured():
    started = f"{shlex.quote(sys.executable)} -c {shlex.quote(BUSY.format(30))} >&- 2>&- & echo $!"
    # The shell ends, so that the process is nobody's child here.
    neighbour = int(subprocess.run(["sh", "-c", started], stdout=subprocess.PIPE, check=True).stdout)
    try:
        assert neighbour not in [each.pid for each in psutil.Process().children(recursive=True)]
        assert measure(1.0).foreign_cores > 0.1
    finally:
        os.kill(neighbour, signal.SIGKILL)


def test_the_time_of_a_child_is_own_time():
    before = _own_seconds()
    child = subprocess.Popen([sys.executable, "-c", BUSY.format(30)])
    try:
        time.sleep(1.0)
        assert _own_seconds() - before > 0.1
    finally:
        child.kill()
        child.wait()
    assert _own_seconds() - before > 0.1


def test_the_case_itself_is_not_foreign_load(monkeypatch):
    monkeypatch.setattr("lenet.machine.load._busy_seconds", iter((100.0, 109.0)).__next__)
    monkeypatch.setattr("lenet.machine.load._own_seconds", iter((20.0, 26.0)).__next__)
    monkeypatch.setattr("lenet.machine.load.time.monotonic", iter((0.0, 2.0)).__next__)
    assert _Span().foreign_cores() == pytest.approx((9 - 6) / 2)


def test_a_meter_measures_three_times():
    began = time.monotonic()
    load = LoadMeter().finish()
    assert time.monotonic() - began >= 0.2
    assert load.logical_cores >= 1
    assert 0 <= load.foreign_share <= 1


def test_share_and_change():
    quiet, busy = Load(foreign_cores=0.1, frequency_mhz=3000), Load(foreign_cores=2, frequency_mhz=2400)
    load = CaseLoad(logical_cores=4, before=quiet, after=busy, during_foreign_cores=1)
    assert load.foreign_share == 0.5
    assert load.frequency_change == pytest.approx(0.2)
    unknown = load.model_copy(update={"after": Load(foreign_cores=0)})
    assert (unknown.frequency_change, unknown.foreign_share) == (0, 0.25)
