"""Texts to tokens: words, what spaces part, sub-words or characters, in lower case or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from recurra.data.texts.subwords import Subwords
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.data.texts.words import Token, split_characters, split_spaced, split_words
from recurra.errors import ConfigError, DataError

__all__ = ["TokenKind", "Tokeniser", "check_unicode", "lower_case"]

TokenKind = Literal["words", "spaced", "subwords", "characters"]

_SPLIT: Mapping[str, Callable[[str], list[Token]]] = {
    "words": split_words,
    "spaced": split_spaced,
    "characters": split_characters,
}
_SUBWORDS = 4000
"""Sub-words where no limit is given."""


@dataclass(frozen=True)
class Tokeniser:
    """Splits texts; its fields are JSON values.

    kind: "words" are those of `split_words`, "spaced" ones stand between white space.
    model: the sub-words as JSON text, None for other kinds. ConfigError for another kind.

    >>> [word.text for word in Tokeniser("words", lower=True).split("No way.")]
    ['no', 'way', '.']
    """

    kind: TokenKind
    lower: bool = False
    model: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TokenKind) or (self.kind == "subwords") != bool(self.model):
            raise ConfigError(
                f"tokens = {self.kind!r} with{'' if self.model else 'out'} a model of sub-words; "
                f"it is one of {', '.join(get_args(TokenKind))}, and sub-words alone have a model."
            )

    @classmethod
    def of(
        cls,
        kind: TokenKind,
        texts: Sequence[str],
        *,
        lower: bool = False,
        size: int = 0,
        min_count: int = 1,
    ) -> "Tokeniser":
        """The tokeniser of a kind; sub-words are learnt from the texts.

        size: of a vocabulary of these sub-words, that of padding and the unknown token counted, 0
        for 4,000. min_count: the least count of a pair that becomes a sub-word.
        """
        if kind != "subwords":
            return cls(kind, lower)
        read = [lower_case(text) for text in texts] if lower else texts
        model = Subwords.train(read, (size or _SUBWORDS) - 1, min_count=min_count)
        return cls(kind, lower, model.to_json())

    def split(self, text: str) -> list[Token]:
        """The tokens of a text, with their places in it; DataError for lone surrogates."""
        check_unicode(text)
        text = lower_case(text) if self.lower else text
        if self._subwords is not None:
            return self._subwords.split(text)
        return _SPLIT[self.kind](text)

    def read(self, given: str | TaggedTokens) -> tuple[str, list[Token]]:
        """A text and its tokens; tokens that are given are those of a text with spaces between.

        >>> Tokeniser("words").read(TaggedTokens(("New York", "!")))[1][1]
        Token(text='!', start=9, stop=10)
        """
        if isinstance(given, str):
            return given, self.split(given)
        found, start = [], 0
        for word in given.tokens:
            own = lower_case(word) if self.lower else word
            found.append(Token(own, start, start + len(word)))
            start += len(word) + 1
        return given.text, found

    @cached_property
    def _subwords(self) -> Subwords | None:
        return None if self.model is None else Subwords(self.model)


def check_unicode(text: str) -> None:
    """DataError where a text has lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The text has {text[error.start]!r} at character {error.start + 1}, which is not "
            "valid Unicode; replace it."
        ) from error


def lower_case(text: str) -> str:
    """The text in lower case, with as many characters: İ stays, whose lower case is two.

    >>> lower_case("ΟΔΟΣ"), lower_case("İI")
    ('οδος', 'İi')
    """
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := each.lower()) == 1 else each for each in text)
