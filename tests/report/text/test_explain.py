"""Explanations that were recorded, on CPUs with AVX-512 and with AVX2, in a terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lenet.analysis import onednn
from lenet.analysis.explain.findings import Explanation
from lenet.report.text.explain import explanation_text

LOGS = Path(__file__).parents[2] / "analysis/logs"
RECORDED = sorted((Path(__file__).parent / "explanations").glob("*.json"))


@pytest.fixture(params=RECORDED, ids=[path.stem for path in RECORDED])
def explained(request):
    found = Explanation.model_validate_json(request.param.read_text(encoding="utf-8"))
    return found, explanation_text(found, "2.10.0")


def squeezed(text):
    return "".join(text.split())


def test_it_fits_a_terminal(explained):
    assert max(map(len, explained[1].split("\n"))) <= 80


def test_the_cpu_is_named_as_onednn_names_it(explained):
    found, text = explained
    assert squeezed(f"oneDNN 3.10.1 for {found.observed.library.instruction_set}") in squeezed(text)


def test_every_kernel_is_there_with_its_time(explained):
    found, text = explained
    table = text[text.index("primitive (oneDNN") : text.index("Limits measured")]
    for kernel in found.observed.kernels:
        assert f"{kernel.milliseconds:,.3f}" in table
        assert kernel.implementation in table
    assert table.count("REF") == sum(kernel.is_reference for kernel in found.observed.kernels)


def test_the_account_of_a_step_is_there_and_whether_it_adds_up(explained):
    found, text = explained
    account = found.observed.account
    for part in account.parts:
        line = next(line for line in text.splitlines() if line.startswith(part.name))
        assert f"{part.milliseconds:,.2f}" in line
        assert f"{part.low:,.2f} to {part.high:,.2f}" in line
    assert ("The parts do not add up" in text.partition("With all fixes")[0]) is not account.adds_up


def test_findings_have_their_evidence_and_what_a_fix_gains(explained):
    found, text = explained
    assert found.findings or "No finding" in text
    for number, finding in enumerate(found.findings, 1):
        assert squeezed(f"{number}. {finding.title}") in squeezed(text)
        assert all(squeezed(each) in squeezed(text) for each in finding.evidence)
        if finding.trial is not None:
            assert squeezed(finding.trial.words) in squeezed(text)
            fix = f"{finding.trial.change} fixes it: {max(finding.gains, default=0):.2f}×"
            assert (squeezed(fix) in squeezed(text)) is (finding.remedy is not None)


def test_what_remains_adds_up_to_the_step(explained):
    found, text = explained
    last = (found.remaining or found.observed).account
    table = text[text.index("what remains, ms/step") :].splitlines()
    (step,) = [line for line in table if line.startswith("step")]
    assert f"{last.sum:,.3f}" in step
    for line in found.gap:
        assert any(each.startswith(line.name) and f"{line.ours:,.3f}" in each for each in table)


def test_the_dataset_is_named_once(explained):
    assert explained[1].split("\n\n")[0].count("digits") == 1


def test_only_avx512_gains_by_the_cap_to_avx2():
    assert len(RECORDED) >= 2
    for path in RECORDED:
        found = Explanation.model_validate_json(path.read_text(encoding="utf-8"))
        remedies = {finding.remedy for finding in found.findings}
        assert ("--profile onednn_isa=AVX2" in remedies) is path.stem.startswith("avx512")


@pytest.mark.parametrize("log", ["onednn-3.10.1-avx512.log", "onednn-3.10.1-avx2.log"])
@pytest.mark.parametrize("times", [1, 3, 12], ids=["as recorded", "long", "very long"])
def test_kernels_fit_whatever_they_are_called(log, times):
    """The kernels of a recorded log of oneDNN; also with names many times as long."""
    lines = (LOGS / log).read_text(encoding="ascii").splitlines()
    kernels = tuple(
        replace(each, operator=each.operator * times, implementation="+".join([each.implementation] * times))
        for each in onednn.kernels(onednn.parse(lines), 2)
    )
    assert len(kernels) > 4
    found = Explanation.model_validate_json(RECORDED[0].read_text(encoding="utf-8"))
    seen = found.observed.model_copy(update={"kernels": kernels, "library": onednn.parse(lines).library})
    text = explanation_text(found.model_copy(update={"observed": seen}), "2.10.0")
    assert max(map(len, text.split("\n"))) <= 80
    for kernel in kernels[:8]:
        assert f"{kernel.milliseconds:,.3f}" in text
        assert squeezed(kernel.implementation) in in_columns(text)


def in_columns(text):
    """The second column of the table of kernels, its folded cells put together again."""
    table = text[text.index("primitive (oneDNN") : text.index("Limits measured")].splitlines()
    begin, end = table[0].index("implementation"), table[0].index("ms/step")
    return squeezed("".join(line[begin : end - 1] for line in table[2:]))
