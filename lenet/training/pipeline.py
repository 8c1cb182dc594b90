"""The two pipelines that give a trainer its batches.

`tutorial` makes every batch when it is needed, in every pass, as MindSpore's tutorial does. `cached` makes the batches
of one pass before the training starts and yields the same ones in every pass, so that training does not wait for
decoding. Values and order are the same, because with the seed set every pass of the tutorial is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from lenet.cases.case import Pipeline

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """The batches of a dataset's part, pass after pass. A cached batch is never copied."""

    def __init__(self, make_pass: Callable[[], Iterator[Item]], pipeline: Pipeline) -> None:
        self._make_pass = make_pass
        self._cached = list(make_pass()) if pipeline is Pipeline.CACHED else None

    def __iter__(self) -> Iterator[Item]:
        """Iterate over one pass."""
        return iter(self._cached) if self._cached is not None else self._make_pass()
