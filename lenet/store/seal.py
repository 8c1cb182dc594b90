"""The seal of a finished run: `SHA256SUMS`, the digests of its files, which `sha256sum -c SHA256SUMS` checks too.

It covers what was measured and what was concluded from it when the run ended. Logs and tables are not under the seal:
logs are not published, and tables follow from the records.

A seal shows that a run is as it was when it was sealed. Anybody can seal a changed run again: only a signature
(`lenet.store.signature`) says who sealed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lenet.errors import StoreError, failing_as, reason
from lenet.files.folder import Folder, scan
from lenet.files.text import read_text, write_atomically
from lenet.store.manifest import CARD, EVENTS, MANIFEST, PUBLISHED, RECORDS, REPRODUCTION, SUPERSEDED
from lenet.store.proof import TRAINING

SEAL = "SHA256SUMS"
SIGNATURE = f"{SEAL}.sig"
"""Names in the folder of a run."""

_FILES = frozenset({MANIFEST, EVENTS, TRAINING, REPRODUCTION, PUBLISHED})
_INSIDE = re.compile(rf"({RECORDS}|{SUPERSEDED})/[A-Za-z0-9_][A-Za-z0-9._+=@-]{{0,199}}")
_LINE = re.compile(r"([0-9a-f]{64})  (\S{1,300})")


class SealFault(NamedTuple):
    """How a run is not as it was sealed."""

    file: str
    line: int | None
    """Of the seal itself."""
    message: str


def is_covered(name: str) -> bool:
    """Whether the seal covers a file of this name, relative to the run's folder. Such a name leads out of no folder."""
    return name in _FILES or CARD.fullmatch(name) is not None or _INSIDE.fullmatch(name) is not None


def write_seal(root: Path) -> None:
    """Seal the run in `root` as it is. A seal that is right already stays, with its signature.

    Raises:
        StoreError: the run cannot be read or written.
    """
    folder = scan(root)
    with failing_as(StoreError, f"cannot read {root}"):
        text = "".join(f"{folder.sha256(name)}  {name}\n" for name in sorted(folder.files) if is_covered(name))
    if SEAL not in folder.files or read_text(root / SEAL) != text:
        break_seal(root)
        write_atomically(root / SEAL, text)


def break_seal(root: Path) -> None:
    """Remove the seal and its signature before the run is changed: a process that is killed then leaves no wrong one.

    Raises:
        StoreError: the folder cannot be written.
    """
    with failing_as(StoreError, f"cannot write {root}", "choose another --output"):
        for name in (SIGNATURE, SEAL):
            (root / name).unlink(missing_ok=True)


def seal_faults(folder: Folder, text: str) -> Iterator[SealFault]:
    """How the files of a run differ from its seal: changed, missing, added. The seal is a stranger's text."""
    sealed: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        found = _LINE.fullmatch(line)
        if found is None or not is_covered(found[2]):
            yield SealFault(SEAL, number, "is not the digest of a file of a run")
        elif found[2] in sealed:
            yield SealFault(SEAL, number, f"names {found[2]} again")
        else:
            sealed[found[2]] = found[1], number
    if not text.endswith("\n"):
        yield SealFault(SEAL, None, "is cut short")
    for name, (digest, number) in sealed.items():
        if name not in folder.files:
            yield SealFault(name, None, f"is missing: {SEAL}, line {number}, has its digest")
            continue
        try:
            if folder.sha256(name) != digest:
                yield SealFault(name, None, f"was changed after the run was sealed ({SEAL}, line {number})")
        except OSError as error:
            yield SealFault(name, None, reason(error))
    for name in sorted(folder.files.keys() - sealed):
        if is_covered(name):
            yield SealFault(name, None, "was added after the run was sealed")
