"""Convergence references as files: made from runs, read, and shipped with the program."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from lenet.analysis.bands import FALSE_ALARMS, MIN_SEEDS, Origin, Reference, SeedCurve, band
from lenet.cases.axes import AXES
from lenet.errors import UsageError, failing_as, reason
from lenet.files.plain import read_named, read_plain
from lenet.files.text import make_folder, write_atomically
from lenet.store.record import Record, Status
from lenet.store.run import Store

FOLDER = files("lenet") / "analysis" / "reference"
"""The shipped references; `results/reference` in a checkout is the same folder."""

MAX_FILE_BYTES = 2**22

VARIED = ("seed", "repetition", "machine")
"""The axes in which the trainings of one reference may differ."""


def make(stores: Sequence[Store]) -> list[Reference]:
    """A reference for each batch size, data and learning rate for which the runs have whole epochs.

    Cases that did not run to their end (crashed, timed out, …) are skipped; a plateau counts as any other training.

    Raises:
        UsageError: too few seeds, a repeated seed, a training that diverged, or trainings that differ otherwise.
        StoreError: a run is damaged.
    """
    kinds: dict[tuple[object, ...], list[tuple[Record, Store]]] = {}
    for store in stores:
        for record in store.records():
            if record.case.plan.epochs is None or record.dataset is None:
                continue
            if record.status is Status.DIVERGED:
                raise UsageError(
                    f"{record.case_id} in {store.path} diverged: make the reference of trainings that converge"
                )
            if record.status.complete:
                kinds.setdefault(kind(record), []).append((record, store))
    if not kinds:
        raise UsageError(
            "the runs have no case of whole epochs: run some with `lenet-bench run --epochs N --seed 1,2,…`"
        )
    return [_reference(members) for _, members in sorted(kinds.items(), key=lambda item: str(item[0]))]


def kind(record: Record) -> tuple[str, float, float, int]:
    """What the trainings of one reference share: data, learning rate, momentum and the images of a step."""
    hyper = record.case.hyperparameters
    sha256 = record.dataset.sha256 if record.dataset else ""
    return sha256, hyper.learning_rate, hyper.momentum, record.case.global_batch_size


def _reference(found: Sequence[tuple[Record, Store]]) -> Reference:
    records = sorted((record for record, _ in found), key=lambda record: record.case.hyperparameters.seed)
    first = records[0]
    hyper = first.case.hyperparameters
    where = f"batch {first.case.global_batch_size} of {first.case.dataset}"
    seeds = [record.case.hyperparameters.seed for record in records]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UsageError(f"{where}: seed {twice[0]} occurs more than once; name each run once")
    if len(seeds) < MIN_SEEDS:
        raise UsageError(f"{where}: {len(seeds)} seeds, and a reference needs {MIN_SEEDS}; run more with --seed")
    for record in records[1:]:
        if differing := _difference(first, record):
            raise UsageError(
                f"{where}: the trainings differ in {differing}; those of a reference differ in the seed alone"
            )
    if first.dataset is None or first.software is None:
        raise UsageError(f"{where}: {first.case_id} does not name the software that it ran on")
    images = first.evaluations[-1].images
    curves = [
        SeedCurve(
            seed=record.case.hyperparameters.seed,
            case_id=record.case_id,
            correct=tuple(each.correct for each in record.evaluations),
            training_loss=tuple(each.training_loss or 0.0 for each in record.evaluations),
        )
        for record in records
    ]
    return Reference(
        dataset=first.dataset,
        batch_size=first.case.global_batch_size,
        learning_rate=hyper.learning_rate,
        momentum=hyper.momentum,
        framework=first.case.framework,
        device_target=first.case.device_target,
        mode=first.case.mode,
        profile=first.case.profile,
        software=first.software,
        origins=_origins(store for _, store in found),
        epochs=len(first.evaluations),
        test_images=images,
        false_alarms=FALSE_ALARMS,
        band=band(curves, images),
        seeds=tuple(curves),
    )


def _difference(a: Record, b: Record) -> str:
    """The axes in which two records of a reference must agree and do not."""
    differing = [
        each.column_title
        for each in AXES
        if each.name not in VARIED and each.record_identity(a) != each.record_identity(b)
    ]
    if {each.images for each in (*a.evaluations, *b.evaluations)} != {a.evaluations[-1].images}:
        differing.append("images evaluated")
    return " and ".join(differing)


def _origins(stores: Iterable[Store]) -> tuple[Origin, ...]:
    found = {
        store.path: Origin(
            lenet_bench_version=store.manifest.lenet_bench_version,
            created_at=store.manifest.created_at,
            machine_id=store.manifest.machine.id,
            machine=store.manifest.machine.summary,
            git_commit=store.manifest.machine.git_commit,
            git_dirty=store.manifest.machine.git_dirty,
        )
        for store in stores
    }
    return tuple(sorted(found.values(), key=lambda origin: origin.created_at))


def name(reference: Reference) -> str:
    """The name of the reference's file."""
    word = reference.dataset.name.replace("@", "-")
    usual = (reference.learning_rate, reference.momentum) == (1e-2, 0.9)
    rates = "" if usual else f"-lr{reference.learning_rate:g}-m{reference.momentum:g}"
    return f"{word}-b{reference.batch_size}{rates}.json"


def write(reference: Reference, folder: Path) -> Path:
    """Write the reference into `folder`, which is made if absent; return the file.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    make_folder(folder)
    path = folder / name(reference)
    write_atomically(path, reference.model_dump_json(indent=1) + "\n")
    return path


def read(text: str, where: str) -> Reference:
    """The reference of a file's text; `where` names the file in messages.

    Raises:
        UsageError: not a reference, or one of a newer program.
    """
    try:
        return Reference.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"{where} is not a reference that this lenet-bench reads: {reason(error)}") from error


def read_given(path: Path) -> tuple[Reference, ...]:
    """References that the user names: a file, or the files in a folder.

    Raises:
        UsageError: it cannot be read, has none, or a file is not a reference.
    """
    with failing_as(UsageError, f"cannot read the references in {path}"):
        if path.is_dir():
            paths = sorted(path.glob("*.json"))
            contents = [(read_named if each.is_file() else read_plain)(each, MAX_FILE_BYTES) for each in paths]
        else:
            paths, contents = [path], [read_named(path, MAX_FILE_BYTES)]
        texts = [content.decode() for content in contents]
    if not texts:
        raise UsageError(f"{path} has no reference: name the folder that --make-reference wrote")
    return tuple(read(text, str(each)) for text, each in zip(texts, paths, strict=True))


@functools.cache
def shipped() -> tuple[Reference, ...]:
    """The shipped references.

    Raises:
        UsageError: one is damaged.
    """
    if not FOLDER.is_dir():
        return ()
    found = sorted(FOLDER.iterdir(), key=lambda entry: entry.name)
    return tuple(read(entry.read_text(encoding="utf-8"), entry.name) for entry in found if entry.name.endswith(".json"))


def flagged_seeds(reference: Reference) -> list[int]:
    """Seeds that the band of all the others would flag: an estimate of the false-alarm rate."""
    flagged = []
    for curve in reference.seeds:
        others = [other for other in reference.seeds if other is not curve]
        bands = band(others, reference.test_images, reference.false_alarms)
        figures = zip(curve.correct, curve.training_loss, bands, strict=True)
        if any(
            correct / reference.test_images not in expected.accuracy or loss not in expected.training_loss
            for correct, loss, expected in figures
        ):
            flagged.append(curve.seed)
    return flagged
