"""Explaining a case: the real MindSpore watched once, and instrumented workers that misbehave."""

from __future__ import annotations

import json
import sys

import pytest

from lenet.analysis.explain.findings import Explanation
from lenet.cases.case import Case, Mode, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.commands.explain import PLAN, Explainer, prepare, recorded
from lenet.commands.verify import verify
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.engine.probe import probe
from lenet.errors import UsageError
from lenet.report.text.explain import explanation_text
from lenet.store.events import Failed
from lenet.store.record import Status
from lenet.store.run import Store
from lenet.worker.instruments import ProbeResult, read_operators
from lenet.workload.layers import training_flops

SETTINGS = "dataset_workers=1+dataset_prefetch=3+cpu_affinity=1+operator_threads=1"


@pytest.fixture(scope="module")
def explained(digits, tmp_path_factory):
    """Graph mode with settings of every kind in force, explained once."""
    case = Case(dataset="digits", mode=Mode.GRAPH, profile=RuntimeProfile.parse(SETTINGS), plan=PLAN)
    messages = []
    run = prepare(case, lambda _: digits, messages.append, tmp_path_factory.mktemp("explain") / "run")
    limits = TimeLimits(120)
    found = Explainer(run, LocalEngine(limits), limits, messages.append).explain()
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
        step = explained[0].observed.step
        assert step.whole == pytest.approx(32e3 / explained[0].observed.speed.median)
        assert step.operators > 0
        assert step.host > 0
        assert 0 < step.cores_busy < 1.5, "one core was allowed"

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
        for words in ("A step takes", "Conv2D", "convolution forward_training", "GFLOP/s", "Limits measured here"):
            assert words in text
        assert Explanation.model_validate_json(found.model_dump_json()) == found

    def test_progress_is_logged(self, explained):
        assert any("without instruments" in line for line in explained[2])


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
    "event": "probed", "steps": 10, "seconds": 1.0, "host_seconds": 0.5, "user_seconds": 1.5, "system_seconds": 0.2,
})  # fmt: skip


def test_a_good_probe_is_returned(watched):
    found = watched(f"assert asked['steps'] == 10\nos.write(fd, {GOOD!r}.encode() + b'\\n')")
    assert isinstance(found, ProbeResult)
    assert found.host_seconds == 0.5


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
    found = probe(Case(dataset="digits"), digits, "operators", 1, tmp_path / "log", TimeLimits(9), ("/nowhere/python",))
    assert found.status is Status.CRASHED


def test_the_profilers_table_is_parsed_and_other_forms_are_refused():
    lines = ["op_type,type_occurrences,total_compute_time,percent", "ReLU,80,2.5,0.1", "Conv2D,40,21.5,0.9"]
    assert [(each.name, each.calls) for each in read_operators(lines)] == [("Conv2D", 40), ("ReLU", 80)]
    for bad in (["a,b", "1,2"], ["op_type,type_occurrences,total_compute_time", "ReLU,x,1"]):
        with pytest.raises(ValueError, match=r"."):
            read_operators(bad)


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
