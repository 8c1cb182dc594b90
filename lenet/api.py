"""What a notebook or a script calls: `read`, `compare` and `measure`. `import lenet` offers the same names.

Input that cannot be used is a `lenet.errors.UsageError`, or one of its kinds (`StoreError`, `DatasetError`,
`CacheError`): one sentence that says what to do.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.analysis.checked import checked
from lenet.analysis.compare import Comparison
from lenet.analysis.compare import compare as compare_records
from lenet.analysis.selection import parse_over, select
from lenet.cases.axes import with_option
from lenet.commands.measurement import Run
from lenet.commands.recompute import prove_run
from lenet.commands.run import RunRequest
from lenet.commands.sampling import Goal
from lenet.dataset import resolve
from lenet.errors import UsageError
from lenet.report.progress.choice import progress
from lenet.report.table import compare as comparison_table
from lenet.report.table import frames
from lenet.report.table.forms import FORMATS, Format, as_fragment
from lenet.report.table.render import laid_out, render
from lenet.report.table.rows import Row, rows
from lenet.report.table.words import count
from lenet.store.manifest import run_folders
from lenet.store.record import Record
from lenet.store.run import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparisons", "Results", "compare", "measure", "read"]


class Results:
    """The records of one run or of several. In a notebook it shows itself as a table."""

    def __init__(self, stores: Sequence[Store]) -> None:
        """Read the records of these runs, in order.

        Raises:
            StoreError: a record is damaged.
        """
        self._stores = tuple(stores)
        self._records = [store.records() for store in self._stores]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder of each run."""
        return tuple(store.path for store in self._stores)

    @property
    def records(self) -> list[Record]:
        """The records, as `records/ID.json` holds them."""
        return [record for records in self._records for record in records]

    @property
    def checked(self) -> list[Record]:
        """The records, with the status `invalid` where a check of the training failed."""
        stores = zip(self._stores, self._records, strict=True)
        return [record for store, records in stores for record in checked(records, store.proofs())]

    @property
    def rows(self) -> list[Row]:
        """A row for each record, as in `lenet-bench table --format json`, without its speed-ups."""
        return [
            row
            for store, records in zip(self._stores, self._records, strict=True)
            for row in rows(records, store.name, proofs=store.proofs())
        ]

    def frame(self) -> pd.DataFrame:
        """A line for each record, with the columns of `lenet-bench table --format csv`.

        Text has the dtype `string`, whole numbers have `Int64`, other numbers `float64`, true and false `boolean`; what
        is missing is NA or NaN.
        Units: images per second, seconds, bytes; accuracy 0 to 1. The page "Fields" describes each column.
        """
        return frames.of_rows(self.rows)

    def table(self, form: Format = "terminal", baseline: str | None = None) -> str:
        """The table of `lenet-bench table`; `baseline` as its option, for example `mode=pynative`.

        Raises:
            UsageError: there is no record, no row is the baseline, or there is no such form.
        """
        _check_form(form)
        return render(self.rows, form, baseline)

    def __len__(self) -> int:
        """The number of records."""
        return sum(map(len, self._records))

    def __repr__(self) -> str:
        """The table for a terminal."""
        return self.table() if len(self) else f"<no record in {', '.join(map(str, self.folders))}>"

    def _repr_html_(self) -> str:
        return (
            as_fragment(laid_out(self.rows, "html"))
            if len(self)
            else f"<p>{count(len(self._stores), 'run')}, no record</p>"
        )


class Comparisons(Sequence[Comparison]):
    """A comparison for each case. In a notebook it shows itself as a table."""

    def __init__(self, compared: Sequence[Comparison], minimum_effect: float, names: tuple[str, str]) -> None:
        self._compared = list(compared)
        self._minimum_effect = minimum_effect
        self._names = names

    def frame(self) -> pd.DataFrame:
        """A line for each case, with the columns of `lenet-bench compare --format csv`.

        Dtypes as in `Results.frame`. `a` and `b` are images per second; `ratio`, `low` and `high` are b / a.
        """
        return frames.of_comparisons(self._compared)

    def table(self, form: Format = "terminal") -> str:
        """The table of `lenet-bench compare`.

        Raises:
            UsageError: there is no comparison, or no such form.
        """
        _check_form(form)
        return comparison_table.render(self._compared, form, self._minimum_effect, self._names)

    def __getitem__(self, index: Any) -> Any:
        """The comparison at that place, in the order of A's cases."""
        return self._compared[index]

    def __len__(self) -> int:
        """The number of cases."""
        return len(self._compared)

    def __repr__(self) -> str:
        """The table for a terminal."""
        return self.table() if self._compared else "<no case to compare>"

    def _repr_html_(self) -> str:
        layout = comparison_table.laid_out(self._compared, self._minimum_effect, self._names)
        return as_fragment(layout) if self._compared else "<p>no case to compare</p>"


def read(*folders: str | Path) -> Results:
    """The results of runs. A folder is a run, or holds runs.

    Raises:
        StoreError: a folder holds no run, cannot be read, or is damaged.
    """
    return Results([Store.open(run) for folder in folders for run in run_folders(Path(folder))])


