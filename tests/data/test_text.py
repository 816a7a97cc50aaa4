"""Reading text: what comes back, and what each bad file is told."""

import hashlib
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recurra.data.text import (
    BUILTIN,
    Text,
    builtin_text,
    read_text,
    split_text,
    universal_lines,
)
from recurra.data.vocabulary import Bytes
from recurra.errors import DataError


def test_files_are_joined_in_order_with_their_digests(tmp_path):
    first, second = tmp_path / "b.txt", tmp_path / "a.txt"
    first.write_bytes("één\r\n".encode())
    second.write_bytes(b"two")
    text = read_text([first, str(second)])
    assert text.content == "één\ntwo"
    assert text.sources[0].sha256 == hashlib.sha256("één\r\n".encode()).hexdigest()
    assert [source.path for source in text.sources] == [str(first), str(second)]
    assert text.sources[1].sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text([path]).content == "abc"


@given(st.text(st.sampled_from("ab\r\n"), max_size=12))
def test_lines_end_as_python_reads_them(text):
    expected = io.StringIO(text, newline=None).read()
    assert universal_lines(text) == expected
    assert Text.of([text]).content == expected
    assert Text.of([text], raw=True).content == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.binary(min_size=1))
@example(data=b"caf\xe9\r\n\x00")
@example(data=b"\xef\xbb\xbf\xed\xb2\x80")
def test_raw_files_keep_every_byte(tmp_path, data):
    (tmp_path / "data").write_bytes(data)
    content = read_text([tmp_path / "data"], raw=True).content
    assert bytes(Bytes().encode(content).tolist()) == data


def test_without_a_file_the_text_is_pythons_documentation():
    text = read_text([])
    assert text == builtin_text()
    assert len(text.content) > 300_000
    assert text.sources[0].path == BUILTIN
    assert "\n+--" not in text.content


BAD = {
    "empty": (b"", "is empty"),
    "binary": (b"abc\x00def", "zero byte at offset 3"),
    "latin1": ("caf\xe9 au lait".encode("latin-1"), "byte 0xe9 at offset 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name):
    data, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_text([path])
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        read_text([tmp_path / "none.txt"])
    with pytest.raises(DataError, match="is a directory"):
        read_text([tmp_path])


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").touch()
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DataError, match=r"a\.txt: cannot be read \(Permission denied\)"):
        read_text([tmp_path / "a.txt"])


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_a_split_loses_nothing(fraction):
    content = "".join(f"line {n}\n" for n in range(100))
    train, held_out = split_text(content, fraction, whole_words=False)
    assert train + held_out == content
    assert len(train) == int(len(content) * (1 - fraction))


def test_a_split_by_lines_ends_a_line():
    content = "".join(f"line {n}\n" for n in range(100))
    train, held_out = split_text(content, 0.1, whole_words=True)
    assert train + held_out == content
    assert train.endswith("\n")
    assert held_out.startswith("line ")


def test_a_split_at_a_line_end_stays_there():
    assert split_text("abcd\nefgh\n", 0.5, whole_words=True) == ("abcd\n", "efgh\n")


@pytest.mark.parametrize("head", ["", "A title\n"])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_a_long_line_is_split_between_words(head, fraction):
    content = head + " ".join(f"word{n}" for n in range(1000))
    train, held_out = split_text(content, fraction, whole_words=True)
    assert [*train.split(), *held_out.split()] == content.split()
    assert len(held_out) == pytest.approx(fraction * len(content), abs=10)


def test_a_line_that_would_leave_little_is_not_waited_for():
    content = "one line " * 100 + "\n" + "and " * 5
    _, held_out = split_text(content, 0.2, whole_words=True)
    assert len(held_out) == pytest.approx(0.2 * len(content), abs=10)
