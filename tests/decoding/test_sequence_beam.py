"""Beam searches of generators against every sequence that small ones can generate."""

import itertools
import math
import re

import pytest
import torch
from torch.nn import functional

from helpers.toy_generator import END, ToyGenerator, with_phrases, without_repeats
from recurra.decoding.beam_candidates import best_of_rows
from recurra.decoding.sequence_beam import search
from recurra.decoding.sequence_options import BeamOptions
from recurra.decoding.token_generator import GeneratorEnsemble
from recurra.errors import ConfigError, DataError
from recurra.nn import Recurrent
from recurra.nn.states import reorder

LONGEST = 5
ALL = sum(3**n for n in range(LONGEST + 1))
WIDE = 4 * 3**LONGEST  # a beam of all candidates


def found(toy, sentences, forced=None, **options):
    sources = [toy.source(sentence) for sentence in sentences]
    options = BeamOptions(**{"maximum_length": LONGEST, "beam": WIDE, "nbest": WIDE, **options})
    return search(toy, toy.start(*sentences), sources, options, **forced or {})


def same(results, expected):
    """The tokens and scores of results are those of (score, tokens) pairs."""
    assert [result.tokens for result in results] == [tokens for _, tokens in expected]
    scores = [score for score, _ in expected]
    assert [result.score for result in results] == pytest.approx(scores, rel=1e-9)
    assert all(result.finished for result in results)


@pytest.mark.parametrize(("alpha", "beta"), [(0, 0), (0.7, 0), (0, 0.4), (1.3, 0.2)])
def test_a_beam_of_all_has_every_sequence_with_its_score(alpha, beta):
    toy = ToyGenerator()
    results = found(toy, [0, 1], length_penalty=alpha, coverage_penalty=beta)
    for sentence, own in enumerate(results):
        expected = toy.all(sentence, LONGEST, alpha, beta)
        assert len(expected) == ALL
        same(own, expected)
    total = sum(math.exp(result.log_probability) for result in results[0])
    assert total == pytest.approx(sum(math.exp(s) for s, _ in toy.all(0, LONGEST)))


