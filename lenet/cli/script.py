"""`lenet-bench script`."""

from __future__ import annotations

from typing import Annotated

from lenet.cli import options
from lenet.cli.axes import axis_options
from lenet.cli.options import OUTPUT, option
from lenet.cli.output import put
from lenet.errors import UsageError


@axis_options(
    without=("framework", "framework_version", "world_size", "scaling", "repetition"),
    single=True,
)
def script(
    target: options.Target = None,
    case_id: options.CaseId = None,
    *,
    axes: dict[str, str],
    issue: Annotated[
        bool, option(OUTPUT, "Write a report for an issue tracker: versions, figures, machine, script.", "--issue")
    ] = False,
    output: options.OutputFile = None,
) -> None:
    """Write a case as a standalone script with MindSpore and numpy only.

    The script trains as the case does, and prints images/s and losses. The case is that of a record, or the one that
    the options of the workload name, which take one value each; without --mode it is Graph.
    """
    from lenet.commands.recorded import refuse_axes
    from lenet.commands.script import from_options, from_record

    if target is None:
        if issue:
            raise UsageError("--issue reports what was measured: name a record, as RUN ID or RUN/records/ID.json")
        put(from_options(axes), "python", output)
        return
    refuse_axes(target, axes)
    put(from_record(target, case_id, as_issue=issue), "markdown" if issue else "python", output)
