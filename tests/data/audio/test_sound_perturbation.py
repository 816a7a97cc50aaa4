"""Perturbed sound: pitch, length, noise and echo are changed by as much as is said."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from recurra.data.audio.pitch import shift_pitch, stretch_time
from recurra.data.audio.sound import read_sound
from recurra.data.audio.sound_perturbation import (
    SoundPerturbation,
    add_noise,
    perturb,
    pink_noise,
    room_response,
    tinted,
)
from recurra.errors import ConfigError

RATE = 8_000
NONE = asdict(SoundPerturbation.none())
ALL = SoundPerturbation(**{name: 1.0 for name in NONE if "probability" in name})


def only(**settings):
    """One perturbation for certain, and no other."""
    return SoundPerturbation(**{**NONE, **settings})


def tone(pitch=440, seconds=1.0):
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def noise(count, seed=0):
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def peak(samples):
    """The pitch of the loudest component, to a few tenths of Hz."""
    size = 1 << 16
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size)).argmax() * RATE / size


def decibels(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("factor", [0.7, 0.93, 1.0, 1.25, 1.9])
def test_stretching_changes_length_and_not_pitch(factor):
    samples = tone()
    stretched = stretch_time(samples, RATE, factor)
    assert stretched.dtype == np.float32
    assert len(stretched) == round(len(samples) * factor)
    assert peak(stretched) == pytest.approx(440, abs=1)
    assert decibels(stretched) == pytest.approx(decibels(samples), abs=0.1)


def test_stretching_by_one_changes_nothing():
    samples = noise(5_000)
    np.testing.assert_allclose(stretch_time(samples, RATE, 1.0), samples, atol=1e-5)


def centre(samples):
    """The centre of a sound's energy, in samples."""
    energy = np.square(samples, dtype=np.float64)
    return (energy * np.arange(len(samples))).sum() / energy.sum()


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.4, 1.9])
def test_a_burst_stays_at_its_place(factor):
    burst = tone() * np.exp(-(((np.arange(8_000) - 3_000) / 300) ** 2)).astype(np.float32)
    assert centre(stretch_time(burst, RATE, factor)) == pytest.approx(3_000 * factor, abs=10)
    shifted = shift_pitch(burst, RATE, 12 * np.log2(factor))
    assert centre(shifted) == pytest.approx(3_000, abs=10)


@pytest.mark.parametrize("semitones", [-7, -2.5, 0, 1, 4])
def test_pitch_changes_by_semitones_and_length_does_not(semitones):
    shifted = shift_pitch(tone(), RATE, semitones)
    assert len(shifted) == RATE
    assert peak(shifted) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    assert decibels(shifted) == pytest.approx(decibels(tone()), abs=0.3)


def test_speed_changes_length_and_pitch_by_one_factor():
    how, generator = only(speed_probability=1, speed=0.3), np.random.default_rng(1)
    faster = [perturb(tone(), RATE, how, generator) for _ in range(20)]
    factors = [RATE / len(samples) for samples in faster]
    assert 0.7 <= min(factors) < 0.8 < 1.2 < max(factors) <= 1.3
    for samples, factor in zip(faster, factors, strict=True):
        assert peak(samples) == pytest.approx(440 * factor, abs=1)


def test_pitch_stays_within_its_limit():
    how, generator = only(pitch_probability=1, pitch=3), np.random.default_rng(1)
    pitches = [peak(perturb(tone(), RATE, how, generator)) for _ in range(20)]
    semitones = 12 * np.log2(np.array(pitches) / 440)
    assert -3.05 < semitones.min() < -1.5 < 1.5 < semitones.max() < 3.05


@pytest.mark.parametrize("ratio", [-5, 10, 30])
def test_noise_is_as_much_quieter_as_is_said(ratio):
    samples = tone()
    added = add_noise(samples, noise(RATE), ratio) - samples
    assert decibels(samples) - decibels(added) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("speech", [(), (noise(900, 5), noise(20_000, 6))])
def test_drawn_noise_is_within_its_limits(speech):
    how, generator = only(noise_probability=1, noise_low=5, noise_high=20), np.random.default_rng(2)
    samples = tone()
    ratios = []
    for _ in range(30):
        added = perturb(samples, RATE, how, generator, speech=speech) - samples
        ratios.append(decibels(samples) - decibels(added))
    assert 4.9 < min(ratios) < 9 < 16 < max(ratios) < 20.1


def test_other_speech_is_used_where_it_is_given():
    how, generator = only(noise_probability=1), np.random.default_rng(0)
    samples = tone()
    other = tone(1_000)
    added = [perturb(samples, RATE, how, generator, speech=[other]) - samples for _ in range(30)]
    spectra = [np.abs(np.fft.rfft(one)) for one in added]
    tonal = sum(spectrum.max() ** 2 > 0.9 * (spectrum**2).sum() for spectrum in spectra)
    assert 4 <= tonal <= 16


def test_pink_noise_falls_by_three_decibels_an_octave():
    power = np.abs(np.fft.rfft(pink_noise(1 << 16, np.random.default_rng(0)))) ** 2
    octaves = [10 * np.log10(power[1 << n : 2 << n].mean()) for n in range(6, 14)]
    np.testing.assert_allclose(np.diff(octaves), -3.01, atol=1.0)


