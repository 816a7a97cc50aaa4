"""Transcripts as text and JSON, and long ones merged from chunks."""

import json
import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import DataError
from recurra.tasks.transcribe.transcript import (
    TextSpan,
    Transcript,
    merge_chunks,
    to_json,
    to_text,
)


def spoken(text, start=0.0, shift=0.0, **fields):
    """A word a second from `start` on, of 0.8 s, and its characters."""
    words = [
        TextSpan(word, start + n + shift, start + n + shift + 0.8)
        for n, word in enumerate(text.split())
    ]
    characters = [
        TextSpan(each, word.start + 0.1 * n, word.start + 0.1 * (n + 1))
        for word in words
        for n, each in enumerate(word.text)
    ]
    return Transcript(text, words=tuple(words), characters=tuple(characters), **fields)


def test_text():
    assert to_text(Transcript("one\ntwo")) == "one two\n"
    several = [Transcript("one", "a.wav"), Transcript("", "b\tc.wav")]
    assert to_text(several) == "a.wav\tone\nb c.wav\t\n"
    assert str(Transcript("é")) == "é"


def test_json_has_all_fields_and_no_infinity():
    one = Transcript(
        "hé",
        "a.png",
        words=(TextSpan("hé", 1.23456, 7, 0.98765),),
        alternatives=(("hé", -0.5), ("he", -math.inf)),
        confidence=math.nan,
        unit="columns",
        length=20,
    )
    text = to_json(one)
    assert "hé" in text
    assert json.loads(text) == {
        "name": "a.png",
        "text": "hé",
        "confidence": None,
        "unit": "columns",
        "length": 20,
        "words": [{"text": "hé", "start": 1.235, "end": 7, "confidence": 0.9877}],
        "characters": [],
        "alternatives": [{"text": "hé", "score": -0.5}, {"text": "he", "score": None}],
    }
    assert [each["text"] for each in json.loads(to_json([one, Transcript("b")]))] == ["hé", "b"]


def test_chunks_one_after_the_other():
    first = spoken("a b", length=2.0, confidence=0.5, alternatives=(("x", 0.0),))
    second = spoken("c dd", length=3.0, confidence=0.9)
    merged = merge_chunks([(0.0, first), (2.0, second)], "long.wav")
    assert (merged.text, merged.name, merged.length) == ("a b c dd", "long.wav", 5)
    assert [word.start for word in merged.words] == [0, 1, 2, 3]
    assert "".join(each.text for each in merged.characters) == "abcdd"
    assert merged.characters[-1].start == pytest.approx(3.1)
    assert merged.confidence == pytest.approx((0.5 * 3 + 0.9 * 4) / 7)
    assert merged.alternatives == ()


def test_chunks_without_words():
    chunks = [(0, Transcript("a b", length=1)), (1, Transcript("", length=1)), (3, Transcript("c"))]
    merged = merge_chunks(chunks)
    assert (merged.text, merged.words, merged.confidence) == ("a b c", (), None)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=12, max_size=40),
    st.integers(2, 4),
    st.floats(-0.15, 0.15),
)
def test_overlapping_chunks_lose_and_double_no_word(words, overlap, error):
    """Chunks of 8 s, whose words are cut off at edges; the second one's times are a bit off."""
    chunks, start, turn = [], 0, 0
    while start < len(words):
        shift = error * (turn % 2)
        chunks.append(
            (float(start), spoken(" ".join(words[start : start + 8]), shift=shift, length=8))
        )
        start, turn = start + 8 - overlap, turn + 1
    merged = merge_chunks(chunks)
    assert merged.text == " ".join(words)
    assert [word.text for word in merged.words] == words
    assert "".join(each.text for each in merged.characters) == "".join(words)
    assert [word.start for word in merged.words] == pytest.approx(range(len(words)), abs=0.2)


def test_words_that_chunks_hear_differently_are_cut_at_the_middle():
    first, second = spoken("a b c d", length=4), spoken("X Y e f", length=4)
    merged = merge_chunks([(0.0, first), (2.0, second)])
    assert merged.text == "a b c Y e f"
    assert "".join(each.text for each in merged.characters) == "abcYef"
    silent = merge_chunks([(0.0, spoken("a b c d", length=4)), (2.0, Transcript("", length=4))])
    assert silent.text == "a b c"


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "There is no chunk to merge"),
        ([(0.0, Transcript("a", unit="points"))], "positions in points; only sound is merged"),
        ([(1.0, Transcript("a")), (1.0, Transcript("b"))], "at 1 s follows one at 1 s; sort them"),
        (
            [(0.0, Transcript("a", length=3)), (2.0, Transcript("b"))],
            "is 3 s long and overlaps the next, at 2 s, and their words have no times",
        ),
    ],
)
def test_chunks_that_cannot_be_merged(chunks, message):
    with pytest.raises(DataError, match=message):
        merge_chunks(chunks)


def test_the_word_nearest_to_the_middle_of_the_overlap_decides():
    """Chunks hear less well what is near to their ends."""
    first, second = spoken("a b c d e f g X", length=8), spoken("e Y g h i j k l", length=8)
    assert merge_chunks([(0.0, first), (4.0, second)]).text == "a b c d e f g h i j k l"


def repeated_words(seconds, random):
    """Few short words, with pauses of less than _SAME_WORD between them."""
    words, time = [], 0.0
    while time < seconds:
        words.append(TextSpan(random.choice("abc"), time, time + 0.15))
        time += random.choice((0.2, 0.3, 0.6))
    return words


def test_a_word_said_twice_is_not_taken_for_itself():
    random = Random(0)
    words, chunks = repeated_words(400, random), []
    for start in range(0, 400, 25):
        inside = [word for word in words if start <= word.start and word.end <= start + 30]
        heard = tuple(word.shifted(random.uniform(-0.03, 0.03) - start) for word in inside)
        text = " ".join(word.text for word in heard)
        chunks.append((float(start), Transcript(text, words=heard, length=30.0)))
    assert merge_chunks(chunks).text == " ".join(word.text for word in words)


def test_a_word_said_twice_and_heard_once():
    twice = (TextSpan("no", 4.0, 4.2), TextSpan("no", 4.3, 4.5))
    once = (TextSpan("no", 3.3, 3.5),)
    chunks = [
        (0.0, Transcript("no no", words=twice, length=5)),
        (1.0, Transcript("no", words=once)),
    ]
    assert merge_chunks(chunks).text == "no no"
