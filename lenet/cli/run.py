"""`lenet-bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.invocation import Invocation, complain, typed_options
from lenet.cli.options import ENGINE, MEASUREMENT, OUTPUT, WORKLOAD, option
from lenet.errors import FAILED, UsageError

if TYPE_CHECKING:
    from lenet.commands.sampling import Goal

SPANNING = ("preset", "matrix", "output", "with_host")
"""Parameters, besides the axes, that a run which is resumed has already."""


@axis_options()
def run(
    context: typer.Context,
    preset: Annotated[
        str | None, option(WORKLOAD, "A named matrix: quick (default), standard or full.", metavar="NAME")
    ] = None,
    matrix: Annotated[Path | None, option(WORKLOAD, "A matrix in a TOML file.", metavar="FILE")] = None,
    *,
    axes: dict[str, str],
    data_dir: options.DataDir = None,
    until: Annotated[
        str | None,
        option(
            MEASUREMENT,
            "Add processes until each 95% interval is this narrow, as 3%; ratio:3%: that of each ratio to --baseline.",
            metavar="[ratio:]SHARE",
        ),
    ] = None,
    budget: Annotated[
        float, option(MEASUREMENT, "Stop --until after this many seconds.", metavar="SECONDS", min=1)
    ] = 1800.0,
    interleave: Annotated[
        str,
        option(
            MEASUREMENT,
            "windows: the workers of a repetition are alive together and take turns. rounds: one at a time.",
            metavar="windows|rounds",
        ),
    ] = "windows",
    alive: options.Alive = None,
    resume: options.Resume = None,
    dry_run: Annotated[bool, option(MEASUREMENT, "Print what --resume would measure, and why.", "--dry-run")] = False,
    retry_failed: Annotated[bool, option(MEASUREMENT, "Resume: measure failed cases too.", "--retry-failed")] = False,
    force: Annotated[bool, option(MEASUREMENT, "Resume: measure every case again.", "--force")] = False,
    output: options.RunFolder = None,
    form: options.TableFormat = None,
    baseline: options.Baseline = None,
    with_host: Annotated[bool, option(OUTPUT, "Store this host's name in the run.", "--with-host")] = False,
    quiet: options.Quiet = False,
    engine: Annotated[
        str, option(ENGINE, "local, or ray: the nodes of a cluster (RAY_ADDRESS).", metavar="NAME")
    ] = "local",
    busy: Annotated[
        str, option(ENGINE, "wait for another run on the device, or refuse to start.", metavar="wait|refuse")
    ] = "wait",
    cann: Annotated[
        Path | None, option(ENGINE, "Source this set_env.sh of CANN for the workers.", metavar="FILE")
    ] = None,
    timeout: options.Timeout = None,
    silence_timeout: options.SilenceTimeout = options.SILENCE_SECONDS,
) -> None:
    """Run a matrix of trainings and print a table of the results.

    Without --device it runs on each device that this machine has.
    """
    from lenet.cases.baseline import parse
    from lenet.cli.output import put, table_format
    from lenet.commands.measurement import differing, failure, open_run
    from lenet.commands.recompute import prove_run
    from lenet.commands.run import RunRequest
    from lenet.engine import TimeLimits
    from lenet.engine.busy import Busy
    from lenet.engine.turns import Interleave
    from lenet.report import render
    from lenet.report.text.resume import resume_json, resume_text

    wanted = table_format(form, None) if form is not None else "terminal"
    if baseline is not None:
        parse(baseline)
    spanning = {*axes, *SPANNING}
    request = RunRequest(
        axes=axes,
        preset=preset,
        matrix=matrix,
        output=output,
        with_host=with_host,
        resume=resume,
        retry_failed=retry_failed,
        force=force,
        engine=engine,
        limits=TimeLimits(timeout, silence_timeout),
        busy=options.choice("--busy", busy, get_args(Busy)),
        interleave=options.choice("--interleave", interleave, get_args(Interleave)),
        alive=alive,
        cann=cann,
        goal=_goal(until, budget, baseline) if until is not None else None,
    )
    if resume is not None:
        kept = axes.keys() - differing(resume, axes)
        named = [words[0] for name, words in typed_options(context).items() if name in spanning - kept]
        if named:
            raise UsageError(f"--resume continues a run with the options that it has: omit {', '.join(named)}")
    invocation = Invocation(context, quiet, data_dir, spanning)
    if dry_run:
        if resume is None:
            raise UsageError("--dry-run needs a run: name it with --resume")
        options.choice("--format", wanted, options.TEXT_FORMATS)
        seen = open_run(resume, invocation.find).states(engine != "local")
        shown = resume_json if wanted == "json" else resume_text
        put(shown(seen, retry_failed=retry_failed, force=force) + "\n", wanted)
        return
    made = request.begin(invocation.find, invocation.log)
    with invocation.measuring(made, request.outstanding(made)) as observer:
        request.measure(made, observer, invocation.log)
    with invocation.proving() as (seconds, progress):
        prove_run(made.store, made.datasets, seconds, progress)
    put(render(made.rows(), wanted, baseline), wanted)
    made.finish(baseline)
    invocation.note(f"records and tables: {made.store.path}")
    invocation.end(made)
    if problem := failure(made.store.records()):
        complain(problem)
        raise typer.Exit(FAILED)


def _goal(until: str, budget: float, baseline: str | None) -> Goal:
    """The goal that `--until` names."""
    from lenet.commands.sampling import Goal

    kind, colon, precision = until.rpartition(":")
    if colon and kind != "ratio":
        raise UsageError(f"--until {until!r}: write 3%, or ratio:3% for the ratios to the baseline")
    return Goal(options.share("--until", precision), budget, (baseline or "") if colon else None)
