"""The reference trainer: LeNet's forward pass, backward pass and Momentum in numpy, a function for each layer.

It needs no framework and no device, so that anyone who has the data can recompute what a record claims.

Notation: `x` is a layer's input and `y` its output, `w` a weight and `b` a bias, `L` the loss. `dy` is the gradient
of L with respect to y, an array of y's shape; `dx`, `dw` and `db` likewise. A layer function returns y and the function
of its backward pass, which takes dy and returns dx, then the gradients of the layer's parameters. The backward pass is
the chain rule, applied from the last layer to the first. Arrays have the dtype of the parameters, float32 or float64.

Sources: the network is LeNet-5 (LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document
recognition, Proceedings of the IEEE 86, 1998) as in MindSpore's beginner tutorial, with ReLU and max pooling. The
formulas are those of Goodfellow, Bengio, Courville, Deep Learning, MIT Press, 2016: each function names the section,
and the chain rule is section 6.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Case
from lenet.dataset.files import Dataset
from lenet.errors import DatasetError
from lenet.workload.batches import Batch, evaluation_pass, training_pass
from lenet.workload.evaluation import EvaluationResult, evaluate
from lenet.workload.initial import initial_weights
from lenet.workload.layers import PARAMETERS

Array = npt.NDArray[Any]
Backward = Callable[[Array], tuple[Array, ...]]
"""dy to dx and the gradients of the layer's parameters."""
DType = type[np.float32] | type[np.float64]


def convolution(x: Array, w: Array) -> tuple[Array, Backward]:
    """Convolve x (N, C, H, W) with w (F, C, K, K), without padding and bias; y is (N, F, H-K+1, W-K+1).

        y[n,f,i,j]  = sum over c,r,s of w[f,c,r,s] x[n,c,i+r,j+s]
        dw[f,c,r,s] = sum over n,i,j of dy[n,f,i,j] x[n,c,i+r,j+s]
        dx[n,c,p,q] = sum over f,r,s of dy[n,f,p-r,q-s] w[f,c,r,s]

    Section 9.5. The sums are matrix products: each value of the kernel has a row, with the values of x that it is
    multiplied with at all positions (i, j) of all images (Chellapilla, Puri, Simard, High performance convolutional
    neural networks for document processing, 2006).
    """
    filters, channels, kernel = w.shape[:3]
    images, height, width = len(x), x.shape[2] - kernel + 1, x.shape[3] - kernel + 1
    places = [(c, r, s) for c in range(channels) for r in range(kernel) for s in range(kernel)]
    rows = np.empty((len(places), images, height, width), x.dtype)
    for row, (c, r, s) in zip(rows, places, strict=True):
        row[:] = x[:, c, r : r + height, s : s + width]
    matrix = w.reshape(filters, -1)
    y = (matrix @ rows.reshape(len(places), -1)).reshape(filters, images, height, width).transpose(1, 0, 2, 3)

    def backward(dy: Array) -> tuple[Array, ...]:
        dy_rows = dy.transpose(1, 0, 2, 3).reshape(filters, -1)
        dw = (dy_rows @ rows.reshape(len(places), -1).T).reshape(w.shape)
        dx = np.zeros_like(x)
        for row, (c, r, s) in zip((matrix.T @ dy_rows).reshape(rows.shape), places, strict=True):
            dx[:, c, r : r + height, s : s + width] += row
        return dx, dw

    return y, backward


def relu(x: Array) -> tuple[Array, Backward]:
    """Rectify x of any shape.

        y  = max(x, 0)
        dx = dy where x > 0, else 0

    Section 6.3.1.
    """
    return np.maximum(x, 0), lambda dy: (dy * (x > 0),)


def max_pooling(x: Array) -> tuple[Array, Backward]:
    """Take the maximum of each 2x2 block of x (N, C, H, W); y is (N, C, H/2, W/2).

        y  = max of the block
        dx = dy at the maximum, the first one if there are several, else 0

    Section 9.3.
    """
    corners = [(..., slice(i, None, 2), slice(j, None, 2)) for i in range(2) for j in range(2)]
    upper_left, upper_right, lower_left, lower_right = (x[corner] for corner in corners)
    y = np.maximum(np.maximum(upper_left, upper_right), np.maximum(lower_left, lower_right))

    def backward(dy: Array) -> tuple[Array, ...]:
        dx = np.zeros_like(x)
        left = np.ones(y.shape, bool)
        for corner in corners:
            maximum = left & (x[corner] == y)
            dx[corner] = dy * maximum
            left &= ~maximum
        return (dx,)

    return y, backward


def flatten(x: Array) -> tuple[Array, Backward]:
    """Make x (N, C, H, W) a matrix y (N, C H W)."""
    return x.reshape(len(x), -1), lambda dy: (dy.reshape(x.shape),)


def dense(x: Array, w: Array, b: Array) -> tuple[Array, Backward]:
    """Map x (N, I) with w (O, I) and b (O,); y is (N, O).

        y  = x wᵀ + b
        dx = dy w,  dw = dyᵀ x,  db = sum over n of dy[n]

    Section 6.5.4.
    """
    return x @ w.T + b, lambda dy: (dy @ w, dy.T @ x, dy.sum(0))


def softmax_cross_entropy(x: Array, labels: Array) -> tuple[Any, Array]:
    """Return the mean cross entropy of logits x (N, classes) and integer labels (N,), a scalar, and dx.

        p  = exp(x) / sum over classes of exp(x)
        L  = mean over n of -log p[n,labels[n]]
        dx = (p - one_hot(labels)) / N

    Section 6.2.2.3. The largest logit is subtracted first: that does not change p, and exp does not overflow.
    """
    images = np.arange(len(labels))
    log_p = _log_softmax(x)
    dx = np.exp(log_p)
    dx[images, labels] -= 1
    dx /= len(labels)
    return -log_p[images, labels].mean(), dx


