"""The ladder of checks and the convergence of records, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from lenet.analysis.check import LayerDistance, Match, Rung, RungResult, TraceComparison, skipped
from lenet.analysis.convergence import Convergence, ConvergenceStatus
from lenet.cases.case import Plan, RuntimeProfile
from lenet.report.text import check


def result(rung, holds, **fields):
    return RungResult(rung=rung, compared=fields.pop("compared", "graph / jit"), holds=holds, **fields)


DIFFERENT = TraceComparison(
    outcome=Match.DIFFERENT,
    steps=100,
    same_order=True,
    same_images=True,
    same_initial_weights=True,
    first_weights_apart=1,
    layers_apart=("layers.0.weight", "layers.3.weight", "layers.7.weight", "layers.7.bias"),
    first_loss_apart=2,
    beyond=37,
    largest_loss_difference=0.0123,
    distances=(
        LayerDistance(layer="layers.7.bias", relative=0.00234),
        LayerDistance(layer="layers.0.weight", relative=1e-5),
    ),
)
RESULTS = [
    result(Rung.REPEAT, True, compared="graph, twice", comparison=TraceComparison(outcome=Match.IDENTICAL, steps=100)),
    result(
        Rung.SEED,
        True,
        compared="seed 1 / 2",
        comparison=TraceComparison(
            outcome=Match.OTHER_DATA, steps=100, same_order=False, same_initial_weights=False, first_batch_apart=1
        ),
    ),
    result(Rung.MODES, False, comparison=DIFFERENT),
    result(Rung.DEVICE, None, compared="CPU / GPU", comparison=skipped("no GPU"), reason="no GPU"),
    result(
        Rung.LEARN, True, compared="one epoch / reference", verdict=ConvergenceStatus.CONVERGED, reason="over 1 epoch"
    ),
]


@pytest.fixture
def text():
    return check.results_text(RESULTS, "Measured with cores 2.", 1e-3)


def test_a_terminal_of_80_columns_is_enough(text):
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_each_rung_has_its_line(text):
    lines = [line.split() for line in text.splitlines()[2:7]]
    assert [line[0] for line in lines] == ["repeat", "seed", "modes", "device", "learn"]
    assert [line[-1] for line in lines] == ["yes", "yes", "NO", "–", "yes"]


def test_a_difference_has_step_size_and_layer(text):
    flat = " ".join(text.split())
    assert "different from step 37 [1]" in flat
    assert "the first bit differs after step 1, in layers.0.weight, layers.3.weight, layers.7.weight and 1 more" in flat
    assert "losses differ by 1.2e-02 at most (tolerance 0.001)" in flat
    assert "after step 37 layers.7.bias differs most, by about 2e-03 of its norm" in flat


def test_a_long_profile_is_shown_whole():
    compared = "default / operator_threads=1+dispatch_threads=1+launch_blocking+onednn_isa=AVX2"
    text = check.results_text([result(Rung.PROFILE, True, compared=compared)], "", 1e-3)
    assert compared.replace(" ", "") in "".join("".join(line[9:56].split()) for line in text.splitlines()[2:])


def test_reasons_are_notes(text):
    assert "[2] no GPU" in text
    assert "[3] over 1 epoch" in text


def test_a_data_order_that_ignores_the_seed_is_noted():
    comparison = TraceComparison(
        outcome=Match.OTHER_START, steps=9, same_order=True, same_initial_weights=False, first_weights_apart=0
    )
    text = check.results_text([result(Rung.SEED, False, comparison=comparison)], "", 1e-3)
    assert "the data have the same order, the initial weights differ" in text


@pytest.mark.parametrize(("threads", "word"), [("2", "does not cover more than 4"), ("16", "do not mean equal bits")])
def test_the_number_of_threads_is_stated(threads, word):
    text = check.settings_text({"cores": "2", "operator_threads": threads})
    assert f"operator threads {threads}" in text
    assert word in text


def test_threads_of_a_profile_override_the_frameworks(measured):
    record = measured()
    software = record.software.model_copy(update={"details": {"operator_threads": "2"}})
    cases = [
        record.case.model_copy(update={"plan": Plan(trace=True), "profile": RuntimeProfile.parse(profile)})
        for profile in ("default", "operator_threads=1")
    ]
    records = [record.model_copy(update={"case": case, "software": software}) for case in cases]
    assert check.settings(records, 2)["operator_threads"] == "2, 1"


def test_json_has_every_figure():
    content = json.loads(check.results_json(RESULTS, {"cores": "2"}, 1e-3))
    assert content["settings"] == {"cores": "2"}
    assert [each["rung"] for each in content["findings"]] == ["repeat", "seed", "modes", "device", "learn"]
    assert content["findings"][2]["comparison"]["beyond"] == 37
    assert content["findings"][2]["comparison"]["distances"][0] == {"layer": "layers.7.bias", "relative": 0.00234}


def test_the_convergence_of_records(measured):
    results = [
        (measured(epochs=1), Convergence(ConvergenceStatus.TOO_SLOW, "accuracy 0.5000 after epoch 1, where …")),
        (measured(), Convergence(ConvergenceStatus.NOT_ASSESSED, "not whole epochs")),
    ]
    text = check.convergence_text(results)
    assert "too slow: accuracy 0.5000 after epoch 1" in text
    assert max(map(len, text.splitlines())) <= 80
    assert [each["verdict"] for each in json.loads(check.convergence_json(results))] == ["too slow", "not judged"]
