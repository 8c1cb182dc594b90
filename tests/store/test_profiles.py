"""Tuned profiles: kept for one scope, found for it and for no other, and never silently the default."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from lenet.cases.case import TUNED, Case, Hyperparameters, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.cases.matrix import Matrix
from lenet.cases.profile import ALLOCATORS, Allocator
from lenet.commands.measurement import begin
from lenet.errors import StoreError, UsageError
from lenet.machine.card import describe
from lenet.machine.cores import usable_cores
from lenet.store.profiles import Scope, TunedProfile, folder, load, resolve, save
from lenet.worker.work import set_environment
from tests.installed import FRAMEWORKS, NEEDS_PYTORCH

SETTINGS = {"operator_threads": 1, "dataset_workers": 1}


@pytest.fixture(autouse=True)
def _own_profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tmp_path / "profiles"))


@pytest.fixture
def keep():
    def go(case, settings=SETTINGS, machine="a-machine", **scope):
        saved = TunedProfile(
            scope=Scope.of(case, machine).model_copy(update=scope),
            profile=RuntimeProfile(name=TUNED, tuned_by="run-tune", **settings),
            tuned_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
            default_images_per_second=500,
            tuned_images_per_second=2000,
        )
        return saved, save(saved)

    return go


def wanted(**fields):
    return Case(profile=RuntimeProfile.parse("tuned"), **fields)


def test_what_is_kept_is_found(keep):
    saved, path = keep(Case())
    assert path.parent == folder()
    assert load(saved.scope) == saved
    (case,) = resolve([wanted()], "a-machine")
    assert case.profile.name == "tuned"
    assert case.profile.settings == SETTINGS


def test_it_is_found_for_its_scope_only(keep):
    keep(Case())
    others = (
        wanted(mode=Mode.JIT),
        wanted(hyperparameters=Hyperparameters(batch_size=64)),
        wanted(device_target="GPU"),
    )
    for other in others:
        with pytest.raises(UsageError, match="lenet-bench tune"):
            resolve([other], "a-machine")
    with pytest.raises(UsageError, match="lenet-bench tune"):
        resolve([wanted()], "another-machine")


def test_another_version_of_the_framework_is_another_scope(keep):
    keep(Case(), framework_version="0.1")
    with pytest.raises(UsageError, match="no profile is tuned for mindspore"):
        resolve([wanted()], "a-machine")


def test_the_sentence_names_the_command_that_helps():
    case = wanted(mode=Mode.PYNATIVE, hyperparameters=Hyperparameters(batch_size=64))
    with pytest.raises(UsageError, match="lenet-bench tune --device cpu --mode pynative --batch-size 64"):
        resolve([case], "a-machine")


@NEEDS_PYTORCH
def test_one_command_tunes_all_cases_that_need_it():
    cases = [
        wanted(mode=mode, hyperparameters=Hyperparameters(batch_size=size), dataset="digits")
        for mode in (Mode.GRAPH, Mode.JIT)
        for size in (32, 64)
    ]
    with pytest.raises(UsageError) as caught:
        resolve([*cases, wanted(framework="pytorch", mode=Mode.PYNATIVE)], "a-machine")
    assert "batch 32 nor for 4 other cases on this machine" in str(caught.value)
    command = "`lenet-bench tune --device cpu --mode graph,jit --batch-size 32,64 --dataset digits`"
    assert command in str(caught.value)


def test_modes_get_their_own_settings_under_one_name(keep):
    keep(Case(mode=Mode.GRAPH), {"operator_threads": 1})
    keep(Case(mode=Mode.PYNATIVE), {"launch_blocking": True})
    cases = Matrix(modes=("graph", "pynative"), profiles=("default", "tuned")).cases()
    found = {(case.mode, case.profile.name): case.profile.settings for case in resolve(cases, "a-machine")}
    assert found == {
        (Mode.GRAPH, "default"): {},
        (Mode.PYNATIVE, "default"): {},
        (Mode.GRAPH, "tuned"): {"operator_threads": 1},
        (Mode.PYNATIVE, "tuned"): {"launch_blocking": True},
    }


def test_no_gain_is_a_profile_too(keep):
    keep(Case(), {})
    (case,) = resolve([wanted()], "a-machine")
    assert (case.profile.name, case.profile.settings) == ("tuned", {})
    assert not case.profile.unresolved


def test_other_profiles_are_left_alone():
    cases = [Case(), Case(profile=RuntimeProfile.parse("launch_blocking"))]
    assert resolve(cases, "a-machine") == cases


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"scope": 1}', "\xff" * 9])
def test_a_damaged_file_is_one_sentence(keep, text):
    _, path = keep(Case())
    path.write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="lenet-bench tune"):
        resolve([wanted()], "a-machine")


def test_a_file_under_anothers_name_is_not_believed(keep):
    _, graph = keep(Case())
    _, jit = keep(Case(mode=Mode.JIT))
    jit.write_bytes(graph.read_bytes())
    with pytest.raises(StoreError, match="another case"):
        resolve([wanted(mode=Mode.JIT)], "a-machine")


def test_a_folder_that_cannot_be_written(keep, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tmp_path / "file" / "below"))
    with pytest.raises(StoreError, match="LENET_BENCH_PROFILES"):
        keep(Case())


def test_a_run_holds_the_settings_and_not_the_name(keep, digits, tmp_path):
    keep(Case(), machine=describe().id)
    matrix = Matrix(modes=("graph",), datasets=("digits",), profiles=("default", "tuned"))
    run = begin(matrix.cases(), lambda _: digits, tmp_path / "run")
    assert [case.profile.settings for case in run.store.manifest.cases] == [{}, SETTINGS]


def test_a_run_without_a_tuned_profile_leaves_nothing_behind(digits, tmp_path):
    matrix = Matrix(datasets=("digits",), profiles=("tuned",))
    with pytest.raises(UsageError, match="lenet-bench tune"):
        begin(matrix.cases(), lambda _: digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_cores_than_there_are_is_bad_input(digits, tmp_path):
    matrix = Matrix(datasets=("digits",), profiles=(f"cpu_affinity={len(usable_cores()) + 1}",))
    with pytest.raises(UsageError, match="choose less"):
        begin(matrix.cases(), lambda _: digits, tmp_path / "run")


@pytest.mark.parametrize("library", ["libnowhere.so.9", "libBrokenLocale.so.1"])
def test_an_allocator_that_is_not_installed_is_bad_input(library, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(ALLOCATORS, "tcmalloc", Allocator(library, "a-package"))
    matrix = Matrix(datasets=("digits",), profiles=("allocator=tcmalloc",))
    if library == "libnowhere.so.9":
        with pytest.raises(UsageError, match=r"libnowhere\.so\.9 is not installed here: .*apt-get install a-package"):
            begin(matrix.cases(), lambda _: digits, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    else:
        begin(matrix.cases(), lambda _: digits, tmp_path / "run")


def test_a_worker_refuses_an_allocator_that_was_not_loaded(monkeypatch):
    monkeypatch.setitem(ALLOCATORS, "tcmalloc", Allocator("libnowhere.so.9", "a-package"))
    with pytest.raises(ValueError, match=r"allocator=tcmalloc: libnowhere\.so\.9 is not installed"):
        set_environment(RuntimeProfile.parse("allocator=tcmalloc"))


def test_a_worker_refuses_a_name_without_settings():
    with pytest.raises(ValueError, match="look it up"):
        set_environment(RuntimeProfile.parse("tuned"))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_profile_of_every_framework_is_found_again(keep, framework):
    case = wanted(framework=framework, mode=Mode.PYNATIVE)
    with pytest.raises(UsageError, match=f"for {framework.value} ") as caught:
        resolve([case], "a-machine")
    assert ("--framework pytorch" in str(caught.value)) == (framework is Framework.PYTORCH)
    assert "absent" not in str(caught.value)
    keep(case)
    (found,) = resolve([case], "a-machine")
    assert found.profile.settings == SETTINGS


def test_a_framework_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("lenet.store.profiles.framework_version", lambda _: None)
    with pytest.raises(UsageError, match=r"PyTorch is not installed: .* install torch$"):
        resolve([wanted(framework="pytorch", mode=Mode.PYNATIVE)], "a-machine")


def test_a_case_of_another_release_is_another_scope(keep):
    keep(Case())
    with pytest.raises(UsageError, match="--versions 2"):
        resolve([wanted(framework_version="2.7.0")], "a-machine")
    keep(Case(framework_version="2.7.0"), {"launch_blocking": True})
    (case,) = resolve([wanted(framework_version="2.7.0")], "a-machine")
    assert case.profile.settings == {"launch_blocking": True}
