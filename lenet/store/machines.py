"""The cards of the machines that a run's records are of: the manifest's own, and `machine-ID.json` for each other one.

A run is of several machines when its cases were spread over nodes, or when it was gone on with elsewhere.
"""

from __future__ import annotations

import re

from pydantic import ValidationError

from lenet.errors import StoreError, reason
from lenet.files.text import read_text
from lenet.machine.card import MachineCard
from lenet.store.run import Store

CARD = re.compile(r"machine-([a-z0-9-]{1,80})\.json")
"""The name of a card's file, with the machine's id."""


def file_name(machine_id: str) -> str:
    """Where the card of that machine is, in the run's folder."""
    return f"machine-{machine_id}.json"


def keep(store: Store, card: MachineCard) -> None:
    """Put the card beside the manifest, unless that machine's is there.

    Raises:
        StoreError: it cannot be written.
    """
    if not (store.path / file_name(card.id)).exists():
        store.write_text(file_name(card.id), card.model_dump_json(indent=1) + "\n")


def cards(store: Store) -> dict[str, MachineCard]:
    """The run's cards, by machine id. A file that does not hold the card of its name is no card.

    Raises:
        StoreError: the folder cannot be read.
    """
    found = {store.manifest.machine.id: store.manifest.machine}
    try:
        paths = [path for path in sorted(store.path.iterdir()) if CARD.fullmatch(path.name)]
    except OSError as error:
        raise StoreError(f"cannot read {store.path}: {reason(error)}") from error
    for path in paths:
        try:
            card = MachineCard.model_validate_json(read_text(path))
        except (StoreError, ValidationError):
            continue
        if path.name == file_name(card.id):
            found.setdefault(card.id, card)
    return found
