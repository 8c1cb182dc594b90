"""A command: its help, with the options under a heading for each group, and the width of what it prints."""

from __future__ import annotations

import math
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from lenet.cli.options import ENGINE, MEASUREMENT, OUTPUT, WORKLOAD

GROUPS = (WORKLOAD, MEASUREMENT, OUTPUT, ENGINE)


class GroupedCommand(TyperCommand):
    """A command whose help groups the options by their `rich_help_panel`, which Typer itself does only in colour.

    Its tables have no limit of width where standard output is no terminal: a program or a file has lines of any length.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from lenet.report.layout import WIDTH, table_width

        with table_width(WIDTH if sys.stdout.isatty() else math.inf):
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line; an empty one would be the working folder where a path is expected.

        Raises:
            BadParameter: one is empty.
        """
        for index, word in enumerate(() if ctx.resilient_parsing else args):
            if not word or (word.startswith("--") and word.find("=") == len(word) - 1):
                option = word or (args[index - 1] if index else "")
                named = f"the value of {option.rstrip('=')}" if option.startswith("-") else "an argument"
                raise typer.BadParameter(f"{named} is empty: a variable of the shell may be unset")
        return list(super().parse_args(ctx, args))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the groups of options, then those without a group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{f"{name} options": [] for name in GROUPS}}
        for parameter in self.get_params(ctx):
            if (line := parameter.get_help_record(ctx)) is None:
                continue
            group = getattr(parameter, "rich_help_panel", None)
            title = f"{group} options" if group else "Options"
            sections.setdefault("Arguments" if parameter.param_type_name == "argument" else title, []).append(line)
        for title, lines in sections.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)
