"""Scorers that know words: a word n-gram model, and phrases to favour."""

from collections import deque
from collections.abc import Iterable, Sequence

from recurra.decoding.ngram import END, NGram
from recurra.decoding.scoring import Scorer, State, check_alphabet
from recurra.errors import ConfigError, DataError

__all__ = ["Boost", "WordScorer"]


class WordScorer(Scorer):
    """An n-gram model of words over tokens that are characters, parted by `space`.

    A word is scored where a space or the end closes it. A word that the model lacks costs that of
    the unknown symbol and `unknown` more. With `look_ahead` each prefix of a word already has the
    best log-probability, by frequency alone, of the words that begin with it; the word's own takes
    its place in the end. This changes no sum, but lets a beam drop what can't become a word.
    """

    def __init__(
        self,
        model: NGram,
        alphabet: Sequence[str],
        *,
        space: str = " ",
        unknown: float = -10.0,
        look_ahead: bool = True,
    ) -> None:
        check_alphabet(alphabet)
        self._model = model
        self._pieces = ["", *alphabet]
        self._space = space
        self._unknown = unknown
        self._ahead = self._prefixes() if look_ahead else None
        self._lost = float(model.row(0)[0]) + unknown

    def start(self) -> State:
        return self._model.start(), ""

    def score(self, state: State, token: int) -> tuple[float, State]:
        context, word = state
        piece = self._pieces[token]
        if piece == self._space:
            return self._close(context, word)
        longer = word + piece
        return self._hope(longer) - self._hope(word), (context, longer)

    def finish(self, state: State) -> float:
        closing, (context, _) = self._close(*state)
        return closing + float(self._model.trie.log_prob_of(context, self._model.number(END)))

    def _close(self, context: int, word: str) -> tuple[float, State]:
        if not word:
            return 0.0, (context, word)
        number = self._model.number(word)
        value = self._model.trie.log_prob_of(context, number)
        if not self._model.knows(word):
            value += self._unknown
        return value - self._hope(word), (self._model.advance(context, number), "")

    def _hope(self, prefix: str) -> float:
        """What is already charged for an open word."""
        if self._ahead is None or not prefix:
            return 0.0
        return self._ahead.get(prefix, self._lost)

    def _prefixes(self) -> dict[str, float]:
        """The best log-probability of a word that begins with each prefix."""
        best: dict[str, float] = {}
        values = self._model.row(0)
        for number, word in enumerate(self._model.symbols[3:], 3):
            value = float(values[number])
            for end in range(1, len(word) + 1):
                prefix = word[:end]
                best[prefix] = max(best.get(prefix, value), value)
        return best


class Boost(Scorer):
    """Favours words and phrases: each of their characters adds `weight`, wherever they occur whole.

    The credit is given character by character, so that a beam keeps what may become a phrase, and
    taken back where it doesn't. Where the alphabet has `space`, a phrase counts between spaces or
    the ends only; without it, wherever its characters are. Phrases that overlap all count. The
    search of all phrases at once is Aho & Corasick's (1975).

    Raises:
        ConfigError: a weight that isn't finite.
        DataError: a phrase that is empty or has a character outside the alphabet.
    """

    def __init__(
        self, phrases: Iterable[str], weight: float, alphabet: Sequence[str], *, space: str = " "
    ) -> None:
        check_alphabet(alphabet)
        if not abs(weight) < float("inf"):
            raise ConfigError(f"weight = {weight}; give a finite number, such as 1.5.")
        self._numbers = {piece: i for i, piece in enumerate(alphabet, 1)}
        self._edge = [self._numbers[space]] if space in self._numbers else []
        self._weight = weight
        self._children: list[dict[int, int]] = [{}]
        self._fail, self._credit, self._whole = [0], [0.0], [0.0]
        for phrase in dict.fromkeys(phrases):
            self._insert(phrase)
        self._link()

    def start(self) -> State:
        return self._goto(0, self._edge[0]) if self._edge else 0

    def score(self, state: State, token: int) -> tuple[float, State]:
        after = self._goto(state, token)
        return self._whole[after] + self._credit[after] - self._credit[state], after

    def finish(self, state: State) -> float:
        value = -self._credit[state]
        return value + (self._whole[self._goto(state, self._edge[0])] if self._edge else 0.0)

    def _insert(self, phrase: str) -> None:
        foreign = [piece for piece in phrase if piece not in self._numbers]
        if foreign or not phrase:
            what = f"has {foreign[0]!r}, which the alphabet lacks" if foreign else "is empty"
            raise DataError(f"The phrase {phrase!r} {what}; leave it out or spell it otherwise.")
        node = 0
        spelling = [self._numbers[piece] for piece in phrase]
        for place, token in enumerate([*self._edge, *spelling, *self._edge]):
            inside = len(self._edge) <= place < len(self._edge) + len(spelling)
            node = self._child(node, token, self._weight if inside else 0.0)
        self._whole[node] = self._weight * len(phrase)

    def _child(self, node: int, token: int, value: float) -> int:
        if token not in self._children[node]:
            self._children[node][token] = len(self._children)
            self._children.append({})
            self._fail.append(0)
            self._credit.append(self._credit[node] + value)
            self._whole.append(0.0)
        return self._children[node][token]

    def _link(self) -> None:
        """Links each node to its longest suffix; credit is what isn't yet given for good."""
        queue, given = deque([0]), {0: 0.0}
        while queue:
            node = queue.popleft()
            for token, child in self._children[node].items():
                self._fail[child] = self._goto(self._fail[node], token) if node else 0
                given[child] = self._credit[child] if self._whole[child] else given[node]
                queue.append(child)
        for node in list(given)[1:]:  # shorter ones first
            self._credit[node] -= given[node]
            self._whole[node] += self._whole[self._fail[node]]

    def _goto(self, node: int, token: int) -> int:
        while token not in self._children[node] and node:
            node = self._fail[node]
        return self._children[node].get(token, 0)
