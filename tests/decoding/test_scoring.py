"""Scorers: characters, words, phrases, lexicons and neural models, against plain sums."""

import itertools

import numpy as np
import pytest

from helpers.ctc_oracle import lattice, likelihoods, scored
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.neural_scoring import NeuralScorer
from recurra.decoding.ngram import END, START, NGram
from recurra.decoding.scoring import Combined, NGramScorer
from recurra.decoding.word_scoring import Boost, WordScorer
from recurra.errors import ConfigError, DataError

ALPHABET = " abc"
TEXTS = ["ab ba", "a b", "ba cab", "abba ab"]
CHARACTERS = NGram.train(TEXTS, 3)
WORDS = NGram.train([text.split() for text in TEXTS], 2)


def tokens_of(text, alphabet=ALPHABET):
    return [1 + alphabet.index(piece) for piece in text]


def sum_of(model, symbols):
    whole = [START, *symbols, END]
    return sum(model.log_prob(whole[:i], whole[i]) for i in range(1, len(whole)))


def shortest_texts(alphabet, length):
    return ["".join(t) for n in range(length + 1) for t in itertools.product(alphabet, repeat=n)]


@pytest.mark.parametrize("text", ["", "ab ba", "cc c", "b"])
def test_characters_are_scored_as_the_model_says(text):
    scorer = NGramScorer(CHARACTERS, ALPHABET)
    assert scored(scorer, tokens_of(text)) == pytest.approx(sum_of(CHARACTERS, text), abs=1e-5)


@pytest.mark.parametrize("look_ahead", [True, False])
@pytest.mark.parametrize("text", ["", "ab ba", "abba  cab", " b ", "ac b", "abb", "c c"])
def test_words_are_scored_once_each(text, look_ahead):
    scorer = WordScorer(WORDS, ALPHABET, unknown=-7.0, look_ahead=look_ahead)
    foreign = sum(not WORDS.knows(word) for word in text.split())
    expected = sum_of(WORDS, text.split()) - 7 * foreign
    assert scored(scorer, tokens_of(text)) == pytest.approx(expected, abs=1e-5)


def test_looking_ahead_charges_what_cannot_become_a_word():
    scorer = WordScorer(WORDS, ALPHABET, unknown=-7.0)
    state, values = scorer.start(), []
    for token in tokens_of("abc"):
        value, state = scorer.score(state, token)
        values.append(value)
    best = max(WORDS.log_prob([], word) for word in ("ab", "a", "abba"))
    assert values[0] == pytest.approx(best, abs=1e-6)
    assert sum(values) == pytest.approx(float(WORDS.row(0)[0]) - 7)


def occurrences(text, phrases):
    """The characters of all whole phrases in a text, overlapping ones counted each."""
    padded = f" {text} "
    places = itertools.product(range(len(padded)), phrases)
    return sum(len(p) for i, p in places if padded[i:].startswith(f" {p} "))


PHRASES = ["a", "ab", "ab a", "b ab", "ba"]


def test_phrases_are_worth_their_characters_wherever_they_are_whole():
    boost = Boost(PHRASES, 1.5, " ab")
    for text in shortest_texts(" ab", 6):
        found = scored(boost, tokens_of(text, " ab"))
        assert found == pytest.approx(1.5 * occurrences(text, PHRASES)), text


def test_without_spaces_phrases_count_anywhere():
    boost = Boost(["ab", "bab", "b", "abba"], -1.0, "abc")
    for text in shortest_texts("abc", 6):
        inside = itertools.product(range(len(text)), ["ab", "bab", "b", "abba"])
        expected = -sum(len(p) for i, p in inside if text[i:].startswith(p))
        assert scored(boost, tokens_of(text, "abc")) == pytest.approx(expected), text


def test_credit_comes_at_once_and_is_taken_back():
    boost, values, total = Boost(["abc"], 2.0, ALPHABET), [], 0.0
    state = boost.start()
    for token in tokens_of("abb"):
        value, state = boost.score(state, token)
        values.append(value)
    assert values == [2.0, 2.0, -4.0]
    for token in tokens_of(" ab"):
        value, state = boost.score(state, token)
        total += value
    assert total + boost.finish(state) == 0


def test_boosting_brings_a_word_to_the_front():
    frames = np.log([[0.1, 0.1, 0.5, 0.2, 0.1], [0.9, 0.025, 0.025, 0.025, 0.025]])
    for weight, text in ((0.0, "a"), (3.0, "b")):
        beam = CtcPrefixBeam(scorer=Boost(["b"], weight, ALPHABET))
        beam.feed(frames)
        assert list(beam.finish()[0].tokens) == tokens_of(text)


def test_a_combination_is_a_weighted_sum():
    parts = [(NGramScorer(CHARACTERS, ALPHABET), 0.5), (WordScorer(WORDS, ALPHABET), 2.0)]
    both, tokens = Combined(parts), tokens_of("ab cc a")
    expected = sum(weight * scored(scorer, tokens) for scorer, weight in parts)
    assert scored(both, tokens) == pytest.approx(expected)


SCORERS = {
    "characters": NGramScorer(CHARACTERS, ALPHABET),
    "words": WordScorer(WORDS, ALPHABET),
    "boost": Boost(["ab", "b c"], 1.0, ALPHABET),
    "lexicon": Lexicon(["ab", "c"], ALPHABET),
    "combined": Combined([(NGramScorer(CHARACTERS, ALPHABET), 0.5)]),
}


