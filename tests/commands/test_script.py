"""The standalone script of a case trains as the worker does, and its report says what was measured."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from lenet import training
from lenet.cases.case import Case, Mode, Plan, RuntimeProfile
from lenet.cases.profile import ALLOCATORS, Allocator
from lenet.commands.measurement import begin
from lenet.commands.script import from_options, from_record, script
from lenet.dataset.known import KNOWN
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.machine import cores
from lenet.machine.installed import has_library
from lenet.store.record import Status
from lenet.store.run import Store
from lenet.worker.work import set_environment

FAST = "onednn_isa=AVX2+launch_blocking"
SETTINGS_OF_CPU = (
    "operator_threads=1+dispatch_threads=1+dataset_workers=1+dataset_prefetch=2+cpu_affinity=1+launch_blocking+"
    "onednn_isa=AVX2+jit_level=O0"
)
EVERY_SETTING = f"{SETTINGS_OF_CPU}+deterministic+allocator=tcmalloc"


def values(text):
    """The values that a script has for the case, by name."""
    case = text[text.index("# The case.") : text.index("# The end of the case.")]
    return {
        ast.unparse(each.targets[0] if isinstance(each, ast.Assign) else each.target): ast.literal_eval(each.value)
        for each in ast.parse(case).body
    }


def test_the_options_of_a_case_are_in_its_script():
    text = from_options({"mode": "jit", "batch_size": "64", "seed": "7", "pipeline": "cached", "dataset": "digits",
                         "profile": EVERY_SETTING, "epochs": "3"})  # fmt: skip
    found = values(text)
    assert {name: found[name] for name in ("MODE", "BATCH_SIZE", "SEED", "CACHED", "EPOCHS", "TRAINING_IMAGES")} == {
        "MODE": "jit", "BATCH_SIZE": 64, "SEED": 7, "CACHED": True, "EPOCHS": 3, "TRAINING_IMAGES": 1285,
    }  # fmt: skip
    assert found["SETTINGS"] == RuntimeProfile.parse(EVERY_SETTING).settings
    assert set(found["SETTINGS"]) == set(RuntimeProfile.model_fields) - {"name", "tuned_by"}
    assert found["ENVIRONMENT"] == {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "MS_DEV_LAUNCH_BLOCKING": None,
        "HCCL_DETERMINISTIC": "true",
    }  # fmt: skip
    assert found["PRELOADED"] == "libtcmalloc_minimal.so.4"
    assert "lenet." not in text
    assert "noqa" not in text


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (Case(framework="pytorch", mode=Mode.EAGER), "a case of PyTorch"),
        (Case(world_size=2), "trains in one process, and this case in 2"),
    ],
)
def test_what_has_no_script_is_refused(case, words):
    with pytest.raises(UsageError, match=words):
        script(case, None)


class Cell:
    """In place of MindSpore's; it has no parameters."""

    def trainable_params(self):
        return []


class Recorder(types.ModuleType):
    """In place of any module of MindSpore: records every call by its dotted name."""

    def __init__(self, name, calls):
        super().__init__(name)
        self.__dict__.update(_calls=calls, __path__=[], __version__="2.10.0", Cell=Cell)

    def __getattr__(self, name):
        if name.startswith("__") and name != "__add__":
            raise AttributeError(name)
        return Recorder(f"{self.__name__}.{name}".removeprefix("mindspore."), self._calls)

    def __call__(self, *arguments, **named):
        self._calls.append((self.__name__, str(arguments), str(named)))
        return Recorder(f"{self.__name__}()", self._calls)

    def __iter__(self):
        return iter(())


def _forget(name):
    """Forget a module that has imported the recorder, or would import the real one."""
    sys.modules.pop(f"lenet.training.{name}", None)
    vars(training).pop(name, None)


@pytest.fixture
def calls(monkeypatch):
    """What is called of MindSpore, of which a recorder is imported."""
    found = []
    for name in ("", ".dataset", ".nn", ".common", ".common.initializer", ".communication"):
        monkeypatch.setitem(sys.modules, f"mindspore{name}", Recorder(f"mindspore{name}", found))
    for name in ("mindspore", "targets"):
        _forget(name)
    yield found
    for name in ("mindspore", "targets"):
        _forget(name)


