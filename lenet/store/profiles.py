"""Tuned profiles: saved by `lenet-bench tune`, loaded where a matrix asks for the profile `tuned`.

There is one small JSON file for each machine, framework version, device target, mode and batch size, in the user's data
folder; `LENET_BENCH_PROFILES` names another folder. A file names its scope: a copied or renamed one is never misread.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from lenet.cases.base import Instant
from lenet.cases.case import TUNED, Case, DeviceTarget, Frozen, Mode, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.errors import StoreError, UsageError, failing_as
from lenet.files.cache import user_folder
from lenet.files.plain import replace
from lenet.files.text import read_text
from lenet.machine.installed import framework_version, install_command


class Scope(Frozen):
    """What a tuned profile is valid for."""

    machine_id: str
    framework: Framework
    framework_version: str
    device_target: DeviceTarget
    mode: Mode
    batch_size: int = Field(ge=1)

    @classmethod
    def of(cls, case: Case, machine_id: str) -> Scope:
        """The scope of a case on a machine; the framework's version is the case's, or else the installed one.

        Raises:
            UsageError: the framework is not installed.
        """
        version = case.framework_version or framework_version(case.framework)
        if version is None:
            ability = ABILITIES[case.framework]
            raise UsageError(f"--profile tuned: {ability.title} is not installed: {install_command(ability.package)}")
        return cls(
            machine_id=machine_id,
            framework=case.framework,
            framework_version=version,
            device_target=case.device_target,
            mode=ABILITIES[case.framework].own_mode(case.mode),
            batch_size=case.hyperparameters.batch_size,
        )

    @property
    def path(self) -> Path:
        """The file of this scope's profile: a readable name that ends in a digest of the whole scope."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return folder() / f"{self.device_target.value.lower()}-{self.mode.value}-b{self.batch_size}-{digest}.json"


class TunedProfile(Frozen):
    """A tuned profile and the speeds that were measured with and without it."""

    scope: Scope
    profile: RuntimeProfile
    tuned_at: Instant
    default_images_per_second: float = Field(gt=0)
    tuned_images_per_second: float = Field(gt=0)


def folder() -> Path:
    """The folder of the tuned profiles; it need not exist."""
    return user_folder("data", "LENET_BENCH_PROFILES", "profiles")


def writable() -> None:
    """Check that a profile can be saved, which takes long to find.

    Raises:
        CacheError: the user has no home folder.
        StoreError: the folder cannot be made or written.
    """
    with _saving(), tempfile.TemporaryFile(dir=folder()):
        pass


def save(tuned: TunedProfile) -> Path:
    """Save a tuned profile, replacing an earlier one of the same scope; return its file.

    Raises:
        StoreError: the folder cannot be written.
    """
    with _saving():
        replace(tuned.scope.path, (tuned.model_dump_json(indent=1) + "\n").encode())
    return tuned.scope.path


@contextmanager
def _saving() -> Iterator[None]:
    """The folder is made; what fails is a `StoreError`."""
    advice = "set LENET_BENCH_PROFILES to a folder that can be written"
    with failing_as(StoreError, f"no tuned profile can be saved in {folder()}", advice):
        folder().mkdir(parents=True, exist_ok=True)
        yield


def load(scope: Scope) -> TunedProfile | None:
    """The profile that was saved for that scope, or None.

    Raises:
        StoreError: the file of that scope does not hold what `save` writes.
    """
    path = scope.path
    if not path.exists():
        return None
    try:
        tuned = TunedProfile.model_validate_json(read_text(path))
    except (StoreError, ValidationError) as error:
        raise StoreError(f"{path} is not a tuned profile: delete it and run `lenet-bench tune` again") from error
    if tuned.scope != scope or tuned.profile.unresolved or tuned.profile.name != TUNED:
        raise StoreError(f"{path} is tuned for another case: delete it and run `lenet-bench tune` again")
    return tuned


def resolve(cases: Iterable[Case], machine_id: str) -> list[Case]:
    """The cases, with the profile `tuned` replaced by the settings that were saved for each case's scope.

    Raises:
        UsageError: no profile was saved for a case; the message names the command that does it.
        StoreError: a saved profile is damaged.
    """
    resolved = []
    missing: dict[Scope, Case] = {}
    for case in cases:
        if case.profile.unresolved:
            scope = Scope.of(case, machine_id)
            if (tuned := load(scope)) is None:
                missing.setdefault(scope, case)
                continue
            case = case.model_copy(update={"profile": tuned.profile})
        resolved.append(case)
    if missing:
        raise UsageError(_nothing_saved(missing))
    return resolved


def _nothing_saved(missing: Mapping[Scope, Case]) -> str:
    (scope, case), *_ = missing.items()
    fixed = ("framework", "framework_version", "device_target", "dataset")
    together = [each for each, other in missing.items() if all(getattr(case, n) == getattr(other, n) for n in fixed)]
    options = {
        "--framework": case.framework.value if case.framework is not Framework.MINDSPORE else None,
        "--versions": case.framework_version,
        "--device": case.device_target.value.lower(),
        "--mode": ",".join(dict.fromkeys(each.mode.value for each in together)),
        "--batch-size": ",".join(dict.fromkeys(str(each.batch_size) for each in together)),
        "--dataset": case.dataset,
    }
    command = " ".join(f"{option} {value}" for option, value in options.items() if value is not None)
    others = f" nor for {len(missing) - 1} other cases" if len(missing) > 1 else ""
    return (
        f"--profile tuned: no profile is tuned for {scope.framework.value} {scope.framework_version}, "
        f"{scope.device_target.value}, {scope.mode.value}, batch {scope.batch_size}{others} on this machine; "
        f"run `lenet-bench tune {command}` first"
    )
