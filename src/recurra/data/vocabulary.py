"""Vocabularies: text to token numbers and back, by character, by byte or by word."""

import codecs
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ConfigError, DataError

__all__ = [
    "LEVELS",
    "Bytes",
    "Characters",
    "Decoder",
    "Vocabulary",
    "Words",
    "build_vocabulary",
    "vocabulary_from",
]

EOS, UNK = "<eos>", "<unk>"


class Decoder(Protocol):
    """Turns a stream of tokens into text, piece by piece; a piece may be empty."""

    def feed(self, token: int) -> str: ...

    def flush(self) -> str: ...


class Vocabulary(Protocol):
    """The interface that the three levels share."""

    @property
    def level(self) -> str: ...

    @property
    def start(self) -> int:
        """The token before the first one where there is no prompt."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> Tensor:
        """Token numbers (N,), int64; DataError for text that is not in the vocabulary."""

    def prompt(self, text: str) -> Tensor:
        """As `encode`, for a text to be continued: never empty, and an open line stays open."""

    def decoder(self) -> Decoder: ...

    def characters(self, text: str) -> int:
        """The number of characters that the tokens of `text` decode to."""

    def tokens(self) -> list[str]:
        """The tokens from which, with the level, `vocabulary_from` builds the vocabulary again."""


class Characters:
    """A vocabulary of characters, numbered as they are given.

    >>> Characters("aeh").encode("hea").tolist()
    [2, 1, 0]
    """

    level = "char"

    def __init__(self, characters: Iterable[str]) -> None:
        self._characters = list(dict.fromkeys(characters))
        codes = _codes("".join(self._characters))
        self._table = np.full(int(codes.max(initial=0)) + 2, -1, dtype=np.int64)
        self._table[codes] = np.arange(len(codes))

    @property
    def start(self) -> int:
        return self._characters.index("\n") if "\n" in self._characters else 0

    def __len__(self) -> int:
        return len(self._characters)

    def encode(self, text: str) -> Tensor:
        codes = _codes(text)
        # Beyond the table's last code everything is unknown: its last entry is always -1.
        ids = self._table[np.minimum(codes, len(self._table) - 1)]
        if (ids < 0).any():
            unknown = [chr(code) for code in dict.fromkeys(codes[ids < 0].tolist())]
            raise DataError(
                f"The text has {_some(unknown)}, which are not in the vocabulary; leave them out, "
                "or train with level byte, which encodes every text."
            )
        return torch.from_numpy(ids)

    def prompt(self, text: str) -> Tensor:
        return self.encode(text) if text else torch.tensor([self.start])

    def decoder(self) -> Decoder:
        return _Table(self._characters)

    def characters(self, text: str) -> int:
        return len(text)

    def tokens(self) -> list[str]:
        return self._characters


class Bytes:
    """The 256 bytes of UTF-8 as tokens: every text can be encoded."""

    level = "byte"
    start: int = ord("\n")

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> Tensor:
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            bad = text[error.start]
            raise DataError(f"The text has {bad!r}, which is not valid Unicode.") from error
        return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).astype(np.int64))

    def prompt(self, text: str) -> Tensor:
        return self.encode(text) if text else torch.tensor([self.start])

    def decoder(self) -> Decoder:
        return _Utf8()

    def characters(self, text: str) -> int:
        return len(text)

    def tokens(self) -> list[str]:
        return []


class Words:
    """A vocabulary of words between white space; `<eos>` ends a line, `<unk>` is any other word.

    >>> Words(["<unk>", "<eos>", "no"]).encode("no way\\n").tolist()
    [2, 0, 1]
    """

    level = "word"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._ids = {word: index for index, word in enumerate(self._words)}
        self._unknown = self._ids[UNK]
        self.start: int = self._ids[EOS]

    def __len__(self) -> int:
        return len(self._words)

    def encode(self, text: str) -> Tensor:
        ids, unknown = self._ids, self._unknown
        return torch.tensor([ids.get(word, unknown) for word in _words(text)], dtype=torch.long)

    def prompt(self, text: str) -> Tensor:
        tokens = self.encode(text) if text.endswith("\n") else self.encode(text)[:-1]
        return tokens if len(tokens) else torch.tensor([self.start])

    def decoder(self) -> Decoder:
        return _Spaced(self._words)

    def characters(self, text: str) -> int:
        """The length with one space between words and one end for each line."""
        return sum(len(" ".join(line.split())) + 1 for line in _lines(text))

    def tokens(self) -> list[str]:
        return self._words


LEVELS = ("char", "byte", "word")


def build_vocabulary(
    level: str, text: str, *, min_count: int = 1, max_words: int = 0
) -> Vocabulary:
    """The vocabulary of a text; the two limits are for words (`max_words=0`: no limit).

    A word seen less than `min_count` times, or not among the `max_words` most frequent (`<unk>` and
    `<eos>` counted), is `<unk>`.
    """
    if level == "word":
        return _build_words(text, min_count, max_words)
    return vocabulary_from(level, sorted(set(text)) if level == "char" else [])


def vocabulary_from(level: str, tokens: Sequence[str]) -> Vocabulary:
    """The vocabulary that gave `level` and `tokens()`."""
    if level == "char":
        return Characters(tokens)
    if level == "byte":
        return Bytes()
    if level == "word":
        return Words(tokens)
    raise ConfigError(f"level = {level!r}; the levels are {', '.join(LEVELS)}.")


def _build_words(text: str, min_count: int, max_words: int) -> Words:
    counts = Counter(_words(text))
    for special in (UNK, EOS):
        counts.pop(special, None)
    frequent = [word for word, count in counts.most_common() if count >= min_count]
    return Words([UNK, EOS, *(frequent[: max(max_words - 2, 0)] if max_words else frequent)])


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _words(text: str) -> Iterable[str]:
    for line in _lines(text):
        yield from line.split()
        yield EOS


def _codes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _some(characters: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(character) for character in characters[:most])
    more = f" and {len(characters) - most} more" if len(characters) > most else ""
    return f"the character{'s' if len(characters) > 1 else ''} {shown}{more}"


class _Table:
    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces

    def feed(self, token: int) -> str:
        return self._pieces[token]

    def flush(self) -> str:
        return ""


class _Utf8:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        return self._decoder.decode(bytes([token]))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class _Spaced:
    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._space = ""

    def feed(self, token: int) -> str:
        word = self._words[token]
        if word == EOS:
            self._space = ""
            return "\n"
        piece, self._space = self._space + word, " "
        return piece

    def flush(self) -> str:
        return ""
