"""IDX, MNIST's file format: a big-endian magic number, the sizes of the dimensions, then bytes.

Format: the description on the original MNIST page; 2051 means unsigned bytes in three dimensions, 2049 in one. A file
may contain anything: no header is believed, and no more is unpacked than it promises.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet.errors import DatasetError, reason

IMAGES_MAGIC = 2051
LABELS_MAGIC = 2049
SIDE = 28
CLASSES = 10
MAX_ITEMS = 300_000
"""More images than known datasets of MNIST's shape have (EMNIST's digits: 280,000). At most 235 MB are unpacked."""

Bytes = npt.NDArray[np.uint8]


def read_images(path: Path) -> Bytes:
    """Return the images of a file, plain or .gz: uint8 (N, 28, 28), read-only.

    Raises:
        DatasetError: not readable, not IDX images, not 28x28, or not as long as its header says.
    """
    return _read(path, IMAGES_MAGIC, (SIDE, SIDE)).reshape(-1, SIDE, SIDE)


def read_labels(path: Path) -> Bytes:
    """Return the labels of a file, plain or .gz: uint8 (N,), each 0 to 9, read-only.

    Raises:
        DatasetError: not readable, not IDX labels, a label above 9, or not as long as its header says.
    """
    data = _read(path, LABELS_MAGIC, ())
    if data.max() >= CLASSES:
        raise DatasetError(f"{path.name} has a label {data.max()}, and labels are 0 to 9: give data with ten classes")
    return data


def images_bytes(images: Bytes) -> bytes:
    """Return the IDX file of uint8 (N, 28, 28).

    Raises:
        ValueError: another shape or dtype.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"images are uint8 (N, {SIDE}, {SIDE}), not {images.dtype} {images.shape}")
    return struct.pack(">4I", IMAGES_MAGIC, len(images), SIDE, SIDE) + images.tobytes()


def labels_bytes(labels: Bytes) -> bytes:
    """Return the IDX file of uint8 (N,).

    Raises:
        ValueError: another shape or dtype.
    """
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(f"labels are uint8 (N,), not {labels.dtype} {labels.shape}")
    return struct.pack(">2I", LABELS_MAGIC, len(labels)) + labels.tobytes()


def _read(path: Path, magic: int, item_shape: tuple[int, ...]) -> Bytes:
    header_size = 4 * (2 + len(item_shape))
    item_size = int(np.prod(item_shape, dtype=np.int64)) if item_shape else 1
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(header_size)
            if len(header) < header_size:
                raise DatasetError(f"{path.name} is truncated: it ends inside its header; get the file again")
            found, count, *shape = struct.unpack(f">{header_size // 4}I", header)
            if found != magic:
                hint = " (a .gz file without its suffix?)" if header[:2] == b"\x1f\x8b" else ""
                raise DatasetError(f"{path.name} has magic number {found} instead of {magic}{hint}: get the file again")
            if tuple(shape) != item_shape:
                raise DatasetError(
                    f"{path.name} holds items of shape {tuple(shape)}; MNIST's shape is {item_shape}: convert it"
                )
            if not 1 <= count <= MAX_ITEMS:
                raise DatasetError(
                    f"{path.name} claims {count} items, and 1 to {MAX_ITEMS} are read: get the file again"
                )
            # One byte more than promised shows that a file is longer, without unpacking all of it.
            data = file.read(count * item_size + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path.name} cannot be read ({reason(error)}): get the file again") from error
    if len(data) != count * item_size:
        there = "more" if len(data) > count * item_size else f"{len(data) // item_size}"
        raise DatasetError(f"{path.name} promises {count} items and holds {there}; get the file again")
    return np.frombuffer(data, dtype=np.uint8)
