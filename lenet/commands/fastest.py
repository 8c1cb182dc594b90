"""The final of `tune`: the tuned cases of several releases and modes, in groups of fresh processes alive together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from lenet.analysis.tune.candidate import Measured
from lenet.analysis.tune.fastest import Fastest, fastest, finals
from lenet.analysis.tune.search import MOST_GROUPS
from lenet.cases.axes import options
from lenet.cases.case import Case
from lenet.commands.measurement import Log, Run
from lenet.commands.tune import CONFIRMATION, Looks, RaceJudge, TuneResult
from lenet.engine.local import Judged, LocalEngine


def final(
    run: Run, results: Sequence[TuneResult], budget_seconds: float, log: Log, engine: LocalEngine
) -> Iterator[Fastest]:
    """The fastest of the tuned cases that differ in release and mode alone; `budget_seconds` is for each such set.

    A case that could not be tuned takes no part.

    Raises:
        StoreError: the run cannot be written.
        KeyboardInterrupt: on Ctrl-C; the run keeps its records.
    """
    speeds = {
        result.case.model_copy(update={"profile": result.search.winner.profile, "plan": CONFIRMATION}): (
            result.search.winner.median
        )
        for result in results
        if result.tuned is not None
    }
    for finalists in finals(speeds):
        deadline = time.monotonic() + budget_seconds
        looks = {case: Looks(run, case, deadline, log, engine) for case in finalists}
        found: dict[Case, list[Measured]] = {case: [] for case in finalists}
        for number in range(MOST_GROUPS):
            began = time.monotonic()
            log(f"final, group {number + 1}: {len(finalists)} tuned cases are alive together")
            # Repetitions after those of the confirmations, which had the same plan and may have had the same profile.
            cases = [case.model_copy(update={"repetition": MOST_GROUPS + number}) for case in finalists]
            records = run.measure_added(cases, Judged(engine, RaceJudge(deadline, drops=False)))
            for case, record in zip(finalists, records, strict=True):
                found[case].append(looks[case].measured(record, record.group or f"final {number}", 0.0))
            if 2 * time.monotonic() - began > deadline:
                break
        yield fastest(found)


def run_words(winner: Case) -> list[str]:
    """The words of the command that runs the case, after the program's name."""
    if "@" not in winner.dataset:
        return ["run", *options(winner, Case())]
    return ["run", *options(winner.model_copy(update={"dataset": Case().dataset}), Case()), "--data-dir", "FOLDER"]
