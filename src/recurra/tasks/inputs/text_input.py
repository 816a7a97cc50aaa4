"""Texts, as words, sub-words or characters."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from recurra.config.input_config import InputConfig
from recurra.data.feature_masks import FeatureMasks
from recurra.data.texts.subwords import UNKNOWN_PIECE
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.data.texts.token_vocabulary import UNKNOWN, Ids, Spelling, TokenVocabulary
from recurra.data.texts.tokeniser import Tokeniser, TokenKind, lower_case
from recurra.data.texts.words import Token, split_words
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.reports import Media
from recurra.tasks.inputs.input import Generator, Input

__all__ = ["TextContent", "TextDistortion", "TextInput", "TokenStream"]

Numbers = np.ndarray[Any, np.dtype[Any]]
"""int64 (T, 1 + C), where the features of other kinds are float32."""

_FEW = 2
"""Words a text on average, at most, where characters are read."""

_SPELLINGS = 100_000
"""Words whose spelling is kept in memory as numbers: 18 MB."""


@dataclasses.dataclass(frozen=True, eq=False)
class TextContent:
    """A text, the numbers of its tokens (T,), and their places in it (T, 2).

    labels: by layer, one for each token; empty where the text has none or one as a whole.
    """

    text: str
    ids: Ids
    places: Ids
    labels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, of the text as if all were in one byte each."""
        return self.ids.nbytes + self.places.nbytes + len(self.text)

    def words(self) -> list[str]:
        """Its tokens as they are written in the text."""
        return [self.text[start:stop] for start, stop in self.places.tolist()]


@dataclasses.dataclass(frozen=True)
class TextDistortion:
    """Chances of a token in training, drawn anew in each epoch.

    unknown: a token that training has seen n times is read as the unknown one with probability
        unknown / (unknown + n), after Kiperwasser and Goldberg 2016; its characters stay.
    drop: it is left out, with its label. At least one token of a text stays.

    ConfigError for numbers that are no such chances.
    """

    unknown: float = 0.25
    drop: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.unknown < float("inf") or not 0 <= self.drop <= 0.5:
            raise ConfigError(
                f"unknown = {self.unknown:g} and drop = {self.drop:g} of texts; unknown is 0 or "
                "more, and drop from 0 to 0.5."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextInput(Input):
    """Texts as numbers of tokens, and for words of their characters; `spelling` is None else.

    `raw` has a row for each token: its number, then the C numbers of its characters. They aren't
    standardised, and masks of features leave them as they are.
    """

    kind: ClassVar[str] = "text"
    unit: ClassVar[str] = "tokens"
    streams: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, type]] = {
        "tokeniser": Tokeniser,
        "vocabulary": TokenVocabulary,
        "spelling": Spelling,
        "distortion": TextDistortion,
    }

    tokeniser: Tokeniser
    vocabulary: TokenVocabulary
    distortion: TextDistortion
    spelling: Spelling | None = None

    @classmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """With the tokens of the items, as the configuration wants them; ConfigError if none."""
        how: Any = config  # a task of texts has settings that others lack
        given = _given(items)
        texts = [each for each in given if isinstance(each, str)]
        kind = _suitable(texts) if how.tokens == "auto" else how.tokens
        tokeniser = Tokeniser.of(
            kind, texts, lower=how.lower, size=how.vocabulary, min_count=how.min_count
        )
        split = [tokeniser.read(each) for each in given]
        spelling = None
        if kind in ("words", "spaced"):
            words = {text[word.start : word.stop] for text, tokens in split for word in tokens}
            spelling = Spelling.of(words, min_count=how.min_count)
        return cls(
            tokeniser=tokeniser,
            vocabulary=TokenVocabulary.of(
                _known(tokens for _, tokens in split), min_count=how.min_count, size=how.vocabulary
            ),
            spelling=spelling,
            distortion=_distortion(config, kind, tagged=len(texts) < len(given)),
            masks=FeatureMasks.none(),
        )

    def begun(self, config: InputConfig, items: Sequence[Item]) -> Self:
        """The same with new tokens at the vocabulary's end, and the items' own counts.

        A vocabulary of sub-words stays as it is: their splitting was learnt with it.
        """
        how: Any = config
        given = _given(items)
        split = [self.tokeniser.read(each)[1] for each in given]
        least = sys.maxsize if self.tokeniser.model else how.min_count
        vocabulary = self.vocabulary.extended(_known(split), min_count=least, size=how.vocabulary)
        tagged = any(isinstance(each, TaggedTokens) for each in given)
        distortion = _distortion(config, self.tokeniser.kind, tagged=tagged)
        return dataclasses.replace(self, vocabulary=vocabulary, distortion=distortion)

    @property
    def size(self) -> int:
        """Numbers of a token: its own, and those of its characters."""
        return 1 if self.spelling is None else 1 + self.spelling.width

    def open(self, item: Item) -> TextContent:
        """The tokens of the text."""
        if not isinstance(item.data, (str, TaggedTokens)):
            raise DataError(
                f"{item.origin or item.name}: is of type {type(item.data).__name__}; give a str."
            )
        try:
            text, found = self.tokeniser.read(item.data)
        except DataError as error:
            raise DataError(f"{item.origin or item.name}: {error}") from error
        if not found:
            raise DataError(
                f"{item.origin or item.name}: has no {self.tokeniser.kind} ({text[:20]!r}); "
                "leave out texts of white space and invisible characters."
            )
        places = np.array([(token.start, token.stop) for token in found], dtype=np.int64)
        labels = item.data.tags if isinstance(item.data, TaggedTokens) else {}
        ids = self.vocabulary.encode(token.text for token in found)
        return TextContent(text, ids, places, labels)

    def raw(self, content: TextContent) -> Numbers:
        """The numbers (T, 1 + C) of the tokens and their characters."""
        ids = content.ids[:, None]
        if self.spelling is None:
            return ids.copy()
        return np.concatenate([ids, self._spelt(content.words())], axis=1)

    def distorted(self, content: TextContent, generator: Generator) -> TextContent:
        """The text with some tokens unknown, rare ones more often, and some left out."""
        how, seen = self.distortion, self.vocabulary.seen[content.ids]
        draws = generator.random((2, len(content)))
        ids = np.where(draws[0] * (how.unknown + seen) < how.unknown, UNKNOWN, content.ids)
        kept = draws[1] >= how.drop
        kept[int(draws[1].argmax())] = True
        labels = {
            layer: tuple(itertools.compress(each, kept)) for layer, each in content.labels.items()
        }
        return TextContent(content.text, ids[kept], content.places[kept], labels)

    def media(self, content: TextContent, weights: Sequence[float] | None = None) -> Media:
        """The text, with a weight from 0 to 1 for each token where they are given."""
        if weights is None:
            return Media.of_text(content.text)
        return Media.of_text(
            content.text,
            [
                (start, stop, float(weight))
                for (start, stop), weight in zip(content.places.tolist(), weights, strict=True)
            ],
        )

    def fitted(self, contents: Iterable[Any]) -> Self:
        """The same: numbers of tokens have no statistics."""
        return self

    def stream(self, state: Mapping[str, Any] | None = None) -> TokenStream:
        """Rows of words as they come; ConfigError for other tokens, whose text must be whole."""
        if self.tokeniser.kind != "words":
            raise ConfigError(
                f"The model reads {self.tokeniser.kind} of whole texts (tokens = "
                f"{self.tokeniser.kind!r}), so it can't be streamed; train one with tokens = "
                "'words'."
            )
        return TokenStream(self)

    def _spelt(self, words: Sequence[str]) -> Ids:
        assert self.spelling is not None
        known = self._spellings
        for word in words:
            if word not in known:
                if len(known) >= _SPELLINGS:
                    known.clear()
                known[word] = self.spelling.encode(word)
        return np.stack([known[word] for word in words])

    @cached_property
    def _spellings(self) -> dict[str, Ids]:
        return {}


