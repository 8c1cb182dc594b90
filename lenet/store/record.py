"""The record: the outcome of one case, and its schema.

Raw samples first (windows, epochs, phases), then the summary, which is a function of the raw samples and nothing else.
Units are in the names: `_seconds`, `_bytes`; throughput is images a second.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from pydantic import Field

from lenet.cases.base import Instant
from lenet.cases.case import Case, Frozen, Plan, TurnLength
from lenet.machine.load import CaseLoad

SCHEMA_VERSION = 1
"""Increased with every change that an older reader would misread."""

NODE_LENGTH = 12
"""Leading characters of a node's id in a cluster, enough to tell its nodes apart."""

ENDED_WITH = "after it had reported the whole case the worker ended with"
"""In the reason of a complete record whose exit code is not 0."""

ACCURACY_TARGETS = (0.95, 0.97, 0.98)
"""Test accuracies whose first epoch gives the time to accuracy."""


class Status(str, Enum):
    """How a case ended."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out of memory"
    DIVERGED = "diverged"
    PLATEAU = "plateau"
    INVALID = "invalid"
    DROPPED = "dropped"
    """Ended early on purpose: it had lost a race, or its time was over."""

    @property
    def complete(self) -> bool:
        """Whether the case ran to its end."""
        return self in (Status.OK, Status.PLATEAU)

    @property
    def failed(self) -> bool:
        """Whether something kept the case from running to its end."""
        return not self.complete and self is not Status.DROPPED


class DatasetCard(Frozen):
    """Which data was used: a name, a digest over the four unpacked IDX files, and the number of images."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    training_images: int = Field(ge=1)
    test_images: int = Field(ge=1)


class Software(Frozen):
    """The software that the worker ran, as reported by the worker after the import."""

    framework_version: str
    python_version: str
    numpy_version: str
    details: dict[str, str] = Field(default_factory=dict)
    """Device name, settings in force, environment variables that affect speed."""


class Window(Frozen):
    """Consecutive training steps between two synchronised readings of the clock."""

    epoch: int = Field(ge=1)
    first_step: int = Field(ge=0)
    """Index of the first step of the window, counted from the start of training; of a resident window, from the first
    resident step."""
    steps: int = Field(ge=1)
    images: int = Field(ge=1)
    seconds: float = Field(gt=0)
    warmup: bool
    """True if any of its steps is a warm-up step, or if it is the lead-in of a turn: never part of the throughput."""
    cycle: int | None = Field(default=None, ge=0)
    """The cycle of turns that it belongs to; null where workers did not take turns."""
    turn: int | None = Field(default=None, ge=0)
    """Its number among all turns of the group, in the order in which they were given."""

    @property
    def images_per_second(self) -> float:
        """Throughput of this window."""
        return self.images / self.seconds

    def leads_in(self, plan: Plan) -> bool:
        """Whether it is the lead-in of a turn. All windows of a traced training count as warm-up, and none is one."""
        return self.warmup and not plan.trace and self.first_step >= plan.warmup_steps


class Evaluation(Frozen):
    """One evaluation of the test set, after `steps` training steps."""

    epoch: int = Field(ge=0)
    """Whole epochs trained so far; 0 if the plan ended within the first."""
    steps: int = Field(ge=0)
    training_seconds: float = Field(ge=0)
    """Training clock at this moment: compilation, first step and training; no evaluation, no set-up."""
    seconds: float = Field(ge=0)
    images: int = Field(ge=1)
    correct: int = Field(ge=0)
    distinct_answers: int = Field(ge=1)
    """Number of distinct classes among the answers; 1 is a constant answer."""
    training_loss: float | None = None
    """Mean training loss over the epoch, or the trained part of it; null if not finite."""

    @property
    def accuracy(self) -> float:
        """Share of correct answers, 0 to 1."""
        return self.correct / self.images


class Phases(Frozen):
    """The wall time of the worker by phase; the parts add up to `wall_seconds`."""

    import_and_setup_seconds: float = Field(ge=0)
    compile_and_first_step_seconds: float = Field(ge=0)
    training_seconds: float = Field(ge=0)
    evaluation_seconds: float = Field(ge=0)
    resident_seconds: float = Field(ge=0)
    waiting_seconds: float = Field(default=0.0, ge=0)
    """Waiting for a turn while other workers of the group trained."""
    other_seconds: float = Field(ge=0)
    """Reporting events and closing."""
    wall_seconds: float = Field(ge=0)


class Throughput(Frozen):
    """Median images/s over the steady windows, with quartiles."""

    median: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    windows: int = Field(ge=1)


class Summary(Frozen):
    """What tables show. Derived by `summarise`."""

    throughput: Throughput | None = None
    resident_throughput: Throughput | None = None
    accuracy: float | None = None
    evaluated_images: int | None = None
    trained_images: int = 0
    final_loss: float | None = None
    compile_seconds: float | None = None
    seconds_to_accuracy: dict[str, float | None] = Field(default_factory=dict)
    """Training clock at the end of the first epoch that reached the target, by target; null if none did."""
    peak_memory_bytes: int | None = None


def turn_fields(turn: TurnLength | None) -> dict[str, object]:
    """The fields of a record that say which turns its worker was to take: those that `Record.turn` reads."""
    if turn is None:
        return {}
    return {
        "turn_seconds": turn.seconds,
        "lead_in_seconds": turn.lead_in_seconds,
        "pace_change": turn.pace_change,
    }


