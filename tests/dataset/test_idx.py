"""The IDX reader on valid, damaged and hostile files."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
from lenet.errors import DatasetError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([0, 9, 5], np.uint8)


def refusal(tmp_path, data, read=read_images, name="x-idx3-ubyte"):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        read(path)
    text = str(caught.value)
    assert name in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_read_as_written(tmp_path, pack):
    suffix = ".gz" if pack is gzip.compress else ""
    (tmp_path / f"i{suffix}").write_bytes(pack(images_bytes(IMAGES)))
    (tmp_path / f"l{suffix}").write_bytes(pack(labels_bytes(LABELS)))
    assert np.array_equal(read_images(tmp_path / f"i{suffix}"), IMAGES)
    assert np.array_equal(read_labels(tmp_path / f"l{suffix}"), LABELS)


@pytest.mark.parametrize("length", [0, 3, 15, 16, 17, 2367])
def test_truncated(tmp_path, length):
    text = refusal(tmp_path, images_bytes(IMAGES)[:length])
    assert ("truncated" in text) if length < 16 else ("promises 3" in text)


def test_trailing_bytes(tmp_path):
    assert "holds more" in refusal(tmp_path, images_bytes(IMAGES) + b"\0")


def test_wrong_magic(tmp_path):
    assert "magic number 2049" in refusal(tmp_path, struct.pack(">4I", 2049, 3, 28, 28) + bytes(2352))
    assert "magic number 2051" in refusal(tmp_path, images_bytes(IMAGES), read_labels)


@pytest.mark.parametrize("count", [0, 2, 4, 2**32 - 1])
def test_wrong_count(tmp_path, count):
    refusal(tmp_path, struct.pack(">4I", 2051, count, 28, 28) + IMAGES.tobytes())


def test_wrong_shape(tmp_path):
    assert "(28, 27)" in refusal(tmp_path, struct.pack(">4I", 2051, 3, 28, 27) + bytes(3 * 28 * 27))


def test_a_label_above_nine(tmp_path):
    assert "label 10" in refusal(tmp_path, labels_bytes(np.array([1, 10], np.uint8)), read_labels)


def test_gzip_that_is_none_cut_or_corrupt(tmp_path):
    packed = bytearray(gzip.compress(images_bytes(IMAGES)))
    refusal(tmp_path, b"hello", name="x.gz")
    refusal(tmp_path, bytes(packed[:-9]), name="x.gz")
    packed[30] ^= 0xFF
    refusal(tmp_path, bytes(packed), name="x.gz")


def test_gzip_without_its_suffix_is_named(tmp_path):
    assert ".gz" in refusal(tmp_path, gzip.compress(images_bytes(IMAGES)))


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    bomb = gzip.compress(images_bytes(IMAGES) + bytes(200 * 2**20), 9)
    assert "holds more" in refusal(tmp_path, bomb, name="x.gz")


def test_an_absent_file(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        read_images(tmp_path / "nowhere")


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(28), st.just(28))))
def test_any_images_are_read_as_written(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("any") / "i"
    path.write_bytes(images_bytes(images))
    assert np.array_equal(read_images(path), images)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: struct.pack(">I", 2049) + tail)))
def test_any_bytes_are_data_or_one_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_bytes(data)
    for read in (read_images, read_labels):
        try:
            read(path)
        except DatasetError:
            continue