@pytest.fixture
def affinity(monkeypatch):
    """The cores that the process was confined to; eight are usable, two of each physical core."""
    chosen = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: chosen.append(list(cores)), raising=False)
    real = Path.read_text
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(
        Path, "read_text",
        lambda self, *a, **b: f"{int(self.parts[5][3:]) // 2}" if self.name == "thread_siblings_list"
        else real(self, *a, **b),
    )  # fmt: skip
    return chosen


SETTINGS = [
    *("default", "operator_threads=3", "dispatch_threads=3", "dataset_workers=3", "dataset_prefetch=3"),
    *("launch_blocking", "jit_level=O1", "deterministic", "onednn_isa=AVX2", "cpu_affinity=3"),
]


def test_every_setting_is_compared():
    fields = set(RuntimeProfile.model_fields) - {"name", "tuned_by", "allocator"}  # that has a test of its own
    assert {text.partition("=")[0] for text in SETTINGS} == {"default", *fields}


APPLIED = ("set_", "device_context.", "runtime.", "dataset.config.set_")
"""How the calls begin that choose the device, the mode, the seed and the settings."""


@pytest.mark.parametrize("device", ["CPU", "GPU", "Ascend"])
@pytest.mark.parametrize("profile", SETTINGS)
def test_a_script_applies_a_setting_as_the_worker_does(profile, device, calls, affinity, digits, monkeypatch):
    case = Case(profile=RuntimeProfile.parse(profile), device_target=device)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MS_DEV_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC"):
        monkeypatch.setenv(name, "inherited")
    names = {"__name__": "case"}
    exec(compile(script(case, None), "case.py", "exec"), names)
    environment, confined = dict(os.environ), list(affinity)
    names["open_device"]()
    names["apply_settings"]()
    names["build"](str(digits.folder))
    ours = [each for each in calls if each[0].startswith(APPLIED)]
    affinity.clear()
    calls.clear()

    set_environment(case.profile)
    importlib.import_module("lenet.training.mindspore").MindSporeTrainer(case, digits)
    assert dict(os.environ) == environment
    assert [sorted(each) for each in affinity] == [sorted(each) for each in confined]
    assert ours == [each for each in calls if each[0].startswith(APPLIED)]
    assert {"set_device", "set_context", "set_seed"} <= {name for name, _, _ in ours}
    setting = profile.partition("=")[0]
    if setting not in ("default", "onednn_isa", "cpu_affinity", "deterministic"):
        assert len(ours) == 4


