"""Windows of a training past its warm-up, at known rates."""

from __future__ import annotations

from collections.abc import Iterable

from lenet.store.record import Window


def steady(rates: Iterable[float], images: int = 100, turns: bool = False) -> tuple[Window, ...]:
    """A window of one step for each rate; with `turns` each is the turn of a cycle of its own."""
    return tuple(
        Window(
            epoch=1,
            first_step=60 + number,
            steps=1,
            images=images,
            seconds=images / rate,
            warmup=False,
            cycle=number if turns else None,
            turn=number if turns else None,
        )
        for number, rate in enumerate(rates)
    )
