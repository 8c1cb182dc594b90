"""The one case that a command is about: that of a record, or the one that the options of the axes name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lenet.cases.case import Case
from lenet.cases.presets import in_one_mode, single_case
from lenet.commands.measurement import Log
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.store.record import Record
from lenet.store.run import Store


def chosen_case(target: Path | None, case_id: str | None, axes: Mapping[str, str], log: Log) -> Case:
    """The case: that of a record, or else the one that the options of the axes name.

    Raises:
        UsageError: there is no such record, both are given, or an option names several values.
    """
    if target is None:
        return case_of(axes)
    refuse_axes(target, axes)
    record = recorded(target, case_id)
    if record.machine_id != describe().id:
        log(f"the record is of another machine ({record.machine_id}); all figures that follow are of this one")
    if record.summary.throughput is not None:
        log(f"the record has {record.summary.throughput.median:,.0f} images/s")
    return record.case


def case_of(axes: Mapping[str, str]) -> Case:
    """The case that the options of the axes name; without a mode among them as `in_one_mode` says.

    Raises:
        UsageError: an option names several values.
    """
    return single_case(in_one_mode(axes), axes)


def refuse_axes(target: Path, axes: Mapping[str, str]) -> None:
    """Refuse options of axes beside a record.

    Raises:
        UsageError: there are any.
    """
    if axes:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in axes)
        raise UsageError(f"{target} names the case: omit {named}")


def recorded(target: Path, case_id: str | None) -> Record:
    """The record in the file `RUN/records/ID.json`, or that of a case id in a run.

    Raises:
        UsageError: there is none; the message lists those of the run.
    """
    folder = run_of(target, case_id)
    wanted = target.stem if folder != target else case_id
    records = Store.open(folder).records()
    for record in records:
        if record.case_id == wanted:
            return record
    known = ", ".join(record.case_id for record in records[:6]) + (", …" if len(records) > 6 else "")
    problem = f"{folder} has no record {wanted}" if wanted else f"{folder} is a run: add the id of a case"
    raise UsageError(f"{problem}; it has {known or 'none'}")


def run_of(target: Path, case_id: str | None) -> Path:
    """The folder of the run that a command's arguments `RUN ID` or `RUN/records/ID.json` name."""
    if case_id is not None or target.suffix != ".json":
        return target
    return Path(os.path.realpath(target)).parent.parent
