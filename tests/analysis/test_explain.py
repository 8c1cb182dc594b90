"""Suspected causes of a slow step, and the findings that remain of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet.analysis import onednn
from lenet.analysis.explain.findings import TriedChange, conclude
from lenet.analysis.explain.observation import Bounds, Observed, Speed, StepTimes
from lenet.analysis.explain.suspicions import suspicions
from lenet.cases.case import Case, Mode, Pipeline, RuntimeProfile
from lenet.workload.layers import training_flops

LOGS = Path(__file__).parent / "logs"


def step(**fields):
    figures = {
        "whole": 10.0, "resident": 9.0, "host": 2.0, "operators": 8.0, "instrumented": 11.0, "cores_busy": 1.9,
        "system_share": 0.1,
    }  # fmt: skip
    return StepTimes(**{**figures, **fields})


def observed(log=None, case=None, steps=2, **fields):
    kernels, library = (), onednn.Library()
    if log is not None:
        read = onednn.parse((LOGS / log).read_text(encoding="ascii").splitlines())
        kernels = onednn.kernels(read, steps)
        library = read.library
    return Observed(
        case=case or Case(),
        cores=2,
        speed=Speed(rates=(515.0,)),
        step=step(**fields),
        kernels=kernels,
        library=library,
        bounds=Bounds.of(250.0, 20.0, 32, 515.0),
    )


def trial(before, after, change="x"):
    return TriedChange(change=change, before=Speed(rates=before), after=Speed(rates=after))


def keys(found):
    return [each.key for each in found]


AVX512 = "onednn-3.10.1-avx512.log"
AVX2 = "onednn-3.10.1-avx2.log"


class TestReferenceConvolution:
    """On the log of a CPU with AVX-512: on others it cannot occur."""

    def test_it_is_named_with_its_time_and_its_share_of_the_peak(self):
        seen = observed(AVX512)
        (suspected,) = suspicions(seen)
        text = " ".join(suspected.evidence)
        assert suspected.key == "reference-kernel"
        assert "jit_uni_ncsp:conv+ref:any ran convolution forward_training" in text
        assert "oneDNN 3.10.1 runs for Intel AVX-512" in text
        assert "% of this machine's matrix product" in text

    def test_the_cap_to_avx2_is_tried_and_its_gain_is_stated(self):
        seen = observed(AVX512)
        (suspected,) = suspicions(seen)
        assert suspected.change.apply(seen.case).profile.settings == {"onednn_isa": "AVX2"}
        after = onednn.kernels(onednn.parse((LOGS / AVX2).read_text().splitlines()), 2)
        tried = trial((515, 520), (10_000, 11_000), suspected.change.option)
        (finding,) = conclude([suspected], {suspected.key: tried}, {suspected.key: after}, seen)
        assert finding.remedy == "--profile onednn_isa=AVX2"
        assert finding.trial.gain == pytest.approx(10_500 / 517.5)
        assert any("with the change" in each for each in finding.evidence)

    def test_a_cap_that_gains_nothing_is_no_remedy_but_the_kernel_is_still_named(self):
        seen = observed(AVX512)
        found = conclude(suspicions(seen), {"reference-kernel": trial((515, 520), (516, 519))}, {}, seen)
        assert keys(found) == ["reference-kernel"]
        assert found[0].remedy is None

    def test_the_cap_keeps_the_profiles_other_settings(self):
        case = Case(profile=RuntimeProfile.parse("operator_threads=1"))
        (suspected,) = suspicions(observed(AVX512, case))
        assert suspected.change.apply(case).profile.settings == {"operator_threads": 1, "onednn_isa": "AVX2"}

    def test_a_capped_case_is_not_capped_again(self):
        (suspected,) = suspicions(observed(AVX512, Case(profile=RuntimeProfile.parse("onednn_isa=AVX2"))))
        assert suspected.change is None

    def test_without_avx512_there_is_neither_finding_nor_cap(self):
        assert suspicions(observed(AVX2)) == []


class TestStarvingLaunch:
    CASE = Case(mode=Mode.PYNATIVE)

    def test_a_gain_of_blocking_launch_is_the_finding(self):
        seen = observed(case=self.CASE, system_share=0.45)
        (suspected,) = suspicions(seen)
        assert suspected.change.apply(self.CASE).profile.launch_blocking
        assert any("45%" in each for each in suspected.evidence)
        found = conclude([suspected], {suspected.key: trial((500, 510), (2000, 2100))}, {}, seen)
        assert keys(found) == ["launch-starves-kernels"]
        assert found[0].trial.gain == pytest.approx(2050 / 505)

    @pytest.mark.parametrize("after", [(505, 512), (400, 2000), (540, 550)])
    def test_without_a_gain_beyond_noise_there_is_no_finding(self, after):
        seen = observed(case=self.CASE)
        assert conclude(suspicions(seen), {"launch-starves-kernels": trial((500, 510), after)}, {}, seen) == []

    def test_a_change_that_could_not_be_measured_is_no_finding(self):
        seen = observed(case=self.CASE)
        assert conclude(suspicions(seen), {}, {}, seen) == []

    def test_it_is_not_suspected_if_the_launch_is_blocking_or_not_eager(self):
        blocking = Case(mode=Mode.PYNATIVE, profile=RuntimeProfile.parse("launch_blocking"))
        assert suspicions(observed(case=blocking)) == []
        assert suspicions(observed(case=Case(mode=Mode.GRAPH))) == []


class TestSlowJit:
    CASE = Case(mode=Mode.JIT)

    def found(self, after):
        seen = observed(case=self.CASE)
        return conclude(suspicions(seen), {"jit-slower-than-graph": trial((370, 375), after)}, {}, seen)

    def test_graph_mode_is_compared_in_the_same_call(self):
        suspected = {each.key: each for each in suspicions(observed(case=self.CASE))}
        change = suspected["jit-slower-than-graph"].change
        assert change.apply(self.CASE) == self.CASE.model_copy(update={"mode": Mode.GRAPH})

    def test_a_much_faster_graph_mode_is_a_finding(self):
        (finding,) = self.found((3000, 3100))
        assert finding.key == "jit-slower-than-graph"
        assert finding.remedy is not None

    @pytest.mark.parametrize("after", [(380, 385), (500, 520), (300, 3000)])
    def test_a_graph_mode_that_is_not_much_faster_is_none(self, after):
        assert self.found(after) == []


def test_a_pipeline_that_takes_a_quarter_of_a_step_is_suspected():
    assert keys(suspicions(observed(whole=10.0, resident=7.0))) == ["pipeline"]
    assert suspicions(observed(whole=10.0, resident=8.0, operators=7.0)) == []
    assert suspicions(observed(whole=10.0, resident=None)) == []


def test_the_cached_pipeline_is_tried_unless_the_case_has_it():
    case = Case(profile=RuntimeProfile.parse("dataset_workers=1"))
    (suspected,) = suspicions(observed(case=case, resident=7.0))
    assert suspected.change.apply(case) == case.model_copy(update={"pipeline": Pipeline.CACHED})
    (suspected,) = suspicions(observed(case=Case(pipeline=Pipeline.CACHED), resident=7.0))
    assert suspected.change is None


def test_a_step_that_is_mostly_outside_operators_is_suspected():
    assert keys(suspicions(observed(resident=9.0, operators=2.0))) == ["outside-operators"]


def test_the_largest_gain_comes_first():
    seen = observed(AVX512, Case(mode=Mode.JIT))
    trials = {
        "reference-kernel": trial((100, 101), (300, 310)),
        "launch-starves-kernels": trial((100, 101), (900, 910)),
        "jit-slower-than-graph": trial((100, 101), (100, 101)),
    }
    assert keys(conclude(suspicions(seen), trials, {}, seen)) == ["launch-starves-kernels", "reference-kernel"]


def test_parts_of_a_step_are_never_negative():
    parts = step(whole=5.0, resident=6.0, operators=9.0)
    assert (parts.data, parts.outside) == (0.0, 0.0)


def test_bounds_are_the_limits_over_the_cost_of_an_image():
    bounds = Bounds.of(250.0, 20.0, 32, 11_000.0)
    assert bounds.arithmetic == pytest.approx(250e9 / training_flops())
    assert bounds.achieved_gflops == pytest.approx(11_000 * training_flops() / 1e9)
