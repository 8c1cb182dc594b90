"""Wheels made in a test: small ones that imitate a package, and installed packages, packed again.

A `mindspore` made here has no framework inside. Its environment, and what `lenet-bench` calls it, are real; workers in
it train in NumPy (tests/cheap).
"""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

from lenet.engine.environments import venv

PURE = "py3-none-any"


def make_wheel(
    folder: Path,
    name: str = "mindspore",
    version: str = "2.11.0",
    *,
    tag: str = PURE,
    files: dict[str, str] | None = None,
    stated: tuple[str, str] | None = None,
    headers: str = "",
) -> Path:
    """A wheel with these files; `stated` is what its metadata say of name and version, where the file name lies."""
    package = name.replace("-", "_")
    inside, of_version = stated or (name, version)
    path = folder / f"{package}-{version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in (files or {f"{package}.py": f"VERSION = '{name} {version}'\n"}).items():
            archive.writestr(place, text)
        about = f"{package}-{version}.dist-info"
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {inside}\nVersion: {of_version}\n{headers}"
        )
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def pack(folder: Path, name: str) -> Path:
    """An installed package as a wheel."""
    found = metadata.distribution(name)
    tag = next(line.split()[1] for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:"))
    path = folder / f"{name.replace('-', '_')}-{found.version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in found.files or ():
            if not {"..", "__pycache__", "INSTALLER", "REQUESTED"} & set(file.parts):
                archive.write(str(file.locate()), file.as_posix())
    return path


def worker_packages(folder: Path) -> Path:
    """A folder, for pip's `--find-links`, with what a worker needs besides its framework."""
    needed = [*venv.WORKER_NEEDS, "pydantic-core", "annotated-types", "typing-extensions"]
    for name in (*needed, "typing-inspection"):
        try:
            pack(folder, name)
        except metadata.PackageNotFoundError:
            if name in needed:  # pydantic before 2.11 does not need the other one
                raise
    return folder
