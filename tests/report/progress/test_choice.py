"""The view of the progress that fits a terminal, a notebook and a log."""

from __future__ import annotations

import sys

import pytest

from lenet.report.progress.choice import progress
from lenet.report.progress.live import LiveObserver
from lenet.report.progress.notebook import NotebookObserver
from lenet.report.progress.plain import PlainObserver
from lenet.store.run import Store


@pytest.mark.parametrize(
    ("terminal", "jupyter", "quiet", "variables", "kind"),
    [
        (True, False, False, {}, LiveObserver),
        (False, True, False, {}, NotebookObserver),
        (True, True, False, {}, NotebookObserver),
        (False, False, False, {}, PlainObserver),
        (False, False, False, {"FORCE_COLOR": "1"}, PlainObserver),
        (True, False, False, {"TERM": "dumb"}, PlainObserver),
        (True, True, True, {}, PlainObserver),
    ],
)
def test_each_place_has_its_view(honest_run, digits, monkeypatch, terminal, jupyter, quiet, variables, kind):
    shown = []
    for name, value in ({"TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: terminal)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: jupyter)
    monkeypatch.setattr("IPython.display.display", lambda each, **_: shown.append(each))
    store = Store.open(honest_run)
    with progress(store, {"digits": digits}, 4, quiet) as observer:
        assert type(observer) is kind
    assert len(shown) == (kind is NotebookObserver)
