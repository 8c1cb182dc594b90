"""Explaining a case: the real MindSpore watched once, machines of known speeds, instrumented workers that misbehave."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from lenet.analysis.explain.account import DATA, HOST, KERNELS, PROFILER, REST
from lenet.analysis.explain.findings import Explanation
from lenet.cases.case import Case, DeviceTarget, Mode, Pipeline, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.commands import explain, watch
from lenet.commands.explain import PLAN, Explainer, NothingToExplainError, prepare, twin_of
from lenet.commands.recorded import recorded
from lenet.commands.trials import Budget
from lenet.commands.verify import verify
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.engine.probe import probe
from lenet.errors import UsageError
from lenet.machine.installed import framework_version, package_version
from lenet.machine.roofline import Roofline
from lenet.report.text.explain import explanation_text
from lenet.store.events import Failed
from lenet.store.freshness import workload_sha256
from lenet.store.parts import PartTimes
from lenet.store.record import Phases, Record, Software, Status, summarise
from lenet.store.run import Store
from lenet.worker.instruments import ProbeResult
from lenet.worker.profilers import OperatorTime
from lenet.workload.layers import training_flops
from tests.installed import NEEDS_PYTORCH
from tests.steady import steady

SETTINGS = "dataset_workers=1+dataset_prefetch=3+cpu_affinity=1+operator_threads=1"


@pytest.fixture(scope="module")
def explained(digits, tmp_path_factory):
    """Graph mode with settings of every kind in force, explained once."""
    case = Case(dataset="digits", mode=Mode.GRAPH, profile=RuntimeProfile.parse(SETTINGS), plan=PLAN)
    messages = []
    run = prepare(case, lambda _: digits, messages.append, tmp_path_factory.mktemp("explain") / "run")
    limits = TimeLimits(120)
    # Less than any group takes: the case as it is, and nothing else.
    found = Explainer(run, LocalEngine(limits), limits, messages.append, Budget(1)).explain()
    return found, run.store, messages


@pytest.mark.mindspore
class TestRealCase:
    def test_the_profiles_settings_are_in_force(self, explained):
        _, store, _ = explained
        details = store.records()[0].software.details
        assert (details["dataset_workers"], details["dataset_prefetch"], details["cores"]) == ("1", "3", "1")

    def test_its_run_is_verified(self, explained):
        _, store, _ = explained
        assert [str(each) for each in verify(store.path).violations] == []

    def test_operators_outside_onednn_are_measured_too(self, explained):
        found, _, _ = explained
        calls = {each.name: each.calls for each in found.observed.operators}
        assert calls["Conv2D"] == 2
        assert calls["Conv2DBackpropFilter"] == 2
        assert calls["ReLU"] == 4
        assert calls["ApplyMomentum"] == 8

    def test_the_kernels_do_the_arithmetic_of_the_workload(self, explained):
        """GFLOP/s times the time, summed over the primitives, is what the layers' shapes say."""
        found, _, _ = explained
        counted = sum(each.gflops * each.milliseconds * 1e6 for each in found.observed.kernels if each.gflops)
        assert counted == pytest.approx(32 * training_flops(), rel=1e-6)

    def test_the_library_is_named(self, explained):
        library = explained[0].observed.library
        assert library.version
        assert library.instruction_set
        assert library.threads >= 1  # of the machine: oneDNN's log does not tell how many MindSpore lends it

    def test_the_parts_are_those_of_a_step(self, explained):
        seen = explained[0].observed
        assert seen.step.whole == pytest.approx(32e3 / seen.speed.median)
        assert 0 < seen.step.cores_busy < 1.5, "one core was allowed"
        assert [part.name for part in seen.account.parts] == [DATA, HOST, KERNELS, REST, PROFILER]
        assert seen.account.part(KERNELS) > 0
        assert seen.account.part(HOST) > 0
        in_operators = sum(each.milliseconds for each in seen.operators)
        assert seen.account.part(KERNELS) <= in_operators * 1.01, "operators that overlap count once"

    def test_what_remains_is_split_into_waits_and_kernels(self, explained):
        found = explained[0]
        assert {"data wait", "host", "rest", "convolution", "matrix product"} <= {each.name for each in found.gap}
        assert sum(each.ours for each in found.gap) == pytest.approx(found.observed.account.sum)

    def test_the_case_is_a_record_and_the_logs_are_kept(self, explained):
        _, store, _ = explained
        case = store.manifest.cases[0]
        assert Store.open(store.path).records()[0].case == case
        log = (store.path / "logs" / f"{case.id}-onednn.log").read_text(errors="replace")
        assert "convolution" in log

    def test_the_account_fits_a_terminal_and_is_json(self, explained):
        found, _, _ = explained
        text = explanation_text(found, "2.10.0")
        assert max(map(len, text.splitlines())) <= 80
        for words in (
            "A step takes",
            "part of a step",
            "Conv2D",
            "convolution forward_training",
            "GFLOP/s",
            "Limits measured here",
        ):
            assert words in text
        assert Explanation.model_validate_json(found.model_dump_json()) == found

    def test_progress_is_logged(self, explained):
        assert any("without instruments (1 s left)" in line for line in explained[2])


