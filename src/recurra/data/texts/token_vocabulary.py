"""Tokens of texts as numbers, with how often training has seen each, and the spelling of words."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, ClassVar

import numpy as np

from recurra.data.texts.subwords import UNKNOWN_PIECE
from recurra.errors import ConfigError, DataError

__all__ = ["PADDING", "UNKNOWN", "Ids", "Spelling", "TokenVocabulary"]

Ids = np.ndarray[Any, np.dtype[np.int64]]

PADDING, UNKNOWN = 0, 1
"""The numbers that no token of a text has: after its end, and for what training has not seen."""


@dataclass(frozen=True)
class TokenVocabulary:
    """Tokens numbered from 2 on, most frequent first; 0 is padding, 1 an unknown token.

    tokens: without those two. counts: how often each came in the texts to train on. Both are JSON
    values. DataError where they differ in number, or a token comes twice.

    >>> vocabulary = TokenVocabulary.of([["to", "be", "or", "not", "to", "be"], ["to", "go"]])
    >>> vocabulary.encode(["be", "to", "come"]).tolist(), len(vocabulary)
    ([3, 2, 1], 7)
    """

    tokens: tuple[str, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "counts", tuple(map(int, self.counts)))
        if len(self.tokens) != len(self.counts) or len(self._ids) != len(self.tokens):
            raise DataError(
                f"A vocabulary has {len(self.tokens):,} tokens, {len(self._ids):,} of them "
                f"different, and {len(self.counts):,} counts; it needs one count for each token, "
                "and each token once."
            )

    @classmethod
    def of(
        cls,
        texts: Iterable[Iterable[str]],
        *,
        min_count: int = 1,
        size: int = 0,
        always: Iterable[str] = (),
    ) -> "TokenVocabulary":
        """The tokens that come `min_count` times or more in the texts, at most `size` numbers.

        The numbers of padding and of the unknown token are counted; 0: no limit. Among tokens of
        one count those of lower code points come first. ConfigError where no token is kept.

        always: tokens that are kept however rare they are, even where no text has them.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        wanted = set(always)
        counts.update(dict.fromkeys(wanted, 0))
        frequent = _frequent(counts, min_count, wanted)
        kept = frequent[: max(0, size - 2)] if size else frequent
        if not kept:
            raise ConfigError(
                f"min_count = {min_count} and vocabulary = {size} keep none of the "
                f"{len(counts):,} different tokens; the most frequent comes "
                f"{max(counts.values(), default=0):,} times, and 2 of the vocabulary are padding "
                "and the unknown token: give others, or texts that aren't empty."
            )
        return cls(tuple(token for token, _ in kept), tuple(count for _, count in kept))

    def extended(
        self, texts: Iterable[Iterable[str]], *, min_count: int = 1, size: int = 0
    ) -> "TokenVocabulary":
        """The same tokens, then new ones of the texts as in `of`, all with their counts there.

        >>> vocabulary = TokenVocabulary(("be", "to"), (9, 8))
        >>> vocabulary.extended([["to", "go", "to"]])
        TokenVocabulary(tokens=('be', 'to', 'go'), counts=(0, 2, 1))
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        new = _frequent({t: n for t, n in counts.items() if t not in self}, min_count)
        room = max(0, size - len(self)) if size else len(new)
        tokens = (*self.tokens, *(token for token, _ in new[:room]))
        return TokenVocabulary(tokens, tuple(counts[token] for token in tokens))

    def __len__(self) -> int:
        return len(self.tokens) + 2

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> Ids:
        """The numbers (T,) of tokens."""
        known = self._ids
        return np.array([known.get(token, UNKNOWN) for token in tokens], dtype=np.int64)

    def encode_copies(
        self, tokens: Iterable[str], copied: Sequence[str] | None = None
    ) -> tuple[Ids, tuple[str, ...]]:
        """The numbers (T,) of tokens, and the different tokens that the vocabulary lacks.

        The first of these has the number `len(self)`, the next one more, and so on. With `copied`,
        those of a source, they alone have such numbers, and any other is unknown.

        >>> vocabulary = TokenVocabulary.of([["to", "be"]])
        >>> numbers, copied = vocabulary.encode_copies(["to", "Kyoto", "be"])
        >>> numbers.tolist(), copied, vocabulary.decode(numbers, copied=copied)
        ([3, 4, 2], ('Kyoto',), ['to', 'Kyoto', 'be'])
        """
        read = list(tokens)
        if copied is None:
            copied = tuple(dict.fromkeys(token for token in read if token not in self._ids))
        known = {token: number for number, token in enumerate(copied, start=len(self))} | self._ids
        return np.array([known.get(t, UNKNOWN) for t in read], dtype=np.int64), tuple(copied)

    def decode(
        self, ids: Iterable[int], *, copied: Sequence[str] = (), unknown: str = UNKNOWN_PIECE
    ) -> list[str]:
        """The tokens of numbers, up to the first 0; numbers above the vocabulary are `copied`.

        >>> TokenVocabulary.of([["to", "be"]]).decode([3, 1, 2, 0, 2])
        ['to', '<unk>', 'be']
        """
        names = (unknown, *self.tokens, *copied)
        return [names[number - 1] for number in takewhile(lambda each: each != PADDING, ids)]

    @cached_property
    def seen(self) -> Ids:
        """How often each number came in training (V,): 0 for padding and the unknown token."""
        return np.array([0, 0, *self.counts], dtype=np.int64)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, start=2)}


def _frequent(
    counts: Mapping[str, int], min_count: int, always: Collection[str] = ()
) -> list[tuple[str, int]]:
    """Those that come so often, or are wanted `always`, most frequent first, those of one count by
    code points.
    """
    found = [item for item in counts.items() if item[1] >= min_count or item[0] in always]
    return sorted(found, key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True)
class Spelling:
    """Words as numbers of their characters: 0 padding, 1 unknown, 2 begin, 3 end, then `letters`.

    Of a word longer than 20 characters, the first ten and the last ten are read.

    >>> Spelling.of(["ab", "b"]).encode("abc")[:6].tolist()
    [2, 4, 5, 1, 3, 0]
    """

    letters: tuple[str, ...]

    longest: ClassVar[int] = 20
    width: ClassVar[int] = longest + 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "letters", tuple(self.letters))

    @classmethod
    def of(cls, words: Iterable[str], *, min_count: int = 1) -> "Spelling":
        """With the characters that come in `min_count` of the words or more, by code point.

        A higher count leaves rare characters unknown, so that a model learns what it does then.
        """
        counts: Counter[str] = Counter()
        for word in words:
            counts.update(set(word))
        return cls(tuple(sorted(each for each, count in counts.items() if count >= min_count)))

    def __len__(self) -> int:
        return len(self.letters) + 4

    def encode(self, word: str) -> Ids:
        """The numbers (22,) of a word, padded."""
        half = self.longest // 2
        read = word if len(word) <= self.longest else word[:half] + word[-half:]
        row = np.zeros(self.width, dtype=np.int64)
        numbers = [2, *(self._ids.get(letter, UNKNOWN) for letter in read), 3]
        row[: len(numbers)] = numbers
        return row

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {letter: number for number, letter in enumerate(self.letters, start=4)}
