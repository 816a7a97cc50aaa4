"""The lexicon of a file of words, and what it rules out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

from recurra.data.alphabet import Alphabet
from recurra.data.text import read_text
from recurra.decoding.lexicon import Lexicon
from recurra.errors import RecurraWarning

__all__ = ["lexicon_of", "ruled_out"]

_BEFORE, _AFTER = "\"'([«“‘", "\"')]»”’.,;:!?…"
"""Marks that may stand before and after a word of a lexicon."""


def lexicon_of(path: str, alphabet: Alphabet) -> Lexicon:
    """The words of a file, in lower case, capitals and with a capital first, and marks around them.

    Warns (RecurraWarning) of words that can't be spelled; DataError where none can.
    """
    words = read_text([path]).content.split()
    marks = "".join(each for each in alphabet.characters if each in _BEFORE + _AFTER)
    before = "".join(each for each in marks if each in _BEFORE)
    after = "".join(each for each in marks if each in _AFTER)
    lexicon = Lexicon(words, alphabet.characters, ignore_case=True, before=before, after=after)
    if lexicon.skipped:
        warnings.warn(
            f"{path}: {len(lexicon.skipped):,} of {len(words):,} words have characters that the "
            f"model doesn't write, and can't come out: {_listed(lexicon.skipped)}.",
            RecurraWarning,
            stacklevel=2,
        )
    return lexicon


def ruled_out(path: str, alphabet: Alphabet, texts: Sequence[str]) -> str | None:
    """How many words of the transcripts can't come out with a lexicon, and which; None: all can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecurraWarning)  # the search has said it
        lexicon = lexicon_of(path, alphabet)
    words = Counter(word for text in texts for word in text.split())
    out = [word for word in words if not _allows(lexicon, alphabet, word)]
    if not out:
        return None
    count = sum(words[word] for word in out)
    return (
        f"{count:,} of the transcripts' {words.total():,} words are not in {path}, so that they "
        f"can't come out right: {_listed(out)}. Add them, or leave out the lexicon."
    )


def _allows(lexicon: Lexicon, alphabet: Alphabet, word: str) -> bool:
    return alphabet.known(word) == word and lexicon.allows(alphabet.encode(word).tolist())


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:8]) + (", …" if len(words) > 8 else "")
