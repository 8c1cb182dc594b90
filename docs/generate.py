"""Write the generated parts of the pages again: `python docs/generate.py`. tests/test_pages.py fails where they differ.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`. It is made from the models and their docstrings.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from lenet.analysis.compare import Comparison
from lenet.cases.axes import AXES
from lenet.cases.case import Case, Hyperparameters, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.machine.card import MachineCard
from lenet.machine.load import CaseLoad, Load
from lenet.report.table.rows import Row
from lenet.store import run
from lenet.store.events import Event, Layer
from lenet.store.manifest import Manifest
from lenet.store.record import (
    ACCURACY_TARGETS,
    DatasetCard,
    Evaluation,
    Phases,
    Record,
    Software,
    Summary,
    Throughput,
    Window,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).resolve().parent
BENCH = DOCS.parent / "bench"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
WORDS = {datetime: "time", str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of the model and of its bases."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if not issubclass(kind, BaseModel) or kind is BaseModel or kind.__name__ in ("_MatrixAxes", "_RowAxes"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = json_words(str(ast.literal_eval(text.value)))
    return found


def json_words(text: str) -> str:
    """A docstring on one line, with JSON's null for Python's None."""
    return re.sub(r"\bNone\b", "null", " ".join(text.split()))


def kind(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0])
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin in (UnionType, Union):
        return " or ".join(map(kind, arguments))
    if origin is tuple:
        return f"list of {kind(arguments[0])}"
    if origin is dict:
        return f"object of {kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(each.value) for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    written = [" | ".join(cell.replace("|", "\\|") for cell in line) for line in [head, *lines]]
    return "\n".join(f"| {line} |" for line in [written[0], " | ".join(["---"] * len(head)), *written[1:]])


def fields(model: type[BaseModel]) -> str:
    """A table of a model's fields."""
    known = meanings(model)
    lines = [(f"`{name}`", kind(field.annotation), known.get(name, "")) for name, field in model.model_fields.items()]
    return table(("field", "type", "meaning"), lines)


def models(*kinds: type[BaseModel], level: int = 3) -> str:
    """A heading, the docstring and a table for each model."""
    parts = []
    for each in kinds:
        parts += [f"{'#' * level} {each.__name__}", json_words(str(each.__doc__)), fields(each)]
    return "\n\n".join(parts)


def rows() -> str:
    """The fields of a row in JSON; CSV has a column for each accuracy."""
    axes = {axis.name: axis for axis in AXES}
    known = meanings(Row)
    lines = []
    for name, field in Row.model_fields.items():
        if field.exclude:
            continue
        axis = axes.get(name)
        if axis is not None:
            values = f": {', '.join(str(each.value) for each in axis.values)}" if axis.values else ""
            meaning = f"The axis of `{axis.option}`{values}." if axis.option else "Id of the machine."
            lines.append((f"`{name}`", "whole number or null" if axis.is_number else "text or null", meaning))
        else:
            lines.append((f"`{name}`", kind(field.annotation), known[name]))
    columns = ", ".join(f"`seconds_to_accuracy_{target:.2f}`" for target in ACCURACY_TARGETS)
    return f"{table(('field', 'type', 'meaning'), lines)}\n\nCSV has {columns} in the place of `seconds_to_accuracy`."


def matrix_keys() -> str:
    """The keys of a matrix file."""
    axes = {axis.field: axis for axis in AXES if axis.field}
    known = meanings(Matrix)
    lines = []
    for name, field in Matrix.model_fields.items():
        text = known.get(name) or axes[name].option_help(single=True)
        option = axes[name].option if name in axes else ""
        default = "" if name == "plan" else f"`{json.dumps(_plain(field.default))}`"
        lines.append((f"`{name}`", default, f"`{option}`" if option else "", text))
    return table(("key", "default", "option", "meaning"), lines)


def plan_keys() -> str:
    """The keys of its table `[plan]`."""
    known = {name: text.replace("null is", "omitted:") for name, text in meanings(Plan).items()}
    lines = [
        (f"`{name}`", "" if field.default is None else f"`{json.dumps(field.default)}`", known[name])
        for name, field in Plan.model_fields.items()
    ]
    return table(("key", "default", "meaning"), lines)


def layout() -> str:
    """The files of a run: the indented block of `lenet.store.run`'s docstring."""
    lines = [line for line in str(run.__doc__).splitlines() if line.startswith("    ")]
    return f"```text\n{textwrap.dedent(chr(10).join(lines))}\n```"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.text if isinstance(value, RuntimeProfile) else value.value if isinstance(value, Enum) else value


def levers() -> str:
    """The levers of bench/levers.toml, and what they gained where they were measured."""
    declared = tomllib.loads((BENCH / "levers.toml").read_text(encoding="utf-8"))
    links = {each["name"]: each["source"].removeprefix("docs/") for each in declared["lever"]}
    parts = [
        table(
            ("lever", "what it does"),
            [(f"[`{each['name']}`]({links[each['name']]})", _what(each)) for each in declared["lever"]],
        ),
        "Not measured, as they are of no use to this training on CPU:",
        table(
            ("setting", "why"), [(f"[{each['name']}]({each['source']})", each["why"]) for each in declared["omitted"]]
        ),
    ]
    measured = BENCH / "levers.json"
    for machine, cases in json.loads(measured.read_text(encoding="utf-8")).items() if measured.exists() else ():
        parts.append(f"Times the default's images/s on {machine}:")
        names = dict.fromkeys(name for found in cases.values() for name in found)
        lines = [(f"`{name}`", *(_gain(found.get(name)) for found in cases.values())) for name in names]
        parts.append(table(("lever", *cases), lines))
    return "\n\n".join(parts)


def _what(lever: dict[str, Any]) -> str:
    return f"{lever['what']}; the setting `{lever['setting']}`" if "setting" in lever else lever["what"]


def _gain(found: dict[str, Any] | None) -> str:
    """One lever's ratio to the default, with what it takes to judge it."""
    if found is None:
        return ""
    if found["ratio"] == "–":
        return found.get("failed", "–")
    return f"{found['ratio']} ({found['interval']}, {found['groups']} groups): {found['verdict']}"


PARTS: dict[str, Callable[[], str]] = {
    "rows": rows,
    "comparisons": lambda: fields(Comparison),
    "record": lambda: models(
        *(Record, Case, Hyperparameters, Plan, RuntimeProfile, DatasetCard, Software, Phases, Window, Evaluation),
        *(CaseLoad, Load, Summary, Throughput),
    ),
    "manifest": lambda: models(Manifest, Matrix, MachineCard),
    "levers": levers,
    "events": lambda: models(*get_args(Event), Layer),
    "matrix": matrix_keys,
    "plan": plan_keys,
    "layout": layout,
}


def filled(text: str) -> str:
    """The page with each of its generated parts made anew."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            page.write_text(filled(text), encoding="utf-8")
