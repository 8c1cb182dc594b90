"""The axis table: everything in which cases and their records differ, each declared once.

Made from `AXES`: the matrix and its product, presets, the options of the command line and of pytest, labels, the pairs
of a comparison, the rows and columns of tables, the filters and labels of charts, `--over`, `--baseline` and `--by`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lenet.cases.axis import ROUNDS, Axis, Kind, Outcome, whole_number
from lenet.cases.frameworks import ABILITIES, Framework, shared_mode
from lenet.cases.values import DeviceTarget, Mode, Pipeline, Scaling, version_order

if TYPE_CHECKING:
    from lenet.cases.profile import RuntimeProfile


def _profile(text: str) -> RuntimeProfile:
    from lenet.cases.naming import read_profile

    return read_profile(text)


def _profile_meaning(profile: RuntimeProfile) -> str:
    return profile.name if profile.unresolved else profile.text


def _mode(case: Any) -> Mode:
    return ABILITIES[case.framework].own_mode(case.mode)


def _mode_meaning(mode: Mode) -> str:
    return shared_mode(mode).value


def _release(text: str) -> str:
    from lenet.cases.wheels import parse_release

    return parse_release(text)


def _version(record: Outcome) -> Any:
    # What was asked for tells apart what reports one version: two wheels, or 2.7.1 and 2.7.1.post1.
    reported = record.software.framework_version if record.software is not None else None
    return record.case.framework_version or reported


def _digest(record: Outcome) -> Any:
    return record.dataset.sha256 if record.dataset is not None else None


AXES: tuple[Axis, ...] = (
    Axis(
        "framework", 30, "framework", values=Framework,
        field="frameworks", option="--framework", help="Frameworks",
    ),
    Axis(
        "framework_version", 40, "framework_version", read=_version, kind=Kind.PLACE, title="version",
        aliases=("version",), field="versions", spans=(), option="--versions", parse_value=_release,
        examples=("2.7.0", "2.10.0"), order=version_order,
        help="Releases, as 2.10.0, or wheel files, each in its own environment",
        text=lambda version: version or "unknown version",
    ),
    Axis(
        "dataset", 20, "dataset", record_meaning=_digest, field="datasets", spans=("auto",), option="--dataset",
        examples=("mnist", "digits"), help="mnist, digits, or auto: MNIST if available, else digits",
    ),
    Axis(
        "seed", ROUNDS, "hyperparameters.seed", parse_value=whole_number, examples=("1", "2"),
        field="seeds", option="--seed", help="Seeds of the initial weights and the order of images", phrase="seed {}",
    ),
    Axis(
        "epochs", 90, "plan.epochs", parse_value=whole_number, examples=("1", "2"), field="plan.epochs", several=False,
        option="--epochs", help="Train this many whole epochs and evaluate after each", phrase="{} epoch{s}",
        text=lambda epochs: str(epochs or "no"),
    ),
    Axis(
        "device_target", 10, "device_target", values=DeviceTarget, title="device", aliases=("device",),
        field="device_targets", option="--device", help="Device targets", always=True,
    ),
    Axis(
        "mode", 80, "mode", value=_mode, meaning=_mode_meaning, values=Mode, field="modes", spans=tuple(Mode),
        option="--mode", help="Execution modes", always=True,
    ),
    Axis(
        "batch_size", 60, "hyperparameters.batch_size", title="batch", parse_value=whole_number, examples=("32", "64"),
        field="batch_sizes", option="--batch-size", phrase="batch {}", always=True,
        help="Images of a training step, with weak scaling of each process",
    ),
    Axis(
        "world_size", 85, "world_size", title="processes", parse_value=whole_number, examples=("2", "4"),
        field="world_sizes", option="--world-size", help="Processes that train together",
        phrase="{} process{es}",
    ),
    Axis(
        "scaling", 70, "scaling", values=Scaling, field="scalings", option="--scaling",
        help="Whether the processes share the batch or have one each", phrase="{} scaling",
    ),
    Axis(
        "pipeline", 45, "pipeline", values=Pipeline, field="pipelines", option="--pipeline",
        help="Decode each batch anew, or decode once and keep the batches", phrase="{} pipeline",
    ),
    Axis(
        "profile", 50, "profile", parse_value=_profile, plain=attrgetter("name"), meaning=_profile_meaning,
        examples=("default", "launch_blocking"), field="profiles", option="--profile",
        help="default, tuned, settings such as onednn_isa=AVX2+launch_blocking, or NAME=SETTINGS",
        order=lambda name: (name != "default", name),
    ),
    Axis(
        "repetition", ROUNDS + 10, "repetition", kind=Kind.REPETITION, parse_value=whole_number, examples=("0", "1"),
        field="repeat", several=False, option="--repeat", help="Processes per case, one in each round",
        phrase="repetition {}", text=lambda repetition: str(repetition + 1),
    ),
    Axis("machine", 5, read=attrgetter("machine_id"), kind=Kind.PLACE),
)  # fmt: skip
"""All axes in the order of a table's columns."""

IDENTIFYING = tuple(each for each in AXES if each.kind is not Kind.REPETITION)
"""The axes that records must agree on to be processes of one case."""


BY_NAME = {name: each for each in AXES for name in (each.name, *each.aliases)}
"""The axes by their names and aliases."""


def axis(name: str) -> Axis:
    """The axis of that name or alias.

    Raises:
        KeyError: there is none.
    """
    return BY_NAME[name]


def with_option() -> list[Axis]:
    """The axes that an option of the command line sets."""
    return [each for each in AXES if each.option]


def values_of(case: object) -> dict[str, Any]:
    """A `Case`'s values by the axes' names."""
    return {each.name: each.of_case(case) for each in AXES if each.path}


def options(case: object, default: object) -> list[str]:
    """The words of a command line that name a `Case`: device, mode and batch size, and what is not as in `default`."""
    values, usual = values_of(case), values_of(default)
    return [
        word
        for each in with_option()
        if each.name in values and each.several and (each.always or values[each.name] != usual[each.name])
        for word in (each.option, each.as_typed(values[each.name]))
    ]


def label(case: object, default: object) -> str:
    """A `Case` in words: device, mode and batch size first, then what is not as in `default`."""
    values, usual = values_of(case), values_of(default)
    named = [axis for axis in AXES if axis.name in values and (axis.always or values[axis.name] != usual[axis.name])]
    named.sort(key=lambda axis: not axis.always)
    return " · ".join(axis.words(axis.as_plain(values[axis.name])) for axis in named)
