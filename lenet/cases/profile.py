"""Runtime profiles: settings around the training that change its speed and not its result."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from pydantic import Field, ValidationError

from lenet.cases.base import Frozen
from lenet.errors import problems

TUNED = "tuned"
"""The profile that `lenet-bench tune` saved for a machine, framework version, device, mode and batch size."""


class Allocator(NamedTuple):
    """A memory allocator in place of the C library's."""

    library: str
    """The name of the shared library."""
    package: str
    """Debian's and Ubuntu's package with it."""


ALLOCATORS = {"tcmalloc": Allocator("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4")}
"""The allocators that a profile may name: those that made a training faster (docs/tuning.md)."""


class RuntimeProfile(Frozen):
    """Settings around the training that change its speed and not its definition. `default` sets nothing."""

    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.+=-]{0,239}$")
    operator_threads: int | None = Field(default=None, ge=1, le=1024)
    dispatch_threads: int | None = Field(default=None, ge=1, le=1024)
    dataset_workers: int | None = Field(default=None, ge=1, le=1024)
    dataset_prefetch: int | None = Field(default=None, ge=1, le=1024)
    """Batches that each stage of the data pipeline holds ready."""
    cpu_affinity: int | None = Field(default=None, ge=1, le=4096)
    """Cores that the worker may use: one thread of each physical core before the second of any."""
    launch_blocking: bool = False
    onednn_isa: Literal["SSE41", "AVX", "AVX2", "AVX512_CORE"] | None = None
    jit_level: Literal["O0", "O1"] | None = None
    """How far MindSpore fuses a graph; PyNative mode has none."""
    allocator: Literal["tcmalloc"] | None = None
    """The memory allocator in place of the C library's. Its shared library has to be installed."""
    deterministic: bool = False
    """Make the kernels and sums of the device deterministic, if it has such switches."""
    tuned_by: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,119}$")
    """The run that measured a tuned profile. A profile named `tuned` without it is not looked up yet."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name; empty for the framework as installed."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "tuned_by"})

    @property
    def text(self) -> str:
        """The settings as `parse` reads them, in one order; `default` if nothing is set."""
        parts = (name if value is True else f"{name}={value}" for name, value in self.settings.items())
        return "+".join(parts) or "default"

    def with_settings(self, other: RuntimeProfile) -> RuntimeProfile:
        """The settings of both profiles; if both set the same, that of `other`."""
        profile = RuntimeProfile.model_validate({**self.settings, **other.settings})
        return profile.model_copy(update={"name": profile.text.lower()})

    @property
    def unresolved(self) -> bool:
        """Whether it is only the name `tuned`: the settings are those saved for a case."""
        return self.name == TUNED and self.tuned_by is None

    @property
    def preloaded(self) -> str:
        """The shared library that the dynamic linker has to load before the worker's interpreter; empty if none."""
        return ALLOCATORS[self.allocator].library if self.allocator is not None else ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that must be set before the framework is imported. oneDNN before 3.0 reads the DNNL_ names."""
        variables: dict[str, str] = {}
        if self.onednn_isa is not None:
            variables |= {"ONEDNN_MAX_CPU_ISA": self.onednn_isa, "DNNL_MAX_CPU_ISA": self.onednn_isa}
        if self.deterministic:
            variables |= {"HCCL_DETERMINISTIC": "true"}
        return variables

    @classmethod
    def parse(cls, text: str) -> RuntimeProfile:
        """A profile from its name or from settings joined by `+`, as in `onednn_isa=AVX2+launch_blocking`.

        Values that are words are read in any case: `name`, which tables show, is lower case.

        Raises:
            ValueError: an unknown name or setting, or a value out of range.
        """
        if text in ("default", TUNED):
            return cls(name=text)
        known = [field for field in cls.model_fields if field not in ("name", "tuned_by")]
        settings: dict[str, Any] = {}
        for part in text.split("+"):
            key, separator, value = part.partition("=")
            if key not in known:
                listed = ", ".join(known)
                raise ValueError(
                    f"unknown profile setting {key!r}; use 'default', 'tuned' or settings of {listed}, joined by +"
                )
            choices = [each for kind in get_args(cls.model_fields[key].annotation) for each in get_args(kind)]
            spelled = {each.lower(): each for each in choices}
            settings[key] = spelled.get(value.lower(), value) if separator else True
        try:
            return cls(name=text.lower(), **settings)
        except ValidationError as error:
            raise ValueError(f"profile setting {problems(error)[0]}") from error
