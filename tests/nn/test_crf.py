"""The conditional random field against all paths, pytorch-crf and the same written plainly."""

import itertools
import math

import numpy as np
import pytest
import torch

from recurra.nn.crf import ConditionalRandomField
from recurra.nn.crf.chain_sums import TransitionSums

FORBIDDEN = (
    [True, True, False],
    [[True, True, False], [True, True, True], [False, True, True]],
    [True, False, True],
)


def drawn(steps, batch, tags, scale=1.0, seed=0, allowed=None, **options):
    """A field with drawn scores of float64, scores of steps, tags and lengths (the first whole)."""
    generator = torch.Generator().manual_seed(seed)
    crf = ConditionalRandomField(tags, allowed=allowed, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    scores = torch.randn(steps, batch, tags, generator=generator, dtype=torch.float64) * scale
    chosen = torch.randint(tags, (steps, batch), generator=generator)
    lengths = torch.randint(1, steps + 1, (batch,), generator=generator)
    lengths[0] = steps
    return crf, scores.requires_grad_(), chosen, lengths


def every_path(crf, scores, allowed=None):
    """All paths of one sequence (T, K) with their scores, those that are allowed."""
    start, between, end = (p.tolist() for p in (crf.start, crf.transitions, crf.end))
    rows, found = scores.tolist(), {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(rows)):
        pairs = list(itertools.pairwise(path))
        if allowed and not (
            allowed[0][path[0]] and all(allowed[1][i][j] for i, j in pairs) and allowed[2][path[-1]]
        ):
            continue
        own = [row[tag] for row, tag in zip(rows, path, strict=True)]
        found[path] = math.fsum(
            [start[path[0]], end[path[-1]], *own, *(between[i][j] for i, j in pairs)]
        )
    return found


def by_all_paths(crf, scores, allowed=None):
    """The log of the sum, the best path, and the marginals (T, K) of one sequence."""
    paths = every_path(crf, scores, allowed)
    highest = max(paths.values())
    total = highest + math.log(math.fsum(math.exp(s - highest) for s in paths.values()))
    marginals = np.zeros(scores.shape)
    for path, score in paths.items():
        marginals[np.arange(len(path)), path] += math.exp(score - total)
    return paths, total, max(paths, key=paths.get), marginals


SIZES = [(1, 3), (2, 1), (1, 1), (5, 3), (4, 4), (7, 2)]


@pytest.mark.parametrize(("steps", "tags"), SIZES)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0, 1e4])
def test_likelihood_best_path_and_marginals_are_those_of_all_paths(steps, tags, scale):
    crf, scores, chosen, lengths = drawn(steps, 4, tags, scale)
    found, tags_found = crf(scores, chosen, lengths), crf.decode(scores, lengths)
    marginals = crf.marginals(scores, lengths)
    for b, length in enumerate(lengths.tolist()):
        paths, total, best, expected = by_all_paths(crf, scores[:length, b])
        wanted = total - paths[tuple(chosen[:length, b].tolist())]
        assert found[b].item() == pytest.approx(wanted, rel=1e-12, abs=1e-14 * scale + 1e-14)
        assert tuple(tags_found[:length, b].tolist()) == best
        np.testing.assert_allclose(marginals[:length, b], expected, atol=1e-11)
        assert not tags_found[length:, b].any()
        assert not marginals[length:, b].any()


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_what_is_forbidden_is_in_no_path(steps, scale):
    crf, scores, _, lengths = drawn(steps, 5, 3, scale, allowed=FORBIDDEN)
    tags, marginals = crf.decode(scores, lengths), crf.marginals(scores, lengths)
    for b, length in enumerate(lengths.tolist()):
        *_, best, expected = by_all_paths(crf, scores[:length, b], FORBIDDEN)
        assert tuple(tags[:length, b].tolist()) == best
        np.testing.assert_allclose(marginals[:length, b], expected, atol=1e-11)


def test_the_loss_sums_over_forbidden_paths_too():
    crf, scores, chosen, _ = drawn(4, 1, 3, allowed=FORBIDDEN)
    paths, total, *_ = by_all_paths(crf, scores[:, 0])
    wanted = total - paths[tuple(chosen[:, 0].tolist())]
    assert crf(scores, chosen).item() == pytest.approx(wanted)


