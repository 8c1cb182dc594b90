"""The axis table: everything in which cases and their records differ, each declared once.

Made from `AXES`: the matrix and its product, presets, the options of the command line and of pytest, labels, the pairs
of a comparison, the rows and columns of tables, the filters and labels of charts, `--over`, `--baseline` and `--by`.

Importing this module does not import pydantic: `lenet-bench --help` reads the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from lenet.cases.frameworks import Framework
from lenet.cases.values import DeviceTarget, Mode, Pipeline, Scaling, version_order

if TYPE_CHECKING:
    from lenet.cases.profile import RuntimeProfile


ROUNDS = 100
"""The level from which an axis is outermost in a matrix: its values are rounds of all that is inside."""


class Kind(Enum):
    """What two records are to each other that differ in an axis and agree on all others."""

    CASE = "two cases"
    PLACE = "the same case elsewhere"
    REPETITION = "the same case again"


class Outcome(Protocol):
    """What an axis reads of a record (`lenet.store.record.Record`)."""

    @property
    def case(self) -> Any:
        """What was asked for, a `lenet.cases.case.Case`."""

    @property
    def machine_id(self) -> str:
        """The machine that it ran on."""

    @property
    def software(self) -> Any:
        """The versions that the worker reported, or None."""

    @property
    def dataset(self) -> Any:
        """The card of the data that was used, or None."""


@dataclass(frozen=True)
class Axis:
    """One axis. `name`, `level` and where its value stands (`path` or `read`) are all that an axis must have."""

    name: str
    """The field of a row in JSON and CSV, and the name in `--over`, `--baseline` and `--by`."""
    level: int
    """How far inside it stands where cases are put in order: a table's outermost axis has the lowest level. A matrix
    has those from `ROUNDS` on outermost, so that a slow drift of the machine affects all others alike."""
    path: str = ""
    """Where it stands in a `Case`, as attributes joined by dots; empty for what a case does not say."""
    read: Callable[[Outcome], Any] | None = None
    """The value of a record, where a record knows it better than its case."""
    kind: Kind = Kind.CASE
    title: str = ""
    """Head of a column and word for the axis in a sentence; empty: the name."""
    aliases: tuple[str, ...] = ()
    """Other names that `--over`, `--baseline` and `--by` accept."""
    field: str = ""
    """Where it stands in a `Matrix`; empty where a matrix does not span it."""
    several: bool = True
    """Whether that field holds several values. A single one is a count of repetitions or a part of the plan."""
    spans: tuple[Any, ...] | None = None
    """What a matrix spans that does not name the axis; None: the default of a case."""
    option: str = ""
    """The option of the command line and of pytest that sets it; empty where there is none."""
    help: str = ""
    values: type[Enum] | None = None
    """The values, where they are a fixed set."""
    parse_value: Callable[[str], Any] = str
    """A value from its text, where they are not."""
    examples: tuple[str, ...] = ()
    """Texts of two values and more, where they are not a fixed set: for the help, and for the tests of the axis."""
    plain: Callable[[Any], Any] | None = None
    """The value as rows, JSON and CSV have it; None: itself, or the text of an enumeration's member."""
    meaning: Callable[[Any], str] | None = None
    """A text that two values share if and only if they mean the same; None: that of the plain value."""
    record_meaning: Callable[[Outcome], str | None] | None = None
    """The same of a record, where the value does not tell; None from it, or for it: that of the value."""
    order: Callable[[Any], Any] | None = None
    """Sorts plain values; None: an enumeration by its members, others by themselves with None first."""
    phrase: str = "{}"
    """A value in words. `{s}` and `{es}` are the plural's ending, empty after 1."""
    text: Callable[[Any], str] | None = None
    """A plain value as it stands in `phrase`; None: numbers with separated thousands, `unknown` for None."""
    always: bool = False
    """Whether a label names it even where it has its default."""

    @property
    def parameter(self) -> str:
        """The option's name as a Python identifier, under which its value is passed on."""
        return self.option.lstrip("-").replace("-", "_")

    @property
    def is_number(self) -> bool:
        """Whether its values are whole numbers."""
        return self.parse_value is _whole

    @property
    def column_title(self) -> str:
        """Head of a column, and the word for the axis in a sentence."""
        return self.title or self.name

    @property
    def option_help(self) -> str:
        """The option's help with the values that it takes."""
        if self.values is not None:
            return f"{self.help} ({','.join(_texts(self.values))})"
        return self.help

    def parse(self, text: str) -> Any:
        """One value as the command line has it.

        Raises:
            ValueError: no value of this axis, in one sentence.
        """
        text = text.strip()
        if self.values is None:
            return self.parse_value(text)
        for member in self.values:
            if str(member.value).lower() == text.lower():
                return member
        raise ValueError(f"unknown value {text!r}, choose from {', '.join(_texts(self.values))}")

    def of_case(self, case: object) -> Any:
        """The value of a `Case`; None where a case does not say it."""
        return attrgetter(self.path)(case) if self.path else None

    def of_record(self, record: Outcome) -> Any:
        """The record's value: what ran, where the record says it, else what was asked for."""
        return self.read(record) if self.read is not None else self.of_case(record.case)

    def as_plain(self, value: Any) -> Any:
        """The value as rows, JSON and CSV have it."""
        if self.plain is not None:
            return self.plain(value)
        return value.value if isinstance(value, Enum) else value

    def identity(self, value: Any) -> str:
        """A text that two values share if and only if they mean the same."""
        if self.meaning is not None:
            return self.meaning(value)
        plain = self.as_plain(value)
        return "" if plain is None else str(plain)

    def record_identity(self, record: Outcome) -> str:
        """`identity` of a record's value."""
        known = self.record_meaning(record) if self.record_meaning is not None else None
        return known if known is not None else self.identity(self.of_record(record))

    def as_text(self, plain: Any) -> str:
        """A plain value as `--over` and `--baseline` name it."""
        return "none" if plain is None else str(plain)

    def is_named(self, text: str, plain: Any, identity: str) -> bool:
        """Whether `text` names the value of this plain form and identity."""
        if text == self.as_text(plain):
            return True
        try:
            return self.identity(self.parse(text)) == identity
        except ValueError:
            return False

    def words(self, plain: Any) -> str:
        """A plain value in words, for labels and sentences."""
        return self.words_of([plain])

    def words_of(self, plains: Sequence[Any]) -> str:
        """Several plain values in words: `batch 32, 64`."""
        texts = [self.text(plain) if self.text is not None else _text(plain) for plain in plains]
        one = texts == ["1"]
        return self.phrase.format(", ".join(texts), s="" if one else "s", es="" if one else "es")

    def rank(self, plain: Any) -> Any:
        """Sorts plain values: an enumeration by its members, None first."""
        if self.order is not None:
            return self.order(plain)
        if self.values is not None:
            return [member.value for member in self.values].index(plain)
        return (plain is not None, plain if plain is not None else 0)


