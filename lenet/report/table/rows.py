"""Records as flat rows: the content of CSV and JSON, and the input of all tables."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from lenet.analysis import convergence
from lenet.analysis.bands import Reference
from lenet.analysis.checked import Fault, fault
from lenet.analysis.difference import Measured
from lenet.analysis.references import shipped
from lenet.analysis.stability import Sample, assess, sample
from lenet.cases.axes import AXES, IDENTIFYING
from lenet.cases.axis import Kind
from lenet.cases.base import Frozen
from lenet.cases.baseline import Held
from lenet.store.proof import TrainingProof
from lenet.store.record import ACCURACY_TARGETS, Record, Status

PLACES = frozenset(axis.name for axis in AXES if axis.kind is Kind.PLACE)
SORTED = sorted((axis for axis in AXES if axis.name not in PLACES), key=lambda axis: axis.level)
"""The axes by which a table is sorted, outermost first."""
FIELDS = (*(axis.name for axis in IDENTIFYING), "run")
"""Fields that identify a measurement; rows that agree on all are repetitions."""


if TYPE_CHECKING:

    class _RowAxes(Frozen):
        """One field for each axis, under its name."""

        def __getattr__(self, name: str) -> Any: ...

else:
    _RowAxes = create_model("_RowAxes", __base__=Frozen, **{axis.name: (Any, ...) for axis in AXES})


class Row(_RowAxes):
    """A record as one row, with a field for each axis of the axis table.

    Units: images per second, seconds, bytes; accuracy 0 to 1. A missing figure is null.
    """

    identities: dict[str, str] = Field(exclude=True, repr=False)
    """`Axis.identity` for each axis. Not in CSV and JSON."""
    measured: Measured | None = Field(default=None, exclude=True, repr=False)
    """The record with its steady rates, if it has any: what ratios are computed from. Not in CSV and JSON."""
    global_batch_size: int
    """Images of one training step, over all processes."""
    status: str
    """How the case ended: a `lenet.store.record.Status`."""
    reason: str
    """Why the status is not ok, or a remark on an ok one."""
    images_per_second: float | None
    """Throughput: the median over the steady windows, data pipeline included."""
    images_per_second_low: float | None
    """Lower quartile over the steady windows."""
    images_per_second_high: float | None
    """Upper quartile over the steady windows."""
    resident_images_per_second: float | None
    """Throughput on one batch that stays on the device: without the data pipeline."""
    windows: int
    """Steady windows behind images_per_second, or processes if rows are merged."""
    samples: int = 0
    """Successful, measured processes of this case, including this one."""
    interval_low: float | None = None
    """Lower end of the 95% interval of the case's images/s over those processes; null for fewer than three."""
    interval_high: float | None = None
    """Upper end of that interval."""
    verdict: str | None = None
    """Stability of the case's images/s: `stable`, or `unstable:` and the reasons; null if not assessed."""
    more_processes: int | None = None
    """Further processes for an interval of ±3%; null if unknown or over 1,000."""
    speed_up: float | None = None
    """The case's images/s over those of its baseline; null if it has none."""
    speed_up_low: float | None = None
    """Lower end of the 95% interval of the speed-up; null for a single process that took no turns with its baseline."""
    speed_up_high: float | None = None
    """Upper end of that interval."""
    speed_up_unit: str | None = None
    """What the speed-up was estimated from: `groups` if the workers of both took turns, `processes` if not, `windows`
    for a single process."""
    speed_up_groups: int | None = None
    """Groups that both were members of, if these are the unit. Below three, the interval is of these processes only."""
    speed_up_verdict: str | None = None
    """Whether the case is `faster` or `slower` than its baseline, the `same` within 1%, or `unresolved`; null for the
    baseline itself and for a single process that took no turns with its baseline."""
    speed_up_over: str | None = None
    """The baseline, as `--baseline` names it."""
    foreign_load: float | None = None
    """Largest share of the machine, 0 to 1, that other processes used before, during or after the case."""
    compile_seconds: float | None
    """The first step with its compilation, in seconds. It is part of no throughput."""
    accuracy: float | None
    """Share of correct answers on the evaluated test images, 0 to 1, at the last evaluation."""
    evaluated_images: int | None
    """Test images behind `accuracy`."""
    trained_images: int
    """Images of all training steps, the warm-up included."""
    final_loss: float | None
    """The last finite training loss."""
    seconds_to_accuracy: dict[str, float | None]
    """Training clock, in seconds, at the end of the first epoch that reached the accuracy; null if none did."""
    convergence: str
    """Result of the convergence check: a `lenet.analysis.convergence.ConvergenceStatus`."""
    convergence_reason: str
    """What the training was compared with, or why it failed the check."""
    training: str | None = None
    """Whether the losses are those of the case's training, recomputed in numpy: `proved`, `another training`, with the
    step from which, or `not proved`; null if that was not tried."""
    training_reason: str = ""
    """What was compared, what a difference means, or why nothing could be compared."""
    peak_memory_bytes: int | None
    """Peak resident memory of the worker on CPU, peak device memory elsewhere; of several processes their sum."""
    run: str
    """Name of the folder of the run."""
    case_id: str
    """Name of the record: `records/ID.json`."""
    dataset_sha256: str | None
    """Digest over the four unpacked files of the data."""

    def flat(self) -> dict[str, Any]:
        """The fields of CSV and of the report's page."""
        data = self.model_dump(mode="json")
        data |= {f"seconds_to_accuracy_{target}": value for target, value in data.pop("seconds_to_accuracy").items()}
        return data

    @property
    def sound(self) -> bool:
        """Whether its figures are valid: the case succeeded, and its training is the case's and converges."""
        return self.status == Status.OK.value and self.fault is None

    @property
    def fault(self) -> Fault | None:
        """The check that its training failed, if one did."""
        return fault(self.convergence, self.convergence_reason, self.training, self.training_reason)

    @property
    def final_status(self) -> tuple[str, str]:
        """Status and reason as tables show them: those of the check that failed, if one did."""
        if self.status != Status.OK.value or (found := self.fault) is None:
            return self.status, self.reason
        return found.result, "; ".join(filter(None, [found.reason, self.reason]))