PREAMBLE = "import json, os, sys, time\nfd = int(sys.argv[1])\nasked = json.loads(sys.stdin.read())\n"


@pytest.fixture
def watched(tmp_path, digits):
    def go(body, limits=None):
        script = tmp_path / "probe.py"
        script.write_text(PREAMBLE + body, encoding="utf-8")
        command = (sys.executable, str(script))
        case = Case(dataset="digits")
        return probe(case, digits, "onednn", 10, tmp_path / "log", limits or TimeLimits(30, 30), command)

    return go


GOOD = json.dumps({
    "event": "probed", "steps": 10, "seconds": 1.0, "user_seconds": 1.5, "system_seconds": 0.2,
})  # fmt: skip


def test_a_good_probe_is_returned(watched):
    found = watched(f"assert asked['steps'] == 10\nos.write(fd, {GOOD!r}.encode() + b'\\n')")
    assert isinstance(found, ProbeResult)
    assert found.user_seconds == 1.5


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("print('why', flush=True); os._exit(3)", Status.CRASHED, "code 3: why"),
        ("os.write(fd, b'{\"event\": 1}\\n'); time.sleep(60)", Status.INVALID, "not its event"),
        ("os.write(fd, b'\\xff\\n'); time.sleep(60)", Status.INVALID, "not its event"),
    ],
)
def test_a_probe_that_misbehaves_is_a_failure_with_its_reason(watched, body, status, words):
    found = watched(body)
    assert isinstance(found, Failed)
    assert found.status is status
    assert words in found.reason


def test_a_probe_that_hangs_is_killed(watched):
    found = watched("time.sleep(60)", TimeLimits(1.0, 30.0))
    assert found.status is Status.TIMED_OUT


def test_a_probe_that_cannot_start(tmp_path, digits):
    found = probe(Case(dataset="digits"), digits, "parts", 1, tmp_path / "log", TimeLimits(9), ("/nowhere/python",))
    assert found.status is Status.CRASHED


LOGS = Path(__file__).parents[1] / "analysis/logs"
SPEEDS = {"default": 188, "onednn_isa=AVX2": 500, "launch_blocking": 414, "onednn_isa=AVX2+launch_blocking": 2800}
"""Images/s of PyNative mode on a CPU with AVX-512: each setting gains some, both together much more."""


