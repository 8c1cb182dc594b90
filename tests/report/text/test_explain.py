"""Explanations that were recorded, on CPUs with AVX-512 and with AVX2, in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet.analysis.explain.findings import Explanation
from lenet.report.text.explain import explanation_text

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


def test_findings_have_their_evidence_and_what_a_fix_gains(explained):
    found, text = explained
    assert found.findings
    for number, finding in enumerate(found.findings, 1):
        assert squeezed(f"{number}. {finding.title}") in squeezed(text)
        assert all(squeezed(each) in squeezed(text) for each in finding.evidence)
        fix = f"{finding.trial.change} fixes it: {finding.trial.gain:.2f}×"
        assert (squeezed(fix) in squeezed(text)) is (finding.remedy is not None)


def test_the_dataset_is_named_once(explained):
    assert explained[1].split("\n\n")[0].count("digits") == 1


def test_only_avx512_gains_by_the_cap_to_avx2():
    for path in RECORDED:
        found = Explanation.model_validate_json(path.read_text(encoding="utf-8"))
        remedies = {finding.remedy for finding in found.findings}
        assert ("--profile onednn_isa=AVX2" in remedies) is path.stem.startswith("avx512")
