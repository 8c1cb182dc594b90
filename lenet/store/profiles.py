"""Tuned profiles: saved by `lenet-bench tune`, looked up where a matrix asks for the profile `tuned`.

One small JSON file for each machine, framework version, device target, mode and batch size, in the user's data folder;
`LENET_BENCH_PROFILES` moves that folder. A file says what it is for, so a copied or renamed one is never misread.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs
from pydantic import Field, ValidationError

from lenet.cases.case import TUNED, Case, DeviceTarget, Frozen, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.errors import StoreError, UsageError
from lenet.files.text import write_atomically

MAX_FILE_BYTES = 2**20


class Scope(Frozen):
    """What a tuned profile holds for: on anything else it would be a guess."""

    machine_id: str
    framework: Framework
    framework_version: str
    device_target: DeviceTarget
    mode: Mode
    batch_size: int = Field(ge=1)

    @classmethod
    def of(cls, case: Case, machine_id: str) -> Scope:
        """The scope of a case on a machine, with the version of the framework that is installed here."""
        return cls(
            machine_id=machine_id,
            framework=case.framework,
            framework_version=installed(case.framework),
            device_target=case.device_target,
            mode=case.mode,
            batch_size=case.hyperparameters.batch_size,
        )

    @property
    def file_name(self) -> str:
        """Readable, then a digest of the whole; safe whatever the fields hold."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.device_target.value.lower()}-{self.mode.value}-b{self.batch_size}-{digest}.json"


class Saved(Frozen):
    """A tuned profile and what it was worth when it was measured."""

    scope: Scope
    profile: RuntimeProfile
    tuned_at: datetime
    default_images_per_second: float = Field(gt=0)
    tuned_images_per_second: float = Field(gt=0)


def installed(framework: Framework) -> str:
    """The framework's version, from the installed package: the parent never imports it. `absent` where it is not."""
    try:
        return version(framework.value)
    except PackageNotFoundError:
        return "absent"


def folder() -> Path:
    """Where tuned profiles are kept; it need not exist."""
    chosen = os.environ.get("LENET_BENCH_PROFILES")
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("lenet-bench", appauthor=False)) / "profiles"


def save(saved: Saved) -> Path:
    """Keep a tuned profile in place of an earlier one of the same scope; returns its file.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = folder() / saved.scope.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, saved.model_dump_json(indent=1) + "\n")
    except (OSError, StoreError) as error:
        raise StoreError(
            f"the tuned profile cannot be kept in {path.parent}; set LENET_BENCH_PROFILES to a folder that can be "
            "written"
        ) from error
    return path


def load(scope: Scope) -> Saved | None:
    """The profile that was saved for that scope, or None.

    Raises:
        StoreError: there is a file of that name, and it does not hold what `save` writes.
    """
    path = folder() / scope.file_name
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        saved = Saved.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{path} is no tuned profile: delete it and run `lenet-bench tune` again") from error
    if saved.scope != scope or saved.profile.unresolved or saved.profile.name != TUNED:
        raise StoreError(f"{path} is the tuned profile of something else: delete it and run `lenet-bench tune` again")
    return saved


def resolve(cases: Iterable[Case], machine_id: str) -> list[Case]:
    """The cases, each that asks for `tuned` with the settings that were saved for its device, mode and batch size.

    Raises:
        UsageError: none was saved for one of them; the sentence names the command that does.
        StoreError: a saved profile is damaged.
    """
    resolved = []
    for case in cases:
        if case.profile.unresolved:
            scope = Scope.of(case, machine_id)
            saved = load(scope)
            if saved is None:
                raise UsageError(_nothing_saved(scope))
            case = case.model_copy(update={"profile": saved.profile})
        resolved.append(case)
    return resolved


def _nothing_saved(scope: Scope) -> str:
    device, mode, batch = scope.device_target.value.lower(), scope.mode.value, scope.batch_size
    return (
        f"--profile tuned: nothing is tuned yet for {scope.framework.value} {scope.framework_version}, {device}, "
        f"{mode}, batch {batch} on this machine; run `lenet-bench tune --device {device} --mode {mode} "
        f"--batch-size {batch}` first"
    )