def test_the_echo_falls_by_sixty_decibels_in_its_time():
    response = room_response(RATE, 0.5, np.random.default_rng(0))
    assert (len(response), response[0]) == (4_000, 1)
    assert decibels(response[100:500]) - decibels(response[3_300:3_700]) == pytest.approx(48, abs=2)
    assert 0.1 <= np.square(response[1:]).sum() <= 1


def test_a_room_keeps_length_and_level_and_goes_on_after_the_sound():
    samples = np.concatenate([noise(2_000), np.zeros(2_000, np.float32)])
    how = only(room_probability=1, room_low=0.3, room_high=0.3)
    wet = perturb(samples, RATE, how, np.random.default_rng(0))
    response = room_response(RATE, 0.3, probed(how))
    direct = np.convolve(samples, response)[:4_000]
    np.testing.assert_allclose(wet, direct * np.std(samples) / np.std(direct), atol=2e-3)
    assert decibels(wet) == pytest.approx(decibels(samples), abs=0.01)
    assert decibels(wet[2_100:2_300]) > -60


def probed(how):
    """The generator as it is when the room is drawn: four draws of chance, one of seconds."""
    generator = np.random.default_rng(0)
    generator.random(3)
    generator.uniform(how.room_low, how.room_high)
    return generator


def test_gain_is_within_its_limit():
    how, generator = only(gain_probability=1, gain=6), np.random.default_rng(0)
    gains = [decibels(perturb(tone(), RATE, how, generator)) - decibels(tone()) for _ in range(30)]
    assert -6.01 < min(gains) < -4 < 4 < max(gains) < 6.01


def test_one_seed_gives_one_result_and_none_changes_nothing():
    first, second = (perturb(tone(), RATE, ALL, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)
    other = perturb(tone(), RATE, ALL, np.random.default_rng(8))
    assert not np.array_equal(first, other)
    same = perturb(tone(), RATE, SoundPerturbation.none(), np.random.default_rng(7))
    assert np.array_equal(same, tone())


@pytest.mark.parametrize("samples", [noise(0), noise(1), noise(7), np.zeros(900, np.float32)])
def test_very_short_and_silent_sound_is_no_trouble(samples):
    for seed in range(5):
        changed = perturb(samples, RATE, ALL, np.random.default_rng(seed), speech=[noise(0)])
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert abs(len(changed) - len(samples)) <= 0.2 * len(samples) + 1


def test_the_input_is_left_as_it_is():
    samples = tone()
    perturb(samples, RATE, ALL, np.random.default_rng(0))
    assert np.array_equal(samples, tone())


@pytest.mark.parametrize(
    ("name", "value"),
    [("speed_probability", 1.5), ("speed", 0.7), ("pitch", -1), ("room_low", 0), ("gain", 99)],
)
def test_settings_that_cannot_be_are_named(name, value):
    with pytest.raises(ConfigError, match=f"{name} = {value}"):
        SoundPerturbation(**{name: value})


def test_settings_travel_as_json():
    how = SoundPerturbation(speed=0.2)
    assert SoundPerturbation(**json.loads(json.dumps(asdict(how)))) == how


@pytest.mark.data
def test_a_real_voice_is_shifted_and_stays_as_long_and_loud(real_data):
    samples = read_sound(real_data / "fsdd" / "recordings" / "1_george_1.wav").samples
    for semitones in (-4, 4):
        shifted = shift_pitch(samples, RATE, semitones)
        expected = voice(samples) * 2 ** (semitones / 12)
        assert voice(shifted) == pytest.approx(expected, rel=0.02)
        assert decibels(shifted) == pytest.approx(decibels(samples), abs=1)


def voice(samples):
    """The fundamental of the loudest 64 ms, by autocorrelation, between 75 and 400 Hz."""
    window = 512
    starts = range(0, len(samples) - window, 80)
    start = max(starts, key=lambda s: np.square(samples[s : s + window]).sum())
    piece = samples[start : start + window].astype(np.float64)
    correlation = np.correlate(piece, piece, "full")[window - 1 :]
    lag = 20 + int(correlation[20:107].argmax())
    before, here, after = correlation[lag - 1 : lag + 2]
    return RATE / (lag + (before - after) / (2 * (before - 2 * here + after)))


@pytest.mark.parametrize(("pitch", "place"), [(0.0, 0), (1_000.0, 1), (4_000.0, 2)])
def test_a_filter_has_its_gains_at_their_frequencies(pitch, place):
    # The middle one of three gains is where log(1 + 8 f / 4000) is half of log 9: at 1000 Hz.
    gains = np.array([6.0, -9.0, 3.0])
    samples = np.cos(2 * np.pi * pitch * np.arange(RATE) / RATE).astype(np.float32)
    middle = slice(RATE // 4, 3 * RATE // 4)
    louder = decibels(tinted(samples, gains)[middle]) - decibels(samples[middle])
    assert louder == pytest.approx(gains[place], abs=0.1)


def test_a_filter_neither_delays_nor_wraps_around():
    samples = np.zeros(4_000, np.float32)
    samples[50] = 1
    filtered = tinted(samples, np.array([6.0, -6, 3, 0, 6, -3]))
    assert np.abs(filtered).argmax() == 50
    assert np.abs(filtered[-1_000:]).max() < 1e-3