@pytest.mark.parametrize("name", SCORERS)
def test_many_scores_are_single_ones(name):
    scorer, states = SCORERS[name], []
    for text in ("", "a", "ab ", "cab", "b c"):
        state = scorer.start()
        for token in tokens_of(text):
            _, state = scorer.score(state, token)
        states.append(state)
    expected = [[scorer.score(state, token)[0] for token in (1, 3, 4)] for state in states]
    assert np.array_equal(scorer.score_many(states, np.array([1, 3, 4])), expected)


class Recurrent:
    """A toy language model of 5 symbols whose state is a vector; counts what it is asked."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.inner, self.outer = rng.normal(size=(5, 4)), rng.normal(size=(4, 5))
        self.asked = []

    def one(self, symbol, state):
        after = np.tanh(self.inner[symbol] + 0.5 * state)
        logits = after @ self.outer
        return logits - np.logaddexp.reduce(logits), after

    def step(self, symbols, states):
        self.asked.append(len(symbols))
        rows, after = zip(*map(self.one, symbols, states), strict=True)
        return np.stack(rows), after

    def sum_of(self, symbols):
        row, state = self.one(0, np.zeros(4))
        total = 0.0
        for symbol in symbols:
            total += row[symbol]
            row, state = self.one(symbol, state)
        return total + row[4]


def test_a_neural_model_is_fused_with_exact_scores():
    model = Recurrent()
    scorer = NeuralScorer(model.step, [3, 1, 2], start=(0, np.zeros(4)), end=4)
    beam = CtcPrefixBeam(10_000, scorer=scorer, alpha=0.6, cut=0, margin=np.inf)
    frames = lattice(5, 4, 2)
    beam.feed(frames)
    exact = likelihoods(frames)
    for each in beam.finish(None):
        language = model.sum_of([[3, 1, 2][token - 1] for token in each.tokens])
        assert each.language == pytest.approx(language)
        assert each.score == pytest.approx(exact[each.tokens] + 0.6 * language)


def test_a_neural_model_sees_each_prefix_once_and_in_batches():
    model = Recurrent()
    scorer = NeuralScorer(model.step, [3, 1, 2], start=(0, np.zeros(4)))
    beam = CtcPrefixBeam(10_000, scorer=scorer, cut=0, margin=np.inf)
    beam.feed(lattice(4, 4))
    prefixes = {tokens[:-1] for tokens in likelihoods(lattice(4, 4)) if tokens}
    assert sum(model.asked) == len(prefixes)
    assert len(model.asked) == 4


def test_without_an_end_of_its_own_an_end_is_free():
    model = Recurrent()
    scorer = NeuralScorer(model.step, [3, 1, 2], start=(0, np.zeros(4)))
    assert scorer.finish(scorer.start()) == 0


def in_lexicon(text, words, before="", after=""):
    stripped = [piece.lstrip(before).rstrip(after) for piece in text.split(" ")]
    return text == "" or all(piece in words for piece in stripped)


def test_a_lexicon_allows_its_words_and_nothing_else():
    words = ["ab", "abb", "b"]
    lexicon = Lexicon(words, " ab")
    for text in shortest_texts(" ab", 6):
        assert lexicon.allows(tokens_of(text, " ab")) == in_lexicon(text, words), text


def test_marks_may_stand_beside_words():
    lexicon = Lexicon(["a", "a,a"], ' a,"', before='"', after=',"')
    for text in shortest_texts(' a,"', 5):
        allowed = in_lexicon(text, ["a", "a,a"], '"', ',"')
        assert lexicon.allows(tokens_of(text, ' a,"')) == allowed, text


def test_case_may_be_ignored():
    lexicon = Lexicon(["ab", "Ba"], " abAB", ignore_case=True)
    allowed = [t for t in shortest_texts("abAB", 2) if lexicon.allows(tokens_of(t, " abAB"))]
    assert sorted(allowed) == sorted(["", "ab", "Ab", "AB", "ba", "Ba", "BA"])
    assert not Lexicon(["ab"], " abAB").allows(tokens_of("Ab", " abAB"))


def test_words_that_cannot_be_spelled_are_skipped():
    assert Lexicon(["ab", "ax", "a b", ""], " ab").skipped == ("ax", "a b", "")
    assert Lexicon(["ab"], "ab").allows([1, 2])
    assert not Lexicon(["ab"], "ab").allows([1, 2, 1, 2])
    with pytest.raises(DataError, match="None of the lexicon's 2 words can be spelled"):
        Lexicon(["x", "y"], " ab")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Combined([]), "give one scorer"),
        (lambda: Combined([(SCORERS["words"], -1)]), r"Weights of scorers: \[-1\]"),
        (lambda: NGramScorer(CHARACTERS, "aba"), "'aba' is empty or has a character twice"),
        (lambda: Boost(["a"], np.inf, "a"), "weight = inf"),
        (lambda: NeuralScorer(len, [], (0, None)), "symbols: give the number"),
    ],
)
def test_settings_that_are_none_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(("phrase", "why"), [("ax", "has 'x', which"), ("", "is empty")])
def test_phrases_outside_the_alphabet_are_refused(phrase, why):
    with pytest.raises(DataError, match=why):
        Boost([phrase], 1.0, " ab")
