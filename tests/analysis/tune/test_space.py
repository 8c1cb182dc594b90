"""Which settings are worth a measurement on which machine, and profiles made of them."""

from __future__ import annotations

import pytest

from lenet.analysis.tune.space import alone, space, together, without
from lenet.cases.case import Case, DeviceTarget, Mode, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.profile import ALLOCATORS


class TestSpace:
    def texts(self, mode=Mode.PYNATIVE, cores=8, sets=("avx2", "avx512f"), device=DeviceTarget.CPU):
        return [each.text for each in space(Framework.MINDSPORE, device, mode, cores, sets)]

    def test_the_cap_to_avx2_needs_avx512(self):
        assert self.texts()[0] == "onednn_isa=AVX2"
        assert not any("onednn_isa" in text for text in self.texts(sets=("avx", "avx2", "fma")))

    def test_no_more_threads_than_cores_and_none_that_is_the_default(self):
        texts = self.texts(cores=8)
        assert [text for text in texts if text.startswith("operator_threads")] == [
            f"operator_threads={count}" for count in (1, 2, 4)
        ]
        assert not any(text.startswith(("operator_threads", "cpu_affinity")) for text in self.texts(cores=1))

    def test_blocking_launch_is_tried_where_operators_are_launched_one_by_one(self):
        assert "launch_blocking" in self.texts(Mode.PYNATIVE)
        assert "launch_blocking" not in self.texts(Mode.GRAPH)

    def test_settings_of_the_cpu_are_tried_on_the_cpu_only(self):
        texts = self.texts(device=DeviceTarget.GPU)
        assert not any(text.startswith(("operator_threads", "onednn_isa", "cpu_affinity")) for text in texts)

    def test_an_allocator_that_is_installed_is_tried_on_the_cpu(self):
        ours, peer, on_gpu = (
            [each.text for each in space(framework, DeviceTarget(device), Mode.PYNATIVE, 2, ["avx512f"], ["tcmalloc"])]
            for framework, device in (
                (Framework.MINDSPORE, "CPU"),
                (Framework.PYTORCH, "CPU"),
                (Framework.MINDSPORE, "GPU"),
            )
        )
        assert ours[:3] == ["onednn_isa=AVX2", "launch_blocking", "allocator=tcmalloc"]
        assert "allocator=tcmalloc" in peer
        assert not any("allocator" in text for text in (*on_gpu, *self.texts()))

    @pytest.mark.parametrize("mode", list(ABILITIES[Framework.MINDSPORE].modes))
    def test_what_cost_speed_wherever_it_was_measured_is_not_tried(self, mode):
        assert not any("dataset_prefetch" in text for text in self.texts(mode))
        assert not any("cpu_affinity" in text for text in self.texts(mode, cores=2))
        assert "cpu_affinity=4" in self.texts(mode, cores=8)

    def test_a_machines_settings_are_few_and_within_it(self, machine_card):
        sets, cores = machine_card.instruction_sets, machine_card.usable_cores
        found = space(Framework.MINDSPORE, DeviceTarget.CPU, Mode.PYNATIVE, cores, sets)
        assert len({each.text for each in found}) == len(found) <= 16
        assert ("onednn_isa=AVX2" in {each.text for each in found}) is ("avx512f" in sets)
        for each in found:
            for name in ("operator_threads", "dataset_workers", "cpu_affinity"):
                assert each.settings.get(name, 0) < max(cores, 2)


@pytest.mark.parametrize("cores", [1, 2, 8])
@pytest.mark.parametrize("device", ["CPU", "GPU"])
@pytest.mark.parametrize("framework", list(Framework))
def test_every_framework_can_train_with_every_profile_of_its_space(framework, device, cores):
    for mode in ABILITIES[framework].modes:
        found = space(framework, DeviceTarget(device), mode, cores, ["avx2", "avx512f"], list(ALLOCATORS))
        for profile in (*found, together(found)):
            Case(framework=framework, device_target=device, mode=mode, profile=profile)


def test_together_has_the_first_value_of_each_setting_and_takes_no_cores_away():
    found = together(space(Framework.MINDSPORE, DeviceTarget.CPU, Mode.PYNATIVE, 8, ["avx512f"]))
    assert found.settings == {
        "onednn_isa": "AVX2", "launch_blocking": True, "operator_threads": 1, "dispatch_threads": 1,
        "dataset_workers": 1,
    }  # fmt: skip
    assert found.text == RuntimeProfile.parse(found.text).text


def test_profiles_with_one_setting_and_without_it():
    both = RuntimeProfile.parse("operator_threads=2+launch_blocking")
    assert alone(both, "launch_blocking").settings == {"launch_blocking": True}
    assert without(both, "launch_blocking").settings == {"operator_threads": 2}
    assert without(without(both, "launch_blocking"), "operator_threads") == RuntimeProfile()


def test_merged_profiles_keep_both_and_the_latter_wins():
    first, second = (
        RuntimeProfile.parse(text) for text in ("operator_threads=2+launch_blocking", "operator_threads=1")
    )
    both = first.with_settings(second)
    assert both.settings == {"operator_threads": 1, "launch_blocking": True}
    assert both == RuntimeProfile.parse(both.name.replace("avx2", "AVX2"))
