"""Searches of a transducer against every sequence and every alignment of small ones."""

import gc
import itertools
import math

import numpy as np
import pytest
import torch

from recurra.decoding.scoring import Scorer
from recurra.decoding.transducer import TransducerGreedy
from recurra.decoding.transducer_beam import TransducerBeam
from recurra.decoding.transducer_history import History
from recurra.errors import ConfigError, DataError
from recurra.nn import Recurrent
from recurra.nn.transducer import Transducer, transducer_loss

TOKENS, LONGEST = 3, 4
ALL = [s for n in range(LONGEST + 1) for s in itertools.product(range(1, TOKENS), repeat=n)]


class Toy:
    """Random scores of any prefix, -inf beyond LONGEST symbols; a state is the prefix itself."""

    def __init__(self, frames=5, seed=0, tokens=TOKENS):
        self.tokens, self.seed = tokens, seed
        self.frames = self.draw(frames, tokens, key=(99,))

    def draw(self, *size, key):
        random = np.random.default_rng([self.seed, *key])
        return torch.from_numpy(random.normal(size=size, scale=2.0))

    def predict(self, tokens, states):
        if states is None:
            prefixes = [()] * len(tokens)
            assert tokens.tolist() == [0] * len(tokens)
        else:
            prefixes = [(*s, int(t)) for s, t in zip(states, tokens, strict=True)]
        return torch.stack([self.output(prefix) for prefix in prefixes]), prefixes

    def output(self, prefix):
        output = self.draw(self.tokens, key=(len(prefix), *prefix))
        if len(prefix) >= LONGEST:
            output[1:] = -math.inf
        return output

    def join(self, frame, outputs):
        return torch.log_softmax(frame + outputs, -1)

    def table(self, sequence):
        """Log-probabilities (T, U + 1, K) along a sequence."""
        outputs = torch.stack([self.output(sequence[:n]) for n in range(len(sequence) + 1)])
        return torch.log_softmax(self.frames[:, None] + outputs, -1)

    def log_probability(self, sequence):
        table = self.table(sequence)
        emit = table[None, :, range(len(sequence)), list(sequence)]
        ends = [len(self.frames)], [len(sequence)]
        return -transducer_loss(table[None, ..., 0], emit, *ends).item()

    def beam(self, **options):
        return TransducerBeam(self.predict, self.join, **options)


class Bigrams(Scorer):
    """A scorer of random bigrams; a state is the token before."""

    def __init__(self, seed=0):
        self.table = torch.log_softmax(Toy(seed=seed).draw(TOKENS, TOKENS, key=(1,)), -1).tolist()

    def start(self):
        return 0

    def score(self, state, token):
        return self.table[state][token], token

    def finish(self, state):
        return self.table[state][0]

    def of(self, sequence):
        return sum(self.table[a][b] for a, b in itertools.pairwise((0, *sequence, 0)))


def searched(search, frames):
    search.feed(frames)
    return search.finish(n=len(ALL))


EXACT = {"beam": len(ALL), "cut": 0, "margin": math.inf}


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_all_prefixes_has_the_probability_of_every_sequence(seed):
    toy = Toy(seed=seed)
    found = searched(toy.beam(**EXACT), toy.frames)
    expected = {sequence: toy.log_probability(sequence) for sequence in ALL}
    assert {h.tokens: h.acoustic for h in found} == pytest.approx(expected, rel=1e-12)
    assert [h.score for h in found] == sorted(expected.values(), reverse=True)
    assert sum(math.exp(h.acoustic) for h in found) == pytest.approx(1.0, rel=1e-12)
    assert all(h.score == h.acoustic for h in found)


@pytest.mark.parametrize("seed", range(6))
def test_a_small_beam_finds_the_best_sequence(seed):
    toy = Toy(frames=7, seed=seed)
    found = searched(toy.beam(beam=12), toy.frames)
    assert found[0].tokens == max(ALL, key=toy.log_probability)
    assert len({h.tokens for h in found}) == len(found) == 12
    for hypothesis in found:
        exact = toy.log_probability(hypothesis.tokens)
        assert hypothesis.acoustic <= exact + 1e-12
    assert found[0].acoustic == pytest.approx(toy.log_probability(found[0].tokens), abs=0.05)


def of_table(rows):
    """A model whose probabilities depend on the frame and on the number of symbols before."""
    table = torch.tensor(rows, dtype=torch.float64).log()

    def predict(tokens, states):
        counts = [0] if states is None else [count + 1 for count in states]
        return torch.tensor(counts)[:, None], counts

    join = lambda frame, outputs: table[int(frame[0]), outputs[:, 0]]  # noqa: E731
    return predict, join, torch.arange(float(len(rows)))[:, None]


