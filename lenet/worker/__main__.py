"""The worker process: `python -m lenet.worker FD [TURNS]`.

It reads an `Assignment` from standard input and reports events to the pipe FD. A worker of a group gets its turns from
the pipe TURNS. A case of several processes is run by their launcher.
"""

from __future__ import annotations

import time

_BORN = time.perf_counter()  # before the other imports: they are set-up time

import ctypes  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

from lenet.store.events import Event  # noqa: E402
from lenet.worker.parent import end_with_parent  # noqa: E402
from lenet.worker.turns import ParentGoneError, Paused, Turns  # noqa: E402
from lenet.worker.work import Assignment, failure, work  # noqa: E402


def main() -> int:
    """Run the worker; return exit code 0 if the case has run, 1 if it failed and said so."""
    end_with_parent()
    channel_number = int(sys.argv[1])
    os.set_inheritable(channel_number, False)
    assignment = Assignment.model_validate_json(sys.stdin.buffer.read())
    with os.fdopen(channel_number, "wb", buffering=0) as channel:

        def emit(event: Event | Paused) -> None:
            channel.write(event.model_dump_json().encode() + b"\n")

        try:
            if assignment.case.world_size > 1:
                from lenet.worker.ranks.launch import launch

                return launch(assignment, emit, _BORN)
            turns = Turns(int(sys.argv[2]), emit) if assignment.turn is not None else None
            work(assignment, emit, _BORN, turns=turns)
        except (BrokenPipeError, ParentGoneError):
            return 1  # the parent has ended
        except Exception as error:
            traceback.print_exc()
            emit(failure(error))
            return 1
    # Everything was reported. MindSpore's own end takes most of a second, in which the next worker waits.
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what libraries in C have printed to the log
    os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
