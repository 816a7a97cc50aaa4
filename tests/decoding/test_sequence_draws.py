"""Sequences drawn from small generators, against their probabilities."""

import math
from collections import Counter

import pytest
import torch

from helpers.toy_generator import ToyGenerator, without_repeats
from recurra.decoding.sequence_draws import draw
from recurra.decoding.sequence_options import DrawOptions
from recurra.errors import DataError

LONGEST = 3


def drawn(toy, sentences, forced=None, seed=0, **options):
    options = DrawOptions(**{"maximum_length": LONGEST, **options})
    sources = [toy.source(sentence) for sentence in sentences]
    random = torch.Generator().manual_seed(seed)
    return draw(toy, toy.start(*sentences), sources, options, random=random, **forced or {})


def frequencies(results):
    counts = Counter(result.tokens for result in results if result.finished)
    return {tokens: count / len(results) for tokens, count in counts.items()}


def test_sequences_come_as_often_as_they_are_likely():
    toy, count = ToyGenerator(tokens=3, dtype=torch.float32), 3000
    for sentence, own in enumerate(drawn(toy, [0, 1], samples=count)):
        assert len(own) == count
        found = frequencies(own)
        for score, tokens in toy.all(sentence, LONGEST):
            expected = math.exp(score)
            error = 5 * math.sqrt(expected * (1 - expected) / count)
            assert found.get(tokens, 0) == pytest.approx(expected, abs=error)


def test_a_temperature_and_limits_change_what_is_drawn():
    toy, count = ToyGenerator(tokens=4, seed=1), 3000
    (own,) = drawn(toy, [0], samples=count, temperature=0.5, top_k=3, maximum_length=1)
    first = toy.log_probs(0, ()) / 0.5
    kept = torch.softmax(first.masked_fill(first < first.topk(3).values[-1], -math.inf), -1)
    heads = Counter(result.tokens[:1] or (0,) for result in own)
    for token, expected in enumerate(kept.tolist()):
        assert heads[(token,)] / count == pytest.approx(expected, abs=0.05)
    (likeliest,) = drawn(toy, [0], samples=5, top_p=1e-6)
    assert len(set(likeliest)) == 1


def test_numbers_are_those_of_the_model():
    toy = ToyGenerator(tokens=5, seed=2)
    for sentence, own in enumerate(drawn(toy, [0, 1, 2], samples=20, temperature=2.0)):
        assert {len(result.tokens) for result in own} >= {1, 2, 3}
        assert {result.finished for result in own} == {True, False}
        for result in own:
            scores, attention = toy.along(sentence, result.tokens)
            length = len(result.tokens)
            scores = scores if result.finished else scores[:length]
            assert result.token_log_probs == pytest.approx(scores)
            assert result.score == pytest.approx(sum(scores))
            assert result.score == pytest.approx(result.log_probability)
            assert torch.equal(result.attention, attention[:length, : toy.source(sentence)])
            assert result.finished or length == LONGEST


def test_rules_hold_for_draws_as_well():
    toy = ToyGenerator(tokens=5, seed=3)
    forced = {"prefixes": [(), (4, 1)], "forbidden": [2]}
    options = {"minimum_length": 2, "maximum_length": 4, "blocked_ngram": 1, "samples": 200}
    first, second = drawn(toy, [0, 1], forced, **options)
    for result in (*first, *second):
        assert 2 <= len(result.tokens) <= 4
        assert 2 not in result.tokens
        assert without_repeats(1)(result.tokens)
    assert {result.tokens[:2] for result in second} == {(4, 1)}
    assert len({result.tokens[:2] for result in first}) == 6
    with pytest.raises(DataError, match="Sentence 1: its prefix has 4 tokens, and at most 3 may"):
        drawn(toy, [0], {"prefixes": [(1, 1, 1, 1)]})


def test_a_dead_end_is_not_finished():
    toy = ToyGenerator(tokens=3, seed=0)
    toy.log_probs = lambda *_: torch.tensor([-math.inf, 0.0, -math.inf])
    ((result,),) = drawn(toy, [0], blocked_ngram=2)
    assert (result.tokens, result.finished, result.score) == ((1, 1), False, 0.0)


def test_a_seed_draws_the_same_again():
    toy = ToyGenerator(tokens=5)
    assert drawn(toy, [0, 1], samples=9) == drawn(toy, [0, 1], samples=9)
    assert drawn(toy, [0, 1], samples=9) != drawn(toy, [0, 1], samples=9, seed=1)
    assert drawn(toy, []) == []


def test_what_has_ended_is_computed_no_more():
    toy = ToyGenerator(tokens=3, seed=1)
    (own,) = drawn(toy, [0], samples=50)
    longer = [sum(len(r.tokens) >= n for r in own) for n in range(LONGEST + 1)]
    assert toy.calls == longer
    assert longer[0] > longer[-1] > 0
