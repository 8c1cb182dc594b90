"""A benchmarking and reproducibility harness: one LeNet training, the same on every device, mode and batch size."""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: the look-up takes longer than the rest of `lenet-bench --help`."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lenet-bench")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
