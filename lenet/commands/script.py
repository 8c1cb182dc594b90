"""A case as a standalone script with MindSpore and numpy only, and a report of it for MindSpore's issue tracker.

The script is `lenet/training/script/template.py` with the values of the case. A test holds its losses to those of a
worker, to the last bit.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from lenet import __version__
from lenet.analysis import onednn
from lenet.cases.axes import axis
from lenet.cases.case import Case, Plan
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.commands.recorded import case_of, recorded, run_of
from lenet.dataset.known import KNOWN
from lenet.errors import UsageError
from lenet.files.plain import open_plain
from lenet.machine.card import describe
from lenet.report.document.issue import issue
from lenet.report.layout import clean
from lenet.report.table.words import with_dataset
from lenet.store import profiles
from lenet.store.record import DatasetCard, Record
from lenet.store.run import Store
from lenet.worker.work import PROFILE_VARIABLES

BEGIN, END = "# The case.", "# The end of the case."
"""The lines of the template around the values of the case."""
MAX_LOG_BYTES = 64 * 2**20
"""Read at most so much of oneDNN's log."""


def from_options(axes: Mapping[str, str]) -> str:
    """The script of the case that the options of the axes name.

    Raises:
        UsageError: an option names several values, or there is no script for the case.
    """
    (case,) = profiles.resolve([case_of(axes)], describe().id)
    return script(case, KNOWN.get(case.dataset))


def from_record(target: Path, case_id: str | None, *, as_issue: bool) -> str:
    """The script of a recorded case, or with `as_issue` the report that contains it.

    `target` is a run with the id of a case, or the file `RUN/records/ID.json`.

    Raises:
        UsageError: there is no such record, or no script for its case.
        StoreError: the run is damaged.
    """
    record = recorded(target, case_id)
    text = script(record.case, record.dataset, _measured(record))
    if not as_issue:
        return text
    store = Store.open(run_of(target, case_id))
    cards = {store.manifest.machine.id: store.manifest.machine, **store.cards()}
    return issue(record, store.records(), cards.get(record.machine_id), _onednn_lines(store, record), text)


def script(case: Case, data: DatasetCard | None, note: str = "") -> str:
    """The script of a case. `data` is its dataset, MNIST if it is not known; `note` becomes a comment.

    Raises:
        UsageError: it is not a case of MindSpore in one process.
    """
    if case.framework is not Framework.MINDSPORE:
        raise UsageError(f"a script is for MindSpore, and this is a case of {ABILITIES[case.framework].title}")
    if case.world_size > 1:
        raise UsageError(f"a script trains in one process, and this case in {case.world_size}")
    case = case.first_repetition
    head = [f"Written by lenet-bench {__version__}: {with_dataset(case)}.", *filter(None, [note])]
    return "".join(f"# {clean(line)}\n" for line in head) + _filled(_values(case, data or KNOWN["mnist"]))


def _values(case: Case, data: DatasetCard) -> dict[str, Any]:
    """The values of the template's names. A traced case is timed as others are."""
    hyper, plan = case.hyperparameters, Plan() if case.plan.trace else case.plan
    return {
        "DEVICE_TARGET": case.device_target.value,
        "MODE": case.mode.value,
        "BATCH_SIZE": hyper.batch_size,
        "LEARNING_RATE": hyper.learning_rate,
        "MOMENTUM": hyper.momentum,
        "SEED": hyper.seed,
        "CACHED": case.pipeline.value == "cached",
        "TRAINING_IMAGES": data.training_images,
        "TEST_IMAGES": data.test_images,
        "ENVIRONMENT": {**dict.fromkeys(PROFILE_VARIABLES), **case.profile.environment},
        "PRELOADED": case.profile.preloaded,
        "SETTINGS": case.profile.settings,
        "EPOCHS": plan.epochs,
        "WARMUP_STEPS": plan.warmup_steps,
        "WINDOW_STEPS": plan.window_steps,
        "WINDOW_SECONDS": plan.window_seconds,
        "WINDOWS": plan.windows,
        "BUDGET_SECONDS": plan.budget_seconds,
        "EVALUATION_IMAGES": plan.evaluation_images,
    }


def _filled(values: Mapping[str, Any]) -> str:
    """The template with these values, which are those of all its names, instead of its own."""
    lines = (files("lenet.training.script") / "template.py").read_text(encoding="utf-8").splitlines()
    first, last = lines.index(BEGIN) + 1, lines.index(END)
    names = []
    for number in range(first, last):
        (statement,) = ast.parse(lines[number]).body
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            raise AssertionError(f"line {number + 1} of the template is no value of the case")
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        names.append(ast.unparse(target))
        value, line = statement.value, lines[number]
        lines[number] = line[: value.col_offset] + repr(values[names[-1]]) + line[value.end_col_offset :]
    if names != list(values):
        raise AssertionError("the template has other values than a case")
    # What the linter and the type checker of this package are told is nothing to a reader of the script.
    return "".join(f"{re.sub('  # (noqa|type: ignore).*', '', line)}\n" for line in lines)


def _measured(record: Record) -> str:
    speed, software = record.summary.throughput, record.software
    if speed is None or software is None:
        return ""
    return (
        f"lenet-bench measured {speed.median:,.0f} images/s ({speed.low:,.0f} to {speed.high:,.0f}, the quartiles of "
        f"{speed.windows} windows) with MindSpore {axis('version').of_record(record)}."
    )


def _onednn_lines(store: Store, record: Record) -> list[str]:
    """The lines of the log that `lenet-bench explain` kept for the case: one for each kernel; none without a log."""
    path = store.log_path(record.case.first_repetition, "onednn")
    if not path.is_file():
        return []
    with os.fdopen(open_plain(path), "rb") as file:
        return onednn.distinct(file.read(MAX_LOG_BYTES).decode(errors="replace").splitlines())
