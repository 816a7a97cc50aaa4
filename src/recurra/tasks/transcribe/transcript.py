"""Results of transcription: a text with its words, characters, times and alternatives."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from recurra.errors import DataError

__all__ = ["PositionUnit", "TextSpan", "Transcript", "merge_chunks", "to_json", "to_text"]

PositionUnit = Literal["seconds", "points", "columns"]

_SAME_WORD = 0.5
"""Seconds by which two chunks may differ in the middle of one word, where they overlap."""


@dataclass(frozen=True)
class TextSpan:
    """A word or a character, where it starts and ends, and a confidence from 0 to 1 if known."""

    text: str
    start: float
    end: float
    confidence: float | None = None

    @property
    def middle(self) -> float:
        """The position half-way between start and end."""
        return (self.start + self.end) / 2

    def shifted(self, offset: float) -> "TextSpan":
        """The same, so much later."""
        return dataclasses.replace(self, start=self.start + offset, end=self.end + offset)


@dataclass(frozen=True)
class Transcript:
    """The text of one recording, piece of ink or image.

    words, characters: in order, with positions; empty where they were not asked for.
    alternatives: other texts with their scores (log-probabilities), best first, `text` among them.
    unit: of all positions: "seconds" of sound, "points" of ink (numbered as they are given), or
        "columns" of an image (pixels of the file, from the left).
    length: the whole input's, in that unit; 0 if unknown.
    """

    text: str
    name: str = ""
    words: tuple[TextSpan, ...] = ()
    characters: tuple[TextSpan, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    confidence: float | None = None
    unit: PositionUnit = "seconds"
    length: float = 0.0

    def __str__(self) -> str:
        return self.text


def to_text(transcripts: Transcript | Sequence[Transcript]) -> str:
    r"""The text, on a line of its own; of several, each after its name and a tab.

    >>> to_text([Transcript("one two", "a.wav"), Transcript("three", "b.wav")])
    'a.wav\tone two\nb.wav\tthree\n'
    """
    if isinstance(transcripts, Transcript):
        return f"{_one_line(transcripts.text)}\n"
    return "".join(f"{_one_line(one.name)}\t{_one_line(one.text)}\n" for one in transcripts)


def to_json(transcripts: Transcript | Sequence[Transcript]) -> str:
    """An object, or a list of them, as indented JSON: the fields of `Transcript`.

    Positions have three decimals, confidences and scores four.

    >>> json.loads(to_json(Transcript("no", words=(TextSpan("no", 0.1, 0.50004, 0.9),))))["words"]
    [{'text': 'no', 'start': 0.1, 'end': 0.5, 'confidence': 0.9}]
    """
    if isinstance(transcripts, Transcript):
        found: Any = _fields(transcripts)
    else:
        found = [_fields(one) for one in transcripts]
    return json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def merge_chunks(chunks: Sequence[tuple[float, Transcript]], name: str = "") -> Transcript:
    """One transcript of consecutive chunks of a recording, each with its offset in seconds.

    Chunks may overlap, by less than half of each: the later one takes over after the word that both
    have nearest to the middle of the overlap, or else at the middle itself. Alternatives are left
    out; the confidence is the mean of the chunks', by their lengths in characters. The spaces
    between chunks are in the text, but not among the characters.

    Raises:
        DataError: no chunk, offsets that don't increase, chunks that overlap without words, or
            positions that aren't seconds.

    >>> halves = [(0.0, Transcript("so it", length=2.0)), (2.0, Transcript("goes", length=1.5))]
    >>> merged = merge_chunks(halves)
    >>> merged.text, merged.length
    ('so it goes', 3.5)
    """
    _check_chunks(chunks)
    parts = [_shifted(offset, chunk) for offset, chunk in chunks]
    for number, (start, _) in enumerate(chunks[1:], start=1):
        parts[number - 1], parts[number] = _parted(parts[number - 1], parts[number], start)
    return Transcript(
        " ".join(part.text for part in parts if part.text),
        name,
        tuple(word for part in parts for word in part.words),
        tuple(each for part in parts for each in part.characters),
        confidence=_mean_confidence([chunk for _, chunk in chunks]),
        length=parts[-1].length,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fields(transcript: Transcript) -> dict[str, Any]:
    spans = {
        name: [_rounded(span) for span in getattr(transcript, name)]
        for name in ("words", "characters")
    }
    return {
        "name": transcript.name,
        "text": transcript.text,
        "confidence": _decimals(transcript.confidence),
        "unit": transcript.unit,
        "length": round(transcript.length, 3),
        **spans,
        "alternatives": [
            {"text": text, "score": _decimals(score)} for text, score in transcript.alternatives
        ],
    }


def _rounded(span: TextSpan) -> dict[str, Any]:
    return {
        "text": span.text,
        "start": round(span.start, 3),
        "end": round(span.end, 3),
        "confidence": _decimals(span.confidence),
    }


def _decimals(value: float | None) -> float | None:
    """JSON has no infinity or NaN: the score of a path that can't be is null."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _check_chunks(chunks: Sequence[tuple[float, Transcript]]) -> None:
    if not chunks:
        raise DataError("There is no chunk to merge; give one or more.")
    for offset, chunk in chunks:
        if chunk.unit != "seconds":
            raise DataError(
                f"The chunk at {offset:g} has positions in {chunk.unit}; only sound is merged from "
                "chunks, in seconds."
            )
    for (before, first), (after, second) in pairwise(chunks):
        if after <= before:
            raise DataError(f"A chunk at {after:g} s follows one at {before:g} s; sort them.")
        if before + first.length > after and not _has_times(first, second):
            raise DataError(
                f"The chunk at {before:g} s is {first.length:g} s long and overlaps the next, at "
                f"{after:g} s, and their words have no times; transcribe with times."
            )


