"""What is said of the variables of the environment that change speed, before a run is measured."""

from __future__ import annotations

import os

from lenet.analysis.variables import differing
from lenet.machine.card import MachineCard, describe
from lenet.worker.work import PROFILE_VARIABLES


def recorded_variables() -> str:
    """The variables here that workers inherit, in a sentence; empty without any."""
    passed = [f"{name}={value}" for name, value in describe().environment.items() if name not in PROFILE_VARIABLES]
    return f"variables that can change the speed of the workers, recorded: {', '.join(passed)}" if passed else ""


def misleading_variables(begun_on: MachineCard) -> list[str]:
    """A sentence for the variables here that workers do not inherit, and for those that the run was not begun with.

    `begun_on` is the card of the machine on which the run was begun.
    """
    found = []
    if ignored := [name for name in PROFILE_VARIABLES if name in os.environ]:
        found.append(f"workers do not inherit {', '.join(ignored)}: use --profile, whose settings include it")
    if apart := differing((begun_on.environment, describe().environment)):
        words = [f"{name} ({before}, now {here})" for name, (before, here) in apart.items()]
        found.append(f"the run was begun with other variables: {', '.join(words)}")
    return found
