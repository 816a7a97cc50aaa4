"""Phrases that must occur in a generated sequence, and how a beam makes room for them.

Dynamic beam allocation (Post and Vilar 2018, "Fast lexically constrained decoding with dynamic
beam allocation for neural machine translation"): the candidates of a step are sorted into banks by
how many tokens of the phrases they have met, and all banks have an equal share of the beam; what a
bank can't fill goes to the others. Phrases are found wherever they occur, each by an automaton of
Knuth, Morris and Pratt, so that they may overlap and begin inside a failed attempt.
"""

from collections.abc import Sequence

__all__ = ["LexicalConstraints", "Progress"]

Progress = tuple[int, ...]
"""How many tokens of each phrase the last tokens match; its length, for ever, once it occurs."""


class LexicalConstraints:
    """The phrases of one sentence; a phrase that is given twice need only occur once.

    Example:
        >>> phrases = LexicalConstraints([(1, 2), (3,)])
        >>> progress = phrases.start
        >>> for token in (1, 1, 2):
        ...     progress = phrases.after(progress, token)
        >>> phrases.met(progress), phrases.wanted(progress), phrases.are_met(progress)
        (2, [3], False)
    """

    def __init__(self, phrases: Sequence[Sequence[int]]) -> None:
        self._phrases = list(dict.fromkeys(tuple(phrase) for phrase in phrases if len(phrase)))
        self._borders = [_borders(phrase) for phrase in self._phrases]
        self.start: Progress = (0,) * len(self._phrases)

    def after(self, progress: Progress, token: int) -> Progress:
        """The progress after one more token."""
        cases = zip(self._phrases, self._borders, progress, strict=True)
        return tuple(_matched(phrase, borders, n, token) for phrase, borders, n in cases)

    def met(self, progress: Progress) -> int:
        """Tokens of the phrases that occur, and of the one that is furthest under way."""
        cases = list(zip(self._phrases, progress, strict=True))
        under_way = [n for phrase, n in cases if n < len(phrase)]
        return sum(n for phrase, n in cases if n == len(phrase)) + max(under_way, default=0)

    def wanted(self, progress: Progress) -> list[int]:
        """The next token of each phrase that doesn't occur yet."""
        cases = zip(self._phrases, progress, strict=True)
        return list(dict.fromkeys(phrase[n] for phrase, n in cases if n < len(phrase)))

    def are_met(self, progress: Progress) -> bool:
        """True once all phrases occur."""
        return not self.wanted(progress)

    def shared(self, met: Sequence[int]) -> list[tuple[int, int]]:
        """The order in which candidates are taken, given in the order of their scores.

        The best of each bank come first, that with the most tokens met before the others; then
        the second of each bank, and so on. Gives (rank in its bank, place) of each.

        >>> LexicalConstraints([(1,)]).shared([0, 0, 0, 1])
        [(0, 3), (0, 0), (1, 1), (2, 2)]
        """
        counts: dict[int, int] = {}
        ranks = []
        for bank in met:
            ranks.append(counts.setdefault(bank, 0))
            counts[bank] += 1
        ranked = zip(ranks, range(len(met)), strict=True)
        return sorted(ranked, key=lambda each: (each[0], -met[each[1]]))


def _matched(phrase: tuple[int, ...], borders: list[int], n: int, token: int) -> int:
    """Tokens of the phrase that match at the end, after n that did and one more."""
    if n == len(phrase):
        return n
    while n and phrase[n] != token:
        n = borders[n]
    return n + 1 if phrase[n] == token else 0


def _borders(phrase: tuple[int, ...]) -> list[int]:
    """For each n the longest proper part at the beginning of phrase[:n] that also ends it."""
    borders = [0, 0]
    for at in range(1, len(phrase)):
        n = borders[at]
        while n and phrase[n] != phrase[at]:
            n = borders[n]
        borders.append(n + 1 if phrase[n] == phrase[at] else 0)
    return borders
