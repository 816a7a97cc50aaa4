"""One side of the pairs: how its texts are divided, and the numbers of their tokens."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recurra.data.texts.lossless_tokens import LosslessKind, LosslessTokens
from recurra.data.texts.token_vocabulary import UNKNOWN, TokenVocabulary
from recurra.tasks.translate.config import TranslateConfig
from recurra.tasks.translate.pair_batches import Side

__all__ = ["TextSide", "described_side", "level_of", "sides_of"]

_CLOSED, _OFTEN = 300, 20
"""At most so many different tokens between spaces, each of them so often: a set of symbols."""
_SHORT = 64
"""Characters of a text on average that may be a name, a date or a word."""


@dataclass(frozen=True)
class TextSide:
    """Tokens of texts and their numbers, which travel with the weights as JSON."""

    tokens: LosslessTokens
    vocabulary: TokenVocabulary

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def is_prose(self) -> bool:
        """Whether it has words or sub-words, which BLEU is made for."""
        return self.tokens.kind in ("subwords", "words")

    def side(
        self, text: str, dropout: float = 0.0, generator: np.random.Generator | None = None
    ) -> Side:
        """A text's tokens and numbers; `dropout` is the chance that sub-words stay apart."""
        tokens = self.tokens.split(text, dropout=dropout, generator=generator)
        return Side(tokens, self.vocabulary.encode(tokens))

    def unknown(self, text: str) -> list[str]:
        """The tokens of a text that training has not seen."""
        side = self.side(text)
        return [t for t, n in zip(side.tokens, side.ids.tolist(), strict=True) if n == UNKNOWN]

    def unknown_note(self, what: str, texts: Iterable[str]) -> list[str]:
        """A sentence on the tokens of texts that training has not seen; none where it has all."""
        unknown = Counter(token for text in texts for token in self.unknown(text))
        if not unknown:
            return []
        shown = ", ".join(repr(token) for token, _ in unknown.most_common(5))
        more = ", …" if len(unknown) > 5 else ""
        total = unknown.total()
        those = "1 token" if total == 1 else f"{total:,} tokens"
        be = "is" if total == 1 else "are"
        return [f"{those} of the {what} ({shown}{more}) {be} unknown to the model."]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "tokens": dataclasses.asdict(self.tokens),
            "vocabulary": list(self.vocabulary.tokens),
            "counts": list(self.vocabulary.counts),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From the values of `to_json`."""
        vocabulary = TokenVocabulary(values["vocabulary"], values["counts"])
        return cls(LosslessTokens(**values["tokens"]), vocabulary)


def described_side(side: TextSide) -> str:
    """How many different tokens of what kind there are."""
    names = {"spaces": "symbols between spaces", "subwords": "sub-words"}
    kind = side.tokens.kind
    return f"{len(side.vocabulary.tokens):,} different {names.get(kind, kind)}"


def level_of(texts: Sequence[str], other: Sequence[str]) -> LosslessKind:
    """What the texts of one side are divided into, as they show beside the other side.

    Texts without spaces: characters. A closed set of symbols between spaces (phones, features,
    commands): those. Short texts beside ones without spaces (a date beside its ISO form):
    characters. Else sub-words.

    >>> level_of(["HH AH0 L OW1", "W ER1 L D"] * 50, ["hello", "world"] * 50)
    'spaces'
    """
    if _without_spaces(texts):
        return "characters"
    words = [word for text in texts for word in text.split()]
    different = len(set(words))
    if different <= _CLOSED and len(words) >= _OFTEN * different:
        return "spaces"
    mean = sum(map(len, texts)) / max(1, len(texts))
    return "characters" if mean <= _SHORT and _without_spaces(other) else "subwords"


def _without_spaces(texts: Sequence[str]) -> bool:
    spaced = sum(len(text.split()) > 1 for text in texts)
    return spaced <= 0.1 * len(texts)


def sides_of(
    config: TranslateConfig, sources: Sequence[str], targets: Sequence[str]
) -> tuple[TextSide, TextSide]:
    """Both sides, learnt from the texts to train on."""
    source = config.source_tokens if config.source_tokens != "auto" else level_of(sources, targets)
    target = config.target_tokens if config.target_tokens != "auto" else level_of(targets, sources)
    if config.share_vocabulary:
        level = target if config.source_tokens == "auto" else source
        both = _side(config, level, [*sources, *targets])
        return both, both
    return _side(config, source, sources), _side(config, target, targets)


def _side(config: TranslateConfig, level: LosslessKind, texts: Sequence[str]) -> TextSide:
    size = config.vocabulary or _suitable(texts)
    tokens = LosslessTokens.of(level, texts, size=size, lower=config.lower)
    limit = config.vocabulary if level != "subwords" else 0
    split = [tokens.split(text) for text in texts]
    always = tokens.pieces if config.subword_dropout else ()
    vocabulary = TokenVocabulary.of(split, min_count=config.min_count, size=limit, always=always)
    return TextSide(tokens, vocabulary)


def _suitable(texts: Sequence[str]) -> int:
    """Sub-words for so many words: as few as keep words of a small corpus from being rare."""
    words = sum(len(text.split()) for text in texts)
    return min(16_000, max(200, round(words / 50)))