def _text(plain: Any) -> str:
    return f"{plain:,}" if isinstance(plain, int) else "unknown" if plain is None else str(plain)


def _texts(values: type[Enum]) -> list[str]:
    return [str(member.value).lower() for member in values]


def _whole(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _profile(text: str) -> RuntimeProfile:
    from lenet.cases.profile import RuntimeProfile

    return RuntimeProfile.parse(text)


def _profile_meaning(profile: RuntimeProfile) -> str:
    return profile.name if profile.unresolved else profile.text


def _version(record: Outcome) -> Any:
    return record.software.framework_version if record.software is not None else record.case.framework_version


def _digest(record: Outcome) -> Any:
    return record.dataset.sha256 if record.dataset is not None else None


AXES: tuple[Axis, ...] = (
    Axis(
        "framework", 30, "framework", values=Framework,
        field="frameworks", option="--framework", help="Frameworks, separated by commas.",
    ),
    Axis(
        "framework_version", 40, "framework_version", read=_version, kind=Kind.PLACE, title="version",
        aliases=("version",), field="versions", spans=(), option="--versions", examples=("2.7.0", "2.10.0"),
        order=version_order, help="Releases such as 2.7.0,2.10.0, each in its own environment.",
        text=lambda version: version or "unknown version",
    ),
    Axis(
        "dataset", 20, "dataset", record_meaning=_digest, field="datasets", spans=("auto",), option="--dataset",
        examples=("mnist", "digits"), help="mnist, digits, or auto: MNIST if available, else digits.",
    ),
    Axis(
        "seed", ROUNDS, "hyperparameters.seed", parse_value=_whole, examples=("1", "2"),
        field="seeds", option="--seed", help="Seeds such as 1,2,3.", phrase="seed {}",
    ),
    Axis(
        "epochs", 90, "plan.epochs", parse_value=_whole, examples=("1", "2"), field="plan.epochs", several=False,
        option="--epochs", help="Train this many whole epochs and evaluate after each.", phrase="{} epoch{s}",
        text=lambda epochs: str(epochs or "no"),
    ),
    Axis(
        "device_target", 10, "device_target", values=DeviceTarget, title="device", aliases=("device",),
        field="device_targets", option="--device", help="Device targets, separated by commas.", always=True,
    ),
    Axis(
        "mode", 80, "mode", values=Mode, field="modes", spans=tuple(Mode), option="--mode",
        help="Execution modes, separated by commas.", always=True,
    ),
    Axis(
        "batch_size", 60, "hyperparameters.batch_size", title="batch", parse_value=_whole, examples=("32", "64"),
        field="batch_sizes", option="--batch-size", help="Batch sizes such as 32,64.", phrase="batch {}", always=True,
    ),
    Axis(
        "world_size", 85, "world_size", title="processes", parse_value=_whole, examples=("2", "4"),
        field="world_sizes", option="--world-size", help="Processes that train together, such as 1,2,4.",
        phrase="{} process{es}",
    ),
    Axis(
        "scaling", 70, "scaling", values=Scaling, field="scalings", option="--scaling",
        help="Whether the processes share the batch or have one each.", phrase="{} scaling",
    ),
    Axis(
        "pipeline", 45, "pipeline", values=Pipeline, field="pipelines", option="--pipeline",
        help="Decode each batch anew, or decode once and keep the batches.", phrase="{} pipeline",
    ),
    Axis(
        "profile", 50, "profile", parse_value=_profile, plain=attrgetter("name"), meaning=_profile_meaning,
        examples=("default", "launch_blocking"), field="profiles", option="--profile",
        help="default, tuned, or settings such as onednn_isa=AVX2+launch_blocking.",
        order=lambda name: (name != "default", name),
    ),
    Axis(
        "repetition", ROUNDS + 10, "repetition", kind=Kind.REPETITION, parse_value=_whole, examples=("0", "1"),
        field="repeat", several=False, option="--repeat", help="Processes per case, interleaved in rounds.",
        phrase="repetition {}", text=lambda repetition: str(repetition + 1),
    ),
    Axis("machine", 5, read=attrgetter("machine_id"), kind=Kind.PLACE),
)  # fmt: skip
"""All axes in the order of a table's columns."""

IDENTIFYING = tuple(each for each in AXES if each.kind is not Kind.REPETITION)
"""The axes that records must agree on to be processes of one case."""


def axis(name: str) -> Axis:
    """The axis of that name or alias.

    Raises:
        KeyError: there is none.
    """
    for each in AXES:
        if name == each.name or name in each.aliases:
            return each
    raise KeyError(name)


def with_option() -> list[Axis]:
    """The axes that an option of the command line sets."""
    return [each for each in AXES if each.option]


def values_of(case: object) -> dict[str, Any]:
    """A `Case`'s values by the axes' names."""
    return {each.name: each.of_case(case) for each in AXES if each.path}


def label(case: object, default: object) -> str:
    """A `Case` in words: device, mode and batch size first, then what is not as in `default`."""
    values, usual = values_of(case), values_of(default)
    named = [axis for axis in AXES if axis.name in values and (axis.always or values[axis.name] != usual[axis.name])]
    named.sort(key=lambda axis: not axis.always)
    return " · ".join(axis.words(axis.as_plain(values[axis.name])) for axis in named)
