"""The reference trainer behind the trainer interface: the smallest example of a framework that is added."""

import numpy as np

from lenet.store.record import Software
from lenet.training import resident_peak_bytes
from lenet.training.pipeline import Batches
from lenet.workload.batches import evaluation_pass, training_pass
from lenet.workload.evaluation import evaluate
from lenet.workload.initial import weights_sha256
from lenet.workload.reference import ReferenceTraining


class NumpyTrainer:
    def __init__(self, case, dataset):
        hyper = case.hyperparameters
        self._reference = ReferenceTraining(case, dataset)
        self._training = Batches(training_pass(dataset.folder, hyper.batch_size, hyper.seed), case.pipeline)
        self._test = Batches(evaluation_pass(dataset.folder, hyper.batch_size, hyper.seed), case.pipeline)
        self.software = Software(framework_version=np.__version__, python_version="3", numpy_version=np.__version__)

    def train_epoch(self, observe=None):
        for images, labels in self._training:
            if observe is not None:
                observe(lambda images=images, labels=labels: (images, labels.astype(np.int32)))
            yield self._reference.step(images, labels)

    def train_resident(self):
        images, labels = next(iter(self._training))
        while True:
            yield self._reference.step(images, labels)

    def read(self, losses):
        return list(losses)

    def synchronize(self, loss):
        pass

    def evaluate(self, images):
        return evaluate(((self._reference.predict(batch), labels) for batch, labels in self._test), images)

    def weights(self):
        return iter(self._reference.weights.items())

    def weights_sha256(self):
        return weights_sha256(self.weights())

    def peak_memory_bytes(self):
        return resident_peak_bytes()

    def close(self):
        pass
