"""One record, one flat row: what CSV and JSON carry, and what the tables are made of."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from lenet.analysis import convergence
from lenet.analysis.bands import Reference
from lenet.analysis.references import shipped
from lenet.analysis.stability import Sample, assess, sample
from lenet.cases.axes import AXES, IDENTIFYING, Kind
from lenet.cases.base import Frozen
from lenet.store.record import ACCURACY_TARGETS, Record, Status

FAILED = frozenset(status.value for status in convergence.ConvergenceStatus if status.failed)
"""Words of the convergence check after which a throughput may not be quoted."""

PLACES = frozenset(axis.name for axis in AXES if axis.kind is Kind.PLACE)
SORTED = sorted((axis for axis in AXES if axis.name not in PLACES), key=lambda axis: axis.level)
"""The axes by which a table is sorted, outermost first."""
FIELDS = (*(axis.name for axis in IDENTIFYING), "run")
"""Fields that tell one measurement from another; rows that agree on all are repetitions."""


if TYPE_CHECKING:

    class _RowAxes(Frozen):
        """One field for each axis, under its name."""

        def __getattr__(self, name: str) -> Any: ...

else:
    _RowAxes = create_model("_RowAxes", __base__=Frozen, **{axis.name: (Any, ...) for axis in AXES})


class Row(_RowAxes):
    """A record as one row, with a field for each axis of the axis table.

    Images a second, seconds, bytes; accuracy 0 to 1; null where there is no figure.
    """

    identities: dict[str, str] = Field(exclude=True, repr=False)
    """What the record is on each axis by meaning: equal texts mean the same. Not shown."""
    global_batch_size: int
    """Images of one training step, over all processes."""
    status: str
    reason: str
    images_per_second: float | None
    images_per_second_low: float | None
    images_per_second_high: float | None
    resident_images_per_second: float | None
    windows: int
    """Steady windows behind images_per_second, or processes where rows were merged."""
    samples: int = 0
    """Processes of this case that ended well and were measured, this one among them."""
    interval_low: float | None = None
    interval_high: float | None = None
    """95% interval of the case's images/s over those processes; null below three."""
    verdict: str | None = None
    """On the case's images/s: `stable`, or `unstable:` and the reasons; null where it has none."""
    more_processes: int | None = None
    """Further processes for an interval of 3% to either side; null where over 1,000 or unknown."""
    foreign_load: float | None = None
    """Largest share of the machine, 0 to 1, that other processes took before, during or after the case."""
    compile_seconds: float | None
    accuracy: float | None
    evaluated_images: int | None
    trained_images: int
    final_loss: float | None
    seconds_to_accuracy: dict[str, float | None]
    convergence: str
    """What the convergence check says, a word of `lenet.analysis.convergence.ConvergenceStatus`."""
    convergence_reason: str
    peak_memory_bytes: int | None
    run: str
    case_id: str
    dataset_sha256: str | None

    def flat(self) -> dict[str, Any]:
        """Its fields as plain values, a name each: what CSV and the page have."""
        data = self.model_dump(mode="json")
        data |= {f"seconds_to_accuracy_{target}": value for target, value in data.pop("seconds_to_accuracy").items()}
        return data

    @property
    def sound(self) -> bool:
        """Whether its figures count: the case ended well and its training did not fail the convergence check."""
        return self.status == Status.OK.value and self.convergence not in FAILED

    @property
    def standing(self) -> tuple[str, str]:
        """Status and reason as a table's line shows them: what the convergence check says, where that failed."""
        if self.sound or self.status != Status.OK.value:
            return self.status, self.reason
        reason = f"failed the convergence check: {self.convergence_reason}"
        return self.convergence, "; ".join(filter(None, [reason, self.reason]))


def target_field(target: float) -> str:
    """The name in a flat row of the seconds to an accuracy, 0 to 1.

    >>> target_field(0.95)
    'seconds_to_accuracy_0.95'
    """
    return f"seconds_to_accuracy_{target:.2f}"


def several(values: Iterable[object], name: str) -> bool:
    """Whether there is more than one value of that field. Where a case ran may be unknown, which is no value."""
    unknown = {None} if name in PLACES else set()
    return len(set(values) - unknown) > 1


