"""A benchmarking and reproducibility harness: one LeNet training, the same on every device, mode and batch size.

From Python: `read`, `compare` and `measure`, which are those of `lenet.api`. Importing this package imports nothing
else; each of these names is looked up when it is used.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Comparisons", "Results", "__version__", "compare", "measure", "read"]


def __getattr__(name: str) -> Any:
    """The version and the names of `lenet.api`: looking them up takes longer than all of `lenet-bench --help`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "__version__":
        # Not an import statement: the modules below import this package, which must not import them in turn.
        from importlib import import_module

        return getattr(import_module("lenet.api"), name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lenet-bench")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    """The names above too, for completion."""
    return sorted({*globals(), *__all__})