def compare(
    a: Results | str | Path,
    b: Results | str | Path | None = None,
    *,
    over: str | None = None,
    min_effect: float = 0.01,
) -> Comparisons:
    """Whether B is faster than A, case by case, as `lenet-bench compare` decides.

    Args:
        a: the results before, or their folder.
        b: the results after; None if `over` takes both sides from A.
        over: the axis in which A and B differ: `mode`, or `mode=pynative,graph` with the values of A and B.
        min_effect: the smallest relative difference that matters; 0.01 is 1%.

    Raises:
        UsageError: `over` names no axis, or values that no record has; without `b` it has no two values; `min_effect`
            is not between 0 and 1.
        StoreError: a folder is not a run.
    """
    first = a if isinstance(a, Results) else read(a)
    second = first if b is None else b if isinstance(b, Results) else read(b)
    chosen = parse_over(over) if over is not None else None
    _check_share("min_effect", min_effect)
    if b is None and (chosen is None or chosen.values is None):
        raise UsageError("compare needs two runs, or one and over='AXIS=VALUE-IN-A,VALUE-IN-B'")
    pair = select(first.checked, second.checked, chosen)
    names = [" + ".join(folder.resolve().name for folder in each.folders) for each in (first, second)]
    return Comparisons(compare_records(pair.a, pair.b, min_effect, pair.over), min_effect, (names[0], names[1]))


def _measure(
    *,
    preset: str | None = None,
    matrix: str | Path | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    until: float | None = None,
    budget: float = 1800.0,
    quiet: bool = False,
    **axes: Any,
) -> Results:
    """Run a matrix of trainings with progress, and return its results.

    A case that fails is a record with its reason, and no error.

    Args:
        preset: a named matrix: quick (default), standard or full.
        matrix: a TOML file with a matrix.
        data_dir: the folder of the data, in MNIST's format.
        output: the folder of the run (default: `run-TIME-NAME` in `LENET_BENCH_RESULTS`, or in `results`).
        resume: the folder of a run to resume: only missing or stale cases are measured.
        until: add processes until each 95% interval is within this share of its figure: 0.03 is ±3%.
        budget: stop `until` after this many seconds.
        quiet: show no progress.
        axes: one value or a list for each axis, named like the option of `lenet-bench run`: `mode="graph"`,
            `batch_size=[32, 64]`. An axis that is not named is that of the preset; without a device it
            is every one of this machine.

    Raises:
        UsageError: an impossible value, or options that do not go together.
        DatasetError: the data cannot be found.
        StoreError: the folder holds a run already, or cannot be written.
        KeyboardInterrupt: as the kernel is interrupted; finished records are intact, and `resume` continues the run.
        TypeError: an axis that does not exist.
    """
    inspect.signature(measure).bind(**axes)
    if until is not None:
        _check_share("until", until)
    chosen = {name: _text(value) for name, value in axes.items() if value is not None}
    if resume is not None and (chosen or preset or matrix or output):
        raise UsageError(
            "resume continues a run with the options that it has: omit the axes, preset, matrix and output"
        )
    request = RunRequest(
        axes=chosen,
        preset=preset,
        matrix=_path(matrix),
        output=_path(output),
        resume=_path(resume),
        goal=Goal(until, budget) if until is not None else None,
    )
    log = (lambda _: None) if quiet else _log
    run = request.begin(lambda name: resolve(name, _path(data_dir)), log)
    with _released(run):
        cases, began = request.outstanding(run), time.monotonic()
        with progress(run.store, run.datasets, len(cases), quiet) as observer:
            request.measure(run, observer, log)
        prove_run(run.store, run.datasets, time.monotonic() - began)
        run.finish()
        return Results([run.store])


@contextmanager
def _released(run: Run) -> Iterator[None]:
    """Whatever happens inside, another process can write the run afterwards: a kernel lives on."""
    try:
        yield
    except KeyboardInterrupt:
        _log(f"stopped; continue with lenet.measure(resume={str(run.store.path)!r})")
        raise
    finally:
        run.store.release()


def _check_share(name: str, value: float) -> None:
    if not isinstance(value, float) or not 0 < value < 1:
        raise UsageError(f"{name}={value!r}: give a number between 0 and 1, as 0.05 for 5%")


def _check_form(form: str) -> None:
    if form not in FORMATS:
        raise UsageError(f"{form!r} is no form of a table: choose from {', '.join(FORMATS)}")


def _text(value: Any) -> str:
    """A value or several, as the option of the command line takes them."""
    if isinstance(value, list | tuple | set | range):
        return ",".join(map(_text, value))
    return str(value.value if isinstance(value, Enum) else value)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _log(text: str) -> None:
    print(text, file=sys.stderr)


def _with_axes(function: Callable[..., Results]) -> Callable[..., Results]:
    """The function with a keyword for each axis in its signature, which help and completion show."""
    signature = inspect.signature(function, eval_str=True)
    fixed = [each for each in signature.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    axes = [inspect.Parameter(axis.parameter, inspect.Parameter.KEYWORD_ONLY, default=None) for axis in with_option()]
    function.__signature__ = signature.replace(parameters=[*axes, *fixed])  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = function.__name__.lstrip("_")
    return function


measure = _with_axes(_measure)
