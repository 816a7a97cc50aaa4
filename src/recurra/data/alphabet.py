"""The characters that a transcriber writes, and their tokens."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from recurra.data.text_form import TextForm
from recurra.errors import ConfigError, DataError

__all__ = ["Alphabet"]

_SHOWN = 10


class Alphabet:
    """Characters as tokens 1 to K - 1, in the order given; token 0 is CTC's blank.

    A character is one Unicode code point, not a grapheme cluster: after NFC most letters with
    accents are one code point, and one that isn't is written as a letter and its marks. `len` is K.
    ConfigError where there is no character, one comes twice, or one is not a single code point.

    >>> alphabet = Alphabet(" abc")
    >>> alphabet.encode("a cab").tolist(), alphabet.decode([4, 2, 3]), len(alphabet)
    ([2, 1, 4, 2, 3], 'cab', 5)
    """

    blank: int = 0

    def __init__(self, characters: str | Sequence[str]) -> None:
        self.characters: tuple[str, ...] = tuple(characters)
        _check_characters(self.characters)
        self._tokens = {each: token for token, each in enumerate(self.characters, start=1)}

    @classmethod
    def of(cls, texts: Iterable[str], *, min_count: int = 1) -> "Alphabet":
        """The characters that come `min_count` times or more in the texts, by code point.

        Texts are counted as they stand: bring them to their form before. DataError where none is.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        kept = sorted(each for each, count in counts.items() if count >= min_count)
        if not kept:
            raise DataError(
                f"The texts have no character that comes {min_count:,} times or more: there is "
                "nothing to write; give transcripts that aren't empty."
            )
        return cls(kept)

    @classmethod
    def given(cls, characters: str, form: TextForm) -> "Alphabet":
        """The alphabet that a user wrote down, in Unicode's form of the texts.

        ConfigError where it has a character that no text in that form has: A where case is lower.
        """
        alphabet = cls(form.normal(characters))
        foreign = [c for c in alphabet.characters if form.apply(f"1{c}1") != f"1{c}1"]
        if foreign:
            raise ConfigError(
                f"alphabet has {_listed(foreign)}, which the form of the texts changes (case = "
                f"{form.case}, form = {form.form}, punctuation = {form.punctuation}); leave such "
                "characters out, or change the form."
            )
        return alphabet

    def __len__(self) -> int:
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Alphabet({''.join(self.characters)!r})"

    def encode(self, text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Tokens (N,) of the text; DataError names the characters that the alphabet lacks."""
        try:
            return np.array([self._tokens[each] for each in text], dtype=np.int64)
        except KeyError:
            missing = self.unknown_in(text)
            raise DataError(
                f"The text {_cut(text)!r} has characters outside the alphabet: "
                f"{_listed(list(missing))}; add them to the alphabet, or replace them."
            ) from None

    def known(self, text: str) -> str:
        """The text without the characters that the alphabet lacks."""
        return "".join(each for each in text if each in self._tokens)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens from 1 to K - 1; DataError for any other, the blank included."""
        text = []
        for token in tokens:
            if not 0 < token < len(self):
                raise DataError(
                    f"Token {int(token)} stands for no character; this alphabet has tokens 1 to "
                    f"{len(self) - 1} (0 is the blank: collapse the path first)."
                )
            text.append(self.characters[token - 1])
        return "".join(text)

    def unknown_in(self, texts: str | Iterable[str]) -> Counter[str]:
        """The characters of a text, or of several, that the alphabet lacks, most frequent first."""
        found: Counter[str] = Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            found.update(each for each in text if each not in self._tokens)
        return Counter(dict(found.most_common()))


def _check_characters(characters: Sequence[str]) -> None:
    if not characters:
        raise ConfigError("alphabet is empty; give the characters to be written, such as 'abc '.")
    long = [each for each in characters if len(each) != 1]
    if long:
        raise ConfigError(
            f"alphabet has {_listed(long)}: each entry is one character (one Unicode code point)."
        )
    twice = [each for each, count in Counter(characters).items() if count > 1]
    if twice:
        raise ConfigError(f"alphabet has {_listed(twice)} more than once; give each once.")


def _listed(characters: Sequence[str]) -> str:
    shown = ", ".join(map(_named, characters[:_SHOWN]))
    more = len(characters) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _named(text: str) -> str:
    """A character as it is and by its number, which tells look-alikes apart."""
    return f"{text!r} (U+{ord(text):04X})" if len(text) == 1 else repr(text)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
