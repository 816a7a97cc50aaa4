"""The form that transcripts are brought to before training and scoring: Unicode, case, spaces."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from recurra.errors import ConfigError

__all__ = ["TextForm", "parse_replacements"]

_ALLOWED = {
    "case": ("keep", "lower", "upper"),
    "form": ("NFC", "NFKC", "none"),
    "punctuation": ("keep", "remove"),
}
_APOSTROPHE = re.compile(r"(?<=[^\W_])['’](?=[^\W_])")
_ROUNDS = 4
"""Compatibility forms and letter case settle after two rounds in all of Unicode 15."""


@dataclass(frozen=True)
class TextForm:
    """Rules that every transcript goes through; its fields are JSON values, kept with a run.

    They are applied in this order, and what comes out no longer changes unless `replace` makes it:

    1. `form`: Unicode's normal form of composed characters ("NFC": é is one code point), the same
       with compatibility characters replaced ("NFKC": ﬁ becomes fi, ² becomes 2), or "none".
    2. `replace`: pairs of texts, one after the other, such as ("ſ", "s").
    3. `case`: "keep", "lower" or "upper", by Unicode's rules (ß becomes SS).
    4. `punctuation`: "keep", or "remove": each character of Unicode's categories P is a space, but
       for an apostrophe between two letters or digits. Symbols (+, $, ^) stay: `replace` has those.
    5. White space, line ends included, is one space between words and none at the ends.

    ConfigError for a value that isn't one of these.

    >>> TextForm(case="lower", punctuation="remove").apply("Don’t  re-enter: press 2!")
    'don’t re enter press 2'
    >>> TextForm(replace=(("ſ", "s"), ("¬", ""))).apply("quelque avan¬ ")
    'quelque avan'
    """

    case: Literal["keep", "lower", "upper"] = "keep"
    form: Literal["NFC", "NFKC", "none"] = "NFC"
    punctuation: Literal["keep", "remove"] = "keep"
    replace: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} of a text form; it is one of "
                    f"{', '.join(allowed)}."
                )
        object.__setattr__(self, "replace", _checked_pairs(self.replace))

    def apply(self, text: str) -> str:
        """The text in this form."""
        text = self.normal(text)
        for old, new in self.replace:
            text = text.replace(old, new)
        text = self._cased(text)
        if self.punctuation == "remove":
            text = _without_punctuation(text)
        return " ".join(text.split())

    def normal(self, text: str) -> str:
        """The text in this Unicode form, and otherwise as it is."""
        return text if self.form == "none" else unicodedata.normalize(self.form, text)

    def _cased(self, text: str) -> str:
        """Change the case until its normal form keeps it: ΐ in capitals is Ϊ and an accent."""
        if self.case == "keep":
            return text
        change = str.lower if self.case == "lower" else str.upper
        for _ in range(_ROUNDS):
            before, text = text, self.normal(change(text))
            if text == before:
                break
        return text


def parse_replacements(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs written as `old=new`, separated by white space; an empty `new` deletes.

    ConfigError where a word of it is no such pair.

    >>> parse_replacements("ſ=s ¬= ==equals")
    (('ſ', 's'), ('¬', ''), ('=', 'equals'))
    """
    pairs = []
    for word in text.split():
        place = word.find("=", 1)
        if place < 0:
            raise ConfigError(
                f"replace: {word!r} is not a pair; write old=new, separated by spaces: ſ=s ¬="
            )
        pairs.append((word[:place], word[place + 1 :]))
    return tuple(pairs)


def _checked_pairs(pairs: object) -> tuple[tuple[str, str], ...]:
    checked = []
    for pair in pairs if isinstance(pairs, list | tuple) else [pairs]:
        parts = list(pair) if isinstance(pair, list | tuple) else []
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) != 2 or len(parts) != 2 or not texts[0]:
            raise ConfigError(
                f"replace of a text form has {pair!r}; give pairs of texts (old, new), old not "
                'empty, such as ("ſ", "s").'
            )
        checked.append((texts[0], texts[1]))
    return tuple(checked)


def _without_punctuation(text: str) -> str:
    kept = {match.start() for match in _APOSTROPHE.finditer(text)}
    return "".join(
        " " if unicodedata.category(each)[0] == "P" and place not in kept else each
        for place, each in enumerate(text)
    )
