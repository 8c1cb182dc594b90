"""The child process of the trainer tests, because the process of the tests imports no framework.

Run as a script: `child.py JOB ARGUMENT...`; the job writes its results to the file that is its last argument.
"""

import importlib
import json
import sys
from itertools import chain, count, islice
from pathlib import Path

import numpy as np

from lenet.cases.case import Case
from lenet.dataset import Dataset, resolve
from lenet.store.record import DatasetCard


def contract(trainer, case, folder, steps, out):
    """Use all of the interface of the trainer `module:class`, or of the case's framework if it is `-`."""
    case = Case.model_validate_json(case)
    dataset = Dataset(
        Path(folder), DatasetCard(name=case.dataset, sha256="0" * 64, training_images=1285, test_images=512)
    )
    if trainer == "-":
        from lenet.training import build

        made = build(case, dataset)
    else:
        module, _, name = trainer.partition(":")
        sys.path.insert(0, str(Path(__file__).parent))
        made = getattr(importlib.import_module(module), name)(case, dataset)
    found = {"software": made.software.model_dump(), "initial": made.weights_sha256()}
    handles = list(islice(made.train_epoch(), int(steps)))
    made.synchronize(handles[-1])
    found["losses"] = made.read(handles)
    found["read_again"] = made.read(handles[-1:])
    found["trained"] = made.weights_sha256()
    few, whole = made.evaluate(100), made.evaluate(None)
    found["few"], found["whole"] = vars(few), vars(whole)
    found["after_evaluation"] = made.weights_sha256()
    if int(steps) <= 40:
        found["second_epoch"] = made.read(list(made.train_epoch()))
        resident = list(islice(made.train_resident(), 30))
        made.synchronize(resident[-1])
        found["resident"] = made.read(resident)
    found["peak"] = made.peak_memory_bytes()
    made.close()
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def reproduction(folder, out):
    """Compare initial weights, orders, pixels and batches with MindSpore's."""
    import mindspore as ms
    import mindspore.dataset as ds
    from mindspore.dataset import vision

    from lenet.cases.case import Pipeline
    from lenet.training.mindspore import LeNet, pipeline
    from lenet.training.pipeline import Batches
    from lenet.workload.batches import evaluation_pass, training_pass
    from lenet.workload.initial import initial_weights
    from lenet.workload.order import order
    from lenet.workload.pixels import network_input

    found = {"weights": {}, "orders": {}, "pixels": [], "batches": {}}
    ms.set_device("CPU")
    for seed in (0, 1, 7, 5490, 2**32 - 1):
        ms.set_seed(seed)
        theirs = {each.name: each.asnumpy() for each in LeNet().get_parameters()}
        ours = initial_weights(seed)
        found["weights"][str(seed)] = list(theirs) == list(ours) and all(
            theirs[name].tobytes() == ours[name].tobytes() and theirs[name].shape == ours[name].shape for name in ours
        )
        for images in (1, 2, 3, 10, 97, 1285, 60000, 65535, 65536, 70001):
            data = ds.NumpySlicesDataset(np.arange(images), shuffle=True).batch(4096)
            given = [rows for (rows,) in data.create_tuple_iterator(num_epochs=1, output_numpy=True)]
            found["orders"][f"{seed}/{images}"] = np.concatenate(given).tolist() == order(images, seed).tolist()
    noise = np.random.default_rng(3).integers(0, 256, (300, 28, 28), np.uint8)
    steps = np.zeros((4, 28, 28), np.uint8)
    steps[0, ::2], steps[1, :, ::2], steps[2], steps[3, 14:, 14:] = 255, 255, 255, 255
    for image in np.concatenate([noise, steps]):
        small = vision.Resize(32)(image[:, :, None])
        theirs = vision.HWC2CHW()(vision.Rescale(1.0 / 255.0, 0.0)(small))
        found["pixels"].append(theirs.tobytes() == network_input(image[None])[0].tobytes())
    for part, make in (("train", training_pass), ("test", evaluation_pass)):
        for seed, batch_size in ((1, 32), (2, 100)):
            ms.set_seed(seed)
            data = pipeline(Path(folder) / part, batch_size)

            def tutorial(data=data):
                return data.create_tuple_iterator(num_epochs=1)

            held = Batches(tutorial, Pipeline.CACHED)
            compared = 0
            same = {"cached": True, "cached again": True, "arrays": True}
            for fresh, first, second, arrays in zip(
                tutorial(), held, held, make(Path(folder), batch_size, seed)(), strict=True
            ):
                pair = [each.asnumpy() for each in fresh]
                for name, other in (("cached", first), ("cached again", second)):
                    same[name] &= all(a.tobytes() == b.asnumpy().tobytes() for a, b in zip(pair, other, strict=True))
                same["arrays"] &= pair[0].tobytes() == arrays[0].tobytes() and pair[0].shape == arrays[0].shape
                same["arrays"] &= (pair[1] == arrays[1]).all().item()
                compared += 1
            found["batches"][f"{part}/{seed}/{batch_size}"] = {**same, "compared": compared}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def train(case, data_dir, steps, out):
    """Losses, weights and evaluation of the first `steps` steps of a case, over as many passes as they need."""
    from lenet.training import build

    dataset = resolve("auto", Path(data_dir))
    case = Case.model_validate_json(case).model_copy(update={"dataset": dataset.card.name})
    trainer = build(case, dataset)
    found = {"initial_weights_sha256": trainer.weights_sha256()}
    passes = (trainer.train_epoch() for _ in count())
    found["losses"] = trainer.read(list(islice(chain.from_iterable(passes), int(steps))))
    found["weights"] = {name: value.ravel().tolist() for name, value in trainer.weights()}
    found["evaluation"] = vars(trainer.evaluate(None))
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    {"contract": contract, "reproduction": reproduction, "train": train}[sys.argv[1]](*sys.argv[2:])
