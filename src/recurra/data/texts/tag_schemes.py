"""Schemes by which tags mark segments: which tags may follow which, and the segments of tags.

A tag is O, outside of all segments, or a letter, a hyphen and a kind: B-PER. Of a segment

bio (IOB2): the first has B, the others I.
bioes (IOBES): the first has B, the last E, others I; one alone has S.
bilou (BILUO): as bioes, with L for E and U for S.
iob1: all have I, but B the first where a segment of the same kind comes directly before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

__all__ = [
    "AllowedTransitions",
    "Segment",
    "TagScheme",
    "allowed_transitions",
    "broken_tags",
    "converted_tags",
    "has_form",
    "recognise_scheme",
    "segments_of",
]

TagScheme = Literal["bio", "bioes", "bilou", "iob1"]

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Parts = tuple[str, str]
"""The letter of a tag, E and S for L and U, and the kind of its segment."""

_FORM = re.compile(r"O|([BIESLU])(?:-(.+))?", re.DOTALL)
_BILOU = {"L": "E", "U": "S"}
_NAMELESS = "_"
"""The kind of tags that are letters alone, as seqeval has it."""
_OUTSIDE: Parts = ("O", _NAMELESS)
_MOST = 0.98
"""The share of tags that must have a scheme's form: single ones may be damaged."""


class Segment(NamedTuple):
    """A segment of a kind, such as an entity: its steps are start to stop - 1."""

    kind: str
    start: int
    stop: int


class AllowedTransitions(NamedTuple):
    """Bools: tags that may be the first (K,), tag j after tag i (K, K), tags that may be last."""

    start: Bools
    between: Bools
    end: Bools


def has_form(tag: str) -> bool:
    """Whether a tag is O, or has one of the letters of schemes, alone or before a hyphen.

    >>> has_form("I-PER"), has_form("O"), has_form("NOUN")
    (True, True, False)
    """
    return _FORM.fullmatch(tag) is not None


def segments_of(tags: Sequence[str]) -> list[Segment]:
    """The segments of tags of any scheme, also of broken ones, as conlleval and seqeval read them.

    A segment begins with B or S, with I or E after O, after a segment's end or after another kind;
    it ends with E or S, before O, and where the next begins. Tags without a scheme's form are O.

    E. Tjong Kim Sang and F. De Meulder, "Introduction to the CoNLL-2003 shared task", 2003.

    >>> segments_of(["B-PER", "I-PER", "O", "I-LOC"])
    [Segment(kind='PER', start=0, stop=2), Segment(kind='LOC', start=3, stop=4)]
    """
    found, start, before = [], 0, _OUTSIDE
    for place, now in enumerate([*map(_parts, tags), _OUTSIDE]):
        if _ends(before, now):
            found.append(Segment(before[1], start, place))
        if _begins(before, now):
            start = place
        before = now
    return found


def converted_tags(tags: Sequence[str], scheme: TagScheme) -> tuple[str, ...]:
    """The tags of the same segments in a scheme; broken ones are repaired by it.

    >>> converted_tags(["I-PER", "I-PER", "O", "I-LOC"], "bioes")
    ('B-PER', 'E-PER', 'O', 'S-LOC')
    """
    found, last = ["O"] * len(tags), Segment("", 0, 0)
    for segment in segments_of(tags):
        touches = last.stop == segment.start and last.kind == segment.kind
        for place in range(segment.start, segment.stop):
            letter = _LETTERS[scheme](place == segment.start, place == segment.stop - 1, touches)
            nameless = segment.kind == _NAMELESS
            found[place] = letter if nameless else f"{letter}-{segment.kind}"
        last = segment
    return tuple(found)


def broken_tags(tags: Sequence[str], scheme: TagScheme) -> list[tuple[int, str]]:
    """The places of tags that break a scheme, and what is wrong there.

    >>> broken_tags(["O", "I-PER", "I-PER"], "bio")
    [(1, 'I-PER after O')]
    """
    found = []
    before: str | None = None
    for place, tag in enumerate(tags):
        if not has_form(tag):
            found.append((place, f"{tag!r}, which is not O and has none of {_letters(scheme)}"))
        elif not _may_follow(before, tag, scheme):
            found.append((place, f"{tag} {f'after {before}' if before else 'as the first'}"))
        before = tag
    if before is not None and not _may_follow(before, None, scheme):
        found.append((len(tags) - 1, f"{before} as the last"))
    return found


