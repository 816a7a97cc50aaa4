"""Sampling against what the definitions say, entry by entry."""

import itertools
import re

import numpy as np
import pytest
import torch

from recurra.decoding.sampling import keep_nucleus, keep_top, sample
from recurra.errors import ConfigError

LOGITS = torch.tensor([[0.3, 2.0, -1.0, 1.5, 0.0], [1.0, -2.0, 3.0, 0.5, 0.2]])


def kept(logits):
    return [{int(i) for i in row.isfinite().nonzero()} for row in logits]


def smallest_sets(logits, p):
    """By trying all subsets: the fewest entries that reach p, the likeliest of those."""
    sets = []
    for row in torch.softmax(logits.double(), -1):
        subsets = (
            set(chosen)
            for size in range(1, len(row) + 1)
            for chosen in itertools.combinations(range(len(row)), size)
        )
        reaching = [s for s in subsets if float(row[list(s)].sum()) >= p]
        fewest = min(len(s) for s in reaching)
        rivals = [s for s in reaching if len(s) == fewest]
        sets.append(max(rivals, key=lambda s, row=row: float(row[list(s)].sum())))
    return sets


@pytest.mark.parametrize("p", [0.05, 0.5, 0.7, 0.9, 0.99])
def test_the_nucleus_is_the_smallest_set_that_reaches_p(p):
    assert kept(keep_nucleus(LOGITS, p)) == smallest_sets(LOGITS, p)


@pytest.mark.parametrize(("p", "count"), [(0.25, 1), (0.5, 2), (0.5 + 1e-6, 3), (0.75, 3)])
def test_a_sum_of_exactly_p_is_enough(p, count):
    """Quarters have exact sums, so an entry more would be one that isn't needed."""
    assert len(kept(keep_nucleus(torch.zeros(1, 4), p))[0]) == count


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_k_largest_stay(k):
    expected = [set(sorted(range(5), key=lambda i, r=row: -float(r[i]))[:k]) for row in LOGITS]
    assert kept(keep_top(LOGITS, k)) == expected


@pytest.mark.parametrize("k", [0, 5, 9])
def test_no_limit_keeps_all(k):
    assert torch.equal(keep_top(LOGITS, k), LOGITS)


def test_no_temperature_is_greedy():
    assert sample(LOGITS, temperature=0).tolist() == [1, 2]


def frequencies(draws, **how):
    generator = torch.Generator().manual_seed(1)
    drawn = sample(LOGITS[:1].expand(draws, -1), generator=generator, **how)
    return torch.bincount(drawn, minlength=5) / draws


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_softmax(temperature):
    expected = torch.softmax(LOGITS[0] / temperature, -1)
    assert torch.allclose(frequencies(40_000, temperature=temperature), expected, atol=0.01)


def test_draws_keep_to_top_k_and_top_p():
    assert set(frequencies(2_000, top_k=2).nonzero().flatten().tolist()) == {1, 3}
    assert set(frequencies(2_000, top_p=0.5).nonzero().flatten().tolist()) == {1}


def test_the_same_seed_draws_the_same():
    first, second = (
        sample(LOGITS.repeat(20, 1), generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("how", [{"temperature": 1e-39}, {"temperature": 5e-324}, {"top_p": 1e-46}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_smallest_numbers_leave_the_likeliest(dtype, how):
    assert sample(LOGITS.to(dtype), **how).tolist() == LOGITS.argmax(-1).tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_temperature_below_what_the_dtype_holds_is_no_other(dtype):
    near = torch.tensor([[0.0, -1.0]]).to(dtype).mul(2.0**-24)
    generator = torch.Generator().manual_seed(1)
    rows = near.expand(20_000, -1)
    drawn = sample(rows, temperature=2.0**-24, generator=generator).double().mean()
    assert drawn == pytest.approx(float(torch.sigmoid(torch.tensor(-1.0))), abs=0.01)


BAD = {
    "temperature": [-1, float("nan"), float("inf"), "1", None, True, 1j],
    "top_k": [-1, 2.0, "2", None, True],
    "top_p": [0, 1.1, float("nan"), "0.5", None, True],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in BAD.items() for v in vs])
def test_what_is_no_number_or_out_of_range_is_an_error(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} = {re.escape(repr(value))}; give "):
        sample(LOGITS, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("top_k", 2), ("top_p", 0.5)])
def test_a_limit_where_nothing_is_drawn_is_an_error(name, value):
    with pytest.raises(ConfigError, match=f"draws nothing; leave out {name} = {value}, or"):
        sample(LOGITS, temperature=0, **{name: value})


def test_numbers_of_numpy_are_numbers():
    how = {"temperature": np.float32(1e-9), "top_k": np.int64(2), "top_p": np.float64(0.5)}
    assert sample(LOGITS, **how).tolist() == [1, 2]