RULES = {
    "minimum": ({"minimum_length": 3}, {}, lambda tokens: len(tokens) >= 3),
    "maximum": ({"maximum_length": 2}, {}, lambda tokens: len(tokens) <= 2),
    "unigrams": ({"blocked_ngram": 1}, {}, without_repeats(1)),
    "bigrams": ({"blocked_ngram": 2}, {}, without_repeats(2)),
    "trigrams": ({"blocked_ngram": 3}, {}, without_repeats(3)),
    "forbidden": ({}, {"forbidden": [2]}, lambda tokens: 2 not in tokens),
    "prefix": ({}, {"prefixes": [(3, 1)]}, lambda tokens: tokens[:2] == (3, 1)),
    "repeating prefix": (
        {"blocked_ngram": 1},
        {"prefixes": [(3, 3)]},
        lambda tokens: tokens[:2] == (3, 3) and without_repeats(1)(tokens[1:]),
    ),
    "phrase": ({}, {"constraints": [[(2, 2, 1)]]}, with_phrases((2, 2, 1))),
    "phrases": ({}, {"constraints": [[(2, 3), (3, 1), (1,)]]}, with_phrases((2, 3), (3, 1))),
    "prefix and phrase": (
        {"blocked_ngram": 2},
        {"constraints": [[(1, 2)]], "prefixes": [(2, 1)]},
        lambda t: t[:2] == (2, 1) and with_phrases((1, 2))(t) and without_repeats(2)(t),
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_rules_leave_what_they_say(rule, seed):
    options, forced, keep = RULES[rule]
    toy = ToyGenerator(seed=seed)
    (results,) = found(toy, [0], forced, length_penalty=0.6, coverage_penalty=0.2, **options)
    expected = toy.all(0, LONGEST, 0.6, 0.2, keep)
    assert 1 <= len(expected) < ALL
    same(results, expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("alpha", "beta"), [(0, 0), (0.9, 0), (0.4, 0.5), (2.5, 0)])
def test_the_search_ends_early_without_losing_anything(seed, alpha, beta, monkeypatch):
    """Small beams with the bound, against the same without it."""
    options = {"beam": 3, "nbest": 2, "maximum_length": 12}
    options |= {"length_penalty": alpha, "coverage_penalty": beta}
    toy = ToyGenerator(seed=seed, tokens=6)
    early = found(toy, [0, 1, 2], **options)
    rows, toy.calls = sum(toy.calls), []
    never = lambda self, log_probs, sentences: log_probs * 0 + math.inf  # noqa: E731
    monkeypatch.setattr("recurra.decoding.finished_pool.FinalScore.bound", never)
    assert early == found(toy, [0, 1, 2], **options)
    assert sum(toy.calls) > rows or alpha > 1


def test_a_small_beam_is_the_search_by_definition():
    for seed in range(10):
        toy = ToyGenerator(seed=seed, tokens=5)
        (results,) = found(toy, [0], beam=3, nbest=3, length_penalty=0.8)
        same(results, by_definition(toy, 3, alpha=0.8))


def by_definition(toy, beam, alpha):
    """Candidates of all hypotheses; those of the first `beam` that end are finished."""
    alive, finished = [(0.0, ())], []
    for length in range(LONGEST + 1):
        candidates = [
            (total + float(score), (*tokens, token))
            for total, tokens in alive
            for token, score in enumerate(toy.log_probs(0, tokens))
        ]
        candidates.sort(key=lambda each: -each[0])
        ended = [c for c in candidates[:beam] if c[1][-1] == END]
        finished += [(s / ((6 + length) / 6) ** alpha, tokens[:-1]) for s, tokens in ended]
        alive = [c for c in candidates if c[1][-1] != END][:beam]
    return sorted(finished, key=lambda each: -each[0])[:beam]


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_takes_the_likeliest_token(seed):
    toy, tokens = ToyGenerator(seed=seed, tokens=5), ()
    while len(tokens) < 20 and (token := int(toy.log_probs(0, tokens).argmax())) != END:
        tokens += (token,)
    options = {"maximum_length": 20, "extra_length": 20, "length_penalty": 1}
    ((result,),) = found(toy, [0], beam=1, nbest=1, **options)
    assert result.tokens == tokens
    assert result.finished == (len(tokens) < 20 or toy.log_probs(0, tokens).argmax() == END)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beam", [1, 4])
def test_sentences_side_by_side_are_what_they_are_alone(dtype, beam):
    toy = ToyGenerator(seed=3, tokens=6, positions=4, dtype=dtype)
    options = {"beam": beam, "nbest": beam, "maximum_length": None, "length_ratio": 1.5}
    options |= {"extra_length": 2, "length_penalty": 0.6, "coverage_penalty": 0.2}
    options |= {"blocked_ngram": 2}
    forced = {
        "prefixes": [(), (2,), (), (1, 3), ()],
        "constraints": [[], [], [(4, 5)], [(2,)], []],
    }
    together = found(toy, range(5), forced, **options)
    assert len({len(own[0].tokens) for own in together}) > 1
    for sentence, own in enumerate(together):
        mine = {name: [each[sentence]] for name, each in forced.items()}
        (alone,) = found(toy, [sentence], mine, **options)
        assert own == alone
        assert all(map(torch.equal, *([r.attention for r in each] for each in (own, alone))))


def test_results_are_consistent():
    toy = ToyGenerator(seed=5, tokens=6)
    options = {"beam": 6, "nbest": 6, "length_penalty": 1.0, "maximum_length": 9}
    for sentence, own in enumerate(found(toy, [0, 1, 2], **options)):
        assert len({result.tokens for result in own}) == len(own) == 6
        assert [r.score for r in own] == sorted((r.score for r in own), reverse=True)
        for result in own:
            scores, attention = toy.along(sentence, result.tokens)
            assert result.finished
            assert result.token_log_probs == pytest.approx(scores, rel=1e-12)
            assert result.log_probability == pytest.approx(sum(scores), rel=1e-12)
            length = len(result.tokens)
            assert result.score == pytest.approx(sum(scores) / ((6 + length) / 6))
            expected = attention[:length, : toy.source(sentence)]
            assert torch.equal(result.attention, expected)


class Table(ToyGenerator):
    """The same probabilities after every token, whatever came before."""

    def __init__(self, *probabilities, positions=0):
        super().__init__(len(probabilities), positions)
        self.table = torch.tensor(probabilities, dtype=torch.float64).log()

    def log_probs(self, sentence, prefix):
        return self.table


def test_the_first_that_ends_is_the_result_of_a_beam_of_one():
    options = {"nbest": 1, "length_penalty": 6.0, "maximum_length": 8}
    toy = Table(0.5, 0.49, 0.01)
    assert found(toy, [0], beam=1, **options)[0][0].tokens == ()
    assert found(toy, [0], beam=2, **options)[0][0].tokens == (1,) * 8


def test_what_never_ends_is_cut_and_says_so():
    toy = Table(0.0, 0.3, 0.7)
    ((result,),) = found(toy, [0], beam=3, nbest=3, maximum_length=4, length_penalty=1)
    assert (result.tokens, result.finished) == ((2, 2, 2, 2), False)
    assert result.token_log_probs == pytest.approx([math.log(0.7)] * 4)
    assert result.score == pytest.approx(4 * math.log(0.7) / (9 / 6))
    assert result.attention.shape == (4, 0)


def test_what_ends_too_late_is_cut():
    """The end is never among the best two, so at the longest length it isn't either."""
    ((result,),) = found(Table(0.1, 0.4, 0.5), [0], beam=2, nbest=2, maximum_length=3)
    assert (result.tokens, result.finished) == ((2, 2, 2), False)


def test_a_dead_end_gives_what_came_before():
    toy = Table(0.0, 1.0, 0.0)
    ((result,),) = found(toy, [0], beam=2, nbest=1, blocked_ngram=2)
    assert (result.tokens, result.finished, result.score) == ((1, 1), False, 0.0)
    ((nothing,),) = found(toy, [0], {"forbidden": [1]}, beam=2, nbest=1, coverage_penalty=0)
    assert (nothing.tokens, nothing.finished) == ((), False)
    assert nothing.score == nothing.log_probability == 0


@pytest.mark.parametrize("beam", [1, 3, 50])
@pytest.mark.parametrize("alpha", [0, 1])
def test_tokens_without_a_probability_give_no_number_that_is_not_finite(beam, alpha):
    toy = ToyGenerator(seed=1)
    whole = toy.log_probs
    toy.log_probs = lambda s, prefix: whole(s, prefix).masked_fill(torch.arange(4) == 2, -math.inf)
    toy.attention = lambda *_: torch.tensor([1.0, 0.0, 0.0])
    options = {"beam": beam, "nbest": beam, "length_penalty": alpha, "coverage_penalty": 0.1}
    forced = {"constraints": [[(2,)], [], [(1, 3)]], "prefixes": [(), (2,), ()]}
    for own in found(toy, [0, 1, 2], forced, **options):
        assert own
        for result in own:
            numbers = [result.score, result.log_probability, *result.token_log_probs]
            assert all(map(math.isfinite, numbers))
            assert 2 not in result.tokens


def test_constraints_are_met_by_small_beams():
    toy = ToyGenerator(seed=2, tokens=8)
    phrases = [(5, 6), (7,), (2, 2, 3)]
    for beam in (1, 4, 8):
        forced = {"constraints": [phrases, []]}
        first, second = found(toy, [0, 1], forced, beam=beam, nbest=1, maximum_length=15)
        assert first[0].finished or beam == 1
        assert with_phrases(*phrases)(first[0].tokens)
        assert not with_phrases(*phrases)(second[0].tokens)


def test_more_beam_meets_constraints_at_a_better_place():
    """Forced at once a phrase costs more than where the model likes it."""
    scores = [
        found(
            ToyGenerator(seed=4, tokens=8),
            [0],
            {"constraints": [[(5, 6)]]},
            beam=beam,
            nbest=1,
        )[0][0].score
        for beam in (1, 6, 40)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


def test_a_constraint_out_of_reach_leaves_the_most_that_was_met():
    toy = Table(0.6, 0.2, 0.2)
    forced = {"constraints": [[(1,), (2,), (1, 2, 1)]]}
    ((result,),) = found(toy, [0], forced, beam=4, nbest=1, maximum_length=3, blocked_ngram=1)
    assert not result.finished
    assert result.tokens == (1, 2)


def test_what_never_ends_has_met_what_it_could():
    forced = {"constraints": [[(2, 2)]]}
    ((result,),) = found(Table(0.0, 0.9, 0.1), [0], forced, beam=4, nbest=1, maximum_length=2)
    assert (result.tokens, result.finished) == ((2, 2), False)


def test_of_equal_ones_the_lowest_token_comes_first_then_the_better_hypothesis():
    toy = Table(*[0.2] * 5)
    (results,) = found(toy, [0], beam=4, nbest=4, maximum_length=2)
    assert [result.tokens for result in results] == [(), (1,), (2,), (3,)]


def test_the_first_of_equal_values_are_taken():
    random = torch.Generator().manual_seed(0)
    for count, _ in itertools.product((1, 3, 6, 9), range(20)):
        values = torch.randint(0, 4, (5, 8), generator=random).double()
        values[values == 0] = -math.inf
        best, places = best_of_rows(values, count)
        expected, order = values.sort(dim=1, descending=True, stable=True)
        assert torch.equal(best, expected[:, :count])
        there = best > -math.inf
        assert torch.equal(places[there], order[:, :count][there])


def test_finished_sentences_leave_the_batch():
    class Lengths(ToyGenerator):
        def log_probs(self, sentence, prefix):
            ends = len(prefix) >= sentence
            return torch.tensor([0.98, 0.01, 0.01] if ends else [0.01, 0.98, 0.01]).log()

    toy = Lengths(3)
    results = found(toy, [4, 1, 3], beam=1, nbest=1)
    assert [len(own[0].tokens) for own in results] == [4, 1, 3]
    assert toy.calls == [3, 3, 2, 2, 1]
    toy.calls = []
    results = found(toy, [4, 1], beam=2, nbest=1)
    assert [len(own[0].tokens) for own in results] == [4, 1]
    assert toy.calls == [2, 2, 1, 1, 1]  # a second hypothesis can't pass the end after the first


# -- ensembles and a real model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_ensemble_is_the_mean_of_probabilities(dtype):
    members = [ToyGenerator(seed=seed, dtype=dtype) for seed in (0, 1, 2)]
    ensemble = GeneratorEnsemble(members)

    class Mean(ToyGenerator):
        def log_probs(self, *row):
            return torch.stack([m.log_probs(*row).double().exp() for m in members]).mean(0).log()

        def attention(self, *row):
            return torch.stack([m.attention(*row).double() for m in members]).mean(0)

    state = tuple(member.start(0, 1) for member in members)
    options = BeamOptions(maximum_length=4, beam=6, nbest=6, coverage_penalty=0.3)
    results = search(ensemble, state, [members[0].source(s) for s in (0, 1)], options)
    expected = found(Mean(), [0, 1], maximum_length=4, beam=6, nbest=6, coverage_penalty=0.3)
    for own, other in zip(results, expected, strict=True):
        assert [r.tokens for r in own] == [r.tokens for r in other]
        assert [r.score for r in own] == pytest.approx([r.score for r in other], rel=1e-5)
        for mine, theirs in zip(own, other, strict=True):
            assert torch.allclose(mine.attention.double(), theirs.attention, rtol=1e-5)


def test_members_without_attention_are_left_out_of_its_mean():
    members = [ToyGenerator(seed=0), ToyGenerator(seed=1, positions=0)]
    state = tuple(member.start(0) for member in members)
    _, _, attention = GeneratorEnsemble(members).step(torch.tensor([0]), state)
    assert torch.equal(attention[0], members[0].attention(0, ()))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "An ensemble of no models; give one or more"),
        ([ToyGenerator(4), ToyGenerator(5)], "An ensemble of models with 4, 5 tokens; all must"),
        ([ToyGenerator(positions=2), ToyGenerator()], "with 2, 3 source positions; all must"),
    ],
)
def test_members_that_differ_are_refused(members, message):
    state = [member.start(0) for member in members]
    with pytest.raises(ConfigError, match=message):
        search(GeneratorEnsemble(members), state, [1])


