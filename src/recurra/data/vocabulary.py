"""Vocabularies: text to token numbers and back, by character, by byte or by word."""

import codecs
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.data.texts.tokeniser import Tokeniser, lower_case
from recurra.errors import ConfigError, DataError

__all__ = [
    "LEVELS",
    "Bytes",
    "Characters",
    "Decoder",
    "Vocabulary",
    "Words",
    "build_vocabulary",
    "unknown_note",
    "vocabulary_from",
]

EOS, UNK = "<eos>", "<unk>"
UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""The character that stands for every one that training has not seen, as Unicode has it."""


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

    @property
    def unknown(self) -> int | None:
        """The token of all that training has not seen; None where every text can be encoded."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> Tensor:
        """Token numbers (N,), int64."""

    def unknown_in(self, text: str) -> Counter[str]:
        """The characters or words that are encoded as `unknown`, with their numbers."""

    def token(self, text: str) -> int:
        """The number of a token given as text; ConfigError where it is not one."""

    def prompt(self, text: str) -> Tensor:
        """As `encode`, for a text to be continued: never empty, and an open line stays open."""

    def decoder(self) -> Decoder: ...

    def characters(self, text: str) -> int:
        """The number of characters that the tokens of `text` decode to."""

    def tokens(self) -> list[str]:
        """The tokens from which, with the level, `vocabulary_from` builds the vocabulary again."""


class Characters:
    """A vocabulary of characters, numbered as they are given; one of them is `�`, the unknown one.

    A `tokeniser` says whether texts are read in lower case.

    >>> Characters("�aeh").encode("heat").tolist()
    [3, 2, 1, 0]
    """

    level = "char"

    def __init__(self, characters: Iterable[str], tokeniser: Tokeniser | None = None) -> None:
        self._lower = tokeniser is not None and tokeniser.lower
        self._characters = list(dict.fromkeys(characters))
        self.unknown: int = self._characters.index(UNKNOWN_CHARACTER)
        codes = _codes("".join(self._characters))
        self._table = np.full(int(codes.max(initial=0)) + 2, self.unknown, dtype=np.int64)
        self._table[codes] = np.arange(len(codes))

    @property
    def start(self) -> int:
        if "\n" in self._characters:
            return self._characters.index("\n")
        return int(self.unknown == 0 and len(self) > 1)

    def __len__(self) -> int:
        return len(self._characters)

    def encode(self, text: str) -> Tensor:
        # Beyond the table's last code everything is unknown, as its last entry is.
        codes = _codes(self._read(text))
        return torch.from_numpy(self._table[np.minimum(codes, len(self._table) - 1)])

    def _read(self, text: str) -> str:
        return lower_case(text) if self._lower else text

    def unknown_in(self, text: str) -> Counter[str]:
        known = set(self._characters)
        found = Counter(self._read(text))
        return Counter({each: n for each, n in found.items() if each not in known})

    def token(self, text: str) -> int:
        if text not in self._characters:
            raise _no_token(text, self.level, self._characters)
        return self._characters.index(text)

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
    unknown: None = None

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> Tensor:
        """Bytes of the text; a byte that is not UTF-8 is a lone surrogate in it, as files give."""
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            bad = text[error.start]
            raise DataError(f"The text has {bad!r}, which is not valid Unicode.") from error
        return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).astype(np.int64))

    def unknown_in(self, text: str) -> Counter[str]:
        return Counter()

    def token(self, text: str) -> int:
        if len(tokens := self.encode(text)) != 1:
            raise _no_token(text, self.level, [])
        return int(tokens)

    def prompt(self, text: str) -> Tensor:
        return self.encode(text) if text else torch.tensor([self.start])

    def decoder(self) -> Decoder:
        return _Utf8()

    def characters(self, text: str) -> int:
        return len(text)

    def tokens(self) -> list[str]:
        return []


