"""Digits: the format of MNIST's files, and what is wrong with those that aren't."""

import gzip
import struct

import numpy as np
import pytest

from recurra.data.digits import read_digits, read_idx
from recurra.errors import DataError

PICTURES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 1], dtype=np.uint8)


def idx(array, kind=8):
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write(folder, name, data):
    (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(data))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "images-idx3", idx(PICTURES))
    write(tmp_path, "labels-idx1", idx(LABELS))
    return tmp_path


def test_pictures_and_labels(folder):
    digits = read_digits(folder, "train")
    assert (digits.pictures == PICTURES).all()
    assert digits.labels.tolist() == [7, 1]


def test_a_missing_part_is_named(folder):
    with pytest.raises(DataError, match=r"test-images-idx3-ubyte\.gz: no such file"):
        read_digits(folder, "test")


def test_counts_that_differ(folder):
    write(folder, "labels-idx1", idx(LABELS[:1]))
    with pytest.raises(DataError, match="train has 2 pictures and 1 labels"):
        read_digits(folder, "train")


@pytest.mark.parametrize("data", [b"", idx(LABELS), idx(PICTURES, kind=13), idx(PICTURES)[:9]])
def test_what_is_no_idx_file_of_pictures(folder, data):
    write(folder, "images-idx3", data)
    with pytest.raises(DataError, match="is not an IDX file of bytes in 3 dimensions"):
        read_digits(folder, "train")


def test_a_file_cut_short(folder):
    write(folder, "images-idx3", idx(PICTURES)[:-1])
    with pytest.raises(DataError, match="holds 23 bytes, and its header says 2 x 3 x 4"):
        read_digits(folder, "train")


def test_what_is_no_gzip_file(tmp_path):
    (tmp_path / "a.gz").write_bytes(idx(PICTURES))
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_idx(tmp_path / "a.gz", dimensions=3)


def test_a_gzip_file_cut_short(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(PICTURES))[:-9])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_idx(tmp_path / "a.gz", dimensions=3)


@pytest.mark.data
@pytest.mark.parametrize(("part", "count"), [("train", 10_000), ("valid", 1000), ("test", 5000)])
def test_the_real_ones(real_data, part, count):
    digits = read_digits(real_data / "mnist_subset", part)
    assert digits.pictures.shape == (count, 28, 28)
    assert set(digits.labels.tolist()) == set(range(10))
