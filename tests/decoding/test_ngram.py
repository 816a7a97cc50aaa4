"""N-gram models against the formulas of Kneser and Ney, written out with dictionaries."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from recurra.decoding.arpa import read_arpa, write_arpa
from recurra.decoding.kneser_ney import discounts
from recurra.decoding.ngram import END, START, UNKNOWN, NGram
from recurra.errors import ConfigError, DataError


def texts(count=60, seed=0):
    """Words of three letters with habits, so that counts of counts are all there."""
    rng = np.random.default_rng(seed)
    words = ["abc", "ab", "cab", "bca", "aab", "ccb", "d"]
    weights = np.array([9, 7, 5, 4, 3, 2, 1]) / 31
    return [" ".join(rng.choice(words, size=rng.integers(1, 6), p=weights)) for _ in range(count)]


class Written:
    """Interpolated modified Kneser-Ney as its paper has it: no arrays, no back-off weights."""

    def __init__(self, sequences, order):
        self.order = order
        rows = [[START, *sequence, END] for sequence in sequences]
        self.size = len({s for row in rows for s in row})  # without START, with UNKNOWN
        raw = Counter(g for row in rows for g in self.grams(row, order))
        self.counts = {order: Counter({g: n for g, n in raw.items() if len(g) == order})}
        for k in range(order - 1, 0, -1):
            continued = Counter(g[1:] for g in {g for g in raw if len(g) == k + 1})
            at_start = {g: n for g, n in raw.items() if len(g) == k and g[0] == START and k > 1}
            self.counts[k] = continued | Counter(at_start)
        self.counts[1].pop((START,), None)
        self.discounts = {k: self.three(counts) for k, counts in self.counts.items()}
        self.following = {k: self.by_context(counts) for k, counts in self.counts.items()}

    @staticmethod
    def grams(row, order):
        for k in range(1, order + 1):
            yield from (tuple(row[i : i + k]) for i in range(len(row) - k + 1))

    @staticmethod
    def three(counts):
        n1, n2, n3, n4 = (sum(n == i for n in counts.values()) for i in (1, 2, 3, 4))
        if not all((n1, n2, n3, n4)):
            return 0.5, 1.0, 1.5
        y = n1 / (n1 + 2 * n2)
        three = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        fits = all(0 < d <= i for i, d in enumerate(three, 1))
        return three if fits else (0.5, 1.0, 1.5)

    @staticmethod
    def by_context(counts):
        following = defaultdict(Counter)
        for gram, n in counts.items():
            following[gram[:-1]][gram[-1]] = n
        return following

    def probability(self, context, symbol):
        context = tuple(context)[-(self.order - 1) :] if self.order > 1 else ()
        below = self.probability(context[1:], symbol) if context else 1 / self.size
        following = self.following[len(context) + 1].get(context)
        if not following:
            return below
        three = self.discounts[len(context) + 1]
        total = following.total()
        taken = sum(three[min(n, 3) - 1] for n in following.values())
        count = following[symbol]
        own = count - three[min(count, 3) - 1] if count else 0.0
        return (own + taken * below) / total


CONTEXTS = [[], [START], [START, "a"], ["a", "b"], ["x", "a"], list("cab ab"), ["d", "d", "d"]]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 3, 60, 400])
def test_probabilities_are_those_of_the_paper(order, count):
    sequences = texts(count)
    model, written = NGram.train(sequences, order), Written(sequences, order)
    for context in CONTEXTS:
        for symbol in [*model.symbols[2:], "x"]:
            expected = np.log(written.probability(context, symbol))
            assert model.log_prob(context, symbol) == pytest.approx(expected, abs=2e-6)


def test_large_counts_have_discounts_of_their_own():
    """Without this, the comparison above might always have taken those of small data."""
    estimated = Written(texts(400), 5).discounts
    assert sum(three != (0.5, 1.0, 1.5) for three in estimated.values()) >= 2


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one(order):
    model = NGram.train(texts(), order, vocabulary="xyz")
    for context in CONTEXTS:
        logs = [model.log_prob(context, symbol) for symbol in model.symbols if symbol != START]
        assert np.exp(logs).sum() == pytest.approx(1, abs=1e-6)
        assert min(logs) > -np.inf
        assert model.log_prob(context, START) == -np.inf


def test_rows_states_and_whole_sequences_agree_with_single_lookups():
    model = NGram.train(texts(), 4)
    sequence = ["c", "a", "b", "x", "a", " ", "d", "d", "a", "b", "c"]
    state, context, along = model.start(), [START], []
    for symbol in [*sequence, END]:
        row = [model.log_prob(context, each) for each in model.symbols]
        assert model.row(state) == pytest.approx(row, abs=1e-12)
        along.append(model.log_prob(context, symbol))
        state, context = model.advance(state, model.number(symbol)), [*context, symbol]
    assert model.entropy([sequence]) == pytest.approx(-np.mean(along), abs=1e-12)
    short = -np.array([model.log_prob([START], "d"), model.log_prob([START, "d"], END)])
    both = np.mean([*-np.array(along), *short])
    assert model.entropy([sequence, ["d"]]) == pytest.approx(both, abs=1e-12)


def test_rare_symbols_count_as_unknown():
    model = NGram.train([["a", "b", "a"], ["a", "c"]], 2, min_count=2, vocabulary=["d"])
    assert model.symbols == (UNKNOWN, START, END, "a", "d")
    assert model.knows("a")
    assert not model.knows("b")
    assert not model.knows(UNKNOWN)
    assert model.log_prob(["a"], "b") == model.log_prob(["a"], "never") > model.log_prob([], "d")


def test_discounts_fall_back_where_counts_of_counts_are_missing():
    assert discounts(np.array([1, 1, 2, 4])).tolist() == [0.5, 1.0, 1.5]
    assert discounts(np.array([], int)).tolist() == [0.5, 1.0, 1.5]
    counts = np.repeat([1, 2, 3, 4, 9], [40, 15, 7, 4, 3])
    y = 40 / 70
    expected = [1 - 2 * y * 15 / 40, 2 - 3 * y * 7 / 15, 3 - 4 * y * 4 / 7]
    assert discounts(counts) == pytest.approx(expected)
    assert discounts(np.repeat([1, 2, 3, 4], [1, 1, 9, 1])).tolist() == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("sequences", [[[]], [["a"]], [[], ["a"], []]])
def test_the_smallest_data(sequences):
    model = NGram.train(sequences, 5)
    total = sum(np.exp(model.log_prob([START, "a"], s)) for s in model.symbols)
    assert total == pytest.approx(1, abs=1e-6)
    assert np.isfinite(model.entropy([["b"]]))


def test_arrays_give_the_same_model():
    model = NGram.train(texts(), 4)
    arrays, facts = model.to_arrays()
    same = NGram.from_arrays(arrays, facts)
    assert same.symbols == model.symbols
    for name in ("levels", "symbol", "first", "suffix", "log_prob", "backoff"):
        assert np.array_equal(getattr(same.trie, name), getattr(model.trie, name)), name
    assert sum(each.nbytes for each in arrays.values()) <= 12 * sum(model.trie.levels)


def test_arrays_of_something_else_are_refused():
    arrays, facts = NGram.train(texts(), 3).to_arrays()
    with pytest.raises(DataError, match="aren't those of an n-gram model"):
        NGram.from_arrays({}, facts)
    with pytest.raises(DataError, match="aren't those of an n-gram model"):
        NGram.from_arrays(arrays, "{")
    with pytest.raises(DataError, match="don't fit"):
        NGram.from_arrays({**arrays, "log_prob": arrays["log_prob"][:-1]}, facts)
    fewer = json.dumps({**json.loads(facts), "symbols": ["a"]})
    with pytest.raises(DataError, match="don't fit"):
        NGram.from_arrays(arrays, fewer)


def test_arpa_there_and_back(tmp_path):
    model = NGram.train(texts(), 3)
    write_arpa(model, tmp_path / "model.arpa")
    same = read_arpa(tmp_path / "model.arpa")
    assert same.symbols == model.symbols
    for context in CONTEXTS:
        expected = [model.log_prob(context, symbol) for symbol in model.symbols]
        found = [same.log_prob(context, symbol) for symbol in model.symbols]
        assert found == pytest.approx(expected, abs=1e-6)


PRUNED = """\\data\\
ngram 1=4
ngram 3=1

