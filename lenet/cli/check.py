"""`lenet-bench check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.invocation import Invocation, typed_options
from lenet.cli.options import MEASUREMENT, option
from lenet.cli.output import put
from lenet.errors import FAILED, UsageError

if TYPE_CHECKING:
    from lenet.analysis.bands import Reference
    from lenet.analysis.check import Rung


@axis_options(without=("framework", "epochs", "world_size", "scaling", "repetition"), single=True)
def check(
    context: typer.Context,
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Check the convergence of these runs instead.")
    ] = None,
    *,
    axes: dict[str, str],
    data_dir: options.DataDir = None,
    rung: Annotated[
        str | None,
        option(MEASUREMENT, "Only these: repeat,seed,modes,profile,framework,device,learn.", metavar="LIST"),
    ] = None,
    steps: Annotated[int, option(MEASUREMENT, "Steps of each traced case.", metavar="N", min=1, max=10_000)] = 100,
    tolerance: Annotated[str, option(MEASUREMENT, "Largest relative difference allowed.", metavar="SHARE")] = "0.1%",
    references: options.References = None,
    make_reference: Annotated[
        bool,
        option(
            MEASUREMENT, "Make references from the RUNs; --output is the folder that gets them.", "--make-reference"
        ),
    ] = False,
    resume: options.Resume = None,
    output: options.RunFolder = None,
    form: options.TextFormat = "terminal",
    quiet: options.Quiet = False,
    timeout: options.Timeout = None,
    silence_timeout: options.SilenceTimeout = options.SILENCE_SECONDS,
) -> None:
    """Check determinism and learning in a ladder of short trainings, or the convergence of runs.

    The options of the workload take one value each; without --mode it is Graph. The other cases are compared with that
    one as installed; a profile is one of them.
    """
    from lenet.analysis.check import evaluate
    from lenet.analysis.references import read_given, shipped
    from lenet.commands.check import prepare
    from lenet.engine import TimeLimits, choose
    from lenet.machine.card import describe
    from lenet.report.text.check import results_json, results_text, settings, settings_text

    options.choice("--format", form, options.TEXT_FORMATS)
    if make_reference:
        _make_references(runs or [], output)
        return
    allowed = options.share("--tolerance", tolerance, zero=True)
    known = read_given(references) if references is not None else shipped()
    if runs:
        kept = ("runs", "references", "form", "quiet")
        if unused := [words[0] for name, words in typed_options(context).items() if name not in kept]:
            raise UsageError(f"with a RUN nothing is trained: omit {', '.join(unused)}")
        raise typer.Exit(_convergence(runs, known, form))
    invocation = Invocation(context, quiet, data_dir)
    run, pairs = prepare(axes, _rungs(rung), steps, known, invocation.find, invocation.log, output, resume)
    cases = run.outstanding()
    with invocation.measuring(run, cases) as observer:
        run.measure(cases, choose("local", TimeLimits(timeout, silence_timeout), observer))
    run.store.seal()
    results = evaluate(run.store, pairs, allowed, known)
    used = settings(run.store.records(), describe().usable_cores)
    as_json = form == "json"
    put(
        results_json(results, used, allowed) if as_json else results_text(results, settings_text(used), allowed),
        form,
    )
    invocation.note(f"records: {run.store.path}")
    if any(each.holds is False for each in results) or not any(each.holds for each in results):
        raise typer.Exit(FAILED)


def _rungs(text: str | None) -> list[Rung]:
    from lenet.analysis.check import Rung

    if text is None:
        return list(Rung)
    return [options.choice("--rung", name.strip(), list(Rung)) for name in text.split(",")]


def _make_references(runs: list[Path], output: Path | None) -> None:
    from lenet.analysis import references
    from lenet.store.run import Store

    if not runs or output is None:
        raise UsageError("--make-reference needs the RUNs to make references from, and the folder --output")
    for reference in references.make([Store.open(folder) for folder in runs]):
        path = references.write(reference, output)
        flagged = references.flagged_seeds(reference)
        seeds = f": seed {', '.join(map(str, flagged))}" if flagged else ""
        print(
            f"{path}: {len(reference.seeds)} seeds, {reference.epochs} epochs; "
            f"{len(flagged)} of them are outside the band of the others{seeds}"
        )


def _convergence(runs: list[Path], known: tuple[Reference, ...], form: str) -> int:
    from lenet.analysis.convergence import assess
    from lenet.report.text.check import convergence_json, convergence_text
    from lenet.store.proof import TrainingStatus
    from lenet.store.run import Store

    results, proofs = [], []
    for store in [Store.open(folder) for folder in runs]:
        found = store.proofs()
        for record in store.records():
            results.append((record, assess(record, known)))
            proofs.append(found.get(record.case_id))
    if not results:
        raise UsageError("the runs have no records yet")
    put(convergence_json(results, proofs) if form == "json" else convergence_text(results, proofs), form)
    another = any(proof is not None and proof.status is TrainingStatus.ANOTHER for proof in proofs)
    return FAILED if another or any(convergence.status.failed for _, convergence in results) else 0
