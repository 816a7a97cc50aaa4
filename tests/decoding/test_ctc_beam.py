"""The prefix beam search: exact sums where nothing is pruned, with every scorer, in every chunk."""

import numpy as np
import pytest

from helpers.ctc_oracle import best_spans, lattice, likelihoods, scored
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.ngram import NGram
from recurra.decoding.scoring import Combined, NGramScorer, Scorer
from recurra.decoding.word_scoring import Boost, WordScorer
from recurra.errors import ConfigError, DataError

ALPHABET = " ab"
TEXTS = ["ab ba", "a b", "ba", "abba ab"]
CHARACTERS = NGramScorer(NGram.train(TEXTS, 3), ALPHABET)
WORDS = NGram.train([text.split() for text in TEXTS], 2)
SCORERS = {
    "none": None,
    "characters": CHARACTERS,
    "words": WordScorer(WORDS, ALPHABET),
    "boost": Boost(["ba", "ab b"], 1.5, ALPHABET),
    "all": Combined(
        [(CHARACTERS, 0.4), (WordScorer(WORDS, ALPHABET), 0.3), (Boost(["a"], 2.0, ALPHABET), 1)]
    ),
}
OPEN = {"beam": 100_000, "cut": 0.0, "margin": np.inf}


def decoded(frames, n=1, **settings):
    beam = CtcPrefixBeam(**settings)
    beam.feed(frames)
    return beam.finish(n)


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_without_pruning_every_score_is_exact(scorer, seed):
    frames, used = lattice(6, 4, seed), SCORERS[scorer]
    found = decoded(frames, None, scorer=used, alpha=0.7, beta=0.3, **OPEN)
    exact = likelihoods(frames)
    assert {each.tokens for each in found} == exact.keys()
    assert len(found) == len(exact)
    for each in found:
        language = scored(used, each.tokens) if used else 0.0
        assert each.acoustic == pytest.approx(exact[each.tokens], abs=1e-10)
        assert each.language == pytest.approx(language, abs=1e-10)
        total = exact[each.tokens] + 0.7 * language + 0.3 * len(each.tokens)
        assert each.score == pytest.approx(total, abs=1e-10)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)


def test_the_best_so_far_is_ranked_without_an_end():
    frames, parts = lattice(6, 4, 1), likelihoods(lattice(6, 4, 1))
    beam = CtcPrefixBeam(scorer=CHARACTERS, alpha=0.7, beta=0.3, **OPEN)
    beam.feed(frames)
    for tokens, acoustic in parts.items():
        state, language = CHARACTERS.start(), 0.0
        for token in tokens:
            value, state = CHARACTERS.score(state, token)
            language += value
        parts[tokens] = acoustic + 0.7 * language + 0.3 * len(tokens)
    best = beam.best()
    assert best.tokens == max(parts, key=parts.__getitem__)
    assert best.score == pytest.approx(parts[best.tokens], abs=1e-10)
    assert best.score == pytest.approx(best.acoustic + 0.7 * best.language + 0.3 * len(best.tokens))


def test_a_lexicon_leaves_its_texts_with_exact_scores():
    frames, lexicon = lattice(6, 4, 3), Lexicon(["ab", "b"], ALPHABET)
    exact = {t: v for t, v in likelihoods(frames).items() if lexicon.allows(t)}
    found = decoded(frames, None, lexicon=lexicon, **OPEN)
    assert {each.tokens: each.acoustic for each in found} == pytest.approx(exact, abs=1e-10)


def test_a_word_cut_off_by_the_end_is_dropped_and_the_rest_is_exact():
    frames = np.log(np.full((5, 4), 0.05 / 3))
    for t, token in enumerate((2, 1, 3, 2, 3)):  # "a bab": bab has a second half that is missing
        frames[t, token] = np.log(0.95)
    lexicon = Lexicon(["a", "babab"], ALPHABET)
    best = decoded(frames, beam=1, lexicon=lexicon)[0]
    assert best.tokens == (2,)
    assert best.acoustic == pytest.approx(likelihoods(frames)[2,])
    assert best.spans


@pytest.mark.parametrize("scorer", SCORERS)
def test_chunks_do_not_matter(scorer):
    frames, settings = lattice(40, 4, 5), {"beam": 4, "scorer": SCORERS[scorer], "alpha": 0.5}
    whole = decoded(frames, 4, **settings)
    cuts = np.random.default_rng(0).integers(0, 41, size=(3, 6))
    for cut in cuts:
        beam = CtcPrefixBeam(**settings)
        for piece in np.split(frames, np.sort(cut)):
            beam.feed(piece)
        assert beam.finish(4) == whole


def test_partial_results_lead_to_the_whole():
    frames, beam = lattice(12, 4, 2, sharpness=4), CtcPrefixBeam()
    for t in range(12):
        beam.feed(frames[t : t + 1])
        partial = beam.best(times=True)
        assert partial == decoded(frames[: t + 1])[0]  # without a scorer an end costs nothing
        assert beam.best().spans == beam.best().confidences == ()
    beam.reset()
    beam.feed(frames)
    assert beam.best(times=True) == partial