def test_all_ways_through_kept_prefixes_count():
    """In the second frame 1 is the least likely symbol; yet it leads to a prefix that is kept."""
    after_one = [0.97, 0.01, 0.01, 0.01]
    rows = [
        [[0.4, 0.5, 0.05, 0.05], after_one, after_one],
        [[0.3, 0.1, 0.3, 0.3], after_one, after_one],
    ]
    predict, join, frames = of_table(rows)
    best = searched(TransducerBeam(predict, join, beam=2), frames)[0]
    assert best.tokens == (1,)
    assert math.exp(best.acoustic) == pytest.approx(0.5 * 0.97 * 0.97 + 0.4 * 0.1 * 0.97)


def test_a_dropped_history_may_come_again():
    """(1,) is dropped after the first frame, while (1, 2) is kept, and follows () once more."""
    done = [1.0, 0.0, 0.0]
    rows = [
        [[0.4, 0.6, 0.0], [0.05, 0.0, 0.95], done],
        [[0.1, 0.9, 0.0], [0.9, 0.0, 0.1], done],
    ]
    predict, join, frames = of_table(rows)
    search = TransducerBeam(predict, join, beam=2, scorer=(scorer := Bigrams()), alpha=0.01)
    search.feed(frames[:1])
    assert [h.tokens for h in search.finish(n=2)] == [(1, 2), ()]
    search.feed(frames[1:])
    for hypothesis, mass in zip(search.finish(n=2), (0.57 + 0.036, 0.324), strict=True):
        assert math.exp(hypothesis.acoustic) == pytest.approx(mass)
        assert hypothesis.language == pytest.approx(scorer.of(hypothesis.tokens))


def test_a_scorer_chooses_what_is_continued():
    predict, join, frames = of_table([[[0.1, 0.5, 0.4], [0.98, 0.01, 0.01]]])

    class Twos(Bigrams):
        def __init__(self):
            self.table = np.log([[0.2, 0.2, 0.6]] * 3).tolist()

    alone = searched(TransducerBeam(predict, join, beam=1), frames)
    fused = searched(TransducerBeam(predict, join, beam=1, scorer=Twos(), alpha=1.0), frames)
    assert (alone[0].tokens, fused[0].tokens) == ((1,), (2,))


@pytest.mark.parametrize(("weight", "bonus"), [(0.7, 0.4), (2.0, 0.0), (0.0, -1.0)])
def test_a_scorer_joins_in(weight, bonus):
    toy, scorer = Toy(seed=2), Bigrams()
    options = {"scorer": scorer, "alpha": weight, "beta": bonus}
    found = searched(toy.beam(**EXACT, **options), toy.frames)
    expected = {s: toy.log_probability(s) + weight * scorer.of(s) + bonus * len(s) for s in ALL}
    assert {h.tokens: h.score for h in found} == pytest.approx(expected, rel=1e-12)
    assert found[0].tokens == max(expected, key=expected.get)
    assert found[0].language == pytest.approx(scorer.of(found[0].tokens) if weight else 0)
    assert found[0].acoustic == pytest.approx(toy.log_probability(found[0].tokens))
    small = searched(toy.beam(beam=6, **options), toy.frames)
    assert small[0].tokens == found[0].tokens


def test_unlikely_tokens_continue_nothing():
    predict, join, frames = of_table([[[0.6, 0.35, 0.05], [0.97, 0.02, 0.01], [1, 0, 0]]])
    read = {cut: searched(TransducerBeam(predict, join, cut=cut), frames) for cut in (0.015, 0.1)}
    assert {h.tokens for h in read[0.015]} == {(), (1,), (2,), (1, 1), (2, 1)}
    assert {h.tokens for h in read[0.1]} == {(), (1,)}


def test_histories_far_below_the_best_are_dropped():
    predict, join, frames = of_table([[[0.6, 0.35, 0.05], [0.97, 0.02, 0.01], [1, 0, 0]]])
    found = searched(TransducerBeam(predict, join, margin=math.log(0.6 / 0.3)), frames)
    assert [h.tokens for h in found] == [(), (1,)]