def test_where_no_path_is_allowed_the_fewest_rules_are_broken():
    """Tags 1 and 2 in turn, and only tag 0 may be the last: a step alone breaks one rule."""
    allowed = (
        [False, True, True],
        [[False] * 3, [False, False, True], [True, True, False]],
        [1, 0, 0],
    )
    crf, scores, _, _ = drawn(1, 1, 3, allowed=allowed)
    ends = [int(crf.decode(scores * 0 + row)) for row in torch.eye(3).double() * 50]
    assert ends == [0, 1, 2]
    assert crf.marginals(scores).isfinite().all()
    crf, scores, _, _ = drawn(3, 1, 3, scale=100.0, allowed=allowed)
    assert crf.decode(scores).flatten().tolist() == [1, 2, 0]


def with_unknown(chosen, seed=1):
    """The tags without about half of them, which are below 0 instead."""
    generator = torch.Generator().manual_seed(seed)
    return chosen.masked_fill(torch.rand(chosen.shape, generator=generator) < 0.5, -100)


@pytest.mark.parametrize(("steps", "tags"), SIZES)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0, 1e4])
def test_where_tags_are_unknown_the_loss_is_of_all_that_they_may_be(steps, tags, scale):
    crf, scores, chosen, lengths = drawn(steps, 4, tags, scale)
    chosen = with_unknown(chosen)
    found = crf(scores, chosen, lengths)
    for b, length in enumerate(lengths.tolist()):
        paths, total, *_ = by_all_paths(crf, scores[:length, b])
        own = chosen[:length, b].tolist()
        agreeing = [
            score
            for path, score in paths.items()
            if all(known in (tag, -100) for tag, known in zip(path, own, strict=True))
        ]
        highest = max(agreeing)
        part = highest + math.log(math.fsum(math.exp(score - highest) for score in agreeing))
        assert found[b].item() == pytest.approx(total - part, rel=1e-11, abs=1e-13 * scale + 1e-13)
    nothing = crf(scores, torch.full_like(chosen, -1), lengths)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing), rtol=0, atol=1e-11 * scale)


def parameters_and(scores, crf):
    return (scores, crf.start, crf.transitions, crf.end)


@pytest.mark.parametrize("known", ["all", "some"])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_gradient_is_that_of_differences(known, scale):
    crf, scores, chosen, lengths = drawn(4, 2, 3, scale)
    chosen = chosen if known == "all" else with_unknown(chosen)
    names = ("start", "transitions", "end")

    def loss(scores, *values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(crf, given, (scores, chosen, lengths))

    weight = torch.tensor([1.0, -2.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *inputs: loss(*inputs) * weight, parameters_and(scores, crf)
    )


def plain_loss(crf, scores, chosen):
    """Whole sequences of one length by `logsumexp`, differentiated by autograd."""
    alpha = crf.start + scores[0]
    path = crf.start[chosen[0]] + crf.end[chosen[-1]]
    for own in scores[1:]:
        alpha = (alpha.unsqueeze(-1) + crf.transitions).logsumexp(1) + own
    path = path + crf.transitions[chosen[:-1], chosen[1:]].sum(0)
    path = path + scores.gather(-1, chosen.unsqueeze(-1)).sum((0, 2))
    return (alpha + crf.end).logsumexp(-1) - path


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0, 3e3, 1e4])
def test_extreme_scores_have_the_gradients_of_plain_sums(scale):
    """Underflow in a step's product must be seen, and its sums computed again."""
    crf, scores, chosen, _ = drawn(30, 3, 4, scale)
    found, wanted = crf(scores, chosen), plain_loss(crf, scores, chosen)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    inputs = parameters_and(scores, crf)
    gradients = torch.autograd.grad(found.sum(), inputs)
    torch.testing.assert_close(
        gradients, torch.autograd.grad(wanted.sum(), inputs), rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("apart", [650.0, 690.0, 800.0, 1e4])
def test_a_tag_reached_by_improbable_ones_alone_keeps_its_digits(apart):
    """Tag 2 follows tag 1 alone, which is less probable than tag 0 by exp(apart)."""
    transitions = torch.zeros(3, 3, dtype=torch.float64)
    transitions[0, 2] = transitions[2, 2] = -1e12
    before = torch.tensor([[0.0, -apart, -3.0]], dtype=torch.float64)
    found = TransitionSums(transitions).step(before)
    wanted = (before.unsqueeze(-1) + transitions).logsumexp(1)
    torch.testing.assert_close(found, wanted, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    ("scale", "dtype", "known"),
    [
        (1e-4, torch.float32, "some"),
        (1.0, torch.float64, "all"),
        (1e4, torch.float32, "some"),
    ],
)
def test_long_sequences_stay_finite(scale, dtype, known):
    crf, scores, chosen, _ = drawn(2000, 2, 3, scale, allowed=FORBIDDEN)
    crf, scores = crf.to(dtype), scores.detach().to(dtype).requires_grad_()
    lengths = torch.tensor([2000, 1700])
    chosen = chosen if known == "all" else with_unknown(chosen)
    loss = crf(scores, chosen, lengths)
    assert loss.dtype == dtype
    loss.sum().backward()
    found = [scores.grad, *(p.grad for p in crf.parameters()), crf.marginals(scores, lengths)]
    assert all(values.isfinite().all() for values in found)
    sums = found[-1].sum(-1)
    torch.testing.assert_close(sums[:1700], torch.ones_like(sums[:1700]), rtol=0, atol=1e-5)
    assert scores.grad.abs().max() <= 1 + 1e-6
    expected = crf.double()(scores.detach().double(), chosen, lengths)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)


