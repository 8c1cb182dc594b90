"""`lenet-bench explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.invocation import Invocation, complain
from lenet.cli.options import MEASUREMENT, option
from lenet.cli.output import put
from lenet.cli.program import argument
from lenet.errors import FAILED


@axis_options(without=("epochs", "repetition"), single=True)
def explain(
    context: typer.Context,
    target: options.Target = None,
    case_id: options.CaseId = None,
    *,
    axes: dict[str, str],
    data_dir: options.DataDir = None,
    budget: Annotated[float, option(MEASUREMENT, "Time for all measurements.", metavar="SECONDS", min=1)] = 300.0,
    resume: options.Resume = None,
    output: options.RunFolder = None,
    form: options.TextFormat = "terminal",
    quiet: options.Quiet = False,
    timeout: options.Timeout = 120.0,
    silence_timeout: options.SilenceTimeout = options.SILENCE_SECONDS,
) -> None:
    """Show where the time of a training step goes, what slows it down, how much the fixes gain and what remains.

    The options of the workload take one value each; without --mode it is Graph.
    """
    from lenet.cases.frameworks import Framework
    from lenet.commands.explain import Explainer, NothingToExplainError, prepare
    from lenet.commands.recorded import chosen_case
    from lenet.commands.trials import Budget
    from lenet.engine import TimeLimits, choose
    from lenet.engine.busy import devices, held
    from lenet.machine.installed import framework_version
    from lenet.report.text.explain import explanation_text

    options.choice("--format", form, options.TEXT_FORMATS)
    invocation = Invocation(context, quiet, data_dir)
    case = chosen_case(target, case_id, axes, invocation.log)
    run = prepare(case, invocation.find, invocation.log, output, resume)
    limits = TimeLimits(timeout, silence_timeout)
    try:
        with invocation.measuring(run) as observer, held(devices(run.cases), notify=invocation.log):
            engine = choose("local", limits, observer)
            explanation = Explainer(run, engine, limits, invocation.log, Budget(budget)).explain()
    except NothingToExplainError as error:
        complain(f"{case.label}: {error}")
        raise typer.Exit(FAILED) from error
    run.store.seal()
    version = case.framework_version or framework_version(case.framework) or "unknown"
    as_json = form == "json"
    put(explanation.model_dump_json(indent=1) + "\n" if as_json else explanation_text(explanation, version), form)
    invocation.note(f"records and logs: {run.store.path}")
    if case.framework is Framework.MINDSPORE and case.world_size == 1:
        words = ("script", argument(str(run.store.path)), run.cases[0].id, "--issue", "-o", "issue.md")
        invocation.offer("a report of this case with a script, for MindSpore's issue tracker", *words)
