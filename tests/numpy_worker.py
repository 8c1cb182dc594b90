"""A worker that trains a softmax regression in NumPy, with the harness's own loop and clock.

Started as the engine starts `lenet.worker`, for tests that need a complete run without MindSpore.
"""

import hashlib
import os
import platform
import sys
import time

import numpy as np

from lenet import training
from lenet.dataset.files import TEST_IMAGES, TEST_LABELS, TRAINING_IMAGES, TRAINING_LABELS
from lenet.dataset.idx import read_images, read_labels
from lenet.store.record import Software
from lenet.worker import __main__ as worker
from lenet.workload.evaluation import EvaluationResult

STEP_SECONDS = float(os.environ.get("NUMPY_WORKER_STEP_SECONDS", "0.002"))
"""Sleep of a step: slower than LeNet's arithmetic would allow, because this is far less arithmetic."""


class Regression:
    """Every rank of a case of several trains on the whole batch and reports the loss of its share."""

    def __init__(self, case, dataset):
        self.batch, self.rate = case.global_batch_size, case.hyperparameters.learning_rate
        self.test_batch = case.hyperparameters.batch_size
        self.share = slice(int(os.environ.get("RANK_ID", 0)), None, case.world_size)
        self.random = np.random.default_rng(case.hyperparameters.seed)
        pairs = ((TRAINING_IMAGES, TRAINING_LABELS), (TEST_IMAGES, TEST_LABELS))
        self.training, self.test = (
            (np.asarray(read_images(dataset.folder / x)).reshape(-1, 784) / 255.0, read_labels(dataset.folder / y))
            for x, y in pairs
        )
        self.matrix = self.random.normal(0, 0.01, (784, 10))
        self.software = Software(
            framework_version=(case.framework_version or "1").partition("@")[0],  # no wheel knows its digest
            python_version=platform.python_version(),
            numpy_version=np.__version__,
        )

    def _step(self, images, labels):
        time.sleep(STEP_SECONDS)
        logits = images @ self.matrix
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        loss = -np.log(chances[np.arange(len(labels)), labels])[self.share].mean()
        chances[np.arange(len(labels)), labels] -= 1
        self.matrix -= self.rate * images.T @ chances / len(labels)
        return np.float32(loss)

    def train_epoch(self, observe=None):
        images, labels = self.training
        order = self.random.permutation(len(labels))
        for first in range(0, len(order) - self.batch + 1, self.batch):
            chosen = order[first : first + self.batch]
            if observe is not None:
                observe(lambda chosen=chosen: (images[chosen], labels[chosen]))
            yield self._step(images[chosen], labels[chosen])

    def train_resident(self):
        images, labels = self.training
        while True:
            yield self._step(images[: self.batch], labels[: self.batch])

    def read(self, losses):
        return [float(loss) for loss in losses]

    def synchronize(self, loss):
        pass

    def evaluate(self, images):
        data, labels = self.test
        whole = len(labels) // self.test_batch * self.test_batch
        if images is not None:
            whole = min(whole, -(-images // self.test_batch) * self.test_batch)
        time.sleep(STEP_SECONDS)
        answers = (data[:whole] @ self.matrix).argmax(1)
        return EvaluationResult(whole, int((answers == labels[:whole]).sum()), len(set(answers.tolist())))

    def weights(self):
        yield "weights", self.matrix.astype("<f4")

    def weights_sha256(self):
        return hashlib.sha256(self.matrix.astype("<f4").tobytes()).hexdigest()

    def peak_memory_bytes(self):
        return 2**27

    def close(self):
        pass


if __name__ == "__main__":
    training.build = Regression
    sys.exit(worker.main())
