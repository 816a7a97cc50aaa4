"""CTC's best path, alignment, likelihood and confidences against the enumeration of all paths."""

import numpy as np
import pytest

from helpers.ctc_oracle import best_spans, lattice, likelihoods, paths, reading, scored, spans_of
from recurra.decoding.confidence import token_confidences, words
from recurra.decoding.ctc import align, blank_share, greedy, log_likelihood
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.ngram import NGram
from recurra.decoding.scoring import Combined, NGramScorer
from recurra.errors import ConfigError, DataError

SEEDS = range(5)
FRAMES = lattice(5, 3)
READINGS = sorted(likelihoods(FRAMES))


@pytest.mark.parametrize("seed", SEEDS)
def test_greedy_reads_the_best_path(seed):
    frames = lattice(6, 3, seed)
    path, score = max(paths(frames), key=lambda each: each[1])
    best = greedy(frames)
    assert (best.tokens, best.spans) == (reading(path), spans_of(path))
    assert best.acoustic == best.score == pytest.approx(score)
    assert len(best.confidences) == len(best.tokens)


@pytest.mark.parametrize("tokens", READINGS)
def test_alignment_is_the_best_path_that_reads_so(tokens):
    assert align(FRAMES, tokens) in best_spans(FRAMES, tokens)


@pytest.mark.parametrize("tokens", READINGS)
def test_likelihood_sums_all_paths(tokens):
    assert log_likelihood(FRAMES, tokens) == pytest.approx(likelihoods(FRAMES)[tokens], abs=1e-12)


@pytest.mark.parametrize("tokens", [(1, 1, 1, 1), (1, 2, 1, 2, 1, 2), (1, 1, 2, 2)])
def test_what_the_frames_do_not_allow_is_not_aligned(tokens):
    assert align(FRAMES, tokens) is None
    assert log_likelihood(FRAMES, tokens) == -np.inf


def test_a_repetition_needs_a_blank_between():
    assert align(lattice(3, 2), (1, 1)) == ((0, 0), (2, 2))
    assert align(lattice(2, 2), (1, 1)) is None


def test_a_token_that_is_ruled_out_is_not_aligned():
    frames = lattice(4, 3)
    frames[:, 2] = -np.inf
    assert align(frames, (1, 2)) is None
    assert align(frames, (1,)) in best_spans(frames, (1,))


def test_no_frames_and_no_tokens():
    nothing = np.zeros((0, 3))
    assert greedy(nothing) == Hypothesis((), 0.0, 0.0)
    assert (align(nothing, ()), align(nothing, (1,)), align(FRAMES, ())) == ((), None, ())
    assert (log_likelihood(nothing, ()), log_likelihood(nothing, (1,))) == (0.0, -np.inf)
    assert greedy(np.zeros((4, 1))).tokens == ()


def test_equal_tokens_go_to_the_lowest_number():
    assert greedy(np.log([[0.2, 0.4, 0.4], [0.5, 0.5, 0.0001]])).tokens == (1,)


def test_the_share_of_blank_frames():
    assert blank_share(np.log([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2]])) == 0.75
    assert blank_share(np.zeros((0, 3))) == 0


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([[0.0, np.nan]], "Frame 0 has a log-probability of nan"),
        ([[0.0, -1.0], [-np.inf, -np.inf]], "Frame 1 has -inf for every token"),
        ([[np.inf, 0.0]], "Frame 0 has a log-probability of inf"),
        ([0.0, 1.0], r"shape \(2,\)"),
        (np.zeros((3, 0)), "give \\(frames, tokens\\)"),
    ],
)
def test_frames_that_are_none_are_refused(frames, message):
    with pytest.raises(DataError, match=message):
        greedy(frames)


@pytest.mark.parametrize("token", [0, 3, -1])
def test_tokens_that_are_none_are_refused(token):
    with pytest.raises(DataError, match=f"Token {token} can't be aligned; tokens are 1 to 2"):
        align(FRAMES, [1, token])


