"""Variables of the environment that change speed, where they were not the same in all runs that are shown together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lenet.machine.card import MachineCard

UNSET = "unset"


def differing(environments: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """The variables that are not the same in all, with their value in each."""
    names = sorted({name for each in environments for name in each})
    values = {name: tuple(each.get(name, UNSET) for each in environments) for name in names}
    return {name: each for name, each in values.items() if len(set(each)) > 1}


def described(cards: Mapping[str, MachineCard]) -> list[str]:
    """A sentence for each machine whose runs were measured with different variables; `cards` are those of the runs."""
    machines: dict[str, list[str]] = {}
    for run, card in cards.items():
        machines.setdefault(card.id, []).append(run)
    found = []
    for machine, runs in machines.items():
        apart = differing([cards[run].environment for run in runs])
        words = [f"{name} ({_by_value(runs, values)})" for name, values in apart.items()]
        if words:
            found.append(f"the runs of {machine} were measured with different variables: {', '.join(words)}")
    return found


def _by_value(runs: Sequence[str], values: Sequence[str]) -> str:
    by_value: dict[str, list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        by_value.setdefault(value, []).append(run)
    return "; ".join(f"{value} in {', '.join(each)}" for value, each in by_value.items())
