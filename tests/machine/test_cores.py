"""The cores that a worker is confined to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lenet.machine.cores import confine, spread, usable_cores


def test_a_thread_of_each_physical_core_before_the_second_of_any():
    neighbours = lambda core: str(core // 2)  # noqa: E731  0 and 1 share a core, 2 and 3, …
    assert spread([0, 1, 2, 3, 4, 5], neighbours) == [0, 2, 4, 1, 3, 5]
    apart = lambda core: str(core % 3)  # noqa: E731  0 and 3 share a core, 1 and 4, …
    assert spread([0, 1, 2, 3, 4, 5], apart) == [0, 1, 2, 3, 4, 5]
    assert spread([1, 4, 5], apart) == [1, 5, 4], "only cores that may be used"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot confine a process")
def test_a_confined_process_and_its_threads_stay_there():
    code = (
        "import os, threading\nfrom lenet.machine.cores import confine\nchosen = confine(1)\nseen = []\n"
        "thread = threading.Thread(target=lambda: seen.append(sorted(os.sched_getaffinity(0))))\n"
        "thread.start(); thread.join()\nassert seen == [chosen] and len(chosen) == 1, (seen, chosen)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_cores_than_there_are():
    with pytest.raises(ValueError, match=f"more cores than {len(usable_cores())}"):
        confine(len(usable_cores()) + 1)
