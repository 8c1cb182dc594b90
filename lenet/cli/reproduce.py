"""`lenet-bench reproduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.invocation import Invocation
from lenet.cli.options import ENGINE, OUTPUT, WORKLOAD, option
from lenet.cli.output import put
from lenet.errors import FAILED, UsageError

if TYPE_CHECKING:
    from lenet.cases.claims import Publication
    from lenet.commands.measurement import Run
    from lenet.engine import TimeLimits
    from lenet.store.proof import TrainingProof

Into = tuple[Path | None, Path | None]
"""The folder of the run, and the run to resume."""


@axis_options()
def reproduce(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|RECORD|URL|NAME",
            help="A run, the file of a record, its https address, or the name or TOML file of a publication.",
        ),
    ] = None,
    listed: Annotated[bool, option(OUTPUT, "List the publications that can be named.", "--list")] = False,
    case: Annotated[
        list[str] | None, option(WORKLOAD, "Only this case; may be repeated.", "--case", metavar="ID")
    ] = None,
    axes: Mapping[str, str] | None = None,
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
    """Run recorded cases or a published training again and check each claim.

    A claim of a record is confirmed (yes), not (no), or it cannot be told. A published figure is reproduced, refuted or
    not comparable. Options such as --mode and --profile choose how a published training is run.
    """
    from lenet.cases.claims import load_publication, publications
    from lenet.engine import TimeLimits
    from lenet.report.text.reproduce import publications_json, publications_text

    options.choice("--format", form, options.TEXT_FORMATS)
    if listed:
        if source is not None:
            raise UsageError("--list takes no argument: it lists the publications")
        put((publications_json if form == "json" else publications_text)(publications()), form)
        return
    if source is None:
        raise UsageError("name a run, a record or a publication; --list shows the publications")
    invocation = Invocation(context, quiet, data_dir)
    limits = TimeLimits(timeout, silence_timeout)
    if (publication := load_publication(source)) is not None:
        if case or exact:
            raise UsageError(f"{source} is a publication, which has no recorded case: omit --case and --exact")
        _published(invocation, publication, axes or {}, (output, resume), form, limits)
        return
    if axes:
        raise UsageError(f"--{next(iter(axes)).replace('_', '-')} is for publications: a record's case runs as it was")
    _recorded(invocation, source, case or (), (output, resume), form, limits, exact)


def _recorded(
    invocation: Invocation, source: str, case: Sequence[str], into: Into, form: str, limits: TimeLimits, exact: bool
) -> None:
    from lenet.analysis.reproduce import Verdict
    from lenet.commands.reproduce import engine, evaluate, load, prepare, prove, recorded_interpreter
    from lenet.report.text.reproduce import reproduce_text
    from lenet.store.manifest import REPRODUCTION

    original = load(source)
    records = original.choose(case)
    python = recorded_interpreter(original, records, invocation.log) if exact else None
    run = prepare(records, invocation.find, invocation.log, *into, exact=exact)
    proofs: dict[str, TrainingProof] = {}
    cases = run.outstanding()
    with invocation.measuring(run, cases) as observer:
        run.measure(cases, engine(limits, observer, python))
    with invocation.proving() as (seconds, progress):
        proofs.update(prove(original, records, run, seconds, progress))
    found = evaluate(original, records, run, proofs)
    differences = [(each.name, each.then, each.now) for each in found.differences]
    text = found.model_dump_json(indent=1) + "\n"
    run.store.write_text(REPRODUCTION, text)
    shown = text if form == "json" else reproduce_text(found.claims, differences)
    _end(invocation, run, shown, form, any(claim.verdict is Verdict.NO for claim in found.claims))


def _published(
    invocation: Invocation, publication: Publication, axes: Mapping[str, str], into: Into, form: str, limits: TimeLimits
) -> None:
    import json

    from lenet.analysis.published import PublishedVerdict, compare_published
    from lenet.commands.recompute import prove_run
    from lenet.commands.reproduce import engine, prepare_published
    from lenet.report.text.reproduce import published_text
    from lenet.store.manifest import PUBLISHED

    run = prepare_published(publication, axes, invocation.find, invocation.log, *into)
    cases = run.outstanding()
    with invocation.measuring(run, cases) as observer:
        run.measure(cases, engine(limits, observer, None))
    with invocation.proving() as (seconds, progress):
        prove_run(run.store, run.datasets, seconds, progress)
    results = compare_published(publication, run.store.records())
    text = json.dumps([result.model_dump(mode="json") for result in results], indent=1) + "\n"
    run.store.write_text(PUBLISHED, text)
    shown = text if form == "json" else published_text(publication, results)
    _end(invocation, run, shown, form, any(result.verdict is PublishedVerdict.REFUTED for result in results))


def _end(invocation: Invocation, run: Run, shown: str, form: str, refuted: bool) -> None:
    """Write the tables, print the verdicts, and end with exit code 1 if one of them refutes."""
    run.finish()
    put(shown, form)
    invocation.note(f"records and verdicts: {run.store.path}")
    invocation.end(run)
    if refuted:
        raise typer.Exit(FAILED)
