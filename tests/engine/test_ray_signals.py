"""Ray replaces the handler of SIGTERM in the process that uses it: a command would not end as on Ctrl-C."""

from __future__ import annotations

import signal
import sys

import pytest

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

from lenet.cli import signals  # noqa: E402
from lenet.engine.ray import RayEngine  # noqa: E402


@pytest.fixture(autouse=True)
def _handlers_as_before():
    before = {number: signal.getsignal(number) for number in signals.HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_interrupts_a_run_on_ray(monkeypatch):
    def init(**_):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as ray.init does

    def nodes():
        signal.raise_signal(signal.SIGTERM)
        return []

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "nodes", nodes)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    signals.install()
    with pytest.raises(KeyboardInterrupt):
        RayEngine().run([], {}, None)
