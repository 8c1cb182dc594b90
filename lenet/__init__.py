"""A benchmarking and reproducibility harness: one LeNet training, the same on every device, mode and batch size."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lenet-bench")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