def test_padding_is_ignored_and_has_no_gradient():
    crf, scores, chosen, _ = drawn(5, 4, 3)
    lengths = [5, 1, 3, 2]
    alone = [crf(scores[:t, b : b + 1], chosen[:t, b : b + 1]) for b, t in enumerate(lengths)]
    inputs = parameters_and(scores, crf)
    expected = torch.autograd.grad(torch.cat(alone).sum(), inputs)
    outside = torch.arange(5).unsqueeze(-1) >= torch.tensor(lengths)
    given = scores.detach().masked_fill(outside.unsqueeze(-1), math.nan).requires_grad_()
    loss = crf(given, chosen.masked_fill(outside, -100), torch.tensor(lengths))
    torch.testing.assert_close(loss, torch.cat(alone), rtol=1e-13, atol=1e-13)
    found = torch.autograd.grad(loss.sum(), parameters_and(given, crf))
    torch.testing.assert_close(found, expected)
    whole = torch.cat([crf.decode(given, lengths), crf.marginals(given, lengths).argmax(-1)])
    assert not whole.masked_select(outside.repeat(2, 1)).any()


def test_a_new_field_is_a_softmax_at_each_step():
    scores, chosen = torch.randn(6, 2, 4), torch.randint(4, (6, 2))
    crf = ConditionalRandomField(4)
    expected = torch.nn.functional.cross_entropy(
        scores.flatten(0, 1), chosen.flatten(), reduction="none"
    )
    torch.testing.assert_close(crf(scores, chosen), expected.view(6, 2).sum(0))
    torch.testing.assert_close(crf.marginals(scores), scores.softmax(-1))


def test_scores_of_16_bits_lose_no_more_than_they_have_lost():
    crf, scores, chosen, lengths = drawn(20, 3, 4)
    half = scores.detach().bfloat16().requires_grad_()
    loss = crf(half, chosen, lengths)
    wanted = crf(half.detach().double(), chosen, lengths)
    torch.testing.assert_close(loss, wanted.float(), rtol=1e-6, atol=0)
    assert crf.marginals(half, lengths).dtype == torch.float32
    loss.sum().backward()
    assert half.grad.dtype == torch.bfloat16


