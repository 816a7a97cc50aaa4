"""Options of generating sequences, and phrases that must occur."""

import itertools
import re

import pytest

from helpers.toy_generator import with_phrases
from recurra.decoding.lexical_constraints import LexicalConstraints
from recurra.decoding.sequence_options import BeamOptions, DrawOptions, GenerationLimits
from recurra.errors import ConfigError

BAD = [
    (BeamOptions, {"beam": 0}, "beam = 0; give a whole number, 1 or more."),
    (BeamOptions, {"beam": True}, "beam = True; give a whole number, 1 or more."),
    (BeamOptions, {"beam": 2.0}, "beam = 2.0; give a whole number, 1 or more."),
    (BeamOptions, {"nbest": 0}, "nbest = 0; give a whole number, 1 or more."),
    (BeamOptions, {"nbest": 9}, "nbest = 9 with beam = 5; a beam gives at most as many as it"),
    (BeamOptions, {"length_penalty": -0.1}, "length_penalty = -0.1; give a finite number, 0 or"),
    (BeamOptions, {"coverage_penalty": "1"}, "coverage_penalty = '1'; give a finite number, 0"),
    (GenerationLimits, {"minimum_length": -1}, "minimum_length = -1; give a whole number, 0 or"),
    (GenerationLimits, {"maximum_length": 0}, "maximum_length = 0; give a whole number, 1 or"),
    (
        GenerationLimits,
        {"minimum_length": 4, "maximum_length": 3},
        "minimum_length = 4 with maximum_length = 3: no sequence has such a length",
    ),
    (GenerationLimits, {"length_ratio": float("nan")}, "length_ratio = nan; give a finite number"),
    (GenerationLimits, {"extra_length": -3}, "extra_length = -3; give a whole number, 0 or more."),
    (
        GenerationLimits,
        {"length_ratio": 0, "extra_length": 0},
        "length_ratio = 0 with extra_length = 0: every sequence would be empty",
    ),
    (GenerationLimits, {"blocked_ngram": -1}, "blocked_ngram = -1; give a whole number, 0 or"),
    (DrawOptions, {"samples": 0}, "samples = 0; give a whole number, 1 or more."),
    (DrawOptions, {"temperature": -1}, "temperature = -1; give 0 (greedy) or a positive number."),
    (DrawOptions, {"temperature": 0}, "temperature = 0 draws nothing; give a positive temperatu"),
    (DrawOptions, {"top_p": 0}, "top_p = 0; give a number above 0 and at most 1."),
]


@pytest.mark.parametrize(("kind", "options", "message"), BAD)
def test_what_cant_be_is_named(kind, options, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        kind(**options)


def test_lengths_follow_the_source():
    assert GenerationLimits().longest(0) == 10
    assert GenerationLimits(length_ratio=1.5, extra_length=0).longest(3) == 4
    assert GenerationLimits(maximum_length=7).longest(50) == 7
    assert GenerationLimits(minimum_length=30).longest(2) == 30


PHRASES = [
    [(1, 1, 2)],
    [(1, 2, 1, 2, 2)],
    [(1,), (1, 2)],
    [(2, 1), (1, 2), (2, 1)],
    [(1, 1), (1, 1, 1, 1)],
]


@pytest.mark.parametrize("phrases", PHRASES)
def test_phrases_are_met_wherever_they_occur(phrases):
    constraints = LexicalConstraints(phrases)
    met = with_phrases(*phrases)
    for tokens in itertools.product((1, 2, 3), repeat=7):
        progress = constraints.start
        for at, token in enumerate(tokens, 1):
            progress = constraints.after(progress, token)
            assert constraints.are_met(progress) == met(tokens[:at])


@pytest.mark.parametrize("phrases", PHRASES)
def test_what_is_wanted_is_the_longest_attempt_under_way(phrases):
    constraints = LexicalConstraints(phrases)
    for tokens in itertools.product((1, 2, 3), repeat=6):
        progress = constraints.start
        for token in tokens:
            progress = constraints.after(progress, token)
        lacking = [p for p in dict.fromkeys(phrases) if not with_phrases(p)(tokens)]
        attempts = [max(n for n in range(len(p)) if tokens[6 - n :] == p[:n]) for p in lacking]
        wanted = {p[n] for p, n in zip(lacking, attempts, strict=True)}
        assert set(constraints.wanted(progress)) == wanted
        whole = sum(len(p) for p in dict.fromkeys(phrases) if p not in lacking)
        assert constraints.met(progress) == whole + max(attempts, default=0)


def test_banks_have_equal_shares_and_what_is_left_over_goes_to_others():
    constraints = LexicalConstraints([(1, 2)])
    met = [0, 0, 0, 0, 1, 2, 0, 1]
    shared = constraints.shared(met)
    assert [place for _, place in shared] == [5, 4, 0, 7, 1, 2, 3, 6]
    assert [rank for rank, _ in shared] == [0, 0, 0, 1, 1, 2, 3, 4]
