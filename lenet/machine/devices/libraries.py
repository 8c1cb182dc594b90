"""Which libraries a shared library needs, and where the loader finds them on this machine.

The files are read, not loaded, so that every missing library is named at once. The search is that of ld.so(8):
DT_RPATH of the library and of those that need it (unless it has DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH, the loader's
cache, the system's folders.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from lenet.machine.programs import ProgramError, output

SYSTEM_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
QUERY_SECONDS = 10


@dataclass(frozen=True)
class Needs:
    """The dynamic section of a shared library."""

    libraries: tuple[str, ...]
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


@dataclass
class Resolution:
    """Where the loader finds each library that is needed, directly or through others."""

    found: dict[str, Path] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Libraries that the loader does not find, each with the file that needs it."""


@functools.lru_cache(maxsize=1024)
def read(path: Path) -> Needs | None:
    """Return what `path` needs; None if it is not an ELF file with a dynamic section."""
    try:
        with path.open("rb") as file:
            for segment in ELFFile(file).iter_segments("PT_DYNAMIC"):
                return _needs(segment) if isinstance(segment, DynamicSegment) else None
    except (OSError, ELFError, ValueError, KeyError):
        return None
    return None


def _needs(segment: DynamicSegment) -> Needs:
    texts: dict[str, list[str]] = {"DT_NEEDED": [], "DT_RPATH": [], "DT_RUNPATH": []}
    names = {"DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    for tag in segment.iter_tags():
        if (kind := tag.entry.d_tag) in texts:
            texts[kind].append(getattr(tag, names[kind]))
    paths = {kind: tuple(part for text in texts[kind] for part in text.split(":") if part) for kind in texts}
    return Needs(tuple(texts["DT_NEEDED"]), paths["DT_RPATH"], paths["DT_RUNPATH"])


@functools.cache
def loader_cache() -> Mapping[str, Path]:
    """Return the loader's cache, soname to path, as `ldconfig -p` prints it.

    Raises:
        ProgramError: there is no `ldconfig`, or it gave no answer; the next call asks again.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/sbin:/usr/sbin"
    printed = output("ldconfig", "-p", seconds=QUERY_SECONDS, environment={"PATH": path})
    found: dict[str, Path] = {}
    for name, place in re.findall(r"^\s+(\S+) \(libc6,[^)]*64[^)]*\) => (\S+)$", printed, re.MULTILINE):
        found.setdefault(name, Path(place))
    return found


def resolve(
    library: Path, loaded: Mapping[str, Path] | None = None, search: Sequence[Path] | None = None
) -> Resolution:
    """Find everything that `library` needs, directly or through others.

    `loaded` are libraries that are already in the process (soname to file); the loader does not search for them.
    `search` replaces LD_LIBRARY_PATH, by default this process's.
    """
    if search is None:
        search = [Path(part) for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    cached: Mapping[str, Path] = {}
    with contextlib.suppress(ProgramError):
        cached = loader_cache()
    result = Resolution(found=dict(loaded or {}))
    waiting: list[tuple[Path, tuple[str, ...]]] = [(library, ())]
    waiting += [(path, ()) for path in result.found.values()]
    while waiting:
        path, inherited = waiting.pop(0)
        needs = read(path)
        if needs is None:
            continue
        here = str(path.resolve().parent)
        own = tuple(_expanded(part, here) for part in needs.rpath)
        rpath = () if needs.runpath else (*own, *inherited)
        folders = [
            *(Path(part) for part in rpath),
            *search,
            *(Path(_expanded(part, here)) for part in needs.runpath),
        ]
        for name in needs.libraries:
            if name in result.found or name in result.absent:
                continue
            place = _place(name, folders, cached)
            if place is None:
                result.absent[name] = path.name
            else:
                result.found[name] = place
                waiting.append((place, (*own, *inherited)))
    return result


def _expanded(part: str, here: str) -> str:
    return part.replace("${ORIGIN}", here).replace("$ORIGIN", here)


def _place(name: str, folders: Sequence[Path], cached: Mapping[str, Path]) -> Path | None:
    for folder in folders:
        if (candidate := folder / name).is_file():
            return candidate
    if (place := cached.get(name)) is not None and place.is_file():
        return place
    return next((path for folder in SYSTEM_FOLDERS if (path := Path(folder) / name).is_file()), None)
