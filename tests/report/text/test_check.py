"""The ladder and the judgement of runs as a person and as a program read them."""

from __future__ import annotations

import json

import pytest

from lenet.analysis.check import Comparison, Distance, Outcome, skipped
from lenet.analysis.convergence import Convergence, Verdict
from lenet.cases.case import Plan, RuntimeProfile
from lenet.commands.check import Finding, Rung
from lenet.report.text import check


def finding(rung, holds, **fields):
    return Finding(rung=rung, compared=fields.pop("compared", "graph / jit"), holds=holds, **fields)


PARTED = Comparison(
    outcome=Outcome.PARTED,
    steps=100,
    same_order=True,
    same_images=True,
    same_initial_weights=True,
    first_weights_apart=1,
    layers_apart=("layers.0.weight", "layers.3.weight", "layers.7.weight", "layers.7.bias"),
    first_loss_apart=2,
    beyond=37,
    largest_loss_difference=0.0123,
    distances=(Distance(layer="layers.7.bias", relative=0.00234), Distance(layer="layers.0.weight", relative=1e-5)),
)
FINDINGS = [
    finding(Rung.REPEAT, True, compared="graph, twice", comparison=Comparison(outcome=Outcome.IDENTICAL, steps=100)),
    finding(
        Rung.SEED,
        True,
        compared="seed 1 / 2",
        comparison=Comparison(
            outcome=Outcome.OTHER_DATA, steps=100, same_order=False, same_initial_weights=False, first_batch_apart=1
        ),
    ),
    finding(Rung.MODES, False, comparison=PARTED),
    finding(Rung.DEVICE, None, compared="CPU / GPU", comparison=skipped("no GPU"), reason="no GPU"),
    finding(Rung.LEARN, True, compared="one epoch / reference", verdict=Verdict.CONVERGED, reason="over 1 epoch"),
]


@pytest.fixture
def text():
    return check.findings_text(FINDINGS, "Seen with cores 2.", 1e-3)


def test_a_terminal_of_80_columns_is_enough(text):
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_each_rung_has_its_line(text):
    lines = [line.split() for line in text.splitlines()[2:7]]
    assert [line[0] for line in lines] == ["repeat", "seed", "modes", "device", "learn"]
    assert [line[-1] for line in lines] == ["yes", "yes", "NO", "–", "yes"]


def test_a_parting_is_told_with_step_size_and_layer(text):
    flat = " ".join(text.split())
    assert "parted at step 37 [1]" in flat
    assert "the first bit differs after step 1, in layers.0.weight, layers.3.weight, layers.7.weight and 1 more" in flat
    assert "losses differ by 1.2e-02 at most (tolerance 0.001)" in flat
    assert "after step 37 layers.7.bias differs the most, by about 2e-03 of its norm" in flat


def test_a_long_profile_is_named_whole_in_a_note():
    compared = "default / operator_threads=1+dispatch_threads=1+launch_blocking"
    text = check.findings_text([finding(Rung.PROFILE, True, compared=compared)], "", 1e-3)
    assert f"[1] {compared}" in " ".join(text.split())
    assert "default / operator_threa… [1]" in text


def test_reasons_are_notes(text):
    assert "[2] no GPU" in text
    assert "[3] over 1 epoch" in text


def test_a_data_order_that_does_not_depend_on_the_seed_is_said():
    comparison = Comparison(
        outcome=Outcome.OTHER_START, steps=9, same_order=True, same_initial_weights=False, first_weights_apart=0
    )
    text = check.findings_text([finding(Rung.SEED, False, comparison=comparison)], "", 1e-3)
    assert "the order of the data is the same, the initial weights differ" in text


@pytest.mark.parametrize(("threads", "word"), [("2", "Nothing is said for more than 4"), ("16", "need not come again")])
def test_the_threads_under_which_it_was_seen(threads, word):
    text = check.settings_text({"cores": "2", "operator_threads": threads})
    assert f"operator threads {threads}" in text
    assert word in text


def test_threads_that_a_profile_sets_are_told_as_it_sets_them(measured):
    record = measured()
    software = record.software.model_copy(update={"details": {"operator_threads": "2"}})
    cases = [
        record.case.model_copy(update={"plan": Plan(trace=True), "profile": RuntimeProfile.parse(profile)})
        for profile in ("default", "operator_threads=1")
    ]
    records = [record.model_copy(update={"case": case, "software": software}) for case in cases]
    assert check.settings(records, 2)["operator_threads"] == "2, 1"


def test_a_program_gets_every_figure():
    content = json.loads(check.findings_json(FINDINGS, {"cores": "2"}, 1e-3))
    assert content["settings"] == {"cores": "2"}
    assert [each["rung"] for each in content["findings"]] == ["repeat", "seed", "modes", "device", "learn"]
    assert content["findings"][2]["comparison"]["beyond"] == 37
    assert content["findings"][2]["comparison"]["distances"][0] == {"layer": "layers.7.bias", "relative": 0.00234}


def test_judged_runs(measured):
    judged = [
        (measured(epochs=1), Convergence(Verdict.TOO_SLOW, "accuracy 0.5000 after epoch 1, where …")),
        (measured(), Convergence(Verdict.NOT_JUDGED, "not whole epochs")),
    ]
    text = check.judged_text(judged)
    assert "too slow: accuracy 0.5000 after epoch 1" in text
    assert max(map(len, text.splitlines())) <= 80
    assert [each["verdict"] for each in json.loads(check.judged_json(judged))] == ["too slow", "not judged"]
