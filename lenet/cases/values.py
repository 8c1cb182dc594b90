"""The values of the axes that have a fixed set of them. Nothing here imports pydantic: `--help` needs it."""

from __future__ import annotations

from enum import Enum

VERSION = (
    r"^[0-9]{1,4}(\.[0-9]{1,4}){1,3}((a|b|rc)[0-9]{1,4})?(\.post[0-9]{1,14})?(\.dev[0-9]{1,14})?"
    r"(\+[a-z0-9][a-z0-9.]{0,39})?(@[0-9a-f]{12})?$"
)
"""A release as package indexes write it, 2.10.0 or 2.7.1.post1, or a wheel file: its version, then the start of its
SHA-256, 2.11.0.dev20261125@1a2b3c4d5e6f (`lenet.cases.wheels`)."""


class DeviceTarget(str, Enum):
    """MindSpore's names of device targets."""

    CPU = "CPU"
    GPU = "GPU"
    ASCEND = "Ascend"


class Mode(str, Enum):
    """How a step is executed. `lenet.cases.frameworks` says which framework has which mode.

    MindSpore's: `pynative`, operator by operator; `graph`, the functional step under GRAPH_MODE; `jit`, the whole step,
    optimiser included, as one `@ms.jit` function under PyNative; `model`, the whole step as `ms.train.Model` runs it
    under GRAPH_MODE, which is `nn.TrainOneStepCell` over `nn.WithLossCell`.

    PyTorch's: `eager`, operator by operator; `compile`, forward and backward pass by `torch.compile`.
    """

    PYNATIVE = "pynative"
    GRAPH = "graph"
    JIT = "jit"
    MODEL = "model"
    EAGER = "eager"
    COMPILE = "compile"

    @property
    def label(self) -> str:
        """What ran, in words, for a table."""
        return {
            Mode.PYNATIVE: "PyNative",
            Mode.GRAPH: "Graph (functional step)",
            Mode.JIT: "jit (whole step)",
            Mode.MODEL: "Model (whole step)",
            Mode.EAGER: "eager",
            Mode.COMPILE: "torch.compile",
        }[self]


GRAPH_MODES = frozenset({Mode.GRAPH, Mode.MODEL})
"""MindSpore's modes under GRAPH_MODE. In its others, the context stays PyNative."""


class Pipeline(str, Enum):
    """Where the batches come from: made anew in each pass, or made once and kept (`lenet.training.pipeline`)."""

    TUTORIAL = "tutorial"
    CACHED = "cached"


class Scaling(str, Enum):
    """How the batch size relates to several processes.

    `strong`: the processes share one batch. `weak`: each has a batch of that size.
    """

    STRONG = "strong"
    WEAK = "weak"


def version_order(version: str | None) -> tuple[int, object, str]:
    """Sorts versions: unknown ones first, releases from old to new, then what is no release number by its letters.

    >>> sorted(["dev", "2.10.0@1a2b3c4d5e6f", "2.10.0", "2.9.1", "2.10.0rc1"], key=version_order)
    ['2.9.1', '2.10.0rc1', '2.10.0', '2.10.0@1a2b3c4d5e6f', 'dev']
    """
    from packaging.version import InvalidVersion, Version

    if version is None:
        return 0, "", ""
    try:
        return 1, Version(version.partition("@")[0]), version
    except InvalidVersion:
        return 2, "", version