def cross_entropy(x: Array, labels: Array) -> Array:
    """Return the cross entropy of each image, (N,), from logits x (N, classes) and integer labels (N,)."""
    losses: Array = -_log_softmax(x)[np.arange(len(labels)), labels]
    return losses


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(1, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p


Cells = Sequence[Callable[..., tuple[Array, Backward]]]
CELLS: Cells = (
    *(convolution, relu, max_pooling),
    *(convolution, relu, max_pooling),
    flatten,
    *(dense, relu),
    *(dense, relu),
    dense,
)
"""The network. The parameters of cell i are called `layers.i.weight` and `layers.i.bias`."""

NAMES = tuple([name for name in PARAMETERS if name.startswith(f"layers.{i}.")] for i in range(len(CELLS)))
"""Names of each cell's parameters."""


def forward(weights: Mapping[str, Array], images: Array, cells: Cells = CELLS) -> tuple[Array, list[Backward]]:
    """Return the logits (N, 10) of images (N, 1, 32, 32), and the cells' functions for the backward pass."""
    x, tape = images, []
    for cell, names in zip(cells, NAMES, strict=True):
        x, backward = cell(x, *(weights[name] for name in names))
        tape.append(backward)
    return x, tape


def loss_and_gradients(
    weights: Mapping[str, Array], images: Array, labels: Array, cells: Cells = CELLS
) -> tuple[Any, dict[str, Array]]:
    """Return the loss of a batch, and its gradient with respect to each parameter by name."""
    logits, tape = forward(weights, images, cells)
    loss, dy = softmax_cross_entropy(logits, labels)
    gradients: dict[str, Array] = {}
    for backward, names in zip(reversed(tape), reversed(NAMES), strict=True):
        dy, *parameter_gradients = backward(dy)
        gradients |= zip(names, parameter_gradients, strict=True)
    return loss, gradients


class ReferenceTraining:
    """The training of one case, step by step, with the initial weights and the batches that MindSpore uses."""

    def __init__(self, case: Case, dataset: Dataset, dtype: DType = np.float32, cells: Cells = CELLS) -> None:
        """Draw the initial weights and read the data. `dtype` is float32, as in the frameworks, or float64.

        `cells` are the network's, or others in their places that compute the same in another precision.

        Raises:
            DatasetError: the dataset's folder does not contain IDX files of MNIST's shape.
        """
        hyper = case.hyperparameters
        self._dtype, self._ranks, self._cells = dtype, case.world_size, cells
        self._learning_rate, self._momentum = dtype(hyper.learning_rate), dtype(hyper.momentum)
        self._training_pass = training_pass(dataset.folder, case.global_batch_size, hyper.seed)
        self._evaluation_pass = evaluation_pass(dataset.folder, hyper.batch_size, hyper.seed)
        self.weights: dict[str, Array] = {
            name: value.astype(dtype) for name, value in initial_weights(hyper.seed).items()
        }
        self.velocity: dict[str, Array] = {name: np.zeros_like(value) for name, value in self.weights.items()}

    def losses(self) -> Iterator[float]:
        """Train without end, epoch after epoch; an item is the loss of the step that was just made.

        Raises:
            DatasetError: the training set has fewer images than a batch.
        """
        return (self.step(images, labels) for images, labels in self.batches())

    def batches(self) -> Iterator[Batch]:
        """Iterate over the training's batches without end, epoch after epoch.

        Raises:
            DatasetError: the training set has fewer images than a batch.
        """
        empty = True
        while True:
            for batch in self._training_pass():
                yield batch
                empty = False
            if empty:
                raise DatasetError("the training set has fewer images than a batch: choose a smaller batch size")

    def step(self, images: Array, labels: Array) -> float:
        """Train on images (N, 1, 32, 32) and labels (N,), and return the loss before the weights change.

            v = momentum v + dL/dw
            w = w - learning_rate v

        Section 8.3.2, in the form of MindSpore's `nn.Momentum`; v is 0 at the start. If R processes train together,
        rank r has the images r, r + R, r + 2R ... of the batch. The gradient is the mean of the ranks' gradients, which
        is that of the whole batch; the loss is the mean of their losses.
        """
        images = images.astype(self._dtype, copy=False)
        shares = [slice(rank, None, self._ranks) for rank in range(self._ranks)]
        results = [loss_and_gradients(self.weights, images[share], labels[share], self._cells) for share in shares]
        for name, velocity in self.velocity.items():
            gradient = sum(gradients[name] for _, gradients in results) / self._ranks
            self.velocity[name] = self._momentum * velocity + gradient
            self.weights[name] = self.weights[name] - self._learning_rate * self.velocity[name]
        return sum(float(loss) for loss, _ in results) / self._ranks

    def evaluate(self, images: int | None = None) -> EvaluationResult:
        """Evaluate on the test set, or on as many whole batches as hold at least `images` images."""
        return evaluate(((self.predict(batch), labels) for batch, labels in self._evaluation_pass()), images)

    def predict(self, images: Array) -> npt.NDArray[np.int64]:
        """Return the network's answers (N,) for images (N, 1, 32, 32)."""
        answers: npt.NDArray[np.int64] = self.logits(images).argmax(1)
        return answers

    def logits(self, images: Array) -> Array:
        """Return the network's output (N, 10) for images (N, 1, 32, 32)."""
        return forward(self.weights, images.astype(self._dtype, copy=False), self._cells)[0]
