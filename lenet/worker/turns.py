"""Taking turns: the workers of a group are alive together, and one of them trains at a time.

After its set-up, after its warm-up and at the end of a window the worker reports `Paused` and waits for its next turn,
which arrives as a line on a pipe of its own. The engine stops the whole process (SIGSTOP) as soon as it reads `Paused`,
so that the threads of the data pipeline cannot run ahead, and continues it (SIGCONT) after it has written the turn. The
message alone gives the turn, the signals only freeze: whichever of the two arrives first, the worker trains exactly
once per message.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, BinaryIO, Literal

from pydantic import Field, TypeAdapter

from lenet.cases.case import Frozen
from lenet.store.events import Event


class ParentGoneError(RuntimeError):
    """The pipe of turns has ended: nobody waits for this case."""


class Paused(Frozen):
    """The worker waits for its next turn. A message to the engine, kept in no log."""

    event: Literal["paused"] = "paused"
    turns_left: int = Field(ge=0)
    """How many more turns it wants, as far as it knows."""


class Turn(Frozen):
    """A message to the worker: train one window now, or warm up if the turn has no number."""

    cycle: int | None = Field(default=None, ge=0)
    number: int | None = Field(default=None, ge=0)
    """The turn's number among all turns of the group."""


WARM_UP = Turn()


_adapter: TypeAdapter[Event | Paused] = TypeAdapter(Annotated[Event | Paused, Field(discriminator="event")])


def parse(line: bytes) -> Event | Paused:
    """What one line from a worker's pipe says.

    Raises:
        ValueError: it is neither an event nor a pause.
    """
    return _adapter.validate_json(line)


class Turns:
    """The turns that arrive on the pipe `file_descriptor`."""

    def __init__(self, file_descriptor: int, report: Callable[[Paused], None]) -> None:
        os.set_inheritable(file_descriptor, False)
        self._pipe: BinaryIO = os.fdopen(file_descriptor, "rb", buffering=0)
        self._report = report

    def wait(self, turns_left: int) -> Turn:
        """Report the pause and return the next turn.

        Raises:
            ParentGoneError: the parent has closed the pipe.
        """
        self._report(Paused(turns_left=turns_left))
        line = self._pipe.readline()
        if not line:
            raise ParentGoneError("the parent has ended")
        return Turn.model_validate_json(line)
