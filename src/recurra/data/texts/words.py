"""Words and characters of a text, each with its place in it.

A word is the first of these that matches, from left to right; white space and invisible characters
(controls and formats, such as a zero-width space) separate words and are none:

1. a number: digits, with points or commas between them: 1,000.5
2. letters with their marks, and apostrophes between letters: don't, l’eau, हिन्दी
3. one character, with its marks, of a script without spaces: Chinese, Japanese, Thai, Lao, Khmer,
   Burmese
4. any other one character, with its marks: punctuation, a symbol, an emoji

So "mp3" is two words, and so is "3rd".
"""

import re
import unicodedata
from functools import cache
from typing import NamedTuple

__all__ = ["Token", "split_characters", "split_spaced", "split_words", "word_expression"]

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai and Lao, Burmese, Khmer, then Chinese characters and kana."""
_ASSIGNED = (*range(0x20000), *range(0xE0000, 0xE0200))
"""Code points among which marks and invisible characters are; a test looks at all others."""
_JOINERS = (0x200C, 0x200D)
"""Invisible, but part of a word in Persian and Hindi, and of an emoji."""


class Token(NamedTuple):
    """A word, sub-word or character, and its place: `text[start:stop]`."""

    text: str
    start: int
    stop: int


def split_words(text: str) -> list[Token]:
    """The words of a text, as the head of this file has them.

    >>> [word.text for word in split_words("Don't pay 1,000.50 (now)!")]
    ["Don't", 'pay', '1,000.50', '(', 'now', ')', '!']
    >>> [word.text for word in split_words("我爱RNN")]
    ['我', '爱', 'RNN']
    """
    return [Token(match[0], *match.span()) for match in word_expression().finditer(text)]


def split_spaced(text: str) -> list[Token]:
    """What stands between white space.

    >>> [word.text for word in split_spaced("do n't  go.")]
    ['do', "n't", 'go.']
    """
    return [Token(match[0], *match.span()) for match in re.finditer(r"\S+", text)]


def split_characters(text: str) -> list[Token]:
    """The characters (Unicode code points) of a text; white space between them is one space.

    White space at either end, and invisible characters, are left out.

    >>> split_characters(" a \\n b")
    [Token(text='a', start=1, stop=2), Token(text=' ', start=2, stop=5), \
Token(text='b', start=5, stop=6)]
    """
    end = len(text.rstrip())
    return [
        Token(" " if match[0].isspace() else match[0], *match.span())
        for match in _characters().finditer(text, len(text) - len(text.lstrip()), end)
    ]


@cache
def word_expression(*, runs: bool = False) -> re.Pattern[str]:
    """The regular expression of a word, for the version of Unicode that Python has.

    runs: characters of scripts without spaces that stand side by side are one word.
    """
    marks, invisible = _classes()
    letter = rf"[^\W\d_{_SPACELESS}]"
    part = f"{letter}(?:{letter}|{marks})*+"
    number = r"\d+(?:[.,]\d+)*+"
    other = rf"[^\s{invisible}](?:{marks})*+"
    run = rf"(?:[{_SPACELESS}](?:{marks})*+)++|" if runs else ""
    return re.compile(f"{number}|{part}(?:['’]{part})*+|{run}{other}")


@cache
def _characters() -> re.Pattern[str]:
    return re.compile(rf"\s+|[^\s{_classes()[1]}]")


@cache
def _classes() -> tuple[str, str]:
    """An expression for one mark, and the ranges of invisible characters."""
    categories = {code: unicodedata.category(chr(code)) for code in _ASSIGNED}
    marks = [code for code, category in categories.items() if category[0] == "M"]
    invisible = [code for code, category in categories.items() if category in ("Cc", "Cf")]
    # A class that has code points above 0xFFFF is searched one range after the other.
    low = _ranges([*(code for code in marks if code <= 0xFFFF), *_JOINERS])
    high = _ranges([code for code in marks if code > 0xFFFF])
    return f"(?:[{low}]|[{high}])", _ranges(invisible)


def _ranges(codes: list[int]) -> str:
    """The inside of a class of an expression: \\U00000300-\\U0000036f..."""
    known = set(codes)
    firsts = sorted(code for code in known if code - 1 not in known)
    lasts = sorted(code for code in known if code + 1 not in known)
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in zip(firsts, lasts, strict=True))
