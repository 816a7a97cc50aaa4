"""Sources to predict: every line in its place, from files, streams and lists."""

import gzip
import io
import sys

import pytest

from recurra.data.pairs.source_texts import read_sources
from recurra.errors import ConfigError, DataError

CONTENT = "\ufeffein Hund\r\n\nStra\u2028ße \nlast"
TEXTS = ["ein Hund", "", "Stra\u2028ße", "last"]


def texts(data, **options):
    return [each.text for each in read_sources(data, **options)]


def test_lines_of_files(tmp_path):
    path = tmp_path / "a.de"
    path.write_bytes(CONTENT.encode())
    assert texts(path) == texts(str(path)) == texts([path]) == TEXTS
    assert [each.origin for each in read_sources(path)][2] == f"{path}, line 3"
    packed = tmp_path / "a.de.gz"
    packed.write_bytes(gzip.compress(CONTENT.encode()))
    assert texts(packed) == TEXTS
    packed.write_bytes(gzip.compress(CONTENT.encode())[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        texts(packed)
    path.write_bytes(CONTENT.encode("utf-16"))
    assert texts(path, encoding="utf-16") == TEXTS


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONTENT.encode())))
    assert texts("-") == TEXTS


def test_each_text_is_there_before_the_next_is_read():
    read = []

    def lines():
        for line in (b"one\n", b"two\n"):
            read.append(line)
            yield line

    class Stream:
        read = None
        name = "pipe"

        def __iter__(self):
            return lines()

    found = read_sources(Stream())
    assert next(found).text == "one"
    assert read == [b"one\n"]
    assert next(found).origin == "pipe, line 2"


def test_open_texts_and_lists():
    assert texts(io.StringIO(CONTENT)) == texts(io.BytesIO(CONTENT.encode())) == TEXTS
    assert texts(["a", "", 3]) == ["a", "", "3"]
    bad = list(read_sources(["a", b"b"]))[1]
    assert (bad.text, bad.problem) == ("", "item 1: has an object of type bytes; give a text.")


def test_a_damaged_line_keeps_its_place():
    found = list(read_sources(io.BytesIO(b"one\nStra\xdfe\nthree\n")))
    assert [each.text for each in found] == ["one", "", "three"]
    assert found[1].problem.endswith(
        "line 2: is not UTF-8 (byte 0xdf, the 5. of the line); convert it, or give its encoding."
    )
    assert not found[0].problem


def test_tables_give_their_sources(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("target\tsource\nx\ta\n\tb\n")
    assert texts(path) == ["a", "b"]
    path.write_text("a\nb\n")
    assert texts(path) == ["a", "b"]
    path.write_text("a\tx\nb\ty\n")
    assert texts(path, source="2") == ["x", "y"]
    path = tmp_path / "a.jsonl"
    path.write_text('{"translation": {"de": "a"}}\nnone\n')
    found = list(read_sources(path, source="de"))
    assert [each.text for each in found] == ["a", ""]
    assert "line 2: is not valid JSON" in found[1].problem
    path = tmp_path / "a.dict"
    path.write_text("a AH0\n")
    assert texts(path) == ["a"]


def test_what_cannot_be_read(tmp_path):
    for data, error, message in (
        (tmp_path / "none", DataError, "no such file"),
        (3, DataError, "of type int is not a source of texts"),
    ):
        with pytest.raises(error, match=message):
            texts(data)
    with pytest.raises(ConfigError, match="encoding = 'utf-99'"):
        texts(io.BytesIO(b"a"), encoding="utf-99")
    with pytest.raises(DataError, match="is not of encoding ascii"):
        texts(io.BytesIO(b"\xff"), encoding="ascii")
