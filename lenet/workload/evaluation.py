"""Count the correct answers of a network on a test set, the same way for every trainer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class EvaluationResult:
    """Counts of one evaluation."""

    images: int
    correct: int
    distinct_answers: int
    """How many classes occur among the answers; 1 is a constant answer."""


def evaluate(
    batches: Iterable[tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.integer[Any]]]], images: int | None
) -> EvaluationResult:
    """Count over batches of (answers, labels), integers of shape (N,) each.

    Takes all batches, or as many as hold at least `images` images.
    """
    seen = correct = 0
    answers: set[int] = set()
    for answer, labels in batches:
        seen += len(answer)
        correct += int((answer == labels).sum())
        answers.update(answer.tolist())
        if images is not None and seen >= images:
            break
    return EvaluationResult(images=seen, correct=correct, distinct_answers=len(answers))
