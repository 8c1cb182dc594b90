"""The settings that are worth a measurement on a machine, and profiles made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import GRAPH_MODES, DeviceTarget, Mode

DEFAULT = RuntimeProfile()

NOT_TOGETHER = frozenset({"cpu_affinity"})
"""Settings that are not switched on with all others: they take cores away from everything."""


def space(
    framework: Framework,
    device: DeviceTarget,
    mode: Mode,
    cores: int,
    instruction_sets: Iterable[str],
    allocators: Sequence[str] = (),
) -> list[RuntimeProfile]:
    """The settings that are worth a measurement on such a machine, each alone, the most promising first.

    First come the fixes of what `explain` finds: oneDNN's reference convolution, which a cap of the instruction set
    avoids, and an asynchronous launch that starves the kernels of cores.

    `cores` are those that a worker may use, `allocators` those that are installed. A setting that the framework or the
    CPU does not support, or that is the default already, is not in it: a cap to AVX2 makes sense only on a CPU with
    AVX-512. Nor are those that cost speed wherever they were measured: fewer prefetched batches, and the affinity to
    one core (docs/tuning.md).
    """
    settings: list[str] = []
    cpu, mindspore = device is DeviceTarget.CPU, framework is Framework.MINDSPORE
    if mindspore and "avx512f" in instruction_sets and cpu:
        settings.append("onednn_isa=AVX2")
    if mindspore and mode not in GRAPH_MODES:
        settings.append("launch_blocking")
    threads = _fewer(cores) if cpu else []
    settings += [f"allocator={name}" for name in allocators if cpu]
    settings += [f"operator_threads={count}" for count in threads[:1]]
    if mindspore:
        settings.append("dispatch_threads=1")
        settings += [f"dataset_workers={count}" for count in _fewer(min(cores, 8))[:1]]
    settings += [f"operator_threads={count}" for count in threads[1:]]
    settings += [f"cpu_affinity={count}" for count in threads[-1:] if count > 1]
    if mindspore:
        settings += [f"dataset_workers={count}" for count in _fewer(min(cores, 8))[1:]]
    supported = ABILITIES[framework].profile_settings
    found = [RuntimeProfile.parse(text) for text in settings]
    return [each for each in found if supported is None or supported.issuperset(each.settings)]


def _fewer(cores: int) -> list[int]:
    """Counts below `cores`: 1, a quarter, half."""
    return sorted({count for count in (1, cores // 4, cores // 2) if 1 <= count < cores})


def together(settings: Sequence[RuntimeProfile]) -> RuntimeProfile:
    """All settings at once, of several values of one the first, except those of `NOT_TOGETHER`."""
    chosen: dict[str, Any] = {}
    for each in settings:
        chosen = {**each.settings, **chosen}
    return profile_of({name: value for name, value in chosen.items() if name not in NOT_TOGETHER})


def profile_of(settings: Mapping[str, Any]) -> RuntimeProfile:
    """The profile with these settings."""
    return DEFAULT.with_settings(RuntimeProfile.model_validate(settings))


def alone(profile: RuntimeProfile, name: str) -> RuntimeProfile:
    """One setting of the profile, alone."""
    return profile_of({name: profile.settings[name]})


def without(profile: RuntimeProfile, name: str) -> RuntimeProfile:
    """The profile without one of its settings."""
    return profile_of({key: value for key, value in profile.settings.items() if key != name})


def distinct(profiles: Iterable[RuntimeProfile]) -> list[RuntimeProfile]:
    """The profiles in order, those with the same settings once."""
    return list({each.text: each for each in profiles}.values())
