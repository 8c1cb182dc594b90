"""The command, which gets a signal at its Nth access to a file, module or program: `signalled.py N NAME COMMAND ...`.

With N 0 it gets none. The number of accesses is written to the file that `ACCESSES` names.
"""

import atexit
import os
import signal
import sys
from pathlib import Path

from lenet.cli import main

EVENTS = {"open", "import", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "subprocess.Popen"}
at, number = int(sys.argv[1]), getattr(signal, sys.argv[2])
seen = 0


def hook(event, _):
    global seen
    if event in EVENTS:
        seen += 1
        if seen == at:
            os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[3:]
    if at == 0:
        atexit.register(lambda: Path(os.environ["ACCESSES"]).write_text(str(seen)))
    sys.addaudithook(hook)
    main()
