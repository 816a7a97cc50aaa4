"""Attention: weights against loops in float64, masks, and what monotonic attention is."""

import numpy as np
import pytest
import torch

from recurra.errors import ConfigError
from recurra.nn.attention import Attention

KINDS = ("additive", "multiplicative", "dot", "monotonic")


def made(kind, heads=1, seed=0):
    torch.manual_seed(seed)
    attention = Attention(kind, 6, 10, 8, heads=heads).double()
    values, queries = torch.randn(7, 3, 10).double(), torch.randn(5, 3, 6).double()
    return attention, queries, values, torch.tensor([7, 1, 4])


def numbers(tensor):
    return tensor.detach().numpy()


def by_loops(attention, query, values):
    """Scores of one query (Q,) for the steps (S, M) of its source, as the papers have them."""
    if attention.kind == "multiplicative":
        return [numbers(query) @ numbers(attention.key.weight) @ numbers(m) for m in values]
    asked = numbers(attention.query(query))
    v, bias = numbers(attention.score.weight)[0], attention.score.bias
    return [
        v @ np.tanh(asked + numbers(attention.key(m))) + (0 if bias is None else bias.item())
        for m in values
    ]


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_weights_are_those_of_the_papers(kind):
    attention, queries, values, lengths = made(kind)
    contexts, weights = attention(queries, attention.memory(values, lengths))
    for t in range(5):
        for b, length in enumerate(lengths.tolist()):
            scores = np.exp(by_loops(attention, queries[t, b], values[:length, b]))
            expected = scores / scores.sum()
            np.testing.assert_allclose(numbers(weights)[t, :length, b], expected, rtol=1e-10)
            context = expected @ numbers(values)[:length, b]
            np.testing.assert_allclose(numbers(contexts)[t, b], context, rtol=1e-10)


def test_heads_are_torchs_multi_head_attention():
    attention, queries, values, lengths = made("dot", heads=4)
    oracle = torch.nn.MultiheadAttention(8, 4, bias=True, kdim=10, vdim=10).double()
    with torch.no_grad():
        oracle.q_proj_weight.copy_(torch.eye(8))
        oracle.k_proj_weight.copy_(attention.key.weight)
        oracle.v_proj_weight.copy_(attention.value.weight)
        oracle.in_proj_bias.zero_()
        oracle.out_proj.weight.copy_(torch.eye(8))
        oracle.out_proj.bias.zero_()
    padding = torch.arange(7)[None] >= lengths[:, None]
    asked = attention.query(queries)
    expected, weights = oracle(asked, values, values, key_padding_mask=padding)
    contexts, own = attention(queries, attention.memory(values, lengths))
    torch.testing.assert_close(contexts, attention.output(expected))
    torch.testing.assert_close(own.permute(2, 0, 1), weights)


def test_monotonic_weights_are_the_expectation_over_all_ways():
    attention, queries, values, lengths = made("monotonic")
    _, weights = attention(queries, attention.memory(values, lengths))
    for b, length in enumerate(lengths.tolist()):
        place = np.eye(length)[0]  # where the step before was
        for t in range(5):
            scores = by_loops(attention, queries[t, b], values[:length, b])
            chances = 1 / (1 + np.exp(-np.array(scores)))
            following = np.zeros(length)
            for k in range(length):
                for s in range(k, length):
                    following[s] += place[k] * np.prod(1 - chances[k:s]) * chances[s]
            place = following
            np.testing.assert_allclose(numbers(weights)[t, :length, b], place, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_all_at_once(kind):
    attention, queries, values, lengths = made(kind)
    memory = attention.memory(values, lengths)
    contexts, weights = attention(queries, memory)
    before = None
    for t in range(5):
        context, before = attention(queries[t : t + 1], memory, before)
        torch.testing.assert_close(context, contexts[t : t + 1])
        torch.testing.assert_close(before, weights[t : t + 1])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_their_padding(kind):
    attention, queries, values, lengths = made(kind)
    contexts, weights = attention(queries, attention.memory(values, lengths))
    other = values.clone()
    other[1:, 1], other[4:, 2] = 1e4, -1e4
    changed, _ = attention(queries, attention.memory(other, lengths))
    torch.testing.assert_close(changed, contexts)
    assert not weights[:, 1:, 1].any()
    if kind != "monotonic":
        torch.testing.assert_close(weights.sum(1), torch.ones(5, 3).double())


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_stay_finite_over_long_sources(kind, scale):
    torch.manual_seed(1)
    attention = Attention(kind, 6, 10, 8)
    queries = (scale * torch.randn(9, 2, 6)).requires_grad_()
    values = (scale * torch.randn(500, 2, 10)).requires_grad_()
    contexts, weights = attention(queries, attention.memory(values, torch.tensor([500, 30])))
    contexts.square().mean().backward()
    assert torch.isfinite(weights).all()
    for tensor in (queries, values, *attention.parameters()):
        assert torch.isfinite(tensor.grad if tensor.grad is not None else tensor).all()


def test_the_gradient_of_monotonic_weights():
    attention, queries, values, lengths = made("monotonic")
    values.requires_grad_()

    def contexts(queries, values):
        return attention(queries, attention.memory(values, lengths))[0]

    assert torch.autograd.gradcheck(contexts, (queries.requires_grad_(), values))


def test_heads_that_do_not_fit():
    with pytest.raises(ConfigError, match="heads = 3 with attention = 'dot' of 8 units"):
        Attention("dot", 4, 4, 8, heads=3)
    with pytest.raises(ConfigError, match="only 'dot' has several"):
        Attention("additive", 4, 4, 8, heads=2)