class Network(torch.nn.Module):
    """A recurrent network of two layers with an embedding, as a generator."""

    def __init__(self, cell, tokens=7, hidden=8):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(tokens, hidden)
        self.layer = Recurrent(cell, hidden, hidden, num_layers=2)
        self.output = torch.nn.Linear(hidden, tokens)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(3)
            self.output.bias[END] += 3

    def step(self, tokens, state):
        outputs, state = self.layer(self.embedding(tokens)[None], state)
        attention = torch.zeros(len(tokens), 0)
        return torch.log_softmax(self.output(outputs[0]), -1), state, attention

    def reorder(self, state, rows):
        return reorder(state, rows)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_follow_their_hypotheses(cell):
    model, shape = Network(cell), (2, 3, 8)
    random = torch.Generator().manual_seed(1)
    parts = [torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(2)]
    start = tuple(parts[: 2 if cell == "lstm" else 1])
    options = BeamOptions(beam=5, nbest=5, length_penalty=1, maximum_length=8, minimum_length=2)
    results = search(model, start, [1] * 3, options)
    for sentence, own in enumerate(results):
        assert len(own) == 5
        for result in own:
            state, scores = reorder(start, torch.tensor([sentence])), []
            inputs = (END, *result.tokens)
            for token, following in zip(inputs, (*result.tokens, END), strict=True):
                with torch.no_grad():
                    log_probs, state, _ = model.step(torch.tensor([token]), state)
                scores.append(float(log_probs[0, following]))
            assert result.token_log_probs == pytest.approx(scores, rel=1e-9)


