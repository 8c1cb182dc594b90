"""Records of trainings whose curves are drawn, and the references that they give."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np
import pytest

from lenet.analysis.bands import FALSE_ALARMS, Origin, Reference, SeedCurve, band
from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.store.record import DatasetCard, Evaluation, Record, Software, Status, summarise

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
CARD = DatasetCard(name="mnist", sha256="cd" * 32, training_images=60000, test_images=10000)
SOFTWARE = Software(framework_version="2.10.0", python_version="3.11.7", numpy_version="1.26.4")


def curve(generator, epochs=3, images=9984, spread=0.1):
    """(correct, training loss) an epoch, as a good training of batch 32 has them, drawn with `spread` on each scale."""
    drawn = []
    for epoch in range(epochs):
        odds = 3.5 + 0.5 * epoch + generator.normal(0, spread)
        loss = math.exp(math.log(0.9) - 1.0 * epoch + generator.normal(0, spread))
        drawn.append((round(images / (1 + math.exp(-odds))), loss))
    return drawn


@pytest.fixture(scope="session")
def draw():
    return curve


@pytest.fixture(scope="session")
def trained():
    """A record of whole epochs with these (correct, training loss), by default over 9,984 images."""

    def create(figures, *, seed=1, batch_size=32, images=9984, status=Status.OK, reason="", card=CARD, **fields):
        rates = {name: fields.pop(name) for name in ("learning_rate", "momentum") if name in fields}
        case = Case(
            hyperparameters=Hyperparameters(batch_size=batch_size, seed=seed, **rates),
            plan=Plan(epochs=len(figures) or None),
            **fields,
        )
        evaluations = tuple(
            Evaluation(epoch=epoch, steps=epoch * 1875, training_seconds=epoch * 10.0, seconds=1.0, images=images,
                       correct=correct, distinct_answers=10, training_loss=loss)
            for epoch, (correct, loss) in enumerate(figures, 1)
        )  # fmt: skip
        return Record(
            case_id=case.id, case=case, status=status, reason=reason, started_at=NOW, finished_at=NOW, dataset=card,
            software=SOFTWARE, evaluations=evaluations, summary=summarise(None, (), (), evaluations, None, None),
        )  # fmt: skip

    return create


@pytest.fixture(scope="session")
def reference():
    """A reference of simulated seeds."""

    def create(batch_size=32, *, count=20, epochs=3, seed=0, shift=0.0, curves=None, **fields):
        generator = np.random.default_rng(seed)
        images = 10000 // batch_size * batch_size
        seeds = []
        for number in range(count):
            drawn = curves[number] if curves else curve(generator, epochs, images)
            seeds.append(
                SeedCurve(
                    seed=number,
                    case_id=f"case-{number}",
                    correct=tuple(round(correct * (1 - shift)) for correct, _ in drawn),
                    training_loss=tuple(loss * (1 + shift) for _, loss in drawn),
                )
            )
        origin = Origin(
            lenet_bench_version="0",
            created_at=NOW,
            machine_id="m",
            machine="a machine",
            git_commit=None,
            git_dirty=None,
        )
        values = {
            "dataset": CARD, "batch_size": batch_size, "learning_rate": 1e-2, "momentum": 0.9, "framework": "mindspore",
            "device_target": "CPU", "mode": "graph", "profile": {}, "software": SOFTWARE, "origins": (origin,),
            "epochs": epochs, "test_images": images, "false_alarms": FALSE_ALARMS, "band": band(seeds, images),
            "seeds": tuple(seeds),
        }  # fmt: skip
        return Reference(**{**values, **fields})

    return create
