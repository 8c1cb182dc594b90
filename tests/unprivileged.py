"""Runs a command for which permissions count, whoever starts it: `unprivileged.py COMMAND ...`.

Root stays the owner of its files, which the command needs, and loses the capabilities that override the permissions of
other users' files: in the bounding set before an exec.
"""

import ctypes
import os
import sys

PR_CAPBSET_DROP = 24
"""From Linux' `sys/prctl.h`."""
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3

if __name__ == "__main__":
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")
    os.execv(sys.argv[1], sys.argv[1:])
