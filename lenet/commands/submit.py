"""Submit a run: verify it, sign its seal, and pack what others need of it into one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lenet.analysis.verify.evidence import Verification
from lenet.commands.verify import verify
from lenet.errors import StoreError
from lenet.files.folder import scan
from lenet.files.text import read_text, write_atomically, write_output
from lenet.machine.programs import quoted
from lenet.report.table.words import count
from lenet.store.run import Store
from lenet.store.seal import SEAL, SIGNATURE
from lenet.store.signature import sign
from lenet.store.submission import pack


@dataclass(frozen=True)
class Submitted:
    """The result of submitting a run."""

    verification: Verification
    """Of the run as it was packed, or of the one that is refused."""
    path: Path | None
    """The file; None if a rule is violated."""
    size: int = 0
    """Of the file, in bytes."""


def submit(root: Path, output: Path | None = None, key: Path | None = None) -> Submitted:
    """Verify the run in `root` and pack it into the file `output`, by default `MACHINE-DIGEST.zip` here.

    A run without a seal, as those of older versions, is sealed. With `key`, an SSH key, the seal is signed; the
    signature stays in the run's folder. The trainings are not recomputed.

    Raises:
        StoreError: `root` is no run, or not finished; it cannot be read, or a file cannot be written.
        UsageError: the run is newer than this program, or the key does not sign.
    """
    store = Store.open(root)
    if missing := len(store.missing()):
        command = f"`lenet-bench run --resume {quoted(str(root))}`"
        raise StoreError(f"{root} is not finished: {count(missing, 'case has', 'cases have')} no record; {command}")
    result = verify(root)
    if result.violations:
        return Submitted(result, None)
    if result.sealed is None:
        store.seal()
    if key is not None:
        write_atomically(root / SIGNATURE, sign(read_text(root / SEAL), key))
    if result.sealed is None or key is not None:
        result = verify(root)
    path = output or Path(f"{store.manifest.machine.id}-{store.manifest.digest}.zip")
    packed = pack(scan(root))
    write_output(path, packed)
    return Submitted(result, path, len(packed))
