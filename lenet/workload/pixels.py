"""The network's input from an image: MindSpore's Resize(32), Rescale(1/255, 0) and HWC2CHW, without MindSpore.

Resize is OpenCV's bilinear interpolation for bytes: weights in units of 1/2048, first along the rows, then along the
columns with the 16-bit arithmetic of its vector code. A test compares the values with MindSpore's, bit for bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenet.dataset.idx import SIDE, Bytes

SIZE = 32
_ONE = 2048
_POSITIONS = (np.arange(SIZE) + 0.5) * (SIDE / SIZE) - 0.5
_FLOOR = np.floor(_POSITIONS).astype(np.int32)
_NEAR = np.clip(_FLOOR, 0, SIDE - 1)
_FAR = np.clip(_FLOOR + 1, 0, SIDE - 1)
_SHARE = ((_POSITIONS - _FLOOR) * _ONE).astype(np.int32)
_SCALE = np.float32(1.0 / 255.0)


def resize(images: Bytes) -> Bytes:
    """Resize uint8 (N, 28, 28) to uint8 (N, 32, 32)."""
    wide = images.astype(np.int32)
    rows = (wide[:, :, _NEAR] * (_ONE - _SHARE) + wide[:, :, _FAR] * _SHARE) >> 4
    share = _SHARE[:, None]
    upper = (rows[:, _NEAR, :] * (_ONE - share)) >> 16
    lower = (rows[:, _FAR, :] * share) >> 16
    small: Bytes = ((upper + lower + 2) >> 2).astype(np.uint8)
    return small


def network_input(images: Bytes) -> npt.NDArray[np.float32]:
    """Convert uint8 (N, 28, 28) to float32 (N, 1, 32, 32) in [0, 1]."""
    return (resize(images).astype(np.float32) * _SCALE)[:, None]
