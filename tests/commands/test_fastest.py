"""`tune` over releases: one final names the fastest. The worker has a known speed and stands for the frameworks."""

from __future__ import annotations

import shlex
import sys
import textwrap

import pytest
from known_speed import WORKER

from lenet.analysis.paired import LEAST_GROUPS
from lenet.cases.case import Case, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.cases.presets import override
from lenet.commands import fastest, tune
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.report.text.tune import fastest_text
from lenet.store.run import Store

SPEEDS = """
rate *= 2 if case["framework_version"] == "1.0.0" else 1
if case["mode"] == "pynative":
    rate *= 3 if profile["launch_blocking"] else 0.5
"""
"""PyNative of the old release wins, and only with its profile."""


@pytest.fixture(scope="module")
def settled(tmp_path_factory, digits):
    """The finals of two releases in two modes, and the run's store."""
    folder = tmp_path_factory.mktemp("finals")
    script, python = folder / "worker.py", folder / "python"
    script.write_text(WORKER.format(body=textwrap.dedent(SPEEDS)), encoding="utf-8")
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$3"\n', encoding="utf-8")
    python.chmod(0o755)
    engine = LocalEngine(TimeLimits(30, 30), interpreter=lambda *_: str(python), interleave="windows")
    matrix = Matrix(versions=("1.0.0", "2.0.0"), modes=("pynative", "graph"), datasets=("digits",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_BENCH_PROFILES", str(folder / "profiles"))
        patch.setattr(tune.releases, "prepare", lambda *_: None)
        patch.setattr(tune, "space", lambda *_: [RuntimeProfile.parse("launch_blocking")])
        run = tune.prepare(matrix, lambda _: digits, print, folder / "run")
        results = list(tune.tune(run, 600, print, engine))
        return list(fastest.final(run, results, 600, print, engine)), run.store


def test_the_final_names_release_mode_and_profile_with_an_interval(settled):
    (found,), _ = settled
    first, second = found.finalists[:2]
    assert (first.case.framework_version, first.case.mode.value) == ("1.0.0", "pynative")
    assert first.case.profile.text == "launch_blocking"
    assert found.leads[1].value == pytest.approx(2, rel=0.01)
    assert found.leads[1].groups >= LEAST_GROUPS
    assert found.clear
    text = " ".join(fastest_text(found).split())
    named = f"{second.case.framework_version}, {second.case.mode.value}"
    assert "Fastest: 1.0.0, pynative, launch_blocking, 3,00" in text
    assert f"images/s, 2.00× {named}" in text


def test_finalists_are_alive_together_in_processes_of_their_own(settled):
    (found,), store = settled
    confirmed = [each for each in Store.open(store.path).records() if each.case.plan == tune.CONFIRMATION]
    records = [each for each in confirmed if each.case.repetition >= fastest.MOST_GROUPS]
    assert len(records) == len(found.finalists) * len(found.finalists[0].measured)
    groups = {}
    for record in records:
        groups.setdefault(record.group, set()).add(record.case.framework_version)
    assert all(versions == {"1.0.0", "2.0.0"} for versions in groups.values())


def test_the_printed_command_names_the_winner_and_nothing_else(settled):
    (found,), _ = settled
    winner = found.finalists[0].case
    words = fastest.run_words(winner)
    assert shlex.join(words) == (
        "run --versions 1.0.0 --dataset digits --device cpu --mode pynative --batch-size 32 --profile launch_blocking"
    )
    given = {word.lstrip("-").replace("-", "_"): value for word, value in zip(words[1::2], words[2::2], strict=True)}
    (case,) = override(Matrix(), **given).cases()
    assert case == winner.model_copy(update={"plan": case.plan, "repetition": 0, "profile": case.profile})
    assert case.profile.settings == winner.profile.settings


def test_data_of_the_users_own_is_named_by_a_folder():
    assert fastest.run_words(Case(dataset="mine@0123456789ab"))[-2:] == ["--data-dir", "FOLDER"]


def test_a_profile_is_named_by_its_settings_as_they_are_typed():
    profile = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking")  # its name is in small letters
    words = fastest.run_words(Case(profile=profile))
    assert RuntimeProfile.parse(words[words.index("--profile") + 1]).settings == profile.settings
