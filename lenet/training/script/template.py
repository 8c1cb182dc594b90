"""One training of LeNet on MNIST with MindSpore and numpy, timed: `python case.py [FOLDER] [--steps N] [--json FILE]`.

FOLDER holds the data as MindSpore's MnistDataset expects it, in train/ and test/. Without it, the script makes random
images of the same number and shape: they train as fast, and learn nothing. `--steps` ends after that many steps,
`--json` writes every loss.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# The case.
DEVICE_TARGET = "CPU"
MODE = "graph"  # pynative, graph, jit or model
BATCH_SIZE = 32
LEARNING_RATE = 0.01
MOMENTUM = 0.9
SEED = 1
CACHED = False  # whether the batches of one pass are made before the training, and used in every pass
TRAINING_IMAGES = 60000
TEST_IMAGES = 10000
ENVIRONMENT: dict[str, str | None] = {}  # None: not set
PRELOADED = ""  # a shared library that is loaded before all others: the memory allocator
SETTINGS: dict[str, Any] = {}  # of MindSpore and of this process
EPOCHS: int | None = None  # whole epochs, each with an evaluation; None: until the windows are measured
WARMUP_STEPS = 60
WINDOW_STEPS = 20  # of a window at least
WINDOW_SECONDS = 0.5  # of a window at least
WINDOWS = 10
BUDGET_SECONDS = 60.0  # of training, after at least three windows
EVALUATION_IMAGES: int | None = None  # None: the whole test set
# The end of the case.

if PRELOADED:  # the dynamic linker reads it as a program starts, and only warns if there is no such library
    if PRELOADED not in (earlier := os.environ.get("LD_PRELOAD", "")).split(os.pathsep):
        os.environ["LD_PRELOAD"] = os.pathsep.join(filter(None, [PRELOADED, earlier]))
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 # the same program
    try:
        ctypes.CDLL(PRELOADED, mode=os.RTLD_NOLOAD)
    except OSError:
        raise SystemExit(f"{PRELOADED} is not installed") from None

for name, value in ENVIRONMENT.items():  # MindSpore and oneDNN read them when they are imported
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def confine(count: int) -> None:
    """Confine this process to `count` cores: one thread of each physical core before the second of any."""
    used: dict[str, int] = {}
    order = []
    for core in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        physical = siblings.read_text(encoding="ascii").strip() if siblings.exists() else str(core)
        order.append((used.get(physical, 0), core))
        used[physical] = used.get(physical, 0) + 1
    os.sched_setaffinity(0, [core for _, core in sorted(order)[:count]])


if "cpu_affinity" in SETTINGS:  # before MindSpore counts the cores
    confine(SETTINGS["cpu_affinity"])

import mindspore as ms  # noqa: E402
import mindspore.dataset as ds  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import nn  # noqa: E402
from mindspore.common.initializer import Normal  # noqa: E402
from mindspore.dataset import transforms, vision  # noqa: E402


class Network(nn.Cell):  # type: ignore[misc]
    """LeNet: images (N, 1, 32, 32) to logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.CellList(
            [
                nn.Conv2d(1, 6, 5, pad_mode="valid"),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Conv2d(6, 16, 5, pad_mode="valid"),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Flatten(),
                nn.Dense(16 * 5 * 5, 120, Normal(0.02)),
                nn.ReLU(),
                nn.Dense(120, 84, Normal(0.02)),
                nn.ReLU(),
                nn.Dense(84, 10, Normal(0.02)),
            ]
        )

    def construct(self, x: Any) -> Any:
        """Run the forward pass."""
        for layer in self.layers:
            x = layer(x)
        return x


