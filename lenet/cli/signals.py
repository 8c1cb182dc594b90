"""SIGTERM and SIGHUP end a command as Ctrl-C does, and a command that is ending is not interrupted again."""

from __future__ import annotations

import signal
import time

GRACE_SECONDS = 10.0
"""`timeout` sends its signal twice, and people press Ctrl-C twice: for this time a second signal does not interrupt the
clean-up, which would leave a worker or a temporary folder."""


HANDLED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Windows has no SIGHUP."""


def install() -> None:
    """Handle the signals, except those that are ignored: SIGINT in a shell's background job, SIGHUP under nohup."""
    last = float("-inf")

    def interrupt(*_: object) -> None:
        nonlocal last
        if (now := time.monotonic()) - last > GRACE_SECONDS:
            last = now
            raise KeyboardInterrupt

    for number in HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def ignore() -> None:
    """Ignore the signals from here on: as Python ends it restores their defaults, which would change the exit code."""
    for number in HANDLED:
        signal.signal(number, signal.SIG_IGN)
