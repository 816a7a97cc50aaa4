"""Log-mel features against their published definition, in streams of any chunks, and resumed."""

import json
from dataclasses import asdict

import kaldi_native_fbank
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import read_sound
from recurra.errors import ConfigError, DataError, MissingExtra

PLAIN = LogMel(rate=8_000, bands=20, normalise="none")
LEVEL = LogMel(rate=8_000, bands=20)


def noise(count, seed=0):
    """Noise whose level rises and falls twice a second, at 8 kHz."""
    samples = np.random.default_rng(seed).standard_normal(count)
    return (samples * np.exp(np.sin(np.arange(count) / 600)) / 20).astype(np.float32)


def mel(hertz):
    return 1127 * np.log(1 + np.asarray(hertz) / 700)


def triangles(how, size):
    """The weights (bands, size / 2) of the bins of a spectrum: triangles on the mel scale."""
    high = how.rate / 2 if how.high_hz is None else how.high_hz
    corners = np.linspace(mel(how.low_hz), mel(high), how.bands + 2)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    bins = mel(np.arange(size // 2) * how.rate / size)
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(np.minimum(rising, falling), 0)


def by_definition(samples, how):
    """Kaldi's log-mel features, frame by frame in double precision."""
    shift, window = (int(how.rate * ms / 1000) for ms in (how.shift_ms, how.frame_ms))
    count = (len(samples) + shift // 2) // shift
    starts = np.arange(count) * shift + shift // 2 - window // 2
    mirrored = np.concatenate([samples, samples[::-1]]).astype(np.float64)
    frames = mirrored[(starts[:, None] + np.arange(window)) % len(mirrored)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / (window - 1))) ** 0.85
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * povey, size)[:, :-1]) ** 2
    return np.log(np.maximum(power @ triangles(how, size).T, np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    "how",
    [
        PLAIN,
        LogMel(normalise="none"),
        LogMel(rate=22_050, bands=30, normalise="none"),
        LogMel(rate=8_000, bands=12, low_hz=100, high_hz=3_500, normalise="none"),
        LogMel(rate=16_000, bands=23, frame_ms=32, shift_ms=12.5, normalise="none"),
        LogMel(rate=11_025, bands=16, frame_ms=20, shift_ms=20, normalise="none"),
    ],
)
@pytest.mark.parametrize("count", [250, 399, 5_000, 12_345])
def test_features_are_kaldis_by_definition(how, count):
    samples = noise(count)
    features = how.features(samples)
    assert features.dtype == np.float32
    assert features.shape == (how.frames(count), how.bands)
    np.testing.assert_allclose(features, by_definition(samples, how), atol=2e-3)


@given(st.integers(0, 700))
def test_recordings_of_any_length_have_kaldis_own_bits(count):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges = 0, False
    options.frame_opts.samp_freq, options.mel_opts.num_bins = 8_000, 20
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(8_000, noise(count))
    assert count == 0 or bank.num_frames_ready == PLAIN.frames_ready(count)
    bank.input_finished()
    features = PLAIN.features(noise(count))
    assert len(features) == bank.num_frames_ready == PLAIN.frames(count)
    assert all(np.array_equal(frame, bank.get_frame(n)) for n, frame in enumerate(features))


def streamed(how, samples, sizes, resume_at=None):
    """The frames of chunks of these sizes, over and over; its state travels at one of them."""
    stream, frames, start, number = how.stream(), [], 0, 0
    while start < len(samples):
        size = sizes[number % len(sizes)]
        frames.append(stream.feed(samples[start : start + size]))
        start, number = start + size, number + 1
        assert sum(map(len, frames)) == how.frames_ready(min(start, len(samples)))
        assert len(stream.state()["tail"]) < 2 * how.window + how.shift
        if number == resume_at:
            state = {name: np.array(value.tolist()) for name, value in stream.state().items()}
            stream = how.stream(state)
    return np.concatenate([*frames, stream.finish()])


@settings(max_examples=60, deadline=None)
@given(
    how=st.sampled_from(
        [PLAIN, LEVEL, LogMel(), LogMel(rate=11_025, bands=9, frame_ms=20, shift_ms=20)]
    ),
    sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=6).filter(any),
    count=st.integers(1, 9_000),
    resume_at=st.integers(1, 9),
)
@example(how=LEVEL, sizes=[1], count=1_500, resume_at=1_000)
@example(how=PLAIN, sizes=[1, 80, 7], count=900, resume_at=3)
def test_chunks_give_the_bits_of_the_whole(how, sizes, count, resume_at):
    samples = noise(count)
    whole = how.features(samples)
    assert np.array_equal(streamed(how, samples, sizes), whole)
    assert np.array_equal(streamed(how, samples, sizes, resume_at), whole)


