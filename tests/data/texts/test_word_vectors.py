"""Vectors of words: the three formats, and errors with their lines."""

import gzip

import numpy as np
import pytest

from recurra.data.texts.word_vectors import read_vectors
from recurra.errors import DataError

LINES = "the 0.5 -1\ncafé 1e-2 2\n. . 3 4\nthe 9 9\n"


def written(tmp_path, content, name="v.vec"):
    data = content.encode() if isinstance(content, str) else content
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return path


@pytest.mark.parametrize("name", ["v.vec", "v.txt.gz"])
@pytest.mark.parametrize("header", ["", "4 2\n", "\ufeff4 2 \r\n"])
@pytest.mark.parametrize("ends", ["\n", " \n", "\r\n"])
def test_all_three_formats(tmp_path, name, header, ends):
    path = written(tmp_path, header + LINES.replace("\n", ends), name)
    found = read_vectors(path, ["café", "nowhere", "the", ". .", "The"])
    assert found.found.tolist() == [True, False, True, True, False]
    assert found.matrix.dtype == np.float32
    expected = [[0.01, 2], [0, 0], [0.5, -1], [3, 4], [0, 0]]
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-6)


def test_a_word_asked_for_twice_and_tabs(tmp_path):
    path = written(tmp_path, "a\t1\t2\n\nb\t3\t4\n")
    assert read_vectors(path, ["b", "a", "b"]).matrix.tolist() == [[3, 4], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a 1 2\nb 1\n", "line 2: has 1 numbers after the word, where 2 are needed"),
        ("a 1 2\n\nb 1 2 3\n", "line 3: has 3 numbers after the word, where 2"),
        ("2 3\na 1 2 3\nb 1 2\n", "line 3: has 2 numbers after the word, where 3"),
        ("alone\n", "line 1: has 0 numbers after the word, where 1"),
        ("a 1 2\nb 1 x\n", "line 2: could not convert string to float: b'x'"),
        ("a 1 2\nb 1 nan\n", "line 2: has a number that is not finite"),
        ("a 1 2\nb 1e39 1\n", "line 2: has a number that is not finite"),
        ("3 2\na 1 2\nb 3 4\n", "has 2 vectors, and its first line says 3"),
    ],
)
def test_errors_name_the_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_vectors(written(tmp_path, content), ["a", "b"])


def test_files_that_are_missing_or_damaged(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_vectors(tmp_path / "none.vec", ["a"])
    path = written(tmp_path, "a 1 2\n" * 99, "v.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"v.gz: cannot be read .*copy it again"):
        read_vectors(path, ["a"])