def key(row: Row, without: Collection[str] = ()) -> tuple[str, ...]:
    """What the repetitions of a case agree on: its identity on each axis, and its run, but those `without`."""
    identities = {**row.identities, "run": row.run}
    return tuple(identities[name] for name in FIELDS if name not in without)


def row(record: Record, run: str) -> Row:
    """The record as a row, without what only the case's other processes can tell."""
    return _row(record, sample(record.windows), run, shipped())


def _row(record: Record, measured: Sample | None, run: str, references: Sequence[Reference]) -> Row:
    summary = record.summary
    low, median, high = _quartiles(measured.rates) if measured else (None, None, None)
    found = convergence.assess(record, references)
    resident = summary.resident_throughput
    return Row(
        **{axis.name: axis.as_plain(axis.of_record(record)) for axis in AXES},
        identities={axis.name: axis.record_identity(record) for axis in AXES},
        global_batch_size=record.case.global_batch_size,
        status=record.status.value,
        reason=record.reason,
        images_per_second=median,
        images_per_second_low=low,
        images_per_second_high=high,
        resident_images_per_second=resident.median if resident else None,
        windows=len(measured.rates) if measured else 0,
        foreign_load=record.load.foreign_share if record.load else None,
        compile_seconds=summary.compile_seconds,
        accuracy=summary.accuracy,
        evaluated_images=summary.evaluated_images,
        trained_images=summary.trained_images,
        final_loss=summary.final_loss,
        seconds_to_accuracy={
            f"{target:.2f}": summary.seconds_to_accuracy.get(f"{target:.2f}") for target in ACCURACY_TARGETS
        },
        convergence=found.status.value,
        convergence_reason=found.reason,
        peak_memory_bytes=summary.peak_memory_bytes,
        run=run,
        case_id=record.case_id,
        dataset_sha256=record.dataset.sha256 if record.dataset else None,
    )


def _quartiles(rates: Sequence[float]) -> tuple[float, float, float]:
    if len(rates) == 1:
        return rates[0], rates[0], rates[0]
    low, median, high = statistics.quantiles(rates, n=4, method="inclusive")
    return low, median, high


def _judged(records: Iterable[Record], run: str, references: Sequence[Reference]) -> Iterator[Row]:
    """A row a record, with the verdict on its case."""
    found = [(record, sample(record.windows)) for record in records]
    table = [_row(record, measured, run, references) for record, measured in found]
    members = repetitions(table)
    verdicts = assess([[found[index] for index in indices] for indices in members])
    for indices, verdict in zip(members, verdicts, strict=True):
        for index in indices:
            if verdict is None:
                yield table[index]
                continue
            interval = verdict.interval
            yield table[index].model_copy(
                update={
                    "samples": verdict.processes,
                    "interval_low": interval.low if interval else None,
                    "interval_high": interval.high if interval else None,
                    "verdict": verdict.text,
                    "more_processes": verdict.more,
                }
            )


def rows(records: Iterable[Record], run: str, references: Sequence[Reference] | None = None) -> list[Row]:
    """A row a record, in a table's order: by the axes' levels. Where a case ran does not change its place.

    Trainings are held against `references`, by default those that the program is shipped with.
    """
    return sorted(
        _judged(records, run, shipped() if references is None else references),
        key=lambda each: (each.run, *(axis.rank(getattr(each, axis.name)) for axis in SORTED)),
    )


def repetitions(table: Sequence[Row]) -> list[list[int]]:
    """Indices of the rows that are one case, case by case in the order of first appearance.

    A version is unknown where the worker never started: such a row belongs to the version that its case has elsewhere.
    """
    version = "framework_version"
    keys = [key(each, without=[version]) for each in table]
    known: dict[tuple[str, ...], str] = {}
    for case, each in zip(keys, table, strict=True):
        known[case] = known.get(case) or each.identities[version]
    groups: dict[tuple[tuple[str, ...], str], list[int]] = {}
    for index, (case, each) in enumerate(zip(keys, table, strict=True)):
        groups.setdefault((case, each.identities[version] or known[case]), []).append(index)
    return list(groups.values())
