"""Cases and matrices: identity, order, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import zip_longest
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lenet.cases.case import Case, DeviceTarget, Hyperparameters, Mode, Plan, RuntimeProfile, Scaling, TurnLength
from lenet.cases.matrix import Matrix
from lenet.cases.profile import ALLOCATORS


def test_the_defaults_are_the_tutorials():
    hyper = Hyperparameters()
    assert (hyper.batch_size, hyper.learning_rate, hyper.momentum) == (32, 1e-2, 0.9)
    assert Plan().warmup_steps == 60


class TestId:
    def test_it_is_the_same_in_another_process(self):
        code = "from lenet.cases.case import Case; print(Case().id)"
        for seed in ("1", "2"):
            other = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            )
            assert other.stdout.strip() == Case().id

    def test_axes_that_came_later_left_it_as_it_was(self):
        assert Case().id == "cpu-graph-b32-44136fa355"

    def test_every_field_is_in_it(self):
        others = [
            Case(mode=Mode.JIT),
            Case(device_target=DeviceTarget.GPU),
            Case(dataset="digits"),
            Case(framework="pytorch", mode=Mode.PYNATIVE),
            Case(pipeline="cached"),
            Case(profile=RuntimeProfile(name="x", operator_threads=1)),
            Case(profile=RuntimeProfile(name="x", operator_threads=2)),
            Case(repetition=1),
            Case(hyperparameters=Hyperparameters(seed=2)),
            Case(hyperparameters=Hyperparameters(learning_rate=0.02)),
            Case(plan=Plan(epochs=1)),
            Case(plan=Plan(windows=3)),
            Case(world_size=2),
            Case(world_size=2, scaling=Scaling.WEAK),
            Case(profile=RuntimeProfile(name="x", jit_level="O1")),
            Case(profile=RuntimeProfile(name="x", deterministic=True)),
        ]
        assert len({case.id for case in [Case(), *others]}) == len(others) + 1

    @given(st.text(min_size=1, max_size=120))
    def test_it_is_safe_as_a_file_name(self, dataset):
        assert re.fullmatch(r"[a-z0-9-]{1,80}", Case(dataset=dataset).id)

    def test_it_survives_being_written(self):
        case = Case(profile=RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking"))
        assert Case.model_validate_json(case.model_dump_json()).id == case.id


class TestSeveralProcesses:
    @pytest.mark.parametrize(
        ("scaling", "whole", "share"), [(Scaling.STRONG, 32, 8), (Scaling.WEAK, 128, 32)], ids=lambda value: str(value)
    )
    def test_who_trains_on_how_many_images(self, scaling, whole, share):
        case = Case(world_size=4, scaling=scaling)
        assert (case.global_batch_size, case.rank_batch_size) == (whole, share)

    def test_one_process_is_as_it_always_was(self):
        assert Case().global_batch_size == Case().rank_batch_size == 32
        assert Case().id == "cpu-graph-b32-44136fa355"
        assert "processes" not in Case().label

    @pytest.mark.parametrize(
        "values",
        [
            {"world_size": 0},
            {"world_size": 3},
            {"world_size": 64},
            {"scaling": "weak"},
            {"world_size": 2, "scaling": "x"},
            {"world_size": 2, "plan": {"trace": True}},
        ],
        ids=str,
    )
    def test_what_cannot_be_shared_is_refused(self, values):
        with pytest.raises(ValidationError):
            Case(**values)

    def test_one_process_is_one_case_whatever_the_scaling(self):
        matrix = Matrix(modes=("graph",), world_sizes=(1, 2, 4), scalings=("strong", "weak"))
        assert [(case.world_size, case.scaling.value) for case in matrix.cases()] == [
            (1, "strong"), (2, "strong"), (4, "strong"), (2, "weak"), (4, "weak"),
        ]  # fmt: skip
        assert "1, 2, 4 processes × strong, weak scaling" in matrix.span
        assert "processes" not in Matrix().span


class TestRefused:
    @pytest.mark.parametrize(
        "values",
        [
            *({"batch_size": each} for each in (0, -1, 65537, 1.5, "many")),
            *({"learning_rate": each} for each in (0, -1, float("nan"), float("inf"))),
            *({"momentum": each} for each in (-0.1, 1)),
            *({"seed": each} for each in (-1, 2**32, 5489)),
            {"unheard_of": 1},
        ],
        ids=str,
    )
    def test_hyperparameters(self, values):
        with pytest.raises(ValidationError):
            Hyperparameters(**values)

    @pytest.mark.parametrize(
        "values",
        [{"epochs": 0}, {"windows": 0}, {"window_steps": 0}, {"budget_seconds": 0}, {"warmup_steps": 0}],
        ids=str,
    )
    def test_plan(self, values):
        with pytest.raises(ValidationError):
            Plan(**values)

    def test_a_case_that_its_framework_cannot_carry_out(self):
        with pytest.raises(ValidationError, match="pytorch cannot run this: its modes are eager, compile, not graph"):
            Case(framework="pytorch", mode=Mode.GRAPH)

    def test_a_case_does_not_change(self):
        with pytest.raises(ValidationError):
            Case().mode = Mode.JIT


class TestSteadyWindows:
    def test_a_turn_is_about_as_long_as_asked_for_and_its_lead_in_has_whole_steps(self):
        assert Plan().steady_windows(0.009, TurnLength(seconds=0.1, lead_in_seconds=0.05)) == (12, 47, 15, 5)
        assert Plan().steady_windows(0.009, TurnLength(seconds=0.1)) == (12, 47, 15, 0)

    def test_a_step_that_is_longer_than_the_lead_in_has_none(self):
        assert Plan().steady_windows(0.18, TurnLength(seconds=0.1, lead_in_seconds=0.05)) == (1, 28, 9, 0)

    def test_a_worker_that_trains_alone_has_none(self):
        assert Plan().steady_windows(0.009) == (56, 10, 3, 0)


def _values(setting):
    """Values of a setting: all that it can have, if they are words."""
    kind = RuntimeProfile.model_fields[setting].annotation
    words = [word for each in get_args(kind) for word in get_args(each)]
    return words or ([True] if kind is bool else [2])


class TestProfile:
    def test_default_sets_nothing(self):
        assert RuntimeProfile.parse("default") == RuntimeProfile()
        assert RuntimeProfile().environment == {}

    def test_each_allocator_that_may_be_named_has_its_library(self):
        for name in ALLOCATORS:
            assert RuntimeProfile.parse(f"allocator={name}").preloaded == ALLOCATORS[name].library
        with pytest.raises(ValueError, match=f"Input should be '{', '.join(ALLOCATORS)}'"):
            RuntimeProfile.parse("allocator=another")

    def test_settings(self):
        profile = RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking+operator_threads=2")
        assert (profile.onednn_isa, profile.launch_blocking, profile.operator_threads) == ("AVX2", True, 2)
        assert profile.name == "onednn_isa=avx2+launch_blocking+operator_threads=2"
        assert set(profile.environment) == {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}
        assert set(profile.environment.values()) == {"AVX2"}

    def test_the_name_that_tables_show_can_be_typed(self):
        fields = [name for name in RuntimeProfile.model_fields if name not in ("name", "tuned_by")]
        for values in zip_longest(*(_values(name) for name in fields)):
            settings = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
            profile = RuntimeProfile().with_settings(RuntimeProfile(**settings))
            assert profile.settings == settings
            assert RuntimeProfile.parse(profile.name) == profile

    @pytest.mark.parametrize(
        "text", ["", "fast", "onednn_isa", "onednn_isa=MMX", "operator_threads=0", "operator_threads=x", "name=x", "+"]
    )
    def test_nonsense_is_refused(self, text):
        with pytest.raises(ValueError, match=r"."):
            RuntimeProfile.parse(text)


class TestMatrix:
    def test_every_combination_once(self):
        matrix = Matrix(
            device_targets=("CPU", "GPU"), modes=("pynative", "graph"), batch_sizes=(1, 2, 3), datasets=("a", "b"),
            profiles=("default", "launch_blocking"), seeds=(1, 2), repeat=2,
        )  # fmt: skip
        cases = matrix.cases()
        assert len(cases) == len({case.id for case in cases}) == 2 * 2 * 3 * 2 * 2 * 2 * 2

    def test_cases_go_in_rounds(self):
        cases = Matrix(modes=("pynative", "graph", "jit"), batch_sizes=(32, 64), repeat=3).cases()
        assert [case.repetition for case in cases] == [0] * 6 + [1] * 6 + [2] * 6
        rounds = [[(case.mode, case.hyperparameters.batch_size) for case in cases[i : i + 6]] for i in (0, 6, 12)]
        assert rounds[0] == rounds[1] == rounds[2]

    @pytest.mark.parametrize(
        "values",
        [
            *({name: ()} for name in ("modes", "batch_sizes", "device_targets", "datasets", "profiles", "seeds")),
            {"batch_sizes": (32, 32)},
            {"modes": ("graph", "graph")},
            {"batch_sizes": (0,)},
            {"seeds": (5489,)},
            {"repeat": 0},
            {"modes": ("eager",)},
            {"name": "../x"},
            {"unheard_of": 1},
        ],
        ids=str,
    )
    def test_what_cannot_run_cannot_be_made(self, values):
        with pytest.raises(ValidationError):
            Matrix(**values)


def test_a_changed_copy_has_an_id_of_its_own():
    case = Case()
    kept = case.id
    changed = case.model_copy(update={"repetition": 1})
    assert changed.id != kept
    assert changed.id == Case(repetition=1).id
    assert case.model_copy().id == kept