def target_field(target: float) -> str:
    """The field of a flat row with the seconds to an accuracy, 0 to 1.

    >>> target_field(0.95)
    'seconds_to_accuracy_0.95'
    """
    return f"seconds_to_accuracy_{target:.2f}"


def several(values: Iterable[object], name: str) -> bool:
    """Whether the field has more than one value. An unknown version or machine is no value."""
    unknown = {None} if name in PLACES else set()
    return len(set(values) - unknown) > 1


def key(row: Row, without: Collection[str] = ()) -> tuple[str, ...]:
    """What the repetitions of a case agree on: its identity on each axis and its run, except those in `without`."""
    return tuple(identity(row, name) for name in FIELDS if name not in without)


def identity(row: Row, name: str) -> str:
    """A text that rows share if and only if they mean the same by that field of `FIELDS`."""
    return row.run if name == "run" else row.identities[name]


def held(row: Row) -> dict[str, Held]:
    """The row's values of `FIELDS`, for its baseline."""
    return {name: Held(getattr(row, name), identity(row, name)) for name in FIELDS}


def row(record: Record, run: str) -> Row:
    """The record as a row, without figures that depend on the case's other processes."""
    return _row(record, sample(record.windows), run, shipped())


def _row(
    record: Record,
    measured: Sample | None,
    run: str,
    references: Sequence[Reference],
    proof: TrainingProof | None = None,
) -> Row:
    summary = record.summary
    low, median, high = _quartiles(measured.rates) if measured else (None, None, None)
    found = convergence.assess(record, references)
    resident = summary.resident_throughput
    return Row(
        **{axis.name: axis.as_plain(axis.of_record(record)) for axis in AXES},
        identities={axis.name: axis.record_identity(record) for axis in AXES},
        measured=(record, measured) if measured else None,
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
        training=proof.text if proof else None,
        training_reason=proof.reason if proof else "",
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


def _with_stability(
    records: Iterable[Record], run: str, references: Sequence[Reference], proofs: Mapping[str, TrainingProof]
) -> Iterator[Row]:
    """One row per record, with the stability of its case."""
    found = [(record, sample(record.windows)) for record in records]
    table = [_row(record, measured, run, references, proofs.get(record.case_id)) for record, measured in found]
    members = repetitions(table)
    assessments = assess([[found[index] for index in indices] for indices in members])
    for indices, stability in zip(members, assessments, strict=True):
        update: dict[str, Any] = {}
        if stability is not None:
            update = {"samples": stability.processes, "verdict": stability.text, "more_processes": stability.more}
            if stability.interval:
                update |= {"interval_low": stability.interval.low, "interval_high": stability.interval.high}
        yield from (table[index].model_copy(update=update) for index in indices)


def rows(
    records: Iterable[Record],
    run: str,
    references: Sequence[Reference] | None = None,
    proofs: Mapping[str, TrainingProof] | None = None,
) -> list[Row]:
    """One row per record, sorted by the levels of the axes; version and machine do not change the order.

    Trainings are compared with `references`, by default those of this package. `proofs` are the results of recomputing
    them, by case.
    """
    return sorted(
        _with_stability(records, run, shipped() if references is None else references, proofs or {}),
        key=lambda each: (each.run, *(axis.rank(getattr(each, axis.name)) for axis in SORTED)),
    )


def repetitions(table: Sequence[Row]) -> list[list[int]]:
    """Indices of the rows of each case, in the order of first appearance.

    The version of a worker that never started is unknown: its row belongs to the first known version of its case.
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
