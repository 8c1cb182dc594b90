"""`lenet` under a name that no file of a user has, and the start of the command `lenet-bench`.

A `lenet.py` beside a notebook or a script is what `import lenet` finds there. `lenet_bench.measure` is `lenet.measure`,
and raises an ImportError that names such a file.
"""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def _shadow() -> str:
    """A sentence about the file that Python imports in the place of this distribution's package; empty if none."""
    spec = find_spec("lenet")
    folders = spec.submodule_search_locations if spec is not None else None
    if any((Path(folder) / "api.py").is_file() for folder in folders or ()):
        return ""
    found = spec.origin if spec is not None and spec.origin else "something else"
    return f"`import lenet` finds {found} and not lenet-bench's package: rename that file"


def __getattr__(name: str) -> Any:
    """The same name of `lenet`.

    Raises:
        ImportError: Python finds another `lenet`.
    """
    if name.startswith("__"):
        raise AttributeError(name)
    if shadow := _shadow():
        raise ImportError(shadow)
    import lenet

    return getattr(lenet, name)


def main() -> None:
    """Run the command."""
    if shadow := _shadow():
        print(f"lenet-bench: error: {shadow}", file=sys.stderr)
        raise SystemExit(2)
    for number in (signal.SIGINT, signal.SIGTERM):  # the command's own handlers are not there while it is imported
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        from lenet.cli import main as command
    except KeyboardInterrupt:
        print("lenet-bench: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    command()