def open_device() -> None:
    """Choose the device and the mode."""
    if SETTINGS.get("deterministic") and DEVICE_TARGET == "Ascend":
        ms.set_deterministic(True)
    elif SETTINGS.get("deterministic") and DEVICE_TARGET == "GPU":
        ms.device_context.gpu.op_tuning.conv_fprop_algo("implicit_gemm")
        ms.device_context.gpu.op_tuning.conv_dgrad_algo("algo_1")
        ms.device_context.gpu.op_tuning.conv_wgrad_algo("algo_1")
    ms.set_device(DEVICE_TARGET)
    ms.set_context(mode=ms.GRAPH_MODE if MODE in ("graph", "model") else ms.PYNATIVE_MODE)
    if "jit_level" in SETTINGS and MODE in ("graph", "model"):
        ms.set_context(jit_config={"jit_level": SETTINGS["jit_level"]})


def apply_settings() -> None:
    """Make the settings that MindSpore takes by function calls."""
    if "operator_threads" in SETTINGS:
        ms.device_context.cpu.op_tuning.threads_num(SETTINGS["operator_threads"])
    if "dispatch_threads" in SETTINGS:
        ms.runtime.dispatch_threads_num(SETTINGS["dispatch_threads"])
    if SETTINGS.get("launch_blocking"):
        ms.runtime.launch_blocking()
    if "dataset_workers" in SETTINGS:
        ds.config.set_num_parallel_workers(SETTINGS["dataset_workers"])
    if "dataset_prefetch" in SETTINGS:
        ds.config.set_prefetch_size(SETTINGS["dataset_prefetch"])


def pipeline(folder: str) -> Callable[[], Iterable[Any]]:
    """The tutorial's pipeline over the images in `folder`, as a function that begins a pass."""
    data = ds.MnistDataset(folder)
    data = data.map([vision.Resize(32), vision.Rescale(1.0 / 255.0, 0), vision.HWC2CHW()], "image")
    data = data.map(transforms.TypeCast(ms.int32), "label")
    data = data.batch(BATCH_SIZE, drop_remainder=True)

    def one_pass() -> Any:
        return data.create_tuple_iterator(num_epochs=1)

    if not CACHED:
        return one_pass
    batches = list(one_pass())
    return lambda: batches


def build(folder: str) -> tuple[Any, Any, Callable[[], Iterable[Any]], Callable[[], Iterable[Any]]]:
    """The network, its training step, and the training and test data."""
    ms.set_seed(SEED)
    network = Network()
    loss_fn = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(network.trainable_params(), learning_rate=LEARNING_RATE, momentum=MOMENTUM)

    def forward(images: Any, labels: Any) -> Any:
        logits = network(images)
        return loss_fn(logits, labels), logits

    gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)

    def step(images: Any, labels: Any) -> Any:
        (loss, _), gradients = gradient(images, labels)
        optimizer(gradients)
        return loss

    if MODE == "jit":
        step = ms.jit(step, jit_level=SETTINGS["jit_level"]) if "jit_level" in SETTINGS else ms.jit(step)
    elif MODE == "model":  # what ms.train.Model(network, loss_fn, optimizer) runs for each batch
        step = nn.TrainOneStepCell(nn.WithLossCell(network, loss_fn), optimizer)
    return network, step, pipeline(f"{folder}/train"), pipeline(f"{folder}/test")


def synchronize(loss: Any) -> float:
    """Wait for the device, then read the clock."""
    loss.asnumpy()
    if DEVICE_TARGET != "CPU":
        ms.runtime.synchronize()
    return time.perf_counter()


def evaluate(network: Any, test: Callable[[], Iterable[Any]], images: int | None) -> list[int]:
    """The numbers of correct answers and of images."""
    network.set_train(False)
    correct = total = 0
    for batch, labels in test():
        answers = network(batch).argmax(1).asnumpy()
        correct += int((answers == labels.asnumpy()).sum())
        total += len(answers)
        if images is not None and total >= images:
            break
    return [correct, total]