class Words:
    """A vocabulary of words; `<eos>` ends a line, `<unk>` is any other word.

    Words stand between white space, or are those of a `tokeniser`.

    >>> Words(["<unk>", "<eos>", "no"]).encode("no way\\n").tolist()
    [2, 0, 1]
    """

    level = "word"

    def __init__(self, words: Sequence[str], tokeniser: Tokeniser | None = None) -> None:
        self._split = _splitting(tokeniser)
        self._words = list(words)
        self._ids = {word: index for index, word in enumerate(self._words)}
        self.unknown: int = self._ids[UNK]
        self.start: int = self._ids[EOS]

    def __len__(self) -> int:
        return len(self._words)

    def encode(self, text: str) -> Tensor:
        ids, unknown = self._ids, self.unknown
        words = _words(text, self._split)
        return torch.tensor([ids.get(word, unknown) for word in words], dtype=torch.long)

    def unknown_in(self, text: str) -> Counter[str]:
        return Counter(word for word in _words(text, self._split) if word not in self._ids)

    def token(self, text: str) -> int:
        if text not in self._ids:
            raise _no_token(text, self.level, self._words)
        return self._ids[text]

    def prompt(self, text: str) -> Tensor:
        tokens = self.encode(text) if text.endswith("\n") else self.encode(text)[:-1]
        return tokens if len(tokens) else torch.tensor([self.start])

    def decoder(self) -> Decoder:
        return _Spaced(self._words)

    def characters(self, text: str) -> int:
        """The length with one space between words and one end for each line."""
        return sum(len(" ".join(self._split(line))) + 1 for line in _lines(text))

    def tokens(self) -> list[str]:
        return self._words


LEVELS = ("char", "byte", "word")


def build_vocabulary(
    level: str,
    text: str,
    *,
    min_count: int = 1,
    max_words: int = 0,
    tokeniser: Tokeniser | None = None,
) -> Vocabulary:
    """The vocabulary of a text; the two limits are for words (`max_words=0`: no limit).

    A `tokeniser` divides lines into words, or puts characters into lower case.

    A word seen less than `min_count` times, or not among the `max_words` most frequent (`<unk>` and
    `<eos>` counted), is `<unk>`. ConfigError where no word is kept.
    """
    if level == "word":
        return _build_words(text, min_count, max_words, tokeniser)
    read = lower_case(text) if tokeniser is not None and tokeniser.lower else text
    characters = sorted(set(read) - {UNKNOWN_CHARACTER})
    tokens = [UNKNOWN_CHARACTER, *characters] if level == "char" else []
    return vocabulary_from(level, tokens, tokeniser)


def vocabulary_from(
    level: str, tokens: Sequence[str], tokeniser: Tokeniser | None = None
) -> Vocabulary:
    """The vocabulary that gave `level` and `tokens()`."""
    if level == "char":
        return Characters(tokens, tokeniser)
    if level == "byte":
        return Bytes()
    if level == "word":
        return Words(tokens, tokeniser)
    raise ConfigError(f"level = {level!r}; the levels are {', '.join(LEVELS)}.")


def _build_words(text: str, min_count: int, max_words: int, tokeniser: Tokeniser | None) -> Words:
    counts = Counter(_words(text, _splitting(tokeniser)))
    for special in (UNK, EOS):
        counts.pop(special, None)
    frequent = [word for word, count in counts.most_common() if count >= min_count]
    kept = frequent[: max(max_words - 2, 0)] if max_words else frequent
    if counts and not kept:
        most = max(counts.values())
        raise ConfigError(
            f"min_count = {min_count} and max_words = {max_words} keep no word; the most frequent "
            f"comes {most:,} times, and 2 of max_words are <unk> and <eos>: give others."
        )
    return Words([UNK, EOS, *kept], tokeniser)


def _splitting(tokeniser: Tokeniser | None) -> Callable[[str], list[str]]:
    """Divides a line into words."""
    if tokeniser is None:
        return str.split
    return lambda line: [token.text for token in tokeniser.split(line)]


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _words(text: str, split: Callable[[str], list[str]]) -> Iterable[str]:
    for line in _lines(text):
        yield from split(line)
        yield EOS


def _codes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def unknown_note(vocabulary: Vocabulary, text: str, what: str) -> str | None:
    """A sentence about the part of a text that the vocabulary lacks; None where it lacks none.

    >>> unknown_note(Characters("�ab"), "a cab", "The prompt")
    "The prompt has 2 characters that the vocabulary lacks (' ', 'c'): 2 of its 5 tokens are read \
as unknown."
    """
    found = vocabulary.unknown_in(text)
    if not found:
        return None
    unit = ("word" if vocabulary.level == "word" else "character") + "s" * (len(found) > 1)
    shown = ", ".join(repr(each) for each, _ in found.most_common(_SHOWN))
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    count, tokens = found.total(), len(vocabulary.prompt(text))
    return (
        f"{what} has {len(found):,} {unit} that the vocabulary lacks "
        f"({shown}{more}): {count:,} of its {tokens:,} tokens "
        f"{'are' if count > 1 else 'is'} read as unknown."
    )


_SHOWN = 5


def _no_token(text: str, level: str, tokens: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(text, tokens, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "give one that the training text has."
    return ConfigError(f"{text!r} is not a token of this model of level {level}; {remedy}")


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