def test_a_state_is_a_copy():
    stream = LEVEL.stream()
    stream.feed(noise(1_000))
    state = stream.state()
    first = [LEVEL.stream(state).feed(noise(2_000, 1)) for _ in range(2)]
    assert np.array_equal(*first)
    assert np.array_equal(stream.feed(noise(2_000, 1)), first[0])


def test_pieces_of_a_long_recording_give_the_bits_of_the_whole(monkeypatch):
    samples = noise(20_000)
    whole = LEVEL.features(samples)
    monkeypatch.setattr("recurra.data.audio.log_mel._PIECE", 777)
    assert np.array_equal(LEVEL.features(samples), whole)


@pytest.mark.parametrize("gain", [0.3, 4])
def test_the_level_of_a_recording_drops_out(gain):
    samples = noise(16_000)
    apart = np.abs(LEVEL.features(gain * samples) - LEVEL.features(samples)).max()
    assert apart < 1e-3
    assert np.abs(PLAIN.features(gain * samples) - PLAIN.features(samples)).min() > 2


def test_the_level_is_that_of_the_loudest_frame_and_falls():
    how = LogMel(rate=8_000, bands=20, fall=3.0)
    plain = LogMel(rate=8_000, bands=20, normalise="none")
    samples = np.concatenate([noise(4_000), 0.01 * noise(8_000)])
    levels = (plain.features(samples) - how.features(samples))[:, 0]
    loudness = np.log(np.exp(plain.features(samples).astype(np.float64)).mean(axis=1))
    loudest = int(loudness.argmax())
    assert levels[loudest] == pytest.approx(loudness[loudest], abs=1e-5)
    fall = (levels[loudest] - levels[loudest + 100]) * 10 / np.log(10)
    assert fall == pytest.approx(3.0, abs=1e-3)


def test_silence_stays_silent():
    features = LEVEL.features(np.zeros(8_000, np.float32))
    assert features.max() < -7
    assert np.isfinite(features).all()


def test_a_frame_is_where_its_time_says():
    samples = np.zeros(16_000, np.float32)
    samples[9_000:9_008] = 1
    frame = int(PLAIN.features(samples).sum(axis=1).argmax())
    assert (frame + 0.5) * PLAIN.frame_seconds == pytest.approx(9_004 / 8_000, abs=0.006)
    assert PLAIN.frames_ready(40 * 80 + PLAIN.lookahead) == 40
    assert PLAIN.frames_ready(40 * 80 + PLAIN.lookahead - 1) == 39


def test_settings_travel_as_json():
    how = LogMel(rate=8_000, high_hz=3_700.0)
    assert LogMel(**json.loads(json.dumps(asdict(how)))) == how


BAD = {
    "rate = 10; at least 1000": {"rate": 10},
    "bands = 2; at least 3": {"bands": 2},
    "shift_ms = 30.* a frame is no shorter": {"shift_ms": 30.0},
    "high_hz = 5000.*half of the rate, 4000": {"rate": 8_000, "high_hz": 5_000.0},
    "low_hz = 4500": {"rate": 8_000, "low_hz": 4_500.0},
    'normalise = \'mean\'; "none" or "level"': {"normalise": "mean"},
    "fall = -1": {"fall": -1},
}


@pytest.mark.parametrize("match", BAD)
def test_settings_that_cannot_be_are_named(match):
    with pytest.raises(ConfigError, match=match):
        LogMel(**BAD[match])


def test_too_many_bands_are_named():
    with pytest.raises(ConfigError, match="200 bands are too many for frames of 25"):
        LogMel(rate=8_000, bands=200).features(noise(500))


def test_samples_that_cannot_be_are_named():
    with pytest.raises(DataError, match=r"shape \(5, 2\)"):
        PLAIN.features(np.zeros((5, 2), np.float32))
    with pytest.raises(DataError, match="Sample 3 of the sound is not finite"):
        PLAIN.features(np.array([0, 0, 0, np.nan], np.float32))
    stream = PLAIN.stream()
    stream.finish()
    with pytest.raises(DataError, match="is finished"):
        stream.feed(noise(5))


def test_the_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kaldi_native_fbank", None)
    with pytest.raises(MissingExtra, match="kaldi-native-fbank"):
        PLAIN.features(noise(500))


@pytest.mark.data
def test_real_digits_look_alike_whatever_their_level(real_data):
    path = sorted((real_data / "fsdd" / "recordings").glob("3_george_*.wav"))[0]
    samples = read_sound(path).samples
    assert 20 < len(PLAIN.features(samples)) < 120
    assert LEVEL.features(samples).max() < 5
    assert np.abs(LEVEL.features(2 * samples) - LEVEL.features(samples)).mean() < 0.1