def run_script(case, folder, scratch, *options):
    path, out = scratch / "case.py", scratch / "out.json"
    path.write_text(script(case, KNOWN["digits"]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path), *folder, "--json", str(out), *options],
        cwd=scratch, timeout=280, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(out.read_text(encoding="utf-8")), done.stdout


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The losses of a worker in Graph mode, over two epochs of 40 steps."""
    case = Case(dataset="digits", profile=RuntimeProfile.parse(FAST), plan=Plan(epochs=2, resident_windows=0))
    run = begin([case], lambda name: digits, tmp_path_factory.mktemp("worker") / "run")
    LocalEngine().run([case], {"digits": digits}, run.store)
    return [loss for event in run.store.events(case) for loss in getattr(event, "losses", ())]


@pytest.mark.mindspore
class TestReal:
    @pytest.mark.parametrize(
        ("mode", "pipeline", "profile"),
        [
            ("pynative", "tutorial", FAST),
            ("graph", "cached", SETTINGS_OF_CPU),
            ("jit", "tutorial", FAST),
            ("model", "tutorial", FAST),
        ],
    )
    def test_its_losses_are_the_workers_to_the_last_bit(self, mode, pipeline, profile, trained, digits, tmp_path):
        plan = Plan(warmup_steps=20, window_steps=10, window_seconds=0)
        case = Case(
            mode=mode, pipeline=pipeline, profile=RuntimeProfile.parse(profile), dataset="digits", plan=plan
        )  # fmt: skip
        found, printed = run_script(case, [str(digits.folder)], tmp_path, "--steps", "60")
        assert len(trained) == 80
        assert found["losses"] == trained[:60]
        assert found["images_per_second"] > 0
        assert "images/s, the median of 4 windows" in printed

    def test_the_allocator_changes_no_loss_of_script_or_worker(self, trained, digits, tmp_path):
        profile = RuntimeProfile.parse(f"{FAST}+allocator=tcmalloc")
        if not has_library(profile.preloaded):
            pytest.skip("tcmalloc is not installed")
        plan = Plan(warmup_steps=10, window_steps=10, window_seconds=0, windows=3, resident_windows=0)
        case = Case(dataset="digits", profile=profile, plan=plan)
        run = begin([case], lambda name: digits, tmp_path / "run")
        (record,) = LocalEngine().run([case], {"digits": digits}, run.store)
        assert record.status is Status.OK, record.reason
        worker = [loss for event in run.store.events(case) for loss in getattr(event, "losses", ())]
        found, _ = run_script(case, [str(digits.folder)], tmp_path, "--steps", "40")
        assert found["losses"] == worker[:40] == trained[:40]

    def test_without_data_it_trains_on_random_images(self, tmp_path):
        plan = Plan(warmup_steps=2, window_steps=3, window_seconds=0, windows=3, evaluation_images=64)
        case = Case(dataset="digits", profile=RuntimeProfile.parse(FAST), plan=plan)
        found, printed = run_script(case, [], tmp_path)
        assert "the images are random" in printed
        assert len(found["losses"]) == 2 + 3 * 3
        assert found["accuracies"][0][1] == 64


def test_a_record_gives_the_script_of_its_case(honest_run, names):
    by_id = from_record(honest_run, names[1], as_issue=False)
    by_file = from_record(honest_run / "records" / f"{names[1]}.json", None, as_issue=False)
    assert by_id == by_file
    assert values(by_id)["EPOCHS"] == 2
    assert "lenet-bench measured" in by_id.splitlines()[1]
    with pytest.raises(UsageError, match="has no record nothing"):
        from_record(honest_run, "nothing", as_issue=False)


def test_an_issue_has_versions_figures_kernels_machine_and_script(run, names):
    store = Store.open(run)
    record = next(each for each in store.records() if each.case_id == names[0])
    log = store.log_path(record.case, "onednn")
    log.parent.mkdir(exist_ok=True)
    line = "onednn_verbose,v1,primitive,exec,cpu,convolution,jit_uni_ncsp:conv+ref:any,forward_training,a,,,mb32_ic1,{}"
    log.write_text(
        "onednn_verbose,v1,info,oneDNN v3.10.1\n" + line.format(0.5) + "\n" + line.format(0.75) + "\n````\n",
        encoding="utf-8",
    )
    text = from_record(run, names[0], as_issue=True)
    lines = text.splitlines()
    assert lines[0].startswith(
        f"# MindSpore {record.software.framework_version}: LeNet, Graph (functional step) on CPU"
    )
    assert lines[0].endswith("images/s")
    own = next(line for line in lines if line.startswith("| this case"))
    assert own.split("|")[4].strip() == "2", "both processes"
    assert "1.00×" in own
    assert line.format(0.5) in lines
    assert line.format(0.75) not in lines, "one line of each kernel"
    for title in ("## Versions", "## Measured", "## oneDNN", "## Machine", "## Script"):
        assert lines.count(title) == 1
    assert script(record.case, record.dataset).splitlines()[-1] in lines
    assert [each for each in lines if each.startswith("````")] == ["````text", "````", "````python", "````"]


def test_a_script_spreads_its_cores_as_a_worker_does(affinity):
    names = {"__name__": "case", "os": os, "Path": Path}
    text = script(Case(), None)
    exec(text[text.index("def confine") : text.index('if "cpu_affinity"')], names)
    for count in (1, 3, 5, 8):
        names["confine"](count)
        assert sorted(affinity[-1]) == cores.confine(count)


@pytest.mark.parametrize("library", ["libBrokenLocale.so.1", "libnowhere.so.9"])
def test_a_script_starts_anew_with_its_allocator_and_ends_without_it(library, tmp_path, monkeypatch):
    """The library is one of glibc's that no program loads; what the script does before it imports MindSpore is run."""
    monkeypatch.setitem(ALLOCATORS, "tcmalloc", Allocator(library, "a-package"))
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    text = script(Case(profile=RuntimeProfile.parse("allocator=tcmalloc")), None)
    path = tmp_path / "case.py"
    path.write_text(text[: text.index("def confine")] + "print(os.environ['LD_PRELOAD'], sys.argv[1:], PRELOADED)\n")
    done = subprocess.run([sys.executable, str(path), "--steps", "2"], capture_output=True, text=True, check=False)
    if library == "libnowhere.so.9":
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "libnowhere.so.9 is not installed"
    else:
        assert done.stderr == ""
        assert done.stdout == f"{library}:libm.so.6 ['--steps', '2'] {library}\n"
