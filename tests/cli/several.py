"""The command in one process for several command lines, which saves the start of a process for each.

Standard input has a JSON list of command lines, each a list of words. They run one after the other in the working
folder; standard output gets a list of their exit codes, outputs and errors. Workers are fake (`fast.py`).
"""

import io
import json
import sys
import traceback

from fast import fake_workers

from lenet.cli import main


def call(words: list[str]) -> tuple[int, str, str]:
    """Run the command; returns its exit code and what it printed."""
    streams = sys.stdout, sys.stderr
    sys.argv = ["lenet-bench", *words]
    sys.stdout, sys.stderr = out, err = io.StringIO(), io.StringIO()
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout, sys.stderr = streams
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    fake_workers()
    json.dump([call(words) for words in json.load(sys.stdin)], sys.stdout)
