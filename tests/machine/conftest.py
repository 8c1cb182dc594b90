"""Cards of this machine that are made quickly."""

from __future__ import annotations

import functools

import pytest

from lenet.machine import card


@pytest.fixture(scope="session")
def _answers():
    """What programs and packages say, asked once; it takes most of the time of a card."""
    cpu, packages = card._cpu_information(), card.packages()
    libraries = functools.cache(card.libraries)
    libraries(None)
    return {"_cpu_information": lambda: cpu, "packages": lambda: packages, "libraries": libraries}


@pytest.fixture
def new_card(monkeypatch, _answers):
    """Makes a new card in the place of the cached one."""
    for name, answer in _answers.items():
        monkeypatch.setattr(card, name, answer)
    return card.describe.__wrapped__
