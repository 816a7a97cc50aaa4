"""Our beam search beside flashlight-text's decoders, which others wrote."""

import sys

import numpy as np
import pytest

from helpers.ctc_oracle import lattice, scored
from recurra.decoding.arpa import write_arpa
from recurra.decoding.ctc import log_likelihood
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.flashlight import FlashlightBeam, flashlight_beam
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.ngram import NGram
from recurra.decoding.scoring import NGramScorer
from recurra.decoding.word_scoring import WordScorer
from recurra.errors import DataError, MissingExtra

pytest.importorskip("flashlight.lib.text")

ALPHABET = " abc"
TEXTS = ["ab ba", "a b", "ba cab", "abba ab"]
CHARACTERS = NGramScorer(NGram.train(TEXTS, 3), ALPHABET)
WORDS = WordScorer(NGram.train([text.split() for text in TEXTS], 2), ALPHABET)
SCORERS = {"none": None, "characters": CHARACTERS, "words": WORDS}


def single(frames, tokens, seed, **sharpness):
    """A lattice of single precision, as flashlight takes it."""
    return lattice(frames, tokens, seed, **sharpness).astype(np.float32)


def ours(frames, beam=5000, n=1, **settings):
    search = CtcPrefixBeam(beam, cut=0, margin=np.inf, **settings)
    search.feed(frames)
    return search.finish(n)


def theirs(frames, beam=10_000, n=1, **settings):
    return flashlight_beam(frames, beam, margin=1e6, n=n, **settings)


def same(found, expected):
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    for field in ("score", "acoustic", "language"):
        values = [getattr(each, field) for each in expected]
        assert [getattr(each, field) for each in found] == pytest.approx(values, abs=1e-5), field
    assert [each.spans for each in found] == [each.spans for each in expected]
    assert [each.confidences for each in found] == [each.confidences for each in expected]


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("seed", range(3))
def test_hypotheses_and_scores_are_equal(scorer, seed):
    settings = {"scorer": SCORERS[scorer], "alpha": 0.8, "beta": 0.4, "n": 10}
    frames = single(5, 5, seed)
    same(theirs(frames, **settings), ours(frames, **settings))


@pytest.mark.parametrize("scorer", SCORERS)
def test_the_best_of_long_sequences_is_the_same(scorer):
    """Each drops other paths of little probability, so that both stay below the exact sum."""
    settings = {"scorer": SCORERS[scorer], "alpha": 0.5, "beta": 0.2}
    frames = single(20, 5, 1, sharpness=5)
    found, expected = theirs(frames, 400, **settings)[0], ours(frames, 200, **settings)[0]
    assert (found.tokens, found.spans) == (expected.tokens, expected.spans)
    exact = log_likelihood(frames, found.tokens)
    assert exact - 0.1 < found.acoustic < exact + 1e-5
    assert exact - 0.1 < expected.acoustic < exact + 1e-9


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_one_word_of_a_lexicon_is_equal(fused, seed):
    frames, letters = single(7, 4, seed), NGram.train(["abc", "cab", "bbc"], 2)
    scorer = NGramScorer(letters, "abc") if fused else None
    settings = {"lexicon": Lexicon(["abc", "cab", "bbc", "abca"], "abc"), "scorer": scorer}
    same(theirs(frames, beta=0.3, **settings), ours(frames, beta=0.3, **settings))


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("seed", range(3))
def test_words_of_a_lexicon_are_equal_where_spaces_are_certain(scorer, seed):
    settings = {"scorer": SCORERS[scorer], "alpha": 0.7, "beta": 0.3}
    frames, lexicon = single(11, 5, seed), Lexicon(["ab", "ba", "cab", "c"], ALPHABET)
    frames[:, 1] = -np.inf
    frames[5] = [-np.inf, 0, -np.inf, -np.inf, -np.inf]
    frames[[2, 8], 0] = -np.inf  # a word on either side
    same(theirs(frames, lexicon=lexicon, **settings), ours(frames, lexicon=lexicon, **settings))


def test_frames_in_pieces_are_searched_as_the_whole():
    frames, search = single(9, 5, 2), FlashlightBeam(40, scorer=CHARACTERS, margin=1e6)
    search.feed(np.ones((1, 5)) * np.log(0.2))
    search.reset()
    for piece in (frames[:2], frames[2:2], frames[2:]):
        search.feed(piece)
    same(search.finish(3), theirs(frames, 40, scorer=CHARACTERS, n=3))
    assert search.best() == search.finish()[0]


def test_a_lexicon_that_leaves_nothing_is_told():
    search = FlashlightBeam(4, lexicon=Lexicon(["abab"], "ab"))
    search.feed([[-np.inf, -0.7, -0.7]] * 2)
    with pytest.raises(DataError, match="No text of the lexicon has a probability in 2 frames"):
        search.finish()


def test_no_frames_and_a_single_token():
    assert theirs(np.zeros((0, 4)))[0].tokens == ()
    assert theirs(np.zeros((3, 1)))[0].tokens == ()


def test_kenlm_reads_our_models_and_agrees(tmp_path):
    """KenLM is inside flashlight-text, and reads the ARPA format."""
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm")
    from flashlight.lib.text.dictionary import Dictionary

    letters = NGram.train([text.replace(" ", "_") for text in TEXTS], 4)
    write_arpa(letters, tmp_path / "letters.arpa")
    names = Dictionary(["#", "_", "a", "b", "c"])
    model = kenlm.KenLM(str(tmp_path / "letters.arpa"), names)
    for text in ("ab_ba", "cc", "", "abba_cab"):
        tokens = ["#_abc".index(piece) for piece in text]
        state, total = model.start(False), 0.0
        for token in tokens:
            state, value = model.score(state, token)
            total += value
        total += model.finish(state)[1]
        expected = scored(NGramScorer(letters, "_abc"), tokens)
        assert total * np.log(10) == pytest.approx(expected, abs=1e-4)


def test_without_flashlight_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashlight.lib.text", None)
    with pytest.raises(MissingExtra, match=r"flashlight-text.*recurra\[flashlight\]"):
        flashlight_beam(lattice(2, 2))