class Clock:
    """A clock that stands still but for what is measured."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class PlannedEngine:
    """Measures nothing: every case has its planned speed, and takes its planned time."""

    def __init__(self, clock, speeds, failing=(), noise=None, seconds=None, modes=None, overhead=1.0):
        self.overhead = overhead
        """How many times what its members take a group takes."""
        self.clock, self.speeds, self.failing = clock, speeds, failing
        self.seconds = seconds or (lambda case: 10.0)
        self.noise = noise or {}
        self.modes = modes or {}
        self.groups = []

    def run(self, cases, datasets, store):
        self.groups.append(list(cases))
        group = f"g{len(self.groups)}" if len(cases) > 1 else ""
        records = [self._record(case, datasets[case.dataset], store, group) for case in cases]
        for record in records:
            store.write_record(record)
        self.clock.now += sum(map(self.seconds, cases)) * (self.overhead if group else 1)
        return records

    def speed(self, case):
        if case.framework is Framework.PYTORCH:
            return 4000
        held = {"default", *case.profile.text.split("+")}
        rate = max(speed for name, speed in self.speeds.items() if set(name.split("+")) <= held)
        return rate * self.modes.get(case.mode, 1)

    def _record(self, case, dataset, store, group):
        now = datetime(2026, 1, 2, tzinfo=timezone.utc)
        failed = any(name in case.profile.text for name in self.failing)
        # It alternates from block to block of two turns.
        noise = 1 + self.noise.get(case.profile.text, 0.02)
        rates = (self.speed(case) / noise ** (turn // 2 % 2 - 0.5) for turn in range(0 if failed else 12))
        windows = steady(rates, images=32, turns=bool(group))
        phases = Phases(**{name: self.seconds(case) if name == "wall_seconds" else 0.0 for name in Phases.model_fields})
        return Record(
            case_id=case.id,
            case=case,
            status=Status.CRASHED if failed else Status.OK,
            reason="it fell over" if failed else "",
            group=group,
            machine_id=store.manifest.machine.id,
            workload_sha256=workload_sha256(),
            started_at=now,
            finished_at=now + timedelta(seconds=self.seconds(case)),
            dataset=dataset.card,
            software=Software(
                framework_version=framework_version(case.framework) or "1",
                python_version=sys.version.split()[0],
                numpy_version=package_version("numpy"),
            ),
            phases=phases,
            windows=windows,
            summary=summarise(phases, windows, (), (), None, None),
        )


@pytest.fixture
def planned(tmp_path, digits, monkeypatch):
    """Explain a case on a machine of planned speeds whose instruments see what such a machine shows."""
    clock = Clock()

    def watched(case, dataset, method, steps, log, limits, command):
        clock.now += 5
        capped = case.profile.onednn_isa is not None
        if method == "onednn":
            log.write_bytes((LOGS / f"onednn-3.10.1-avx{2 if capped else 512}.log").read_bytes())
        one = PartTimes(
            steps=10, plain_seconds=0.1, clocked_seconds=0.1, instrumented_seconds=0.11, data_seconds=0.01,
            host_seconds=0.03, kernel_seconds=0.06, rest_seconds=0.01,
        )  # fmt: skip
        return ProbeResult(
            steps=steps, seconds=1.0, user_seconds=1.0, system_seconds=0.9, rounds=(one,) * 3,
            operators=(OperatorTime(name="Conv2D", calls=2 * steps, milliseconds=6.0 * steps),),
        )  # fmt: skip

    monkeypatch.setattr(watch, "probe", watched)
    monkeypatch.setattr(watch.roofline, "measure", lambda: Roofline(gflops=200, gigabytes_per_second=20))
    monkeypatch.setattr(explain, "framework_version", lambda framework: "2.0")

    def go(
        budget=10_000.0,
        resume=None,
        failing=(),
        speeds=SPEEDS,
        noise=None,
        modes=None,
        seconds=None,
        overhead=1.0,
        **axes,
    ):
        case = Case(**{"dataset": "digits", "mode": Mode.PYNATIVE, "plan": PLAN, **axes})
        output = None if resume else tmp_path / "run"
        run = prepare(case, lambda _: digits, print, output, resume)
        engine = PlannedEngine(clock, speeds, failing, noise, seconds, modes, overhead)
        began = clock.now
        limits = TimeLimits(10)
        try:
            found = Explainer(run, engine, limits, print, Budget(budget, clock, began)).explain()
        finally:
            run.store.release()
        return found, engine, clock.now - began

    return go


TRIED = [RuntimeProfile.parse(name) for name in SPEEDS]
BOTH = "--profile onednn_isa=AVX2+launch_blocking"


class TestFixes:
    def test_fixes_that_help_each_other_are_found_together(self, planned):
        found, _, _ = planned()
        assert found.fixes == BOTH
        assert {each.key: each.fixed for each in found.findings} == {
            "reference-kernel": True,
            "launch-starves-kernels": True,
        }
        assert found.remaining.case.profile.settings == {"onednn_isa": "AVX2", "launch_blocking": True}
        assert not any(kernel.is_reference for kernel in found.remaining.kernels)

    def test_each_gain_is_paired_alone_and_beside_the_other_fixes(self, planned):
        found, _, _ = planned()
        finding = next(each for each in found.findings if each.key == "launch-starves-kernels")
        assert (finding.trial.unit, finding.beside_others.unit) == ("groups", "groups")
        assert finding.trial.gain == pytest.approx(414 / 188)
        assert finding.beside_others.gain == pytest.approx(2800 / 500)

    def test_the_account_of_all_fixes_is_of_the_same_groups(self, planned):
        found, engine, _ = planned()
        assert [each.name for each in found.speeds] == [
            "as it is", "--profile onednn_isa=AVX2", "--profile launch_blocking", BOTH, "PyTorch",
        ]  # fmt: skip
        for line, speed in zip(found.speeds[1:], (500, 414, 2800, 4000), strict=True):
            assert (line.compared.unit, line.compared.groups >= 3) == ("groups", True)
            assert line.compared.gain == pytest.approx(speed / 188)
        assert found.twin.gain == pytest.approx(4000 / 2800)
        whole = [group for group in engine.groups if any(case.framework is Framework.PYTORCH for case in group)]
        assert [len(group) for group in whole] == [5, 5, 5]

    def test_the_present_state_and_all_candidates_are_one_group(self, planned):
        _, engine, _ = planned()
        settings = [case.profile.settings for case in engine.groups[1]]
        assert all(each.settings in settings for each in TRIED)
        assert len(settings) == len(TRIED)
        for group in engine.groups:
            assert len({case.repetition for case in group}) == 1
        assert len({group[0].repetition for group in engine.groups}) == len(engine.groups)

    def test_a_group_that_leaves_a_gain_open_is_repeated(self, planned):
        """The speed with the cap is of two kinds, from turn to turn: one group does not say whether it gains."""
        speeds = {"default": 100, "onednn_isa=AVX2": 130}
        found, engine, _ = planned(speeds=speeds, mode=Mode.GRAPH, noise={"onednn_isa=AVX2": 0.8})
        tried = [group for group in engine.groups if len(group) == 2 and group[1].framework is Framework.MINDSPORE]
        assert 1 < len(tried) <= 3
        assert found.fixes == "--profile onednn_isa=AVX2"

    def test_it_is_explained_again_with_what_gained(self, planned):
        """Only without reference kernels does the launch matter."""
        speeds = {"default": 100, "onednn_isa=AVX2": 300, "launch_blocking": 100}
        found, _, _ = planned(speeds=speeds)
        assert found.fixes == "--profile onednn_isa=AVX2"
        assert [each.key for each in found.findings] == ["reference-kernel"]

    def test_where_nothing_gains_only_pytorch_is_compared(self, planned):
        found, engine, _ = planned(mode=Mode.GRAPH, profile=RuntimeProfile.parse("onednn_isa=AVX2"))
        assert (found.fixes, found.remaining, found.findings) == ("", None, ())
        assert [each.name for each in found.speeds] == ["as it is", "PyTorch"]
        assert [len(group) for group in engine.groups] == [1, 2, 2, 2]

    @pytest.mark.parametrize("framework", Framework)
    def test_the_limits_of_the_cores_are_not_those_of_a_gpu(self, planned, monkeypatch, framework):
        monkeypatch.setattr(watch.roofline, "measure", lambda: pytest.fail("the cores were measured"))
        mode = ABILITIES[framework].modes[0]
        found, _, _ = planned(device_target=DeviceTarget.GPU, framework=framework, mode=mode)
        assert found.observed.bounds is None
        assert any("limits are measured on CPU only, not on GPU" in each for each in found.observed.caveats)
        text = explanation_text(found, "2.10.0")
        assert not any(words in text for words in ("limit of arithmetic", "at limit", "of the peak", "Limits measured"))
        beside = framework is Framework.MINDSPORE
        assert ("what remains, ms/step" in text) is beside
        assert ("PyTorch's throughput is" in text) is beside

    def test_a_change_that_fails_is_noted_and_the_others_go_on(self, planned):
        found, _, _ = planned(failing=["launch_blocking"])
        assert found.fixes == "--profile onednn_isa=AVX2"
        assert any("crashed: it fell over" in note for note in found.notes)

    def test_a_case_that_fails_is_not_explained(self, planned):
        with pytest.raises(NothingToExplainError, match="it fell over"):
            planned(failing=["default"])

    def test_the_text_of_it_all_fits_a_terminal(self, planned):
        text = explanation_text(planned()[0], "2.10.0")
        assert max(map(len, text.splitlines())) <= 80
        for words in (
            f"With all fixes ({BOTH})",
            "beside the other fixes",
            "what remains",
            "PyTorch's throughput is 1.43",
        ):
            assert "".join(words.split()) in "".join(text.split())


class TestWholeStep:
    """Whole-step jit, as slow as it is, beside Model and Graph mode."""

    def explain(self, planned, model):
        speeds = {"default": 190, "onednn_isa=AVX2": 350}
        modes = {Mode.GRAPH: 18, Mode.MODEL: model}
        return planned(speeds=speeds, mode=Mode.JIT, modes=modes)

    @pytest.mark.parametrize("model", [15, 50], ids=["slower than Graph", "faster than Graph"])
    def test_model_tells_that_compiling_the_whole_step_is_not_what_is_slow(self, planned, model):
        found, _, _ = self.explain(planned, model)
        finding = next(each for each in found.findings if each.key == "jit-slower-than-graph")
        assert "--mode graph" in found.fixes
        assert "--mode model" not in found.fixes
        assert (finding.control.change, finding.control.unit) == ("--mode model", "groups")
        assert finding.control.gain == pytest.approx(model)
        assert finding.control.groups >= 3
        text = " ".join(explanation_text(found, "2.10.0").split())
        assert "compiling the whole step is not what is slow" in text
        assert "tried --mode model" in text

    def test_a_model_that_is_as_slow_leaves_it_open(self, planned):
        found, _, _ = self.explain(planned, model=1)
        finding = next(each for each in found.findings if each.key == "jit-slower-than-graph")
        assert not finding.control.gained
        assert any("may be what is slow" in each for each in finding.evidence)

    def test_it_is_tried_in_whole_step_jit_only(self, planned):
        _, engine, _ = planned(mode=Mode.GRAPH)
        assert Mode.MODEL not in {case.mode for group in engine.groups for case in group}


class TestBudget:
    @pytest.mark.parametrize("budget", [60, 90, 120, 150, 200])
    @pytest.mark.parametrize("overhead", [1.0, 1.2])
    def test_it_is_kept(self, planned, budget, overhead):
        found, _, spent = planned(budget, overhead=overhead)
        assert spent <= budget
        assert found.notes
        assert all("(--budget)" in note for note in found.notes)

    def test_what_was_not_tried_is_said(self, planned):
        found, engine, _ = planned(40)
        assert len(engine.groups) == 1
        assert any("before this was tried" in note and BOTH in note for note in found.notes)
        assert found.observed.account.adds_up

    def test_all_fixes_at_once_are_tried_first(self, planned):
        """There is time for two cases beside the watching, so for one of the three candidates."""
        found, engine, _ = planned(55)
        assert [case.profile.text for case in engine.groups[1]] == ["default", "launch_blocking+onednn_isa=AVX2"]
        assert found.fixes == BOTH

    def test_a_slow_case_leaves_time_for_each_suspicion_alone_and_for_pytorch(self, planned):
        """What is as slow as the case is only what leaves out what gains."""

        def seconds(case):
            return 10 if case.profile.onednn_isa or case.framework is Framework.PYTORCH else 25

        modes = {Mode.GRAPH: 3, Mode.MODEL: 3}
        found, engine, spent = planned(240, mode=Mode.JIT, modes=modes, seconds=seconds)
        assert spent <= 240
        alone = [(case.mode, case.profile.text) for case in engine.groups[1]]
        assert {(Mode.GRAPH, "default"), (Mode.MODEL, "default"), (Mode.JIT, "launch_blocking")} <= set(alone)
        last = {(each.framework, each.mode) for each in engine.groups[-1]}
        assert len(engine.groups[-1]) == len(last) == 3, "the case, all fixes and PyTorch"
        assert found.twin.unit == "groups"
        assert found.speeds[-2].compared.unit == "groups"
        assert any("sets of fixes are not in the last groups" in note for note in found.notes)

    def test_with_time_enough_nothing_is_left_out(self, planned):
        assert planned(1000)[0].notes == ()


@NEEDS_PYTORCH
def test_a_resumed_explanation_measures_nothing_twice(planned, tmp_path):
    first, _, _ = planned()
    again, engine, _ = planned(resume=tmp_path / "run")
    assert engine.groups == []
    assert again == first


@NEEDS_PYTORCH
def test_a_resumed_explanation_measures_what_is_missing(planned, tmp_path):
    _, before, _ = planned()
    records = sorted((tmp_path / "run" / "records").iterdir())
    lost = {case.id for case in before.groups[-1]}
    for path in records:
        if path.stem in lost:
            path.unlink()
    again, engine, _ = planned(resume=tmp_path / "run")
    assert [{case.id for case in group} for group in engine.groups] == [lost]
    assert again.fixes == BOTH


class TestTwin:
    @pytest.fixture(autouse=True)
    def _installed(self, monkeypatch):
        monkeypatch.setattr(explain, "framework_version", lambda framework: "2.0")

    def test_it_trains_the_same_in_pytorch_as_installed(self):
        profile = RuntimeProfile.parse("launch_blocking")
        twin = twin_of(Case(mode=Mode.GRAPH, pipeline=Pipeline.CACHED, profile=profile, framework_version="2.9.0"))
        assert (twin.framework, twin.framework_version) == (Framework.PYTORCH, None)
        assert (twin.pipeline, twin.profile) == (Pipeline.CACHED, RuntimeProfile())
        assert Case.model_validate(twin.model_dump()) == twin

    @pytest.mark.parametrize("fields", [{"device_target": DeviceTarget.ASCEND}, {"world_size": 2}])
    def test_a_case_that_pytorch_cannot_run_has_none(self, fields):
        assert twin_of(Case(**fields)) is None

    def test_without_pytorch_there_is_none(self, monkeypatch):
        monkeypatch.setattr(explain, "framework_version", lambda framework: None)
        assert twin_of(Case()) is None


class TestNamed:
    @pytest.fixture
    def stored(self, new_store, digits, plain_record):
        cases = [Case(dataset="digits", mode=mode) for mode in ABILITIES[Framework.MINDSPORE].modes]
        store = new_store(cases, digits)
        for case in cases:
            store.write_record(plain_record(case))
        return store

    def test_a_record_file_and_a_run_with_an_id_name_the_same_case(self, stored):
        case = stored.manifest.cases[1]
        assert recorded(stored.record_path(case), None).case == case
        assert recorded(stored.path, case.id).case == case

    @pytest.mark.parametrize("case_id", ["nothing", None])
    def test_an_unknown_case_is_refused_with_the_known_ones(self, stored, case_id):
        with pytest.raises(UsageError, match=stored.manifest.cases[0].id):
            recorded(stored.path, case_id)