\\1-grams:
-99 <s> -0.3
-0.5 </s>
-0.4 a -0.2
-0.9 b

\\2-grams:
-0.1 <s> a -0.05

\\3-grams:
-0.02 <s> a b

\\end\\
"""


def test_a_pruned_arpa_file_backs_off_as_the_format_says(tmp_path):
    """Its 3-gram has no suffix `a b` of its own."""
    (tmp_path / "pruned.arpa").write_text(PRUNED)
    model = read_arpa(tmp_path / "pruned.arpa")
    ten = [([START, "a"], "b", -0.02), ([START, "a"], "a", -0.05 - 0.2 - 0.4), (["b"], "b", -0.9)]
    for context, symbol, value in ten:
        assert model.log_prob(context, symbol) == pytest.approx(value * np.log(10), abs=1e-6)
    assert -model.entropy([["a", "b"]]) * 3 == pytest.approx(np.log(10) * (-0.1 - 0.02 - 0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "no 1-grams"),
        ("\\1-grams:\n-1 a b c\n", "line 2: 4 fields; a 1-gram"),
        (PRUNED.replace("\\2-grams:\n-0.1 <s> a -0.05\n", ""), "beginning .*isn't in the file"),
        (PRUNED.replace("-0.9 b", "minus b"), "line 9: 'minus' isn't a number"),
    ],
)
def test_arpa_files_that_are_none(tmp_path, text, message):
    (tmp_path / "bad.arpa").write_text(text)
    with pytest.raises(DataError, match=message):
        read_arpa(tmp_path / "bad.arpa")


def test_what_cannot_be_trained_on():
    with pytest.raises(ConfigError, match="order = 0"):
        NGram.train(["a"], 0)
    with pytest.raises(DataError, match="No sequence to train"):
        NGram.train([], 2)
    with pytest.raises(DataError, match="<s> is a mark of the model"):
        NGram.train([["<s>", "a"]], 2)
    with pytest.raises(DataError, match="No sequence to measure"):
        NGram.train(["a"], 2).entropy([])


@pytest.mark.data
def test_shakespeare_beats_witten_bell(real_data):
    """1.669 nats a character: interpolated Witten-Bell with contexts of four."""
    text = (real_data / "tiny_shakespeare" / "input.txt").read_text()
    cut = len(text) * 9 // 10
    assert NGram.train([text[:cut]], 5).entropy([text[cut:]]) == pytest.approx(1.5613, abs=1e-3)


@pytest.mark.data
def test_the_published_perplexity_of_the_penn_treebank(real_data):
    """141.2: KN5 of Mikolov & Zweig 2012."""
    train, test = (
        [line.split() for line in (real_data / "ptb" / f"ptb.{part}.txt").open()]
        for part in ("train", "test")
    )
    assert np.exp(NGram.train(train, 5).entropy(test)) == pytest.approx(141.2, abs=0.05)