def train(folder: str, most_steps: int | None = None) -> dict[str, Any]:
    """Train as the case says, and print what is measured."""
    network, step, training, test = build(folder)
    losses: list[float] = []
    accuracies: list[list[int]] = []
    windows: list[tuple[int, float]] = []
    pending: list[Any] = []
    # A window of whole epochs never spans an evaluation.
    most = TRAINING_IMAGES // BATCH_SIZE if EPOCHS else 10**9
    size = min(WINDOW_STEPS, most)
    done = epoch = 0
    spent = 0.0
    enough = False
    began = time.perf_counter()

    def close() -> None:
        nonlocal began, size, spent
        now = synchronize(pending[-1])
        first, seconds = done - len(pending), now - began
        losses.extend(float(loss.asnumpy()) for loss in pending)
        rate = len(pending) * BATCH_SIZE / seconds
        if first >= WARMUP_STEPS:
            windows.append((len(pending), rate))
        kind = "" if first >= WARMUP_STEPS else ", warm-up"
        print(f"steps {first + 1} to {done}: {rate:,.0f} images/s, loss {losses[-1]:.6f}{kind}", flush=True)
        if done == WARMUP_STEPS and first:
            size = min(max(WINDOW_STEPS, math.ceil(WINDOW_SECONDS * len(pending) / seconds)), most)
        spent += seconds
        began = now
        pending.clear()

    while not enough and epoch != EPOCHS:
        epoch += 1
        network.set_train(True)
        for images, labels in training():
            pending.append(step(images, labels))
            done += 1
            if done in (1, WARMUP_STEPS, most_steps) or len(pending) >= size:
                close()
                measured = len(windows) >= WINDOWS or (len(windows) >= 3 and spent >= BUDGET_SECONDS)
                enough = done == most_steps or (EPOCHS is None and measured)
                if enough:
                    break
        if EPOCHS and not enough:
            if pending:
                close()
            accuracies.append(evaluate(network, test, None))
            print(f"epoch {epoch}: {accuracies[-1][0]:,} of {accuracies[-1][1]:,} test images correct", flush=True)
            began = time.perf_counter()
    if EPOCHS is None and most_steps is None:
        accuracies.append(evaluate(network, test, EVALUATION_IMAGES))
    full = max((steps for steps, _ in windows), default=0)
    rates = [rate for steps, rate in windows if steps == full]
    median = statistics.median(rates) if rates else None
    if median is not None:
        print(f"{median:,.0f} images/s, the median of {len(rates)} windows; {min(rates):,.0f} to {max(rates):,.0f}")
    return {"losses": losses, "accuracies": accuracies, "images_per_second": median}


def random_data(folder: str) -> None:
    """Write random images and labels in MNIST's format."""
    numbers = np.random.default_rng(0)
    for part, name, count in (("train", "train", TRAINING_IMAGES), ("test", "t10k", TEST_IMAGES)):
        files = {
            "images-idx3": (np.array([2051, count, 28, 28], ">i4"), numbers.integers(0, 256, count * 784, np.uint8)),
            "labels-idx1": (np.array([2049, count], ">i4"), numbers.integers(0, 10, count, np.uint8)),
        }
        (Path(folder) / part).mkdir()
        for kind, (header, values) in files.items():
            (Path(folder) / part / f"{name}-{kind}-ubyte").write_bytes(header.tobytes() + values.tobytes())


def main() -> None:
    """Run the case."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", nargs="?", help="MNIST's four files in train/ and test/; default: random images")
    arguments.add_argument("--steps", type=int, help="end after this many steps")
    arguments.add_argument("--json", type=Path, help="write losses, accuracies and images/s to this file")
    given = arguments.parse_args()
    open_device()
    apply_settings()
    how = f"mode {MODE}, batch {BATCH_SIZE}, {SETTINGS or 'as installed'}"
    print(f"MindSpore {ms.__version__} on {DEVICE_TARGET}, {how}")
    with tempfile.TemporaryDirectory() as scratch:
        if given.folder is None:
            print("the images are random: this shows the speed, and no learning")
            random_data(scratch)
        found = train(given.folder or scratch, given.steps)
    if given.json is not None:
        given.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
