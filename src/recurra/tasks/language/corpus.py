"""The text of a language model: read, split and turned into tokens."""

from dataclasses import dataclass

from torch import Tensor

from recurra.data.batches import Streams
from recurra.data.text import Text, read_text, split_text
from recurra.data.vocabulary import Vocabulary, build_vocabulary
from recurra.errors import DataError
from recurra.tasks.language.config import LanguageConfig

__all__ = ["Corpus", "Texts", "Tokens", "encode_corpus", "encode_text", "read_texts"]


@dataclass(frozen=True)
class Texts:
    """What the files of a configuration hold; `valid` is None where none is named."""

    train: Text
    valid: Text | None


@dataclass(frozen=True)
class Tokens:
    """A text as tokens, (N,), and how many characters they stand for."""

    ids: Tensor
    characters: int


@dataclass(frozen=True)
class Corpus:
    """What a run is trained and validated on; `valid` is None where nothing was kept for it."""

    vocabulary: Vocabulary
    train: Streams
    valid: Tokens | None


def read_texts(config: LanguageConfig) -> Texts:
    """Read the files of a configuration; DataError where one can't be used."""
    valid = read_text([config.valid]) if config.valid is not None else None
    return Texts(read_text(config.files), valid)


def encode_corpus(
    texts: Texts, config: LanguageConfig, vocabulary: Vocabulary | None = None
) -> Corpus:
    """Split and encode; without a vocabulary, build it.

    Words come from the training part alone; characters from all the training text given, so that
    the part kept for validation holds none that is unknown.

    Raises:
        DataError: the text is too short, or the validation file has unknown characters.
    """
    train, held_out = _split(texts, config)
    if vocabulary is None:
        vocabulary = build_vocabulary(
            config.level,
            train if config.level == "word" else texts.train.content,
            min_count=config.min_count,
            max_words=config.max_words,
        )
    return Corpus(
        vocabulary=vocabulary,
        train=Streams(vocabulary.encode(train), rows=config.batch_size, window=config.window),
        valid=encode_text(vocabulary, held_out) if held_out else None,
    )


def encode_text(vocabulary: Vocabulary, content: str) -> Tokens:
    """A text of two tokens or more: one to start from and one to predict."""
    ids = vocabulary.encode(content)
    if len(ids) < 2:
        raise DataError("The text has one token, and 2 are the least; give a longer text.")
    return Tokens(ids, vocabulary.characters(content))


def _split(texts: Texts, config: LanguageConfig) -> tuple[str, str]:
    content = texts.train.content
    if texts.valid is not None:
        return content, texts.valid.content
    if config.valid_fraction == 0:
        return content, ""
    whole_lines = config.level == "word"
    train, held_out = split_text(content, config.valid_fraction, whole_lines=whole_lines)
    if not train or not held_out:
        raise DataError(
            f"The text has {len(content)} characters, too few to keep {config.valid_fraction:.0%} "
            f"for validation; give more, or valid_fraction = 0."
        )
    return train, held_out
