"""Error rates of transcripts by jiwer, and what is confused with what."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from recurra.errors import DataError, MissingExtra

__all__ = [
    "Confusion",
    "EditCounts",
    "ErrorRates",
    "RatedTranscript",
    "confusions",
    "error_rates",
    "right_characters",
    "worst_transcripts",
]

Ints = np.ndarray[Any, np.dtype[np.int64]]
EditKind = Literal["substituted", "deleted", "inserted"]


class EditCounts(NamedTuple):
    """Units of the references that are right, and the fewest edits that mend the hypotheses.

    Of several alignments with as few edits the counts are those of jiwer's.
    """

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Units of the references."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors by length; where references are empty, by 1, so that it is finite."""
        return self.errors / max(self.length, 1)


@dataclass(frozen=True, eq=False)
class ErrorRates:
    """Character and word error rates of N transcripts: all errors by all units of references.

    exact: the share of transcripts that equal their reference.
    items: by "character" and "word", errors and lengths (N,) of each item.
    """

    characters: EditCounts
    words: EditCounts
    exact: float
    items: dict[str, tuple[Ints, Ints]]

    @property
    def cer(self) -> float:
        """Character error rate; spaces are characters."""
        return self.characters.rate

    @property
    def wer(self) -> float:
        """Word error rate; words are what is between spaces."""
        return self.words.rate


@dataclass(frozen=True)
class Confusion:
    """Characters of the references ("" if inserted) written as others ("" if deleted)."""

    kind: EditKind
    reference: str
    hypothesis: str
    count: int


@dataclass(frozen=True)
class RatedTranscript:
    """A transcript with its place among all, its errors in characters, and their rate."""

    index: int
    reference: str
    hypothesis: str
    errors: int
    rate: float


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Compare each hypothesis with the reference at its place.

    White space is one space between words and none at the ends; case, punctuation and Unicode's
    forms count as they stand, so bring both to one form before. An empty reference has no units:
    all that is written for it is inserted, and counts. DataError where there is no pair, or their
    numbers differ; MissingExtra without jiwer.

    >>> rates = error_rates(["a cat sat", "no"], ["a cut sat on", "no"])
    >>> rates.words, rates.wer, rates.exact
    (EditCounts(hits=3, substitutions=1, deletions=0, insertions=1), 0.5, 0.5)
    """
    pairs = _pairs(references, hypotheses)
    items = {
        "character": [_edits(chunks) for chunks in _alignments(pairs, "characters")],
        "word": [_edits(chunks) for chunks in _alignments(pairs, "words")],
    }
    return ErrorRates(
        _total(items["character"]),
        _total(items["word"]),
        sum(reference == hypothesis for reference, hypothesis in pairs) / len(pairs),
        {unit: _errors_and_lengths(counts) for unit, counts in items.items()},
    )


def confusions(
    references: Sequence[str], hypotheses: Sequence[str], n: int = 20
) -> list[Confusion]:
    """The n most frequent errors of single characters, ties by kind and character.

    >>> confusions(["see", "bee"], ["sea", "bea"], n=1)
    [Confusion(kind='substituted', reference='e', hypothesis='a', count=2)]
    """
    pairs = _pairs(references, hypotheses)
    counts: Counter[tuple[EditKind, str, str]] = Counter()
    for pair, chunks in zip(pairs, _alignments(pairs, "characters"), strict=True):
        for chunk in chunks:
            counts.update(_confused(pair, chunk))
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(*edit, count) for edit, count in order[:n]]


def worst_transcripts(
    references: Sequence[str], hypotheses: Sequence[str], n: int = 10
) -> list[RatedTranscript]:
    """The n transcripts with the highest character error rates, those without errors left out."""
    pairs = _pairs(references, hypotheses)
    edits = [_edits(chunks) for chunks in _alignments(pairs, "characters")]
    rated = [
        RatedTranscript(index, *pair, counts.errors, counts.rate)
        for index, (pair, counts) in enumerate(zip(pairs, edits, strict=True))
        if counts.errors
    ]
    return sorted(rated, key=lambda one: (-one.rate, -one.errors, one.index))[:n]


def _pairs(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[str, str]]:
    if isinstance(references, str) or isinstance(hypotheses, str):
        raise DataError("References and hypotheses are lists of texts, and one of them is a text.")
    if len(references) != len(hypotheses) or not len(references):
        raise DataError(
            f"{len(references):,} references and {len(hypotheses):,} hypotheses; give as many of "
            "both, one or more."
        )
    spaced = [[" ".join(text.split()) for text in texts] for texts in (references, hypotheses)]
    return list(zip(*spaced, strict=True))


def _alignments(pairs: Sequence[tuple[str, str]], unit: str) -> list[list[Any]]:
    """jiwer's chunks of each pair's alignment, of which it has none where both are empty."""
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtra("jiwer", "transcribe", "Computing error rates") from error
    compare = jiwer.process_characters if unit == "characters" else jiwer.process_words
    references, hypotheses = map(list, zip(*pairs, strict=True))
    chunks: list[list[Any]] = compare(references, hypotheses).alignments
    return chunks


def _edits(chunks: Sequence[Any]) -> EditCounts:
    counts = Counter({"equal": 0, "substitute": 0, "delete": 0, "insert": 0})
    for chunk in chunks:
        ours = chunk.ref_end_idx - chunk.ref_start_idx
        counts[chunk.type] += ours or chunk.hyp_end_idx - chunk.hyp_start_idx
    return EditCounts(*(counts[kind] for kind in ("equal", "substitute", "delete", "insert")))


def _total(counts: Sequence[EditCounts]) -> EditCounts:
    return EditCounts(*map(sum, zip(*counts, strict=True)))


def _errors_and_lengths(counts: Sequence[EditCounts]) -> tuple[Ints, Ints]:
    errors = np.array([one.errors for one in counts], dtype=np.int64)
    return errors, np.array([one.length for one in counts], dtype=np.int64)


def _confused(pair: tuple[str, str], chunk: Any) -> Iterator[tuple[EditKind, str, str]]:
    reference = pair[0][chunk.ref_start_idx : chunk.ref_end_idx]
    hypothesis = pair[1][chunk.hyp_start_idx : chunk.hyp_end_idx]
    if chunk.type == "substitute":
        yield from (("substituted", a, b) for a, b in zip(reference, hypothesis, strict=True))
    elif chunk.type == "delete":
        yield from (("deleted", each, "") for each in reference)
    elif chunk.type == "insert":
        yield from (("inserted", "", each) for each in hypothesis)


def right_characters(reference: str, hypothesis: str) -> list[bool]:
    """Tell for each character of a hypothesis whether it is right, by jiwer's alignment.

    White space at the ends, and doubled, doesn't count in error rates and isn't right.

    >>> right_characters("a cat", "a bat s")
    [True, True, False, True, True, False, False]
    >>> right_characters("a", " a")
    [False, True]
    """
    pairs = _pairs([reference], [hypothesis])
    right = [False] * len(pairs[0][1])
    for chunk in _alignments(pairs, "characters")[0]:
        if chunk.type == "equal":
            places = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            right[places.start : places.stop] = [True] * len(places)
    flags = iter(right)
    return [next(flags) if kept else False for kept in _kept(hypothesis)]


def _kept(text: str) -> list[bool]:
    """Tell which characters are left where white space is one space between words."""
    inside = range(len(text) - len(text.lstrip()), len(text.rstrip()))
    return [
        place in inside and not (text[place].isspace() and text[place - 1].isspace())
        for place in range(len(text))
    ]
