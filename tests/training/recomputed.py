"""The first steps of a case by the reference trainer alone: losses, weights and accuracy, for tests to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from lenet.workload.evaluation import EvaluationResult
from lenet.workload.initial import weights_sha256
from lenet.workload.reference import ReferenceTraining


@dataclass(frozen=True)
class Recomputed:
    initial_weights_sha256: str
    losses: tuple[float, ...]
    final_weights: dict
    evaluation: EvaluationResult | None


def recompute(case, dataset, steps, *, evaluation=True, dtype=np.float32):
    training = ReferenceTraining(case, dataset, dtype)
    initial = weights_sha256(training.weights.items())
    losses = tuple(islice(training.losses(), steps))
    images = None if case.plan.epochs else case.plan.evaluation_images
    return Recomputed(initial, losses, training.weights, training.evaluate(images) if evaluation else None)
