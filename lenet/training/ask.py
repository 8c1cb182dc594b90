"""MindSpore's own answer: run `python -m lenet.training.ask TARGET`, a process that may crash, hang or print.

The last line on standard output is a JSON object: `version`, and `error`, null where the device computed.
"""

from __future__ import annotations

import json
import re
import sys

from lenet.cases.case import DeviceTarget


def shortened(text: str) -> str:
    """MindSpore's message without its frame: of a failed loading, what the loader said."""
    text = text.partition("C++ Call Stack")[0].rpartition("Device load error message:")[2]
    return " ".join(re.sub(r"-{3,}", " ", text).split()).removesuffix(" -")[:500]


def main() -> int:
    """Try the target as a worker does, and say how it went."""
    target = DeviceTarget(sys.argv[1])
    from lenet.dataset.files import cache_folder
    from lenet.machine import devices

    answer: dict[str, str | None] = {"version": None, "error": None}
    try:
        devices.prepare(target, cache_folder())
        import mindspore

        answer["version"] = mindspore.__version__
        from lenet.training.targets import choose_device

        choose_device(target)
        value = mindspore.Tensor([1.0]).__add__(1).asnumpy()
        if value.tolist() != [2.0]:
            answer["error"] = f"1 + 1 gave {value.tolist()}"
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"
        if error.__cause__ is not None:
            answer["said"] = shortened(str(error.__cause__))
    print(f"\n{json.dumps(answer)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
