"""Resampling: whole, in chunks, and from a saved state it gives the same bits."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.audio import resampler as module
from recurra.data.audio.resampler import Resampler, resample
from recurra.errors import ConfigError

RATES = [(44_100, 16_000), (8_000, 16_000), (16_000, 8_000), (7_919, 11_025), (48_000, 8_000)]


def noise(count, seed=0):
    return (0.3 * np.random.default_rng(seed).normal(size=count)).astype(np.float32)


def test_what_the_new_rate_cannot_hold_is_taken_out():
    wave = np.sin(2 * np.pi * 5_000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert np.abs(resample(wave, 16_000, 8_000))[500:-500].max() < 1e-4


@pytest.mark.parametrize("rates", [*RATES, (8_000, 48_000), (1.0, 2.0), (768_000, 8_000)])
def test_pieces_join_to_what_one_stream_gives(rates):
    """Of 9.7 seconds, three pieces, and of a length that no piece divides."""
    second = max(rates[0], 8_000)
    samples = noise(int(9.7 * second) + 3)
    whole = soxr.resample(samples, *rates, quality="HQ")
    pieces = resample(samples, *rates)
    assert len(pieces) == len(whole)
    assert np.abs(pieces - whole).max() < 2e-6


def test_rates_that_are_not_whole_numbers_are_one_stream():
    samples = noise(100_000)
    whole = soxr.resample(samples, 1.03, 1.0, quality="HQ")
    assert np.array_equal(resample(samples, 1.03, 1.0), whole)
    with pytest.raises(ConfigError, match=r"from 1.03 to 1.0 Hz can't be saved; .*whole numbers"):
        Resampler(1.03, 1.0).state()


@settings(max_examples=80, deadline=None)
@given(
    rates=st.sampled_from(RATES),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    seconds=st.sampled_from([0, 0.01, 0.4, 1.3]),
    saved=st.booleans(),
)
def test_chunks_and_saved_states_give_the_bits_of_the_whole(rates, cuts, seconds, saved):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_SECONDS", 0.05)  # a piece is then 16 times what comes before it
        samples = noise(int(seconds * rates[0]))
        expected = resample(samples, *rates)
        stream, made = Resampler(*rates), []
        for chunk in np.split(samples, sorted(int(cut * len(samples)) for cut in cuts)):
            made.append(stream.feed(chunk))
            if saved:
                state = stream.state()
                assert len(state["held"]) < 20 * max(*rates)
                stream = Resampler(*rates, state)
        assert np.array_equal(np.concatenate([*made, stream.finish()]), expected)


def test_a_state_does_not_grow():
    stream = Resampler(16_000, 8_000)
    sizes = []
    for _ in range(20):
        stream.feed(noise(16_000))
        sizes.append(len(stream.state()["held"]))
    assert max(sizes) < 5 * 16_000
    assert min(sizes[6:]) < 2 * 16_000


@pytest.mark.parametrize("rates", [(0, 8_000), (8_000, -1), (float("nan"), 1), (1, float("inf"))])
def test_rates_are_positive(rates):
    with pytest.raises(ConfigError, match="both rates must be positive"):
        Resampler(*rates)
    assert Resampler(8_000, 8_000).finish().shape == (0,)


def test_equal_rates_leave_samples_as_they_are():
    stream, samples = Resampler(8_000, 8_000), noise(100)
    assert np.array_equal(stream.feed(samples), samples)
    assert len(stream.finish()) == len(stream.state()["held"]) == 0
    assert np.array_equal(Resampler(8_000, 8_000, stream.state()).feed(samples), samples)