def test_spans_are_those_of_the_best_path():
    for best in decoded(lattice(6, 3, 4), 8):
        assert best.spans in best_spans(lattice(6, 3, 4), best.tokens)
        assert len(best.confidences) == len(best.tokens)


def test_a_beam_keeps_its_number_and_its_margin():
    frames = lattice(9, 4)
    assert len(decoded(frames, None, beam=5)) == 5
    near = decoded(frames, None, beam=500, margin=2.0)
    assert near[0].score - near[-1].score <= 2
    assert len(near) < 500


def test_tokens_below_the_cut_do_not_extend():
    frames = np.log([[0.5, 0.44, 0.06]] * 4)
    assert {t for each in decoded(frames, None, beam=500, cut=0.1) for t in each.tokens} == {1}


def test_a_small_beam_finds_less_than_a_large_one():
    frames = lattice(30, 6, 1, sharpness=1)
    scores = [decoded(frames, beam=beam, cut=0, margin=np.inf)[0].score for beam in (1, 8, 200)]
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("sweep", [1, 512])
@pytest.mark.parametrize("seed", [0, 2, 6])
def test_a_prefix_that_comes_back_is_the_same_prefix(seed, sweep, monkeypatch):
    """Dropped, then reached again from its parent: its children in the beam must still merge."""
    monkeypatch.setattr("recurra.decoding.ctc_beam._SWEEP", sweep)
    beam = CtcPrefixBeam(6, cut=0, margin=np.inf)
    for row in lattice(40, 3, seed, sharpness=4):
        beam.feed(row[None])
        read = [each.tokens for each in beam.finish(None, times=False)]
        assert len(set(read)) == len(read)


def test_sweeping_old_prefixes_changes_nothing(monkeypatch):
    frames = lattice(60, 4, 7, sharpness=3)
    whole = decoded(frames, 3, scorer=CHARACTERS)
    monkeypatch.setattr("recurra.decoding.ctc_beam._SWEEP", 3)
    assert decoded(frames, 3, scorer=CHARACTERS) == whole


def test_ties_are_broken_the_same_way():
    frames = np.log(np.full((3, 4), 0.25))
    first = decoded(frames, None, beam=7)
    assert [each.tokens for each in first[:4]] == [(1,), (2,), (3,), (1, 2)]
    assert decoded(frames, None, beam=7) == first


def test_nothing_to_read():
    assert CtcPrefixBeam().finish(3)[0].tokens == ()
    assert CtcPrefixBeam().best().score == 0
    assert decoded(np.zeros((0, 4)))[0].score == 0
    assert decoded(np.zeros((5, 1)))[0].tokens == ()
    silent = decoded(np.log([[1 - 2e-9, 1e-9, 1e-9]] * 6))
    assert [each.tokens for each in silent] == [()]


def test_the_end_is_scored_once_and_without_frames_too():
    ended = CtcPrefixBeam(scorer=CHARACTERS, alpha=2.0).finish()[0]
    assert ended.score == pytest.approx(2 * CHARACTERS.finish(CHARACTERS.start()))


def test_columns_of_minus_infinity():
    frames = lattice(6, 4, 1)
    frames[:, 0] = frames[:, 2] = -np.inf
    exact = {t: v for t, v in likelihoods(frames).items() if v > -np.inf}
    found = decoded(frames, None, **OPEN)
    assert {each.tokens: each.score for each in found} == pytest.approx(exact)


def test_a_beam_in_which_nothing_is_possible_says_so():
    frames = np.log([[1.0, 1e-30], [1e-30, 1.0]])
    frames[1, 0] = -np.inf
    with pytest.raises(DataError, match="After frame 0 no hypothesis is left"):
        decoded(frames[1:], lexicon=Lexicon(["b"], "ab"))


def test_frames_of_another_model_are_refused():
    beam = CtcPrefixBeam()
    beam.feed(lattice(2, 4))
    with pytest.raises(DataError, match="Frames of 5 tokens follow frames of 4"):
        beam.feed(lattice(2, 5))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beam": 0}, "beam = 0"),
        ({"alpha": -1.0}, "alpha = -1"),
        ({"beta": np.nan}, "beta = nan"),
        ({"cut": 1.0}, "cut = 1"),
        ({"margin": 0.0}, "margin = 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        CtcPrefixBeam(**setting)


class Graded(Scorer):
    """Costs a tenth of each token's number, and one for the end."""

    def start(self):
        return ()

    def score(self, state, token):
        return -token / 10, (*state, token)

    def finish(self, state):
        return -1.0


def test_a_scorer_of_a_users_own_needs_three_methods():
    for each in decoded(lattice(6, 3), None, scorer=Graded(), **OPEN):
        assert each.language == pytest.approx(-sum(each.tokens) / 10 - 1)
