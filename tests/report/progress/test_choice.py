"""The view of the progress that fits a terminal, a notebook and a log."""

from __future__ import annotations

import pytest
from rich.console import Console

from lenet.report.progress.choice import progress
from lenet.report.progress.live import LiveObserver
from lenet.report.progress.notebook import NotebookObserver
from lenet.report.progress.plain import PlainObserver
from lenet.store.run import Store


@pytest.mark.parametrize(
    ("terminal", "jupyter", "quiet", "kind"),
    [
        (True, False, False, LiveObserver),
        (False, True, False, NotebookObserver),
        (True, True, False, NotebookObserver),
        (False, False, False, PlainObserver),
        (True, True, True, PlainObserver),
    ],
)
def test_each_place_has_its_view(honest_run, digits, monkeypatch, terminal, jupyter, quiet, kind):
    shown = []
    monkeypatch.setattr(Console, "is_terminal", terminal)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: jupyter)
    monkeypatch.setattr("IPython.display.display", lambda each, **_: shown.append(each))
    store = Store.open(honest_run)
    with progress(store, {"digits": digits}, 4, quiet) as observer:
        assert type(observer) is kind
    assert len(shown) == (kind is NotebookObserver)