class TokenStream:
    """Rows of tokens as they come: a list of words at a time, each with all that it is read by."""

    def __init__(self, how: TextInput) -> None:
        self._how = how

    def feed(self, tokens: Sequence[str]) -> Numbers:
        """The rows (n, 1 + C) of n tokens; DataError where they are none."""
        if isinstance(tokens, str):
            raise DataError(f"a stream of texts takes a list of words, and {tokens!r} is a str.")
        if not len(tokens):
            return self.finish()
        item = Item("these tokens", "text", None, data=TaggedTokens(tuple(tokens)))
        return self._how.raw(self._how.open(item))

    def finish(self) -> Numbers:
        """No more rows: no token waits for another."""
        return np.zeros((0, self._how.size), np.int64)

    def state(self) -> dict[str, Any]:
        """Nothing: a row depends on its token alone."""
        return {}


def _given(items: Sequence[Item]) -> list[str | TaggedTokens]:
    return [item.data for item in items if isinstance(item.data, (str, TaggedTokens))]


def _suitable(texts: Sequence[str]) -> TokenKind:
    """Characters of texts that are a word or two each, most of which come once; else words."""
    words = [word.text for text in texts for word in split_words(lower_case(text))]
    counts = Counter(words)
    rare = sum(count == 1 for count in counts.values())
    few = len(words) <= _FEW * len(texts)
    return "characters" if words and few and 2 * rare >= len(counts) else "words"


def _known(split: Iterable[Iterable[Token]]) -> Iterator[list[str]]:
    """The tokens of each text that may be in a vocabulary."""
    for tokens in split:
        yield [token.text for token in tokens if token.text != UNKNOWN_PIECE]


_UNKNOWN_TAGGED = 1.0
"""As `TextDistortion.unknown` where tokens have tags: of EWT's development part 94.86 % of the tags
are right, with 0.25 it is 94.75 % (the settings of `benchmarks/tag/ud_ewt.toml`, three minutes of
one core).
"""


def _distortion(config: InputConfig, kind: TokenKind, *, tagged: bool) -> TextDistortion:
    """The usual distortion, each kind as strong as the configuration has it.

    Characters aren't left out: a letter less is another word. `tagged`: each token has a tag, which
    is of its neighbours, too, so that none is left out.
    """
    if tagged:
        return TextDistortion(_UNKNOWN_TAGGED * config.jitter, 0.0)
    usual = TextDistortion(drop=0.0) if kind == "characters" else TextDistortion()
    return TextDistortion(usual.unknown * config.jitter, min(0.5, usual.drop * config.masks))
