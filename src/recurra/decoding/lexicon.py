"""A lexicon: the words that a text may consist of, as an automaton over tokens."""

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from recurra.decoding.scoring import Rows, Scorer, State, check_alphabet
from recurra.errors import DataError

__all__ = ["Lexicon"]


class Lexicon(Scorer):
    """Allows words with one `space` between them (0) and rules out all else (-inf).

    Token i is the character `alphabet[i - 1]`. Without `space` in the alphabet a text is one word.
    The text without a word is allowed, too.

    Args:
        words: the words; those with a character outside the alphabet are left out, see `skipped`.
        ignore_case: also allow each word in lower case, in capitals, and with a capital first.
        before: characters that may stand before a word, any number of them: opening quotes.
        after: characters that may stand after a word: commas, full stops.

    `spellings` are the words as tokens, `space` is the token between them, or None.

    Raises:
        DataError: no word of the lexicon can be spelled with the alphabet.

    Example:
        >>> lexicon = Lexicon(["no", "on"], " no")
        >>> lexicon.allows([2, 3, 1, 3, 2]), lexicon.allows([2, 3, 3])
        (True, False)
    """

    def __init__(
        self,
        words: Iterable[str],
        alphabet: Sequence[str],
        *,
        space: str = " ",
        ignore_case: bool = False,
        before: str = "",
        after: str = "",
    ) -> None:
        check_alphabet(alphabet)
        self._numbers = {piece: i for i, piece in enumerate(alphabet, 1)}
        self._size = 1 + len(alphabet)
        self.space: int | None = self._numbers.get(space)
        self.skipped: tuple[str, ...] = ()
        self.spellings: tuple[tuple[int, ...], ...] = ()
        self._children: list[dict[int, int]] = [{}, {}]
        self._ends = [True, False]
        self._add(words, ignore_case)
        self._children[1].update(self._children[0])
        self._join_marks(before, after)
        self._masks: dict[int, Rows] = {}

    def start(self) -> State:
        return 0

    def score(self, state: State, token: int) -> tuple[float, State]:
        following = self._children[state].get(token, -1) if state >= 0 else -1
        return (0.0 if following >= 0 else -np.inf), following

    def finish(self, state: State) -> float:
        return 0.0 if state >= 0 and self._ends[state] else -np.inf

    def score_many(self, states: Sequence[State], tokens: Sequence[int]) -> Rows:
        return np.stack([self._mask(state) for state in states])[:, np.asarray(tokens)]

    def allows(self, tokens: Sequence[int]) -> bool:
        """Whether a text consists of words of the lexicon."""
        state: int = 0
        for token in tokens:
            _, state = self.score(state, token)
        return self.finish(state) == 0

    def _mask(self, state: int) -> Rows:
        mask = self._masks.get(state)
        if mask is None:
            mask = self._masks[state] = np.full(self._size, -np.inf)
            mask[list(self._children[state]) if state >= 0 else []] = 0.0
        return mask

    def _add(self, words: Iterable[str], ignore_case: bool) -> None:
        """Node 0 is the beginning, node 1 what follows a space; words begin at either."""
        skipped, spellings = [], dict[tuple[int, ...], None]()
        for word in dict.fromkeys(words):
            forms = [word, word.lower(), word.upper(), word.capitalize()]
            spelled = [form for form in forms[: 4 if ignore_case else 1] if self._spells(form)]
            spellings |= {tuple(self._numbers[piece] for piece in form): None for form in spelled}
            skipped += [] if spelled else [word]
        self.skipped, self.spellings = tuple(skipped), tuple(spellings)
        for spelling in self.spellings:
            self._insert(spelling)
        if not spellings:
            raise DataError(
                f"None of the lexicon's {len(skipped):,} words can be spelled with the alphabet "
                f"(the first: {skipped[:1]}); give words of its characters, without spaces."
            )

    def _spells(self, word: str) -> bool:
        return bool(word) and all(self._numbers.get(p, self.space) != self.space for p in word)

    def _insert(self, spelling: Sequence[int]) -> None:
        node = 0
        for token in spelling:
            node = self._children[node].setdefault(token, len(self._children))
            self._grow(node)
        self._ends[node] = True

    def _grow(self, node: int) -> None:
        if node == len(self._children):
            self._children.append({})
            self._ends.append(False)

    def _join_marks(self, before: str, after: str) -> None:
        """Adds what may follow a whole word: marks, then a space; and what may precede one."""
        tail = len(self._children)
        self._grow(tail)
        self._ends[tail] = True
        for node in (0, 1):
            for token in self._tokens(before):
                self._children[node].setdefault(token, 1)
        marks, queue, met = self._tokens(after), deque([1]), {0, 1}
        while queue:
            node = queue.popleft()
            for token in marks if self._ends[node] else []:
                self._ends[self._children[node].setdefault(token, tail)] = True
            if self._ends[node] and self.space is not None:
                self._children[node][self.space] = 1
            following = set(self._children[node].values()) - met
            met |= following
            queue.extend(sorted(following))

    def _tokens(self, pieces: str) -> list[int]:
        return [self._numbers[piece] for piece in pieces if piece in self._numbers]
