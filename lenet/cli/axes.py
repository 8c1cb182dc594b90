"""The axes as options of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

from lenet.cases.axes import with_option
from lenet.cli.options import WORKLOAD, option


def axis_options(
    *, without: Collection[str] = (), single: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each axis, in the place of its parameter `axes`.

    The command gets the texts that were given as one mapping, by `Axis.parameter`: what `presets.override` takes. An
    axis that was not given is not in it.

    Args:
        without: names of axes that the command has no option for.
        single: whether the command takes one value of each.
    """
    chosen = [axis for axis in with_option() if axis.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name != "axes":
                parameters.append(parameter)
                continue
            parameters += [
                inspect.Parameter(
                    axis.parameter,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[
                        str | None, option(WORKLOAD, axis.option_help(single), axis.option, metavar=metavar)
                    ],
                )
                for axis in chosen
                for metavar in ["VALUE" if single else "LIST" if axis.several else "N"]
            ]

        def run(**values: Any) -> None:
            given = {axis.parameter: values.pop(axis.parameter) for axis in chosen}
            command(**values, axes={name: text for name, text in given.items() if text is not None})

        keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in keywords}
        return run

    return decorate
