"""Records with known figures."""

from __future__ import annotations

import zlib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from lenet.analysis import references
from lenet.cases.case import Case, Hyperparameters, Mode, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.machine.card import MachineCard
from lenet.store.events import Steps
from lenet.store.record import DatasetCard, Evaluation, Phases, Record, Software, Status, Window, summarise
from lenet.store.run import Store
from tests.steady import steady

MACHINE = Path(__file__).parents[1] / "machines" / "amd-epyc-avx2-2c.json"
REFERENCE = Path(__file__).parents[1] / "reference" / "digits-b32-lr0.05-m0.9.json"
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def measured():
    """A record whose steady windows have these rates, in images a second."""

    def create(
        rates=(100.0, 200.0, 400.0), *, mode=Mode.GRAPH, batch_size=32, status=Status.OK, reason="", epochs=None,
        correct=50, profile="default", dataset="mnist", version="2.10.0", seed=1, **case_fields,
    ):  # fmt: skip
        case = Case(
            mode=mode,
            dataset=dataset,
            hyperparameters=Hyperparameters(batch_size=batch_size, seed=seed),
            profile=RuntimeProfile.parse(profile)
            if profile == "default"
            else RuntimeProfile(name=profile, operator_threads=1 + zlib.crc32(profile.encode()) % 1024),
            plan=Plan(epochs=epochs),
            **case_fields,
        )
        windows = steady(rates)
        evaluations = ()
        phases = None
        if rates:
            evaluations = (
                Evaluation(
                    epoch=epochs or 0, steps=60, training_seconds=12.5, seconds=1, images=100, correct=correct,
                    distinct_answers=10,
                ),
            )  # fmt: skip
            phases = Phases(
                import_and_setup_seconds=1, compile_and_first_step_seconds=0.25, training_seconds=1,
                evaluation_seconds=1, resident_seconds=0, other_seconds=0, wall_seconds=3.25,
            )  # fmt: skip
        return Record(
            case_id=case.id,
            case=case,
            status=status,
            reason=reason,
            machine_id="a-machine",
            started_at=NOW,
            finished_at=NOW,
            dataset=DatasetCard(name=dataset, sha256="ab" * 32, training_images=60000, test_images=10000),
            software=Software(framework_version=version, python_version="3.11", numpy_version="1.26")
            if rates
            else None,
            phases=phases,
            windows=windows,
            evaluations=evaluations,
            summary=summarise(phases, windows, (), evaluations, 0.125 if rates else None, 2**30 if rates else None),
        )

    return create


@pytest.fixture(scope="session")
def reference():
    """Of 20 real trainings on the digits."""
    return references.read(REFERENCE.read_text(encoding="utf-8"), REFERENCE.name)


@pytest.fixture(scope="session")
def trained(measured, reference):
    """A record of whole epochs that went as a seed of the reference did; `right` is the share of its right answers."""

    def create(rates=(900.0, 1000.0, 1100.0), *, nth=0, right=1.0, learning_rate=None, **fields):
        curve, card = reference.seeds[nth], reference.dataset
        record = measured(
            rates,
            epochs=reference.epochs,
            seed=curve.seed,
            batch_size=reference.batch_size,
            dataset=card.name,
            **fields,
        )
        learning = {"learning_rate": learning_rate or reference.learning_rate, "momentum": reference.momentum}
        hyper = record.case.hyperparameters.model_copy(update=learning)
        case = record.case.model_copy(update={"hyperparameters": hyper})
        evaluations = tuple(
            Evaluation(
                epoch=epoch, steps=40 * epoch, training_seconds=1.5 * epoch, seconds=1, images=reference.test_images,
                correct=int(right * correct), distinct_answers=10, training_loss=loss,
            )
            for epoch, (correct, loss) in enumerate(zip(curve.correct, curve.training_loss, strict=True), 1)
        )  # fmt: skip
        summary = summarise(record.phases, record.windows, (), evaluations, 0.125, 2**30)
        changes = {"case_id": case.id, "case": case, "dataset": card, "evaluations": evaluations, "summary": summary}
        return record.model_copy(update=changes)

    return create


@pytest.fixture
def shipped(monkeypatch, tmp_path, reference):
    """The reference as one that the program is shipped with."""
    folder = tmp_path / "shipped"
    references.write(reference, folder)
    monkeypatch.setattr(references, "FOLDER", folder)
    references.shipped.cache_clear()
    yield folder
    references.shipped.cache_clear()


@pytest.fixture(scope="session")
def write_run():
    """Writes a run of these records on disk; each has a window of events with these losses."""

    recorded = MachineCard.model_validate_json(MACHINE.read_text(encoding="utf-8"))

    def write(folder, records, *, cpu="Example CPU", losses=(), machine=None):
        machine = machine or recorded.model_copy(update={"cpu": cpu})
        records = [each.model_copy(update={"machine_id": machine.id}) for each in records]
        store = Store.create(
            folder, Matrix(), [each.case for each in records], {records[0].dataset.name: records[0].dataset}, machine
        )
        for record in records:
            store.write_record(record)
            if losses:
                event = Steps(
                    epoch=1, first_step=0, steps=len(losses), images=32 * len(losses), seconds=1.0, warmup=False,
                    losses=tuple(losses),
                )  # fmt: skip
                store.append_event(record.case, event)
        return store

    return write


@pytest.fixture(scope="session")
def together(measured):
    """Records of two cases alive together in so many groups, on a machine whose speed differs from group to group."""

    def create(groups, factor, scatter=0.3, seed=7, own=0.0):
        random, records = np.random.default_rng(seed), []
        for repetition in range(groups):
            speeds = 1000 * np.exp(random.normal(0, scatter) + random.normal(0, scatter / 2, 40))
            for mode, times in ((Mode.PYNATIVE, 1.0), (Mode.GRAPH, factor)):
                rates = speeds * times * np.exp(random.normal(0, own) + random.normal(0, 0.01, 40))
                plain = measured(tuple(rates), mode=mode, repetition=repetition)
                windows = tuple(
                    Window(**{**window.model_dump(), "cycle": max(0, number - 1), "turn": number})
                    for number, window in enumerate(plain.windows)
                )
                records.append(plain.model_copy(update={"group": f"g{repetition}", "windows": windows}))
        return records

    return create


@pytest.fixture(scope="session")
def apart(measured):
    """Records of independent processes."""

    def create(count, factor, scatter=0.02, seed=7):
        random = np.random.default_rng(seed)
        return [
            measured((rate, rate, rate), mode=mode, repetition=repetition)
            for mode, times in ((Mode.PYNATIVE, 1.0), (Mode.GRAPH, factor))
            for repetition, rate in enumerate(1000 * times * np.exp(random.normal(0, scatter, count)))
        ]

    return create