def single_edit(frames, tokens, spans, i, worth=lambda tokens: 0.0):
    """The share of a token among all that its frames can read as, the neighbours' frames fixed."""
    path = np.zeros(len(frames), int)
    for token, (first, last) in zip(tokens, spans, strict=True):
        path[first : last + 1] = token
    begin = spans[i - 1][1] + 1 if i else 0
    end = spans[i + 1][0] if i + 1 < len(spans) else len(frames)
    options = {}
    for inner, score in paths(frames[begin:end]):
        whole = (*path[:begin].tolist(), *inner, *path[end:].tolist())
        length = len(reading(inner))
        if length <= 1 and len(reading(whole)) == len(tokens) - 1 + length:
            read = reading(inner)
            edited = (*tokens[:i], *read, *tokens[i + 1 :])
            options[read] = options.get(read, 0.0) + np.exp(score + worth(edited))
    return options[(tokens[i],)] / sum(options.values())


@pytest.mark.parametrize("tokens", [(1,), (2, 1), (1, 1), (2, 3, 2), (2, 2, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_confidence_is_the_share_among_single_edits(tokens, seed):
    frames = lattice(6, 4, seed)
    spans = align(frames, tokens)
    expected = [single_edit(frames, tokens, spans, i) for i in range(len(tokens))]
    assert token_confidences(frames, tokens, spans) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("tokens", [(1,), (2, 1), (2, 3, 2)])
def test_confidence_weighs_what_a_scorer_makes_of_the_edits(tokens):
    frames = lattice(6, 4, 1)
    spans = align(frames, tokens)
    letters = NGramScorer(NGram.train(["abc", "cab", "bbca"], 3), "abc")
    scorer = Combined([(letters, 0.7)])

    def worth(edited):
        return scored(scorer, edited) + 0.4 * len(edited)

    expected = [single_edit(frames, tokens, spans, i, worth) for i in range(len(tokens))]
    found = token_confidences(frames, tokens, spans, scorer=scorer, beta=0.4)
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_word_that_the_lexicon_leaves_no_choice_is_certain():
    lexicon = Lexicon(["ab", "c"], "abc")
    frames = np.log([[0.1, 0.6, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4]])
    spans = ((0, 0), (1, 1))
    assert token_confidences(frames, (1, 2), spans, scorer=lexicon) == (1.0, 1.0)
    assert token_confidences(frames, (1, 2), spans)[1] == pytest.approx(0.3 / 0.8)


def test_confidence_of_one_frame_is_its_probability():
    assert greedy(np.log([[0.2, 0.7, 0.1]])).confidences == pytest.approx([0.7])


def test_confidence_does_not_vanish_in_long_silence():
    frames = np.log(np.full((5000, 3), [0.98, 0.01, 0.01]))
    frames[2500] = np.log([0.1, 0.8, 0.1])
    assert greedy(frames).confidences[0] > 0.5


def test_words_have_times_and_confidences():
    spans = ((0, 1), (3, 3), (5, 6), (8, 9))
    read = Hypothesis((4, 5, 1, 6), -1.0, -1.0, 0.0, spans, (0.5, 0.8, 0.1, 0.9))
    assert [(w.tokens, w.span, w.confidence) for w in words(read, space=1)] == [
        ((4, 5), (0, 3), 0.5),
        ((6,), (8, 9), 0.9),
    ]
    assert words(read, space=1, how="product")[0].confidence == pytest.approx(0.4)
    assert [w.span for w in words(read, space=None)] == [(0, 9)]
    assert words(Hypothesis((), 0.0, 0.0), space=1) == []


def test_words_need_spans():
    with pytest.raises(ConfigError, match="no spans; ask for them"):
        words(Hypothesis((1,), 0.0, 0.0), space=2)
    with pytest.raises(ConfigError, match="how = 'mean'"):
        words(Hypothesis((), 0.0, 0.0), space=2, how="mean")
