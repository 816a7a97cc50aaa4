"""Tokens that a text can be put together from again, for models that write texts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, get_args

import numpy as np

from recurra.data.text_form import TextForm
from recurra.data.texts.bpe_dropout import DroppedMerges
from recurra.data.texts.subwords import UNKNOWN_PIECE, Subwords
from recurra.data.texts.tokeniser import check_unicode
from recurra.data.texts.words import word_expression
from recurra.errors import ConfigError

__all__ = ["LosslessKind", "LosslessTokens"]

LosslessKind = Literal["subwords", "words", "characters", "spaces"]

_SPACE = "\u2581"
"""Before a token that comes after a space: sentencepiece's mark."""
_ESCAPE = "\u2582"
"""Before a mark, or this character, that the text itself has."""
_WRITTEN = re.compile(f"{_ESCAPE}(.)|{_SPACE}")
_SUBWORDS = 8000
"""Sub-words where no limit is given."""


@dataclass(frozen=True)
class LosslessTokens:
    """Splits texts into tokens, and joins tokens to texts; its fields are JSON values.

    `join(split(text))` is `normal(text)`: the text in its Unicode form, in lower case with `lower`,
    with one space between words and none at the ends.

    kind: "words" are as `split_words` has them, but for these: an entity such as &apos; is one, and
    so is an invisible character. A word that comes after a space, and the first, begins with "▁".
    "subwords" are pieces of them, where scripts without spaces make one word of what stands side by
    side. "spaces" are what is between spaces, "characters" Unicode code points, " " among them.

    model: the sub-words as JSON text, None for others. ConfigError for another kind or form.

    >>> tokens = LosslessTokens("words")
    >>> tokens.split("Hello, world"), tokens.split("hello , world")
    (['▁Hello', ',', '▁world'], ['▁hello', '▁,', '▁world'])
    >>> tokens.join(["▁Hello", ",", "▁world"])
    'Hello, world'
    """

    kind: LosslessKind
    lower: bool = False
    form: Literal["NFC", "NFKC", "none"] = "NFC"
    model: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(LosslessKind) or (self.kind == "subwords") != bool(self.model):
            raise ConfigError(
                f"tokens = {self.kind!r} with{'' if self.model else 'out'} a model of sub-words; "
                f"it is one of {', '.join(get_args(LosslessKind))}, and sub-words alone have a "
                "model."
            )
        _ = self._form

    @classmethod
    def of(
        cls,
        kind: LosslessKind,
        texts: Iterable[str],
        *,
        size: int = 0,
        lower: bool = False,
        form: Literal["NFC", "NFKC", "none"] = "NFC",
        min_count: int = 1,
    ) -> "LosslessTokens":
        """The tokens of a kind; sub-words are learnt from the texts.

        size: at most so many sub-words, 0 for 8,000. min_count: the least count of a pair that
        becomes a sub-word.
        """
        if kind != "subwords":
            return cls(kind, lower, form)
        how = cls("words", lower, form)
        lines = ("\n".join(_words(how.normal(text), runs=True)) for text in texts)
        model = Subwords.train(lines, size or _SUBWORDS, min_count=min_count, lines=True)
        return cls(kind, lower, form, model.to_json())

    def normal(self, text: str) -> str:
        """The text as `join` gives it back."""
        return self._form.apply(text)

    def split(
        self, text: str, *, dropout: float = 0.0, generator: np.random.Generator | None = None
    ) -> list[str]:
        """The tokens of a text; DataError for lone surrogates.

        dropout: the chance that a merge of sub-words is left out, drawn by `generator` (see
        `DroppedMerges`); other kinds stay whole.
        """
        check_unicode(text)
        text = self.normal(text)
        if self.kind == "spaces":
            return text.split()
        if self.kind == "characters":
            return list(text)
        words = _words(text, runs=self.kind == "subwords")
        if self._subwords is None or self._merges is None:
            return words
        if not dropout:
            return self._subwords.written("\n".join(words))
        if generator is None:
            raise ConfigError("dropout of merges needs a generator; give np.random.default_rng(0).")
        return [p for word in words for p in self._merges.split(word, dropout, generator)]

    def join(self, tokens: Sequence[str]) -> str:
        """The text of tokens, those that a model has made up included."""
        if self.kind == "spaces":
            return " ".join(tokens)
        text = "".join(tokens)
        if self.kind != "characters":
            text = _WRITTEN.sub(lambda found: found[1] or " ", text)
        return " ".join(text.split())

    @property
    def unknown(self) -> str:
        """The token to write for one that the vocabulary lacks: a word, or a character."""
        if self.kind == "characters":
            return "\N{REPLACEMENT CHARACTER}"
        return f"{_SPACE}{UNKNOWN_PIECE}" if self.kind == "words" else UNKNOWN_PIECE

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """All sub-words, those included that only dropout shows; none of other kinds."""
        return () if self._subwords is None else self._subwords.pieces

    @cached_property
    def _form(self) -> TextForm:
        return TextForm("lower" if self.lower else "keep", self.form)

    @cached_property
    def _subwords(self) -> Subwords | None:
        return None if self.model is None else Subwords(self.model)

    @cached_property
    def _merges(self) -> DroppedMerges | None:
        return None if self.model is None else DroppedMerges(self.model)


def _words(text: str, *, runs: bool) -> list[str]:
    """The words of a text whose spaces are single, with their marks."""
    written = text.replace(_ESCAPE, _ESCAPE * 2).replace(_SPACE, _ESCAPE + _SPACE)
    words, space = [], _SPACE
    for found in _expression(runs).finditer(written):
        if found[0] == " ":
            space = _SPACE
            continue
        words.append(space + found[0])
        space = ""
    return words


@cache
def _expression(runs: bool) -> re.Pattern[str]:
    escaped, entity = f"{_ESCAPE}.", r"&(?:#\d+|#x[0-9a-f]+|[A-Za-z]+);"
    return re.compile(f"{escaped}|{entity}|{word_expression(runs=runs).pattern}|.", re.DOTALL)
