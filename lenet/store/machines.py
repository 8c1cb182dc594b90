"""The cards of the machines of a run: one in the manifest, and `machine-ID.json` for each other machine.

A run has several machines if its cases ran on the nodes of a cluster, or if it was resumed on another machine.
"""

from __future__ import annotations

import re

from lenet.errors import StoreError, reason
from lenet.machine.card import MachineCard
from lenet.store.manifest import read_model
from lenet.store.run import Store

CARD = re.compile(r"machine-([a-z0-9-]{1,80})\.json")
"""Name of the file of a card, with the id of the machine."""


def file_name(machine_id: str) -> str:
    """Name of the file with the card of that machine."""
    return f"machine-{machine_id}.json"


def keep(store: Store, card: MachineCard) -> None:
    """Write the card beside the manifest, unless the machine has one.

    Raises:
        StoreError: it cannot be written.
    """
    if not (store.path / file_name(card.id)).exists():
        store.write_text(file_name(card.id), card.model_dump_json(indent=1) + "\n")


def cards(store: Store) -> dict[str, MachineCard]:
    """The cards of the run, by machine id. A file that does not hold the card of its name is ignored.

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
            card = read_model(path, MachineCard)
        except StoreError:
            continue
        if path.name == file_name(card.id):
            found.setdefault(card.id, card)
    return found
