"""Compute one sum on a device target: `python -m lenet.training.probe TARGET FRAMEWORK`, run by `doctor`.

The last line on standard output is a JSON object: `version`; `error`, null if the device computed; and `cause`, what
MindSpore's loader printed, if there is an error.
"""

from __future__ import annotations

import json
import re
import sys

from lenet.cases.case import DeviceTarget
from lenet.cases.frameworks import Framework


def shorten(text: str) -> str:
    """Return MindSpore's message without its frame; for a library that cannot be loaded, only the loader's words."""
    text = text.partition("C++ Call Stack")[0].rpartition("Device load error message:")[2]
    return " ".join(re.sub(r"-{3,}", " ", text).split()).removesuffix(" -")[:500]


def compute(framework: Framework, target: DeviceTarget) -> tuple[str, list[float]]:
    """Open the device as a worker does; return the framework's version, and 1 + 1 as the device computes it."""
    if framework is Framework.PYTORCH:
        import torch

        from lenet.training import torch as trainer

        return torch.__version__, (torch.ones(1, device=trainer.choose_device(target)) + 1).tolist()
    from lenet.files.cache import cache_folder
    from lenet.machine import devices

    devices.prepare(target, cache_folder())
    import mindspore

    from lenet.training.targets import choose_device

    choose_device(target)
    return mindspore.__version__, mindspore.Tensor([1.0]).__add__(1).asnumpy().tolist()


def main() -> int:
    """Compute, and print the result."""
    target, framework = DeviceTarget(sys.argv[1]), Framework(sys.argv[2])
    answer: dict[str, str | None] = {"version": None, "error": None}
    try:
        answer["version"], value = compute(framework, target)
        if value != [2.0]:
            answer["error"] = f"1 + 1 gave {value}"
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"
        if error.__cause__ is not None:
            answer["cause"] = shorten(str(error.__cause__))
    print(f"\n{json.dumps(answer)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