# -- against pytorch-crf


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_pytorch_crf_agrees(scale):
    torchcrf = pytest.importorskip("torchcrf", reason="pytorch-crf isn't installed")
    crf, scores, chosen, lengths = drawn(25, 6, 7, scale)
    other = torchcrf.CRF(7).double()
    with torch.no_grad():
        other.start_transitions.copy_(crf.start)
        other.end_transitions.copy_(crf.end)
        other.transitions.copy_(crf.transitions)
    mask = torch.arange(25).unsqueeze(-1) < lengths
    found, wanted = crf(scores, chosen, lengths), -other(scores, chosen, mask, reduction="none")
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(found.sum(), parameters_and(scores, crf))
    theirs = torch.autograd.grad(
        wanted.sum(), (scores, other.start_transitions, other.transitions, other.end_transitions)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    paths = crf.decode(scores, lengths)
    assert [paths[:t, b].tolist() for b, t in enumerate(lengths)] == other.decode(scores, mask)


# -- streams


def streamed(crf, scores, lag, cuts=(0, 1, 2, 5)):
    stream, parts = crf.stream(lag), []
    for start, stop in itertools.pairwise([*cuts, len(scores)]):
        parts.append(stream.feed(scores[start:stop]))
        assert sum(len(part.tags) for part in parts) == max(0, stop - lag)
    parts.append(stream.finish())
    assert not stream.held
    return torch.cat([p.tags for p in parts]), torch.cat([p.probabilities for p in parts])


@pytest.mark.parametrize("lag", [10, 20])
def test_a_stream_that_waits_for_the_end_gives_what_the_whole_does(lag):
    crf, scores, _, _ = drawn(10, 3, 4, 2.0)
    tags, probabilities = streamed(crf, scores, lag)
    assert torch.equal(tags, crf.decode(scores))
    torch.testing.assert_close(probabilities, crf.marginals(scores))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_probabilities_of_a_stream_are_given_what_was_read(lag):
    crf, scores, _, _ = drawn(9, 2, 3, 2.0)
    _, found = streamed(crf, scores, lag)
    open_end = ConditionalRandomField(3, dtype=torch.float64)
    open_end.load_state_dict(crf.state_dict() | {"end": torch.zeros(3)})
    for t in range(9 - lag):
        wanted = open_end.marginals(scores[: t + lag + 1])[t]
        torch.testing.assert_close(found[t], wanted)
    torch.testing.assert_close(found[9 - lag :], crf.marginals(scores)[9 - lag :])


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_a_stream_never_gives_what_is_forbidden(lag):
    allowed = (*FORBIDDEN[:2], [True] * 3)
    crf, scores, _, _ = drawn(100, 4, 3, allowed=allowed)
    scores = scores * 3
    tags, _ = streamed(crf, scores, lag)
    first, between = torch.tensor(allowed[0]), torch.tensor(allowed[1])
    assert first[tags[0]].all()
    assert between[tags[:-1], tags[1:]].all()
    agreed = (tags == crf.decode(scores)).double().mean()
    assert agreed > (0.7, 0.85, 0.9)[lag]


def test_a_stream_resumes_from_what_it_holds():
    crf, scores, _, _ = drawn(8, 2, 3)
    first, second = crf.stream(2), crf.stream(2)
    first.feed(scores[:5])
    second.held = {name: values.clone() for name, values in first.held.items()}
    for one, other in (
        (first.feed(scores[5:]), second.feed(scores[5:])),
        (first.finish(), second.finish()),
    ):
        assert torch.equal(one.tags, other.tags)
        torch.testing.assert_close(one.probabilities, other.probabilities, rtol=0, atol=0)


# -- what is refused


@pytest.mark.parametrize(
    ("scores", "tags", "lengths", "message"),
    [
        ((4, 2), (4, 2), None, r"scores have shape \(4, 2\); give \(T, B, 3\)"),
        ((0, 2, 3), (0, 2), None, "both at least 1"),
        ((4, 0, 3), (4, 0), None, "both at least 1"),
        ((4, 2, 4), (4, 2), None, r"give \(T, B, 3\)"),
        ((4, 2, 3), (4, 3), None, r"tags are of shape \(4, 3\) .* give whole numbers \(4, 2\)"),
        ((4, 2, 3), (4, 2), [4, 0], "sequence 1 of the batch has 0 steps"),
        ((4, 2, 3), (4, 2), [4, 5], "between 0 and the 4 steps"),
    ],
)
def test_what_doesnt_fit_is_named(scores, tags, lengths, message):
    crf = ConditionalRandomField(3)
    with pytest.raises(ValueError, match=message):
        crf(torch.zeros(scores), torch.zeros(tags, dtype=torch.long), lengths)


def test_tags_that_are_none_are_named():
    chosen = torch.zeros(4, 2, dtype=torch.long)
    chosen[2, 1] = 3
    with pytest.raises(ValueError, match=r"tags\[2, 1\] is 3; tags are 0 to 2, and below 0 where"):
        ConditionalRandomField(3)(torch.zeros(4, 2, 3), chosen)


def test_settings_that_cant_be_are_refused():
    with pytest.raises(ValueError, match="tags is 0; give at least 1"):
        ConditionalRandomField(0)
    with pytest.raises(TypeError, match="tags should be of type int"):
        ConditionalRandomField(3.0)
    with pytest.raises(ValueError, match=r"allowed has shapes \(3,\), \(3, 2\), \(3,\); give"):
        ConditionalRandomField(3, allowed=([1] * 3, [[1, 1]] * 3, [1] * 3))
    with pytest.raises(ValueError, match="lag is -1"):
        ConditionalRandomField(3).stream(-1)
    with pytest.raises(ValueError, match="has read no step"):
        ConditionalRandomField(3).stream().finish()
    with pytest.raises(TypeError, match=r"scores are of torch.int64; give floats \(T, B, 3\)"):
        ConditionalRandomField(3).decode(torch.zeros(2, 1, 3).long())
