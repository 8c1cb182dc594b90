"""Turns runs into a file of samples for the tests: python tests/analysis/record_samples.py NAME CONDITIONS RUN..."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lenet.store.record import Status, full_windows
from lenet.store.run import Store


def main(name: str, conditions: str, *folders: str) -> None:
    """Write `data/NAME.json`: one case's processes, their windows' rates, and where they are from."""
    stores = [Store.open(Path(folder)) for folder in folders]
    records = [record for store in stores for record in store.records() if record.status is Status.OK]
    first = records[0]
    head = {
        "what": "images/s of the windows past the warm-up, a list a process, in the order in which they were measured",
        "case": first.case.first_repetition.label,
        "dataset": first.dataset.name,
        "window_seconds": first.case.plan.window_seconds,
        "machine": stores[0].manifest.machine.summary,
        "mindspore": first.software.framework_version,
        "python": first.software.python_version,
        "numpy": first.software.numpy_version,
        "measured_on": first.started_at.date().isoformat(),
        "conditions": conditions,
    }
    rates = [[round(window.images_per_second, 1) for window in full_windows(record.windows)] for record in records]
    listed = ",\n".join(f"  {json.dumps(each)}" for each in rates)
    text = json.dumps(head, indent=1)[:-2] + f',\n "processes": [\n{listed}\n ]\n}}\n'
    (Path(__file__).parent / "data" / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
