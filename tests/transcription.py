"""A plain transcription of the tutorial's training: no harness, no windows, nothing shared with `lenet/`.

Run as a script in a process of its own: `transcription.py FOLDER MODE BATCH_SIZE EPOCHS SEED OUT [STEPS]`. It writes
JSON: every step's loss and the accuracy after each epoch; with STEPS it trains that many steps, evaluates nothing, and
writes the seconds of each step after the first 60 as one figure.
"""

import json
import sys
import time
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
from mindspore import nn
from mindspore.common.initializer import Normal
from mindspore.dataset import transforms, vision


def datapipe(path, batch_size):
    dataset = ds.MnistDataset(path)
    dataset = dataset.map([vision.Resize(32), vision.Rescale(1.0 / 255.0, 0), vision.HWC2CHW()], "image")
    dataset = dataset.map(transforms.TypeCast(ms.int32), "label")
    return dataset.batch(batch_size, drop_remainder=True)


class Network(nn.Cell):
    def __init__(self):
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

    def construct(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def build(folder, mode, batch_size, seed):
    """The model, its training step, and the training and test data."""
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE if mode in ("graph", "model") else ms.PYNATIVE_MODE)
    ms.set_seed(seed)
    model = Network()
    loss_fn = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(model.trainable_params(), learning_rate=1e-2, momentum=0.9)
    train = datapipe(f"{folder}/train", batch_size)
    test = datapipe(f"{folder}/test", batch_size)

    def forward_fn(data, label):
        logits = model(data)
        return loss_fn(logits, label), logits

    grad_fn = ms.value_and_grad(forward_fn, None, optimizer.parameters, has_aux=True)

    def train_step(data, label):
        (loss, _), grads = grad_fn(data, label)
        optimizer(grads)
        return loss

    if mode == "jit":
        train_step = ms.jit(train_step)

    if mode == "model":
        train_step = nn.TrainOneStepCell(nn.WithLossCell(model, loss_fn), optimizer)

    return model, train_step, train, test


def main(folder, mode, batch_size, epochs, seed, out, steps=0):
    model, train_step, train, test = build(folder, mode, batch_size, seed)
    losses, accuracies, warm, done = [], [], None, 0
    for _ in range(epochs):
        model.set_train()
        for data, label in train.create_tuple_iterator(num_epochs=1):
            loss = train_step(data, label)
            done += 1
            if not steps:
                losses.append(float(loss.asnumpy()))
            elif done == 60:
                loss.asnumpy()
                warm = time.perf_counter()
            elif done == steps:
                loss.asnumpy()
                rate = (steps - 60) * batch_size / (time.perf_counter() - warm)
                Path(out).write_text(json.dumps({"images_per_second": rate}), encoding="utf-8")
                return
        if steps:
            continue
        model.set_train(False)
        total = correct = 0
        for data, label in test.create_tuple_iterator(num_epochs=1):
            prediction = model(data)
            total += len(data)
            correct += (prediction.argmax(1) == label).asnumpy().sum()
        accuracies.append([int(correct), total])
    Path(out).write_text(json.dumps({"losses": losses, "accuracies": accuracies}), encoding="utf-8")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(arguments[0], arguments[1], *map(int, arguments[2:5]), arguments[5], *map(int, arguments[6:]))
