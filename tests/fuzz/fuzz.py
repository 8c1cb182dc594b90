"""Coverage-guided fuzzing of everything that reads what others wrote: `fuzz.py TARGET [libFuzzer options]`.

    python tests/fuzz/fuzz.py idx -max_total_time=300
    python tests/fuzz/fuzz.py record -runs=1000000

Targets: idx, gz, record, manifest, events, matrix. Needs `pip install atheris`; starts from whole inputs that it makes
itself. A reader may answer with a value or with `UsageError`; anything else ends the fuzzing and leaves the input in a
`crash-…` file.
"""

from __future__ import annotations

import contextlib
import gzip
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["lenet"]):
    from lenet.analysis.traces import losses
    from lenet.cases.case import Case
    from lenet.cases.matrix import Matrix
    from lenet.cases.presets import load_file
    from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
    from lenet.errors import UsageError
    from lenet.machine.card import describe
    from lenet.report import render, rows
    from lenet.store.events import Compiled, Steps
    from lenet.store.record import DatasetCard, Evaluation, Record, Software, Status, Window, summarise
    from lenet.store.run import Store

import numpy as np

CASE = Case(dataset="digits")
CARD = DatasetCard(name="digits", sha256="0" * 64, training_images=10, test_images=10)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Targets:
    """A method a target; each takes the bytes of a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.create(folder / "run", Matrix(), [CASE], {"digits": CARD}, describe())
        self.manifest = (folder / "run" / "manifest.json").read_bytes()

    def _put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def idx(self, data: bytes) -> None:
        path = self._put("images-idx3-ubyte", data)
        for read in (read_images, read_labels):
            with contextlib.suppress(UsageError):
                read(path)

    def gz(self, data: bytes) -> None:
        path = self._put("labels.gz", data)
        read_labels(path)

    def record(self, data: bytes) -> None:
        self.store.record_path(CASE).write_bytes(data)
        (record,) = self.store.records()
        for form in ("terminal", "github", "html", "csv", "json"):
            render(rows([record], "run"), form)
        assert Record.model_validate_json(record.model_dump_json()) == record

    def manifest_(self, data: bytes) -> None:
        self._put("run/manifest.json", data)
        store = Store.open(self.folder / "run")
        for case in store.manifest.cases:
            path = store.record_path(case).resolve()
            assert path.parent == (self.folder / "run" / "records").resolve(), path

    def events(self, data: bytes) -> None:
        self._put("run/events.jsonl", data)
        losses(self.store, CASE)

    def matrix(self, data: bytes) -> None:
        assert load_file(self._put("matrix.toml", data)).cases()


def whole_inputs(target: str, targets: Targets) -> list[bytes]:
    """What the fuzzing starts from."""
    if target == "idx":
        return [images_bytes(np.zeros((2, 28, 28), np.uint8)), labels_bytes(np.arange(9, dtype=np.uint8))]
    if target == "gz":
        return [gzip.compress(labels_bytes(np.arange(9, dtype=np.uint8)))]
    if target == "manifest":
        return [targets.manifest]
    if target == "matrix":
        presets = Path(__file__).resolve().parents[2] / "lenet" / "cases" / "presets"
        return [path.read_bytes() for path in presets.glob("*.toml")]
    window = Window(epoch=1, first_step=0, steps=1, images=32, seconds=1.0, warmup=False)
    if target == "events":
        steps = Steps(**window.model_dump(), losses=(2.5,))
        lines = [each.model_dump_json() for each in (Compiled(seconds=1.0), steps)]
        named = [line.replace("{", f'{{"case_id":"{CASE.id}","attempt":"a1",', 1) for line in lines]
        return ["".join(f"{line}\n" for line in named).encode()]
    judged = Evaluation(
        epoch=1, steps=1, training_seconds=1, seconds=1, images=10, correct=5, distinct_answers=3, training_loss=2.5
    )
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    record = Record(
        **{"case_id": CASE.id, "case": CASE, "status": Status.OK, "started_at": now, "finished_at": now},
        **{"dataset": CARD, "windows": (window,), "evaluations": (judged,)},
        software=Software(framework_version="2", python_version="3", numpy_version="1"),
        summary=summarise(None, (window,), (), (judged,), 2.5, None),
    )
    return [record.model_dump_json().encode()]


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in ("idx", "gz", "record", "manifest", "events", "matrix"):
        raise SystemExit(__doc__)
    target = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        targets = Targets(Path(folder))
        act = getattr(targets, "manifest_" if target == "manifest" else target)
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, data in enumerate(whole_inputs(target, targets)):
            act(data)  # a whole input is read without an error, or the fuzzing would look at one door only
            (corpus / str(number)).write_bytes(data)

        def one(data: bytes) -> None:
            with contextlib.suppress(UsageError):
                act(data)

        atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