def best_alignment(toy, sequence):
    """The frame of each symbol on the most likely alignment."""
    table = toy.table(sequence).tolist()
    frames = range(len(table))

    def score(places):
        until = [sum(place <= t for place in places) for t in frames]
        blanks = sum(table[t][until[t]][0] for t in frames)
        return blanks + sum(table[t][u][sequence[u]] for u, t in enumerate(places))

    return max(itertools.combinations_with_replacement(frames, len(sequence)), key=score)


@pytest.mark.parametrize("seed", range(3))
def test_spans_and_confidences_are_those_of_the_best_alignment(seed):
    toy = Toy(frames=6, seed=seed)
    for hypothesis in searched(toy.beam(**EXACT), toy.frames):
        places = best_alignment(toy, hypothesis.tokens)
        assert hypothesis.spans == tuple((t, t) for t in places)
        rows = [toy.table(hypothesis.tokens)[t, u].exp() for u, t in enumerate(places)]
        shares = [
            float(row[y] / row[1:].sum()) for row, y in zip(rows, hypothesis.tokens, strict=True)
        ]
        assert hypothesis.confidences == pytest.approx(shares)


def greedy_path(toy, limit):
    """Tokens, their frames and the path's score, by the definition."""
    tokens, places, score = [], [], 0.0
    for t in range(len(toy.frames)):
        for count in itertools.count():
            row = toy.table(tuple(tokens))[t, -1]
            token = int(row.argmax()) if count < limit else 0
            score += float(row[token])
            if token == 0:
                break
            tokens.append(token)
            places.append(t)
    return tuple(tokens), tuple((t, t) for t in places), score


@pytest.mark.parametrize("limit", [1, 2, 10])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_takes_the_most_likely_token(seed, limit):
    toy = Toy(frames=6, seed=seed)
    (found,) = searched(TransducerGreedy(toy.predict, toy.join, max_symbols=limit), toy.frames)
    tokens, spans, score = greedy_path(toy, limit)
    assert (found.tokens, found.spans) == (tokens, spans)
    assert found.acoustic == found.score == pytest.approx(score)


def test_symbols_in_a_frame_are_limited():
    """Without a limit this model never takes a blank."""
    predict = lambda tokens, states: (tokens[:, None] * 0.0, [None] * len(tokens))  # noqa: E731
    join = lambda frame, outputs: torch.tensor([[-9.0, -0.1]]).expand(len(outputs), 2)  # noqa: E731
    (path,) = searched(TransducerGreedy(predict, join, max_symbols=3), torch.zeros(1, 4))
    assert path.tokens == (1, 1, 1)
    assert path.acoustic == pytest.approx(-9.3)
    found = searched(TransducerBeam(predict, join, max_symbols=3), torch.zeros(1, 4))
    assert [h.tokens for h in found] == [(1,) * n for n in range(4)]


@pytest.mark.parametrize("kind", ["greedy", "beam", "fused"])
def test_pieces_of_any_size_change_nothing(kind):
    toy = Toy(frames=12, seed=5)
    start = {
        "greedy": lambda: TransducerGreedy(toy.predict, toy.join),
        "beam": lambda: toy.beam(beam=3),
        "fused": lambda: toy.beam(beam=3, scorer=Bigrams(), alpha=0.5),
    }[kind]
    whole, random = start(), np.random.default_rng(0)
    partial = []
    for frame in toy.frames:
        whole.feed(frame[None])
        partial.append(whole.best())
    for _ in range(5):
        search, at = start(), 0
        while at < len(toy.frames):
            size = int(random.integers(0, 5))
            search.feed(toy.frames[at : at + size])
            at = min(at + size, len(toy.frames))
            assert at == 0 or search.best() == partial[at - 1]
        assert search.finish() == whole.finish()


@pytest.mark.parametrize("kind", [TransducerGreedy, TransducerBeam])
def test_without_frames_nothing_is_read(kind):
    toy = Toy()
    search = kind(toy.predict, toy.join)
    search.feed(toy.frames[:0])
    (only,) = search.finish()
    assert only == search.best()
    assert (only.tokens, only.score, only.spans) == ((), 0.0, ())


