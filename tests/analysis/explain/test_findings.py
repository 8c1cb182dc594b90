"""Suspected causes of a slow step, and the findings that remain of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet.analysis import onednn
from lenet.analysis.explain.account import Part, StepAccount
from lenet.analysis.explain.findings import SpeedFinding, conclude
from lenet.analysis.explain.observation import Bounds, Observed, Speed, StepTimes
from lenet.analysis.explain.suspicions import Change, changed, options, suspicions
from lenet.analysis.explain.trials import TriedChange
from lenet.cases.case import Case, Mode, Pipeline, RuntimeProfile
from lenet.workload.layers import training_flops

LOGS = Path(__file__).parents[1] / "logs"


def step(whole=10.0, resident=9.0, cores_busy=1.9, system_share=0.1):
    return StepTimes(whole=whole, resident=resident, cores_busy=cores_busy, system_share=system_share)


def parts(**milliseconds):
    """The account of a step with these parts, or these in place of the usual ones."""
    named = {"data wait": 0.5, "host": 0.5, "kernels": 8.0, "rest": 1.0}
    named |= {name.replace("_", " "): ms for name, ms in milliseconds.items()}
    made = [Part(name=name, milliseconds=ms, low=ms, high=ms) for name, ms in named.items()]
    return StepAccount(step=Part(name="step", milliseconds=10.0, low=None, high=None), parts=tuple(made))


def observed(log=None, case=None, steps=2, account=None, **fields):
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
        account=account or parts(),
        kernels=kernels,
        library=library,
        bounds=Bounds.of(250.0, 20.0, 32, 515.0),
    )


def trial(gain, low=None, high=None, change="x", groups=3):
    """A change that was tried in groups, with an interval of 5% unless another is given."""
    return TriedChange(
        change=change,
        before=Speed(rates=(500.0,)),
        after=Speed(rates=(500.0 * gain,)),
        gain=gain,
        low=low or gain / 1.05,
        high=high or gain * 1.05,
        unit="groups",
        groups=groups,
    )


def concluded(seen, trials, fixed=(), after=None):
    """The findings of what is suspected, with these trials by key."""
    suspected = [
        SpeedFinding(
            key=each.key,
            title=each.title,
            evidence=each.evidence,
            trial=trials.get(each.key),
            fixed=each.key in fixed,
        )
        for each in suspicions(seen)
    ]
    return conclude(suspected, seen, after)


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
        seen, after = observed(AVX512), observed(AVX2)
        (suspected,) = suspicions(seen)
        assert suspected.change.apply(seen.case).profile.settings == {"onednn_isa": "AVX2"}
        tried = trial(20.0, change=options((suspected.change,)))
        (finding,) = concluded(seen, {suspected.key: tried}, fixed=[suspected.key], after=after)
        assert finding.remedy == "--profile onednn_isa=AVX2"
        assert finding.trial.gain == 20
        assert any("with all fixes" in each for each in finding.evidence)

    def test_a_cap_that_gains_nothing_is_no_remedy_but_the_kernel_is_still_named(self):
        found = concluded(observed(AVX512), {"reference-kernel": trial(1.01)})
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
        found = concluded(seen, {suspected.key: trial(4.0)})
        assert keys(found) == ["launch-starves-kernels"]
        assert found[0].trial.gain == 4

    @pytest.mark.parametrize("tried", [trial(1.01), trial(2.0, low=0.8, high=5.0), trial(1.07, low=1.05, high=1.09)])
    def test_without_a_gain_beyond_noise_there_is_no_finding(self, tried):
        assert concluded(observed(case=self.CASE), {"launch-starves-kernels": tried}) == []

    def test_what_gains_beside_the_other_fixes_alone_is_a_finding(self):
        """Alone it changes little: the kernels are slow too."""
        found = concluded(observed(case=self.CASE), {"launch-starves-kernels": trial(1.01)}, ["launch-starves-kernels"])
        assert keys(found) == ["launch-starves-kernels"]

    def test_a_change_that_could_not_be_measured_is_no_finding(self):
        assert concluded(observed(case=self.CASE), {}) == []

    def test_it_is_not_suspected_if_the_launch_is_blocking_or_not_eager(self):
        blocking = Case(mode=Mode.PYNATIVE, profile=RuntimeProfile.parse("launch_blocking"))
        assert suspicions(observed(case=blocking)) == []
        assert suspicions(observed(case=Case(mode=Mode.GRAPH))) == []


class TestSlowJit:
    CASE = Case(mode=Mode.JIT)

    def found(self, gain):
        return concluded(observed(case=self.CASE), {"jit-slower-than-graph": trial(gain)})

    def test_graph_mode_is_compared_in_the_same_call(self):
        suspected = {each.key: each for each in suspicions(observed(case=self.CASE))}
        change = suspected["jit-slower-than-graph"].change
        assert change.apply(self.CASE) == self.CASE.model_copy(update={"mode": Mode.GRAPH})

    def test_a_faster_graph_mode_is_a_finding(self):
        (finding,) = self.found(8.0)
        assert finding.key == "jit-slower-than-graph"

    @pytest.mark.parametrize("gain", [0.5, 1.02])
    def test_a_graph_mode_that_is_not_faster_is_none(self, gain):
        assert self.found(gain) == []


class TestPipeline:
    @pytest.mark.parametrize(
        ("times", "milliseconds"),
        [({"resident": 7.0}, {}), ({"resident": None}, {"data_wait": 4.0}), ({}, {"data_wait": 4.0})],
        ids=["by a resident batch", "by the clock, without a resident batch", "by the clock"],
    )
    def test_one_that_takes_a_quarter_of_a_step_is_suspected(self, times, milliseconds):
        (suspected,) = suspicions(observed(account=parts(**milliseconds), **times))
        assert suspected.key == "pipeline"

    @pytest.mark.parametrize("resident", [8.0, None])
    def test_one_that_takes_less_is_not(self, resident):
        assert suspicions(observed(resident=resident)) == []

    def test_the_cached_pipeline_is_tried_unless_the_case_has_it(self):
        case = Case(profile=RuntimeProfile.parse("dataset_workers=1"))
        (suspected,) = suspicions(observed(case=case, resident=7.0))
        assert suspected.change.apply(case) == case.model_copy(update={"pipeline": Pipeline.CACHED})
        (suspected,) = suspicions(observed(case=Case(pipeline=Pipeline.CACHED), resident=7.0))
        assert suspected.change is None


def test_a_step_that_is_mostly_outside_operators_is_suspected():
    (suspected,) = suspicions(observed(account=parts(kernels=2.0, host=5.0)))
    assert suspected.key == "outside-operators"
    assert suspected.change == Change("operator_threads=1")
    assert "no operator runs for 6.00 ms of the 8.00 ms" in suspected.evidence[0]


def test_the_largest_gain_comes_first_and_what_is_not_fixed_last():
    seen = observed(AVX512, Case(mode=Mode.JIT))
    trials = {
        "reference-kernel": trial(3.0),
        "launch-starves-kernels": trial(9.0),
        "jit-slower-than-graph": trial(20.0),
    }
    found = concluded(seen, trials, fixed=["reference-kernel", "launch-starves-kernels"])
    assert keys(found) == ["launch-starves-kernels", "reference-kernel", "jit-slower-than-graph"]


def test_changes_together():
    together = (Change("onednn_isa=AVX2"), Change(mode=Mode.GRAPH), Change("launch_blocking"))
    case = changed(Case(mode=Mode.JIT, profile=RuntimeProfile.parse("operator_threads=1")), together)
    assert case.mode is Mode.GRAPH
    assert case.profile.settings == {"operator_threads": 1, "onednn_isa": "AVX2", "launch_blocking": True}
    assert options(together) == "--mode graph --profile onednn_isa=AVX2+launch_blocking"
    assert options(()) == ""


def test_what_a_batch_in_memory_saves_is_never_negative():
    assert step(whole=5.0, resident=6.0).data == 0


def test_bounds_are_the_limits_over_the_cost_of_an_image():
    bounds = Bounds.of(250.0, 20.0, 32, 11_000.0)
    assert bounds.arithmetic == pytest.approx(250e9 / training_flops())
    assert bounds.achieved_gflops == pytest.approx(11_000 * training_flops() / 1e9)
