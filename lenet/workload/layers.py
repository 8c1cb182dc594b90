"""LeNet's trainable layers: the one list of shapes. Parameters, arithmetic and memory traffic are derived from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

KERNEL = 5
"""Side of the convolutions' kernels, without padding."""
FLOAT_BYTES = 4

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TrainableLayer:
    """A convolution or a dense layer. Input and output are those of one image, without the batch axis."""

    position: int
    """Index in the network's list of cells, of which MindSpore makes the parameters' names."""
    input_shape: Shape
    """(channels, side, side) or (features,)."""
    output_shape: Shape
    weight_shape: Shape
    """(filters, channels, 5, 5) or (outputs, inputs)."""

    @property
    def is_dense(self) -> bool:
        """Whether it is a dense layer, which has a bias; MindSpore's Conv2d has none by default."""
        return len(self.weight_shape) == 2

    @property
    def parameters(self) -> dict[str, Shape]:
        """Shape of each parameter by MindSpore's name."""
        name = f"layers.{self.position}"
        bias = {f"{name}.bias": self.output_shape} if self.is_dense else {}
        return {f"{name}.weight": self.weight_shape, **bias}

    @property
    def fan_in(self) -> int:
        """Input values of one output value."""
        return math.prod(self.weight_shape[1:])

    @property
    def forward_flops(self) -> int:
        """Multiplications and additions of the forward pass for one image."""
        return 2 * math.prod(self.output_shape) * self.fan_in

    @property
    def training_flops(self) -> int:
        """Those of a training step for one image.

        The gradient of the weights takes as many as the forward pass, and so does the gradient of the input, which the
        first layer does not need.
        """
        return self.forward_flops * (3 if self.position else 2)


def _convolution(position: int, channels: int, side: int, filters: int) -> TrainableLayer:
    out = side - KERNEL + 1
    return TrainableLayer(position, (channels, side, side), (filters, out, out), (filters, channels, KERNEL, KERNEL))


def _dense(position: int, inputs: int, outputs: int) -> TrainableLayer:
    return TrainableLayer(position, (inputs,), (outputs,), (outputs, inputs))


LAYERS = (
    _convolution(0, channels=1, side=32, filters=6),
    _convolution(3, channels=6, side=14, filters=16),
    _dense(7, 400, 120),
    _dense(9, 120, 84),
    _dense(11, 84, 10),
)
"""In the order of the forward pass. ReLU follows all but the last; a 2x2 max pooling each convolution."""

PARAMETERS = {name: shape for layer in LAYERS for name, shape in layer.parameters.items()}
"""Shape of every parameter by MindSpore's name, in the network's order."""


def forward_flops() -> int:
    """Multiplications and additions of the forward pass for one image.

    Those of convolutions and matrix products; activations, pooling and loss are not counted.
    """
    return sum(layer.forward_flops for layer in LAYERS)


def training_flops() -> int:
    """Multiplications and additions of a training step for one image, the optimiser not counted."""
    return sum(layer.training_flops for layer in LAYERS)


def bytes_per_step(batch_size: int) -> int:
    """Bytes that a training step of `batch_size` images moves if every layer is one pass over its inputs and outputs.

    Forward reads inputs and weights and writes outputs. Backward reads them and the outputs' gradient, and writes the
    gradients. Momentum reads weight, gradient and momentum, and writes two of them. Caches may keep much of it.
    """
    activations = sum(3 * math.prod(layer.input_shape) + 3 * math.prod(layer.output_shape) for layer in LAYERS)
    weights = sum(math.prod(shape) for shape in PARAMETERS.values()) * (2 + 1 + 5)
    return FLOAT_BYTES * (activations * batch_size + weights)