def allowed_transitions(tags: Sequence[str], scheme: TagScheme) -> AllowedTransitions:
    """What a scheme allows of K tags, for a conditional random field.

    >>> allowed_transitions(["B-X", "I-X", "O"], "bio").start.tolist()
    [True, False, True]
    """
    return AllowedTransitions(
        np.array([_may_follow(None, tag, scheme) for tag in tags]),
        np.array([[_may_follow(one, other, scheme) for other in tags] for one in tags]),
        np.array([_may_follow(tag, None, scheme) for tag in tags]),
    )


def recognise_scheme(sequences: Iterable[Sequence[str]]) -> TagScheme | None:
    """The scheme that tags show; None for plain ones, such as parts of speech.

    E or S show bioes, L or U bilou. Of B and I, iob1 is what begins more segments with I than with
    B where no segment of the kind comes before. There must be O or B; of letters alone B, I and O.

    >>> recognise_scheme([["B-X", "I-X", "O"]]), recognise_scheme([["O", "I-X"]])
    ('bio', 'iob1')
    >>> recognise_scheme([["NOUN", "VERB"]]) is None
    True
    """
    listed = [list(tags) for tags in sequences]
    every = [tag for tags in listed for tag in tags]
    formed = [tag for tag in every if has_form(tag)]
    letters = {tag[0] for tag in formed}
    named = any("-" in tag for tag in formed) and letters & {"O", "B"}
    if len(formed) < _MOST * len(every) or not (named or letters >= {"B", "I", "O"}):
        return None
    if letters & {"L", "U"}:
        return "bilou"
    if letters & {"E", "S"}:
        return "bioes"
    firsts = [letter for tags in listed for letter in _first_letters(tags)]
    return "iob1" if firsts.count("I") > firsts.count("B") else "bio"


def _first_letters(tags: Sequence[str]) -> list[str]:
    """The letters that segments begin with where none of the same kind comes directly before."""
    parts = [_parts(tag) for tag in tags]
    pairs = zip([_OUTSIDE, *parts], parts, strict=False)
    return [
        now[0]
        for before, now in pairs
        if now[0] != "O" and (before[0] == "O" or before[1] != now[1])
    ]


def _parts(tag: str) -> Parts:
    found = _FORM.fullmatch(tag)
    if found is None or found[1] is None:
        return _OUTSIDE
    return _BILOU.get(found[1], found[1]), found[2] or _NAMELESS


def _ends(before: Parts, now: Parts) -> bool:
    """Whether a segment ends between two tags."""
    letter, kind = before
    return letter != "O" and (letter in "ES" or now[0] in "BSO" or now[1] != kind)


def _begins(before: Parts, now: Parts) -> bool:
    """Whether a segment begins between two tags."""
    letter, kind = now
    return letter != "O" and (letter in "BS" or before[0] in "ESO" or before[1] != kind)


def _may_follow(before: str | None, after: str | None, scheme: TagScheme) -> bool:
    """Whether a tag may follow another; None stands for the beginning and the end."""
    one = _OUTSIDE if before is None else _parts(before)
    other = _OUTSIDE if after is None else _parts(after)
    same = one[0] != "O" and one[1] == other[1]
    if scheme == "iob1":
        return other[0] != "B" or same
    if scheme == "bio":
        return other[0] != "I" or same
    is_open = one[0] in "BI"
    return (other[0] in "IE") == is_open and (same or not is_open)


def _bioes(first: bool, last: bool, _: bool) -> str:
    if first:
        return "S" if last else "B"
    return "E" if last else "I"


_LETTERS: dict[TagScheme, Callable[[bool, bool, bool], str]] = {
    "bio": lambda first, _, __: "B" if first else "I",
    "bioes": _bioes,
    "bilou": lambda *place: {"E": "L", "S": "U"}.get(_bioes(*place), _bioes(*place)),
    "iob1": lambda first, _, touches: "B" if first and touches else "I",
}
"""The letter of a tag: whether it is a segment's first, its last, and whether it touches one."""


def _letters(scheme: TagScheme) -> str:
    known = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bilou": "BILU"}[scheme]
    return ", ".join(f"{letter}-" for letter in known)