def _has_times(*transcripts: Transcript) -> bool:
    return all(one.words or not one.text for one in transcripts)


def _shifted(offset: float, chunk: Transcript) -> Transcript:
    return dataclasses.replace(
        chunk,
        words=tuple(word.shifted(offset) for word in chunk.words),
        characters=tuple(each.shifted(offset) for each in chunk.characters),
        length=offset + chunk.length,
    )


def _parted(first: Transcript, second: Transcript, start: float) -> tuple[Transcript, Transcript]:
    """Both without their overlap; `length` of each is where it ends, `start` the second's start."""
    if first.length <= start:
        return first, second
    until, since = _takeover(first.words, second.words, (start + first.length) / 2)
    return (
        _keeping(first, lambda span: span.middle <= until),
        _keeping(second, lambda span: span.middle > since),
    )


def _takeover(
    first: Sequence[TextSpan], second: Sequence[TextSpan], middle: float
) -> tuple[float, float]:
    """The ends of the last word to keep of the first, and of the last to drop of the second."""
    shared = [(a, b) for a in first if (b := _nearest(a, second)) and _nearest(b, first) is a]
    if shared:
        a, b = min(shared, key=lambda pair: abs(pair[0].middle + pair[1].middle - 2 * middle))
        return a.end, b.end
    ends = ([word.end for word in words if word.middle <= middle] for words in (first, second))
    until, since = (max(each, default=-math.inf) for each in ends)
    return until, since


def _nearest(word: TextSpan, others: Sequence[TextSpan]) -> TextSpan | None:
    """The same word in another chunk: a word may be said twice, so the nearest in time."""
    same = (other for other in others if other.text == word.text)
    found = min(same, key=lambda other: abs(other.middle - word.middle), default=None)
    return found if found and abs(found.middle - word.middle) <= _SAME_WORD else None


def _keeping(transcript: Transcript, wanted: Callable[[TextSpan], bool]) -> Transcript:
    words = tuple(filter(wanted, transcript.words))
    return dataclasses.replace(
        transcript,
        text=" ".join(word.text for word in words),
        words=words,
        characters=tuple(filter(wanted, transcript.characters)),
    )


def _mean_confidence(chunks: Sequence[Transcript]) -> float | None:
    known = [(one.confidence, len(one.text)) for one in chunks if one.confidence is not None]
    total = sum(length for _, length in known)
    return sum(value * length for value, length in known) / total if total else None
