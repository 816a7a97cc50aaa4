"""Sub-words by byte-pair encoding. Imports tokenizers, lazily."""

import importlib
import importlib.util
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from recurra.data.texts.words import Token
from recurra.errors import ConfigError, DataError, MissingExtra

__all__ = ["UNKNOWN_PIECE", "Subwords"]

UNKNOWN_PIECE = "<unk>"
"""Stands for a character that training has not seen."""
_SPACE = "\u2581"
"""Begins a sub-word that begins a word: sentencepiece's mark, a block that no keyboard has."""
_LEAST = 16


def _tokenizers() -> Any:
    if importlib.util.find_spec("tokenizers") is None:
        raise MissingExtra("tokenizers", "text", "Sub-words")
    return importlib.import_module("tokenizers")


class Subwords:
    """Merges of characters, learnt by byte-pair encoding (Sennrich et al. 2016).

    Each punctuation mark is a word, and a word's first sub-word begins with "▁". A character that
    training has not seen is "<unk>". `model` is the text of `to_json`. Raises MissingExtra where
    tokenizers is not installed, DataError for another text.

    >>> pieces = Subwords.train(["low lower lowest", "new newer newest"] * 9, 24)
    >>> [piece.text for piece in pieces.split("lower newsy")]
    ['▁lower', '▁new', 's', '<unk>']
    """

    def __init__(self, model: str) -> None:
        try:
            self._model: Any = _tokenizers().Tokenizer.from_str(model)
        except MissingExtra:
            raise
        except Exception as error:  # tokenizers raises no narrower one
            raise DataError(
                f"The sub-words can't be read ({error}); they were saved by another version of "
                "tokenizers, or are damaged: train again."
            ) from error

    @classmethod
    def train(
        cls, texts: Iterable[str], size: int, *, min_count: int = 1, lines: bool = False
    ) -> "Subwords":
        """At most `size` sub-words, of pairs that come `min_count` times or more in the texts.

        All characters of the texts are among them, the most frequent ones where they are more than
        half of `size`. The same texts give the same sub-words. ConfigError for a `size` below 16.

        lines: the words are the lines of the texts, as they are: no sub-word gets a mark that the
        text doesn't have.
        """
        if size < _LEAST:
            raise ConfigError(
                f"{size} sub-words are too few; give a vocabulary of {_LEAST + 1} or more."
            )
        package, read = _tokenizers(), list(texts)
        alphabet = _alphabet(read, max(size // 2, 1))
        model = package.Tokenizer(package.models.BPE(unk_token=UNKNOWN_PIECE))
        model.pre_tokenizer = _pre_tokenizer(package, lines)
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_count,
            special_tokens=[UNKNOWN_PIECE],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        model.train_from_iterator(read, trainer)
        # Without the list of special tokens, "<unk>" in a text is five characters, not one token.
        plain = package.Tokenizer(model.model)
        plain.pre_tokenizer = _pre_tokenizer(package, lines)
        return cls(plain.to_str())

    def split(self, text: str) -> list[Token]:
        """The sub-words of a text, each with its place; that of a "▁" alone has no width."""
        found = self._model.encode(text)
        return [
            Token(piece, start, start if piece == _SPACE else stop)
            for piece, (start, stop) in zip(found.tokens, found.offsets, strict=True)
        ]

    def written(self, text: str) -> list[str]:
        """The sub-words of a text of lines, those that training has not seen as they are written.

        >>> Subwords.train(["low\\nlower\\nlowest"] * 9, 16, lines=True).written("low\\nlox")
        ['low', 'lo', 'x']
        """
        return [text[start:stop] for start, stop in self._model.encode(text).offsets]

    @property
    def pieces(self) -> tuple[str, ...]:
        """All sub-words but the unknown one, in the order that they were learnt in."""
        numbers: dict[str, int] = self._model.get_vocab()
        return tuple(sorted(numbers.keys() - {UNKNOWN_PIECE}, key=lambda piece: numbers[piece]))

    def to_json(self) -> str:
        """The model as JSON text."""
        return str(self._model.to_str())


def _alphabet(texts: Sequence[str], size: int) -> list[str]:
    """The mark, and the most frequent characters, of equal ones those of lower code points.

    Left to tokenizers, which of the equally rare ones are kept would differ from call to call.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [each for each, _ in order if not each.isspace() and each != _SPACE]
    return [_SPACE, *frequent[: size - 1]]


def _pre_tokenizer(package: Any, lines: bool) -> Any:
    rules = package.pre_tokenizers
    if lines:
        return rules.CharDelimiterSplit("\n")
    return rules.Sequence(
        [
            rules.WhitespaceSplit(),
            rules.Punctuation("isolated"),
            rules.Metaspace(_SPACE, prepend_scheme="always"),
        ]
    )
