"""Presets, TOML files and the command line's values: what they mean and how they are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.cases.axes import BY_NAME
from lenet.cases.case import DeviceTarget, Mode, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.cases.presets import in_one_mode, load_file, load_preset, override, presets
from lenet.errors import UsageError


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, Mode.GRAPH),
        ({"batch_size": "64"}, Mode.GRAPH),
        ({"framework": "pytorch"}, Mode.EAGER),
        ({"framework": "pytorch", "mode": "compile"}, Mode.COMPILE),
        ({"framework": "pytorch,mindspore"}, Mode.PYNATIVE),
        ({"mode": "jit"}, Mode.JIT),
    ],
)
def test_a_command_of_one_mode_takes_one_that_the_framework_has(options, mode):
    matrix = in_one_mode(options)
    assert matrix.modes == (mode,)
    assert matrix.cases()


class TestPresets:
    def test_they_are_there(self):
        assert {"quick", "standard", "full"} <= set(presets())

    @pytest.mark.parametrize("name", presets())
    def test_each_is_a_matrix_that_says_what_it_measures(self, name):
        matrix = load_preset(name)
        assert matrix.name == name
        assert matrix.description
        assert matrix.modes == (Mode.PYNATIVE, Mode.GRAPH, Mode.JIT)
        assert matrix.plan.warmup_steps >= 60

    def test_full_is_the_tutorials_training(self):
        matrix = load_preset("full")
        assert (matrix.plan.epochs, matrix.batch_sizes, matrix.learning_rate, matrix.momentum) == (10, (32,), 0.01, 0.9)

    def test_an_unknown_one(self):
        with pytest.raises(UsageError, match="unknown preset 'fast': choose from full, quick, standard"):
            load_preset("fast")

    def test_a_path_is_no_preset(self):
        with pytest.raises(UsageError, match="unknown preset"):
            load_preset("../presets/quick")


class TestFile:
    def test_a_matrix(self, tmp_path):
        path = tmp_path / "my matrix.toml"
        path.write_text(
            'device_targets = ["CPU", "Ascend"]\nmodes = ["graph"]\nbatch_sizes = [16]\n'
            'profiles = ["default", "launch_blocking"]\n[plan]\nepochs = 2\n'
        )
        matrix = load_file(path)
        assert matrix.name == "my-matrix"
        assert matrix.device_targets == (DeviceTarget.CPU, DeviceTarget.ASCEND)
        assert [profile.name for profile in matrix.profiles] == ["default", "launch_blocking"]
        assert matrix.plan.epochs == 2

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (b"modes = [", "is not TOML"),
            (b"\xff\xfe", "is not TOML"),
            (b"mode = ['graph']", "mode: unknown key; known are .*modes"),
            (b"modes = ['lazy']", r"modes\.0: Input should be 'pynative', 'graph', "),
            (b"batch_sizes = [0]", "greater than or equal to 1"),
            (b"batch_sizes = []", "batch_sizes: .*at least 1 item"),
            (b"seeds = [5489]", "unset seed"),
            (b"profiles = ['fast']", "unknown profile setting"),
            (b"[plan]\nepoch = 2", r"plan\.epoch: unknown key"),
            (b"repeat = 1_000_000", "repeat: .*less than or equal to 1000"),
            (b"x = " + b"[" * 50_000, "is not TOML"),
            (b"#" * 2**21, "larger than 64 KiB"),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_a_bad_one_is_one_clear_sentence(self, tmp_path, text, words):
        path = tmp_path / "bad.toml"
        path.write_bytes(text)
        with pytest.raises(UsageError, match=words) as error:
            load_file(path)
        assert "\n" not in str(error.value)

    def test_none_at_all(self, tmp_path):
        with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
            load_file(tmp_path / "none.toml")
        with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
            load_file(tmp_path)


class TestOverride:
    def test_only_what_is_said_changes(self):
        preset = load_preset("standard")
        assert override(preset) == preset
        changed = override(preset, device="gpu, cpu", mode="JIT", batch_size="8,16", seed="3", repeat="4", epochs="2")
        assert changed.device_targets == (DeviceTarget.GPU, DeviceTarget.CPU)
        assert changed.modes == (Mode.JIT,)
        assert (changed.batch_sizes, changed.seeds, changed.repeat) == ((8, 16), (3,), 4)
        assert changed.plan == preset.plan.model_copy(update={"epochs": 2})
        assert changed.profiles == preset.profiles

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"device": "tpu"}, "--device: unknown value 'tpu', choose from cpu, gpu, ascend"),
            ({"device": ""}, "--device: "),
            ({"mode": "lazy"}, "--mode: unknown value 'lazy', choose from pynative, graph, jit, model, eager, compile"),
            ({"mode": "graph,graph"}, "--mode: graph is listed twice"),
            ({"batch_size": "0"}, "--batch-size: "),
            ({"batch_size": "-1"}, "--batch-size: '-1' is not a whole number"),
            ({"batch_size": "32,"}, "--batch-size: empty value in '32,'"),
            ({"batch_size": "1e3"}, "--batch-size: '1e3' is not a whole number"),
            ({"batch_size": "99999999"}, "--batch-size: .*65536"),
            ({"seed": "5489"}, "--seed: .*unset seed"),
            ({"seed": "x"}, "--seed: 'x' is not a whole number"),
            ({"profile": "fast"}, "--profile: unknown profile setting 'fast'"),
            ({"profile": ""}, "--profile: empty value"),
            ({"repeat": "0"}, "--repeat: .*1"),
            ({"epochs": "0"}, "--epochs: .*1"),
            ({"epochs": "1,2"}, "--epochs '1,2': give one number"),
            ({"profile": "operator_threads=0"}, "--profile: .*operator_threads.*1"),
            ({"profile": "deterministic+launch_blocking,launch_blocking+deterministic"}, "--profile: .*listed twice"),
        ],
        ids=str,
    )
    def test_a_bad_value_names_its_option(self, values, words):
        with pytest.raises(UsageError, match=words) as error:
            override(load_preset("quick"), **values)
        assert "\n" not in str(error.value)

    def test_frameworks_run_what_they_can_and_nothing_else(self):
        changed = override(
            load_preset("quick"), framework="mindspore,pytorch", profile="default,dataset_workers=1", batch_size="32"
        )
        cases = [(case.framework.value, case.mode.value, case.profile.name) for case in changed.cases()]
        assert [each for each in cases if each[0] == "pytorch"] == [("pytorch", "eager", "default")]
        assert len(cases) == 3 * 2 + 1

    @pytest.mark.parametrize(
        ("modes", "run"),
        [
            ("pynative,graph", ["mindspore pynative", "mindspore graph", "pytorch eager"]),
            ("graph,eager,compile", ["mindspore graph", "pytorch eager", "pytorch compile"]),
            ("pynative,eager", ["mindspore pynative", "pytorch eager"]),
            ("model,pynative", ["mindspore model", "mindspore pynative", "pytorch eager"]),
        ],
    )
    def test_each_framework_runs_the_modes_it_has_under_their_own_names(self, modes, run):
        quick = load_preset("quick")
        changed = override(quick, framework="mindspore,pytorch", mode=modes, batch_size="32", profile="default")
        assert [f"{case.framework.value} {case.mode.value}" for case in changed.cases()] == run

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"mode": "graph,compile"}, "--mode compile: the modes of mindspore are pynative, graph, jit, model$"),
            ({"mode": "eager,jit", "framework": "pytorch"}, "--mode jit: the modes of pytorch are eager, compile$"),
            ({"mode": "model", "world_size": "2"}, "in mode model it trains in one process, not in 2"),
            (
                {"framework": "pytorch", "world_size": "2"},
                "pytorch cannot run this: it trains in one process, not in 2",
            ),
        ],
        ids=str,
    )
    def test_a_mode_that_no_framework_has_is_refused(self, values, words):
        with pytest.raises(UsageError, match=words):
            override(load_preset("quick"), **values)

    def test_a_matrix_names_the_modes_that_its_cases_have(self):
        assert "pynative, graph, jit, model ×" in f"{Matrix().span} ×"
        assert "eager" not in Matrix().span
        both = Matrix(frameworks=("mindspore", "pytorch"), modes=("pynative", "graph"))
        assert "pynative, graph, eager" in both.span

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"mode": "graph"}, "pytorch cannot run this: its modes are eager, compile, not graph"),
            ({"device": "ascend", "mode": "pynative"}, "its device targets are CPU, GPU, not Ascend"),
            ({"profile": "dataset_workers=1", "mode": "pynative"}, "profile setting dataset_workers is not supported"),
            (
                {"mode": "pynative", "pipeline": "fast"},
                "--pipeline: unknown value 'fast', choose from tutorial, cached",
            ),
            ({"framework": "keras"}, "--framework: unknown value 'keras', choose from mindspore, pytorch"),
        ],
        ids=str,
    )
    def test_what_a_framework_cannot_do_is_refused_in_one_sentence(self, values, words):
        with pytest.raises(UsageError, match=words) as error:
            override(load_preset("quick"), **{"framework": "mindspore,pytorch", **values})
        assert "\n" not in str(error.value)

    def test_pipelines_are_an_axis(self):
        cases = override(load_preset("quick"), pipeline="tutorial,cached", mode="graph", batch_size="32").cases()
        assert [case.pipeline.value for case in cases] == ["tutorial", "cached"]

    @given(
        st.text(max_size=30),
        st.sampled_from(["device", "mode", "batch_size", "seed", "profile", "dataset", "framework", "pipeline"]),
    )
    def test_any_text_is_a_matrix_or_a_usage_error(self, text, option):
        complaint = ""
        try:
            made: object = override(Matrix(), **{option: text})
        except UsageError as error:
            made, complaint = None, str(error)
        assert isinstance(made, Matrix) or len(complaint.splitlines()) == 1


def test_processes_from_the_command_line():
    matrix = override(load_preset("quick"), world_size="1,2", scaling="weak,strong")
    assert matrix.world_sizes == (1, 2)
    assert [each.value for each in matrix.scalings] == ["weak", "strong"]
    assert matrix.name == "quick-changed"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"world_size": "0"}, "--world-size|greater than or equal to 1"),
        ({"world_size": "two"}, "--world-size: 'two' is not a whole number"),
        ({"world_size": "2,2"}, "--world-size: 2 is listed twice"),
        ({"world_size": "3"}, "cannot be shared by 3 processes"),
        ({"scaling": "both"}, "--scaling: unknown value 'both'"),
    ],
)
def test_processes_that_cannot_be(values, complaint):
    with pytest.raises(UsageError, match=complaint):
        override(load_preset("quick"), **values)


class TestNamesOfProfiles:
    SETTINGS = "onednn_isa=AVX2+launch_blocking"

    def test_a_table_of_names_in_a_matrix_file(self, tmp_path):
        path = tmp_path / "m.toml"
        path.write_text(f'modes = ["graph"]\n[profiles]\ndefault = "default"\nfast = "{self.SETTINGS}"\n')
        profiles = load_file(path).profiles
        assert [profile.name for profile in profiles] == ["default", "fast"]
        assert (profiles[1].onednn_isa, profiles[1].launch_blocking) == ("AVX2", True), "the settings are real"
        assert [case.profile.name for case in load_file(path).cases()] == ["default", "fast"]

    def test_a_name_on_the_command_line(self):
        changed = override(load_preset("quick"), profile=f"default,fast={self.SETTINGS}")
        assert [(each.name, each.text) for each in changed.profiles] == [
            ("default", "default"), ("fast", RuntimeProfile.parse(self.SETTINGS).text),
        ]  # fmt: skip

    def test_a_name_changes_neither_identity_nor_comparison(self):
        axis, plain = BY_NAME["profile"], RuntimeProfile.parse(self.SETTINGS)
        assert axis.identity(axis.parse(f"fast={self.SETTINGS}")) == axis.identity(plain)
        assert axis.is_named("fast", "fast", axis.identity(plain))
        assert axis.is_named(self.SETTINGS, "fast", axis.identity(plain))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("default=launch_blocking", "the profile 'default' cannot be renamed"),
            ("plain=default", "the profile 'default' cannot be renamed"),
            ("mine=tuned", "the profile 'tuned' cannot be renamed"),
            ("Fast=launch_blocking", "profile name 'Fast': use up to 32 of a-z"),
            ("onednn_iso=AVX2", "unknown profile setting 'onednn_iso'"),
            ("a=launch_blocking,a=deterministic", "a is listed twice"),
            ("a=launch_blocking,b=launch_blocking", "launch_blocking is listed twice"),
        ],
    )
    def test_a_name_that_means_something_else_is_refused(self, text, message):
        with pytest.raises(UsageError, match=message):
            override(load_preset("quick"), profile=text)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ('plain = "default"', "cannot be renamed"),
            ("fast = 1", "write its settings as text"),
            ('launch_blocking = "deterministic"', "no name of a setting"),
            ('fast = "quick"', "unknown profile setting 'quick'"),
        ],
    )
    def test_so_is_one_in_a_table(self, tmp_path, table, message):
        path = tmp_path / "m.toml"
        path.write_text(f"[profiles]\n{table}\n")
        with pytest.raises(UsageError, match=message):
            load_file(path)
