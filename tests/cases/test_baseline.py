"""What `--baseline` selects, of anything that has fields."""

from __future__ import annotations

import pytest

from lenet.cases.baseline import Held, baselines, parse
from lenet.errors import UsageError


def item(**values):
    """Fields whose plain form is the identity in capital letters."""
    given = {"framework": "mindspore", "framework_version": "2.10.0", "mode": "graph", "run": "r", **values}
    return {name: Held(value if name == "run" else value.upper(), value) for name, value in given.items()}


def places(items, selector):
    return [
        next((i for i, each in enumerate(items) if each is found), None)
        for found in baselines(items, parse(selector), lambda each: each)
    ]


@pytest.mark.parametrize("text", ["", "graph", "speed=9", "mode=graph,", "=", "images_per_second=1"])
def test_an_invalid_selector_is_a_usage_error(text):
    with pytest.raises(UsageError, match="write FIELD=VALUE"):
        parse(text)


def test_an_alias_names_its_field():
    assert parse("version=2.7.0, device=CPU,run=a") == {
        "framework_version": "2.7.0",
        "device_target": "CPU",
        "run": "a",
    }


@pytest.mark.parametrize("selector", ["mode=pynative", "mode=PYNATIVE"])
def test_a_value_is_named_by_its_plain_form_or_as_it_is_typed(selector):
    assert places([item(), item(mode="pynative"), item(mode="jit")], selector) == [1, 1, 1]


def test_a_baseline_agrees_in_all_other_fields():
    items = [item(), item(run="s"), item(mode="pynative"), item(mode="jit", framework_version="2.7.0")]
    assert places(items, "mode=pynative") == [2, None, 2, None]
    assert places(items, "run=s") == [1, 1, None, None]


def test_a_release_is_one_of_its_framework():
    """Only where the selector has a framework, and there is one release of that or the same."""
    peer, older = (item(framework="pytorch", framework_version=version) for version in ("2.13.0", "2.9.0"))
    assert places([item(), item(framework_version="2.7.0"), peer], "framework=pytorch") == [2, 2, 2]
    assert places([item(), older, peer], "framework=pytorch") == [None, 1, 2]
    assert places([item(), item(mode="pynative", framework_version="2.7.0")], "mode=pynative") == [None, 1]