def test_only_kept_histories_hold_states():
    """A long recording's search keeps its text, and the model's states of a few histories alone."""
    predict = lambda tokens, states: (tokens[:, None] * 0.0, [object()] * len(tokens))  # noqa: E731
    join = lambda frame, outputs: torch.log_softmax(frame + outputs, -1)  # noqa: E731
    random = torch.Generator().manual_seed(0)
    search = TransducerBeam(predict, join, beam=3, scorer=(scorer := Bigrams()), alpha=0.2)
    search.feed(torch.randn(300, 3, generator=random) * 4)
    assert len(search.best().tokens) > 50
    gc.collect()
    histories = [o for o in gc.get_objects() if type(o) is History]
    held = [(p.output, p.state, p.scored) for p in histories]
    assert len([h for h in held if any(each is not None for each in h)]) == 3
    for hypothesis in search.finish(n=3):
        assert hypothesis.language == pytest.approx(scorer.of(hypothesis.tokens))
    assert len(histories) < len(search.best().tokens) + 20


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 0},
        {"max_symbols": 0},
        {"alpha": -1.0},
        {"beta": math.inf},
        {"cut": 1.0},
        {"margin": 0.0},
    ],
)
def test_options_that_cant_be_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(ConfigError, match=f"{name} = {value}; give "):
        Toy().beam(**options)


def test_without_a_blank_nothing_is_left():
    predict, join, frames = of_table([[[0.0, 1.0]] + [[0.0, 1.0]] * 3])
    with pytest.raises(DataError, match="After frame 0 no hypothesis is left: all have -inf"):
        TransducerBeam(predict, join, max_symbols=2).feed(frames)


def test_reset_begins_again():
    toy = Toy(seed=1)
    for search in (TransducerGreedy(toy.predict, toy.join), toy.beam(scorer=Bigrams())):
        first = searched(search, toy.frames)
        search.reset()
        assert search.best().tokens == ()
        assert searched(search, toy.frames) == first


def test_times_are_given_if_asked_for():
    toy = Toy(seed=1)
    for search in (TransducerGreedy(toy.predict, toy.join), toy.beam()):
        search.feed(toy.frames)
        assert search.best().spans == search.finish(times=False)[0].spans == ()
        assert search.best(times=True).spans == search.finish()[0].spans != ()
        assert len(search.finish()) == 1


def test_frames_that_cant_be_are_named():
    search = Toy().beam()
    with pytest.raises(DataError, match=r"Frames of shape \(3,\); give \(frames, encoder size\)"):
        search.feed(torch.zeros(3))
    search.feed(torch.zeros(2, 3))
    with pytest.raises(DataError, match="Frame 2 has log-probabilities that are NaN"):
        search.feed(torch.full((1, 3), math.nan))


# -- learning


class Reader(torch.nn.Module):
    """A recurrent layer that reads frames, and a transducer."""

    def __init__(self, engine, tokens=4):
        super().__init__()
        self.layer = Recurrent("gru", tokens, 16, batch_first=True, engine=engine)
        sizes = {"joint_size": 16, "predictor_size": 8}
        self.transducer = Transducer(16, tokens, **sizes, cell="gru", engine=engine)

    def loss(self, frames, targets, lengths, ends):
        return self.transducer(self.layer(frames)[0], targets, lengths, ends)

    def read(self, frames, lengths, kind):
        encoded = self.layer(frames)[0].detach()
        return [
            searched(kind(self.transducer.predict, self.transducer.join), row[:length])[0]
            for row, length in zip(encoded, lengths, strict=True)
        ]


def drawn(random, batch=16, tokens=4):
    """Frames of symbols held for one to three frames, with pauses between: (B, T, K)."""
    ends = random.integers(0, 4, batch)
    rows, targets = [], np.zeros((batch, 3), int)
    for row, end in enumerate(ends):
        targets[row, :end] = random.integers(1, tokens, end)
        held = [[token] * random.integers(1, 4) + [0] for token in targets[row, :end]]
        frames = torch.tensor([0, *itertools.chain(*held)])
        rows.append(torch.nn.functional.one_hot(frames, tokens).float())
    frames = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return frames, torch.from_numpy(targets), [len(row) for row in rows], ends.tolist()


def trained(engine, steps=200):
    random, model = np.random.default_rng(0), Reader(engine)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        model.loss(*drawn(random)).mean().backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("engine", ["torch", pytest.param("cpu", marks=pytest.mark.slow)])
def test_it_learns_to_read_without_an_error(engine):
    model = trained(engine)
    frames, targets, lengths, ends = drawn(np.random.default_rng(1), 64)
    wanted = [tuple(target[:end].tolist()) for target, end in zip(targets, ends, strict=True)]
    for kind in (TransducerGreedy, TransducerBeam):
        found = model.read(frames, lengths, kind)
        assert [h.tokens for h in found] == wanted
    loss = model.loss(frames, targets, lengths, ends)
    assert [-h.acoustic for h in found] == pytest.approx(loss.tolist(), abs=1e-2)
