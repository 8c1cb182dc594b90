"""What one training step costs in arithmetic and in memory traffic, derived from the layers' shapes."""

from __future__ import annotations

from dataclasses import dataclass

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """A layer with weights, for one image."""

    name: str
    inputs: int
    """Values of the input."""
    outputs: int
    """Values of the output."""
    fan_in: int
    """Products summed for one output value."""
    weights: int
    """Trainable values, bias included."""

    @property
    def products(self) -> int:
        """Multiply-adds of the forward pass."""
        return self.outputs * self.fan_in


def _convolution(name: str, channels: int, size: int, filters: int, kernel: int) -> Layer:
    out = size - kernel + 1
    fan_in = channels * kernel * kernel
    # MindSpore's Conv2d has no bias unless asked for.
    return Layer(name, channels * size * size, filters * out * out, fan_in, filters * fan_in)


def _dense(name: str, inputs: int, outputs: int) -> Layer:
    return Layer(name, inputs, outputs, inputs, outputs * inputs + outputs)


LENET = (
    _convolution("convolution 1", 1, 32, 6, 5),
    _convolution("convolution 2", 6, 14, 16, 5),
    _dense("dense 1", 400, 120),
    _dense("dense 2", 120, 84),
    _dense("dense 3", 84, 10),
)
"""LeNet's layers with weights. Pooling halves each side between them: 28 to 14, 10 to 5."""


def flops_per_image() -> int:
    """Multiplications and additions of convolutions and matrix products to train on one image.

    Forward; the gradient for the weights, as much again; the gradient for the input, as much again, save in the first
    layer, whose input is data. Activations, pooling, loss and optimiser are not counted.
    """
    first, *rest = (layer.products for layer in LENET)
    return 2 * (2 * first + 3 * sum(rest))


def bytes_per_step(batch_size: int) -> int:
    """Bytes that one step must move at the least, were every layer one pass over its inputs and outputs.

    Forward reads inputs and weights and writes outputs; backward reads them with the outputs' gradient, writes the
    gradients; Momentum reads weight, gradient and momentum and writes two of them. Caches may keep much of it.
    """
    activations = sum(3 * layer.inputs + 3 * layer.outputs for layer in LENET) * batch_size
    weights = sum(layer.weights for layer in LENET) * (2 + 1 + 5)
    return FLOAT_BYTES * (activations + weights)
