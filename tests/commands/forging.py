"""How a run is forged: by hand, and by somebody who knows the format."""

from __future__ import annotations

import json

from lenet.commands.verify import verify
from lenet.store.events import Compiled, Resident
from lenet.store.record import Record, summarise
from lenet.store.run import Store


def refused_by(folder):
    """The rules that refuse the run."""
    return {each.rule for each in verify(folder).violations}


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=1) + "\n")


def edit_events(folder, name, change):
    """Change the events of one case, each a dictionary, in place."""
    path = folder / "events.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        if event["case_id"] == name:
            change(event)
    path.write_text("".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events))


def no_tables(folder):
    for path in folder.glob("table.*"):
        path.unlink()


def derive_again(folder, name):
    """Make the record what its events give: a forger who knows the format."""
    store = Store.open(folder)
    (case,) = (case for case in store.manifest.cases if case.id == name)
    events = list(store.events(case))
    windows = tuple(event.window for event in events if event.event == "steps")
    resident = tuple(event.window for event in events if event.event == "resident")
    evaluations = tuple(event.evaluation for event in events if event.event == "evaluated")
    finished = events[-1]
    losses = [loss for event in events if event.event == "steps" for loss in event.losses]
    record = Record.model_validate_json(store.record_path(case).read_text())
    made = record.model_copy(
        update={
            "windows": windows,
            "resident_windows": resident,
            "evaluations": evaluations,
            "phases": finished.phases,
            "losses_sha256": finished.losses_sha256,
            "summary": summarise(
                finished.phases, windows, resident, evaluations, losses[-1], finished.peak_memory_bytes
            ),
        }
    )
    store.write_record(made)


def scale(event, factor, phases):
    for holder in (event, event.get("phases", {}) if phases else {}):
        for key in holder:
            if key.endswith("seconds"):
                holder[key] *= factor


def forge(event, change):
    """Change an event; one that becomes another kind keeps that kind's fields alone."""
    change(event)
    kind = {"compiled": Compiled, "resident": Resident}.get(event["event"])
    for key in [*event] if kind else ():
        if key not in (*kind.model_fields, "case_id", "attempt"):
            del event[key]


def add(key, value):
    """A change that adds to a number of an event."""
    return lambda event: event.update({key: event[key] + value})


def numbers(value, path=()):
    """The path of every number in a JSON value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from numbers(each, (*path, index))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def change_digit(value, path):
    """Change a digit of the number at `path` of a JSON value, in place: the last one that makes another number."""
    *outer, last = path
    for key in outer:
        value = value[key]
    old = value[last]
    digits, mark, exponent = repr(old).partition("e")
    for at in reversed([at for at, digit in enumerate(digits) if digit.isdigit()]):
        changed = digits[:at] + str((int(digits[at]) + 1) % 10) + digits[at + 1 :]
        value[last] = type(old)(changed + mark + exponent)
        if value[last] != old:
            return


def classes(values):
    """One number of each class of figures: the index of a value among `values` and the path in it."""
    found = {}
    for index, value in enumerate(values):
        for path in numbers(value):
            name = (value.get("event"), *("*" if isinstance(part, int) else part for part in path))
            found.setdefault(name, (index, path))
    return found