# -- what can't be


@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ({"prefixes": [(), (1,) * 6]}, "Sentence 2: its prefix has 6 tokens, and at most 5 may"),
        ({"prefixes": [(1, 2), ()], "forbidden": [2]}, "its prefix has token 2, which is forbidd"),
        ({"prefixes": [(1, 0), ()]}, "its prefix has token 0, which ends it"),
        ({"prefixes": [()]}, "1 sentences with a prefix for 2 sources; give each one its own"),
        ({"prefixes": [(9,), ()]}, "Token 9 is asked for, and the model has tokens 0 to 3"),
        ({"constraints": [[(1,) * 6], []]}, "Sentence 1: its constraint has 6 tokens, and at mos"),
        ({"constraints": [[], [(2,), (0,)]]}, "Sentence 2: its constraint has token 0, which end"),
        ({"constraints": [[(2,)], []], "forbidden": [2]}, "token 2, which is forbidden; leave"),
        ({"constraints": [[]]}, "1 sentences with a constraint for 2 sources"),
        ({"constraints": [[(-1,)], []]}, "Token -1 is asked for"),
        ({"prefixes": [(), (0,)], "numbers": [7, 31]}, "Sentence 31: its prefix has token 0"),
        ({"end": 4}, "Token 4 is asked for, and the model has tokens 0 to 3"),
    ],
)
def test_what_is_asked_for_and_cant_be_is_refused(forced, message):
    with pytest.raises(DataError, match=re.escape(message)):
        found(ToyGenerator(), [0, 1], forced, beam=2, nbest=1)


def test_a_penalty_of_coverage_needs_attention():
    with pytest.raises(ConfigError, match="coverage_penalty > 0 for a model without attention"):
        found(ToyGenerator(positions=0), [0], coverage_penalty=0.2)


def test_scores_that_are_nan_are_refused():
    with pytest.raises(DataError, match="Log-probabilities of the next token are NaN; the model"):
        found(Table(math.nan, 0.5, 0.5), [0], beam=2, nbest=1)


def test_without_sentences_there_is_nothing():
    assert found(ToyGenerator(), []) == []


def test_the_beginning_is_never_generated():
    toy = Table(0.3, 0.1, 0.6)
    (results,) = found(toy, [0], {"begin": 2}, beam=3, nbest=3)
    assert [r.tokens for r in results] == [(), (1,), (1, 1)]
    assert functional.one_hot(torch.tensor(results[2].tokens)).shape == (2, 2)