class Record(Frozen):
    """The outcome of one case."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    case_id: str
    case: Case
    status: Status
    reason: str = ""
    """Why the status is not ok, or a remark on an ok one; one sentence."""
    attempt: str = Field(default="", pattern=r"^[0-9a-z]{0,32}$")
    """Names the lines of the event log that belong to this record: a case may have been started more than once."""
    group: str = Field(default="", pattern=r"^[0-9a-z]{0,32}$")
    """The cases of one group were alive together and took turns. Empty where the case ran alone."""
    place: int | None = Field(default=None, ge=0)
    """Its place among the starts of the group's workers; null where the case ran alone, and in older records."""
    turn_seconds: float | None = Field(default=None, gt=0)
    """The length of a turn that was asked for; null where the case ran alone."""
    lead_in_seconds: float = Field(default=0.0, ge=0)
    """The time at the start of a turn that was asked not to count; 0 where the case ran alone, and in older records."""
    pace_change: float | None = Field(default=None, gt=1)
    """How many times slower or faster the steps had to become for turns to get another number of steps; null where the
    case ran alone, and in older records, whose turns kept their number."""
    planned_looks: tuple[int, ...] = Field(default=(), max_length=32)
    """Numbers of groups at which sampling to a precision could stop; empty where nothing was sampled that way."""
    machine_id: str = ""
    node: str = Field(default="", pattern=rf"^[0-9a-z]{{0,{NODE_LENGTH}}}$")
    """The node of a cluster that ran the case: identical machines share an id. Empty for the machine of the run."""
    workload_sha256: str | None = None
    """Digest over the source of the workload, from `lenet.store.freshness.workload_sha256`."""
    started_at: Instant
    finished_at: Instant
    """`started_at` plus the time by the monotonic clock: setting the wall clock changes no duration."""
    dataset: DatasetCard | None = None
    software: Software | None = None
    phases: Phases | None = None
    windows: tuple[Window, ...] = ()
    resident_windows: tuple[Window, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    losses_sha256: str | None = None
    """Digest over the loss of every step as little-endian float32; the losses are in the event log."""
    weights_sha256: dict[str, str] = Field(default_factory=dict)
    """Digests of the weights, `initial` and `final`."""
    stderr_tail: str = ""
    exit_code: int | None = None
    load: CaseLoad | None = None
    """Load of the machine in the meantime; null in records of older versions."""
    summary: Summary = Summary()

    @property
    def turn(self) -> TurnLength | None:
        """The turns that the worker was to take; None where the case ran alone."""
        if self.turn_seconds is None:
            return None
        return TurnLength(seconds=self.turn_seconds, lead_in_seconds=self.lead_in_seconds, pace_change=self.pace_change)

    @property
    def windows_between_lead_ins(self) -> tuple[Window, ...]:
        """The windows of the warm-up, and those past it without the lead-ins of turns."""
        return tuple(each for each in self.windows if not each.leads_in(self.case.plan))

    def begun_after(self, time: datetime | None) -> Record:
        """The record, moved on to `time` with its end if it begins before: the clock was set back meanwhile."""
        if time is None or self.started_at >= time:
            return self
        return self.model_copy(update={"started_at": time, "finished_at": time + (self.finished_at - self.started_at)})

    @property
    def own_seconds(self) -> float:
        """From the start of the worker to its end, without the turns of other members of its group."""
        waited = self.phases.waiting_seconds if self.phases is not None else 0.0
        return max(0.0, (self.finished_at - self.started_at).total_seconds() - waited)


def full_windows(windows: Iterable[Window]) -> list[Window]:
    """The windows after the warm-up whose rates count, in order: all turns, or else those of full length.

    Where workers do not take turns, a shorter window is the rest of an epoch, and its rate contains a start-up over
    few steps. A turn becomes shorter where the steps become slower (`lenet.cases.window_sizes`): without these, the
    slow ones would be missing.
    """
    steady = [window for window in windows if not window.warmup]
    full = max((window.steps for window in steady), default=0)
    return [window for window in steady if window.turn is not None or window.steps == full]


def steady_rates(windows: Iterable[Window]) -> list[float]:
    """Images/s of each of the `full_windows`, in order."""
    return [window.images_per_second for window in full_windows(windows)]


def throughput(windows: Iterable[Window]) -> Throughput | None:
    """Median and quartiles of the steady rates; None without a steady window."""
    rates = steady_rates(windows)
    if not rates:
        return None
    low, median, high = statistics.quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else rates * 3
    return Throughput(median=median, low=low, high=high, windows=len(rates))


def summarise(
    phases: Phases | None,
    windows: tuple[Window, ...],
    resident_windows: tuple[Window, ...],
    evaluations: tuple[Evaluation, ...],
    final_loss: float | None,
    peak_memory_bytes: int | None,
) -> Summary:
    """Summarise raw samples. `final_loss` is the last finite training loss."""
    last = evaluations[-1] if evaluations else None
    reached: dict[str, float | None] = {}
    for target in ACCURACY_TARGETS:
        at = (each.training_seconds for each in evaluations if each.accuracy >= target)
        reached[f"{target:.2f}"] = next(at, None)
    return Summary(
        throughput=throughput(windows),
        resident_throughput=throughput(resident_windows),
        accuracy=last.accuracy if last else None,
        evaluated_images=last.images if last else None,
        trained_images=sum(window.images for window in windows),
        final_loss=final_loss,
        compile_seconds=phases.compile_and_first_step_seconds if phases else None,
        seconds_to_accuracy=reached,
        peak_memory_bytes=peak_memory_bytes,
    )
