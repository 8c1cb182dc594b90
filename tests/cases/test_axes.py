"""The forms of an axis's value: parsed, plain, in words, sorted. tests/contract/test_axes.py tests what reads them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lenet.cases.axes import axis
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import DeviceTarget, Mode


def test_the_table_needs_no_pydantic():
    """`lenet-bench --help` reads it."""
    code = "import sys, lenet.cases.axes; print({'pydantic', 'packaging', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_names_aliases_and_unknown_names():
    assert axis("version") is axis("framework_version")
    assert axis("device") is axis("device_target")
    with pytest.raises(KeyError):
        axis("speed")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("device_target", "ascend", DeviceTarget.ASCEND),
        ("mode", " JIT ", Mode.JIT),
        ("batch_size", "64", 64),
        ("dataset", "mnist", "mnist"),
        ("profile", "launch_blocking", RuntimeProfile.parse("launch_blocking")),
    ],
)
def test_values_are_read_from_text(name, text, value):
    assert axis(name).parse(text) == value


@pytest.mark.parametrize("text", ["", "1.5", "-1", "1e3", "١", "many"])
def test_a_whole_number_has_digits_alone(text):
    with pytest.raises(ValueError, match="is not a whole number"):
        axis("batch_size").parse(text)


@pytest.mark.parametrize(
    ("name", "plains", "words"),
    [
        ("batch_size", [32, 1024], "batch 32, 1,024"),
        ("world_size", [1], "1 process"),
        ("world_size", [1, 2], "1, 2 processes"),
        ("epochs", [None], "no epochs"),
        ("epochs", [1], "1 epoch"),
        ("framework_version", [None], "unknown version"),
        ("repetition", [0], "repetition 1"),
        ("pipeline", ["cached"], "cached pipeline"),
    ],
)
def test_values_in_words(name, plains, words):
    assert axis(name).words(*plains) == words


@pytest.mark.parametrize(
    ("name", "plains"),
    [
        ("mode", ["pynative", "graph", "jit", "model", "eager", "compile"]),
        ("profile", ["default", "a", "b"]),
        ("framework_version", [None, "2.9.0", "2.10.0"]),
        ("epochs", [None, 2, 10]),
        ("dataset", ["digits", "mnist"]),
    ],
)
def test_values_are_sorted(name, plains):
    assert sorted([plains[-1], *plains[:-1]], key=axis(name).rank) == plains


def test_a_value_is_named_as_it_is_shown_or_as_it_is_typed():
    profile = axis("profile")
    value = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking")
    names = ["onednn_isa=avx2+launch_blocking", "launch_blocking+onednn_isa=AVX2"]
    assert all(profile.is_named(text, value.name, profile.identity(value)) for text in names)
    assert not profile.is_named("onednn_isa=AVX2", value.name, profile.identity(value))
    assert axis("epochs").is_named("none", None, "")


def test_the_matrix_around_cases_omits_what_cannot_be_shared():
    cases = [Case(hyperparameters={"batch_size": 33}), Case(world_size=2)]
    spanned = Matrix.around(cases).cases()
    assert set(cases) <= set(spanned)
    assert len(spanned) == 3
