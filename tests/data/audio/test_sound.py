"""Sound from files: every format gives its samples, whole, in blocks and at another rate."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from recurra.data.audio.sound import (
    Sound,
    SoundFacts,
    read_sound,
    sound_blocks,
    sound_facts,
    write_sound,
)
from recurra.errors import MissingExtra

FORMATS = {
    "wav": ("WAV", "PCM_16", 4e-5),
    "float.wav": ("WAV", "FLOAT", 1e-7),
    "flac": ("FLAC", "PCM_24", 2e-7),
    "ogg": ("OGG", "VORBIS", 0.05),
    "opus": ("OGG", "OPUS", 0.05),
    "mp3": ("MP3", "MPEG_LAYER_III", 0.05),
}


def tones(seconds, rate=16_000, channels=1):
    """A tone of another pitch and level in each channel."""
    times = np.arange(round(seconds * rate)) / rate
    waves = [0.4 / (1 + n) * np.sin(2 * np.pi * 300 * (n + 1) * times) for n in range(channels)]
    return np.stack(waves, axis=1).astype(np.float32)


def noise(count, seed=0):
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32) / 4


def save(path, samples, rate=16_000, form="WAV", coding="PCM_16"):
    soundfile.write(path, samples, rate, format=form, subtype=coding)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_samples_at_its_own_rate(tmp_path, name):
    """Also MP3, which soundfile garbles where it reads block after block."""
    form, coding, tolerance = FORMATS[name]
    wave = tones(1.7)[:, 0]
    path = save(tmp_path / f"a.{name}", wave, 16_000, form, coding)
    sound = read_sound(path)
    assert sound.rate == 16_000
    assert sound.seconds == 1.7
    whole = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_allclose(sound.samples, whole, atol=1e-6 * (form == "MP3"), rtol=0)
    assert np.abs(sound.samples - wave)[200:-200].max() < tolerance
    assert sound_facts(path) == SoundFacts(16_000, 1, 1.7)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(tmp_path, channels):
    wave = tones(0.3, channels=channels)
    path = save(tmp_path / "a.wav", wave, coding="FLOAT")
    assert sound_facts(path) == SoundFacts(16_000, channels, 0.3)
    np.testing.assert_allclose(read_sound(path).samples, wave.mean(axis=1), atol=1e-7)


def test_a_name_does_not_say_what_a_file_is(tmp_path):
    path = save(tmp_path / "a.raw", noise(500), form="FLAC")
    assert len(read_sound(str(path)).samples) == 500


@pytest.mark.parametrize(("own", "rate"), [(44_100, 16_000), (8_000, 16_000), (22_050, 8_000)])
def test_a_tone_keeps_its_pitch_and_level_at_another_rate(tmp_path, own, rate):
    wave = tones(1, own)[:, 0]
    sound = read_sound(save(tmp_path / "a.wav", wave, own, coding="FLOAT"), rate)
    assert (sound.rate, len(sound.samples)) == (rate, rate)
    expected = tones(1, rate)[:, 0]
    assert np.abs(sound.samples - expected)[500:-500].max() < 1e-4


@pytest.mark.parametrize("rate", [None, 8_000])
@pytest.mark.parametrize("seconds", [1e-9, 0.3, 0.9, 60])
def test_blocks_have_the_bits_of_the_whole(tmp_path, rate, seconds):
    path = save(
        tmp_path / "a.flac", np.stack([noise(48_000), noise(48_000, 1)], axis=1), form="FLAC"
    )
    blocks = list(sound_blocks(path, rate, seconds=seconds))
    whole = read_sound(path, rate)
    assert np.array_equal(np.concatenate(blocks), whole.samples)
    if seconds < 1:
        assert len(blocks) > 3
        assert max(map(len, blocks)) <= (seconds + 0.35) * whole.rate


def test_two_hours_take_no_more_memory_than_a_minute(tmp_path):
    rate = 1_000  # fewer samples, the same hours
    path = save(tmp_path / "long.wav", np.tile(noise(rate * 60), 120), rate)
    tracemalloc.start()
    blocks = (len(block) for block in sound_blocks(path, 2 * rate, seconds=10))
    total = sum(blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 7_200 * 2 * rate
    assert peak < 500_000  # bytes; the whole has 57.6 million


def test_what_is_written_is_read(tmp_path):
    sound = Sound(noise(1_000), 11_025)
    write_sound(tmp_path / "a.wav", sound)
    again = read_sound(tmp_path / "a.wav")
    assert again.rate == 11_025
    assert np.abs(again.samples - sound.samples).max() <= 1 / 32_768


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_an_absent_package_is_named(tmp_path, monkeypatch, package):
    path = save(tmp_path / "a.wav", noise(100))
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=rf"needs {package}.*recurra\[transcribe\]"):
        read_sound(path, 8_000)


@pytest.mark.data
def test_real_recordings_are_read(real_data):
    path = sorted((real_data / "fsdd" / "recordings").glob("*.wav"))[0]
    assert sound_facts(path).rate == 8_000
    assert 0.05 < np.abs(read_sound(path, 16_000).samples).max() <= 1.1
