"""`lenet-bench tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.invocation import Invocation
from lenet.cli.options import MEASUREMENT, option
from lenet.errors import FAILED


@axis_options(without=("seed", "epochs", "world_size", "scaling", "profile", "repetition"))
def tune(
    context: typer.Context,
    *,
    axes: dict[str, str],
    data_dir: options.DataDir = None,
    budget: Annotated[
        float, option(MEASUREMENT, "Time for each search, and for each final.", metavar="SECONDS", min=1)
    ] = 150.0,
    alive: Annotated[
        int | None,
        option(
            MEASUREMENT,
            "The most profiles alive together; memory and the search bound them too.",
            metavar="COUNT",
            min=1,
        ),
    ] = None,
    resume: options.Resume = None,
    output: options.RunFolder = None,
    form: options.TextFormat = "terminal",
    quiet: options.Quiet = False,
    timeout: options.Timeout = 120.0,
    silence_timeout: options.SilenceTimeout = options.SILENCE_SECONDS,
) -> None:
    """Find the fastest runtime profile on this machine and save it for `--profile tuned`.

    Of several releases or modes, each with its profile, a final names the fastest. Without --mode it is Graph.
    """
    from pydantic import TypeAdapter

    from lenet.analysis.tune.fastest import Fastest
    from lenet.cases.presets import in_one_mode
    from lenet.cli.output import put
    from lenet.cli.program import command_line
    from lenet.commands.fastest import final, run_words
    from lenet.commands.tune import TRACE_STEPS, TRACE_TOLERANCE, TuneResult, prepare
    from lenet.commands.tune import tune as search
    from lenet.engine import TimeLimits
    from lenet.engine.busy import devices, held
    from lenet.engine.local import LocalEngine
    from lenet.report.text.tune import fastest_text, tuning_text

    options.choice("--format", form, options.TEXT_FORMATS)
    invocation = Invocation(context, quiet, data_dir)
    run = prepare(in_one_mode(axes), invocation.find, invocation.log, output, resume)
    results, winners = [], []
    with invocation.measuring(run) as observer, held(devices(run.cases), notify=invocation.log):
        limits = TimeLimits(timeout, silence_timeout)
        engine = LocalEngine(limits, observer, interleave="windows", alive=alive)
        for result in search(run, budget, invocation.log, engine, alive):
            results.append(result)
            if form == "terminal":
                print(tuning_text(result.case, result.search, TRACE_STEPS, TRACE_TOLERANCE), flush=True)
            if result.path is not None:
                invocation.log(f"saved for --profile tuned: {result.path}")
        for found in final(run, results, budget, invocation.log, engine):
            winners.append(found)
            if form == "terminal":
                command = command_line(*run_words(found.finalists[0].case))
                print(f"\n{fastest_text(found)}\n  {command}", flush=True)
    run.store.seal()
    if form == "json":
        document: dict[str, list[TuneResult] | list[Fastest]] = {"results": results, "finals": winners}
        text = TypeAdapter(dict[str, list[TuneResult] | list[Fastest]]).dump_json(document, indent=1).decode()
        put(f"{text}\n", form)
    invocation.note(f"records: {run.store.path}")
    if any(result.tuned is None for result in results):
        raise typer.Exit(FAILED)
