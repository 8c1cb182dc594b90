"""`lenet-bench reproduce`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.invocation import Invocation
from lenet.cli.options import ENGINE, WORKLOAD, option
from lenet.errors import FAILED


def reproduce(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="RUN|RECORD|URL", help="A run, the file of a record, or its https address.")
    ],
    case: Annotated[
        list[str] | None, option(WORKLOAD, "Only this case; may be repeated.", "--case", metavar="ID")
    ] = None,
    data_dir: options.DataDir = None,
    resume: options.Resume = None,
    output: options.RunFolder = None,
    form: options.TextFormat = "terminal",
    quiet: options.Quiet = False,
    exact: Annotated[
        bool,
        option(ENGINE, "Build an environment with the recorded versions.", "--exact"),
    ] = False,
    timeout: options.Timeout = None,
    silence_timeout: options.SilenceTimeout = options.SILENCE_SECONDS,
) -> None:
    """Run recorded cases again and check each of their claims: yes, no or cannot tell."""
    from lenet.analysis.reproduce import Verdict
    from lenet.commands.reproduce import engine, evaluate, load, prepare, recorded_interpreter
    from lenet.engine import TimeLimits
    from lenet.report.text.reproduce import reproduce_text

    options.choice("--format", form, options.TEXT_FORMATS)
    invocation = Invocation(context, quiet, data_dir)
    original = load(source)
    records = original.choose(case or ())
    python = recorded_interpreter(original, records, invocation.log) if exact else None
    run = prepare(records, invocation.find, invocation.log, output, resume=resume, exact=exact)
    cases = run.outstanding()
    with invocation.measuring(run, cases) as observer:
        run.measure(cases, engine(TimeLimits(timeout, silence_timeout), observer, python))
    reproduction = evaluate(original, records, run)
    text = reproduction.model_dump_json(indent=1) + "\n"
    run.store.write_text("reproduction.json", text)
    run.write_tables()
    if form == "terminal":
        differences = [(each.name, each.then, each.now) for each in reproduction.differences]
        text = reproduce_text(reproduction.claims, differences)
    sys.stdout.write(text)
    invocation.note(f"records and verdicts: {run.store.path}")
    if any(claim.verdict is Verdict.NO for claim in reproduction.claims):
        raise typer.Exit(FAILED)
