"""Stands for MindSpore's launcher: starts the ranks, and no scheduler. FAKE_RANK names another script for them."""

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    arguments, script = sys.argv[1:-1], os.environ.get("FAKE_RANK", sys.argv[-1])
    size = int(arguments[arguments.index("--worker_num") + 1])
    assert arguments[arguments.index("--local_worker_num") + 1] == str(size)
    Path("ranks").mkdir()
    ranks = []
    for rank in range(size):
        environment = {**os.environ, "RANK_ID": str(rank), "MS_ROLE": "MS_WORKER"}
        with Path(f"ranks/worker_{rank}.log").open("w") as log:
            ranks.append(subprocess.Popen([sys.executable, script], env=environment, stdout=log, stderr=log,
                                          start_new_session=True))  # fmt: skip
    codes = [process.wait() for process in ranks]
    sys.exit(any(codes))
