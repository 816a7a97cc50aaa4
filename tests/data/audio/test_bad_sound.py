"""Files that can't be read as sound: each is named, with what is wrong and the remedy."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recurra.data.audio.sound import read_sound, sound_blocks, sound_facts
from recurra.errors import DataError

NOISE = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) / 8
WHOLE = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """The bytes of two seconds at 16 kHz, by format."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, (form, coding) in WHOLE.items():
        soundfile.write(folder / name, NOISE, 16_000, format=form, subtype=coding)
    return {name: (folder / name).read_bytes() for name in WHOLE}


def refused(path, match):
    """Hold `read_sound` to a DataError that names the file."""
    with pytest.raises(DataError, match=match) as caught:
        read_sound(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


NOT_SOUND = {
    "empty": (b"", "is empty"),
    "text": (b"zero one two\n" * 50, "not sound, damaged, or of an unknown format"),
    "zeros": (bytes(4_000), "not sound"),
    "m4a": (b"\0\0\0\x20ftypM4A " + bytes(500), "is an MP4 or M4A file.*ffmpeg"),
    "webm": (b"\x1aE\xdf\xa3" + bytes(500), "is a WebM or Matroska file"),
    "aac": (b"\xff\xf1\x50\x80" + bytes(500), "is an AAC file"),
    "header": (b"RIFF\x24\0\0\0WAVE", "not sound, damaged"),
}


@pytest.mark.parametrize("name", NOT_SOUND)
def test_what_is_not_sound_is_named(tmp_path, name):
    data, match = NOT_SOUND[name]
    path = tmp_path / f"{name}.wav"
    path.write_bytes(data)
    refused(path, match)


def test_what_is_no_file_is_named(tmp_path):
    refused(tmp_path / "absent.wav", "no such file")
    refused(tmp_path, "is a directory")


LOST = {"flac": 0.6, "mp3": 0.3, "ogg": 1.0, "opus": 1.0}
"""Seconds before the break that can't be decoded: a packet, a page, or a piece read at once."""


@pytest.mark.parametrize("share", [0.6, 0.95])
@pytest.mark.parametrize("name", WHOLE)
def test_a_truncated_file_is_an_error_that_counts_seconds(tmp_path, recordings, name, share):
    data = recordings[name]
    path = tmp_path / "cut"
    path.write_bytes(data[: int(share * len(data))])
    message = refused(path, r"truncated or damaged: \S+ of .* seconds are readable. Get the whole")
    readable, whole = re.search(r"damaged: (\S+) of (.*) seconds are", message).groups()
    present = 2 * share
    assert present - LOST.get(name, 0.02) < float(readable) < present + 0.1
    if name in ("ogg", "opus"):
        assert whole == "an unknown number of"
    else:
        assert float(whole) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_not_refused(tmp_path, recordings, name):
    path = tmp_path / "whole"
    path.write_bytes(recordings[name])
    assert len(read_sound(path).samples) == len(NOISE)


def test_a_truncated_flac_gives_its_readable_blocks_first(tmp_path, recordings):
    path = tmp_path / "a.flac"
    path.write_bytes(recordings["flac"][: len(recordings["flac"]) // 2])
    blocks = sound_blocks(path, seconds=0.25)
    assert np.abs(next(blocks) - NOISE[:4_096]).max() < 1e-4
    with pytest.raises(DataError, match="truncated"):
        list(blocks)


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000])
def test_a_recorder_that_streams_does_not_know_the_length(tmp_path, recordings, size):
    data = bytearray(recordings["wav"])
    data[40:44] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read_sound(tmp_path / "a.wav").samples) == len(NOISE)


def test_a_missing_byte_and_bytes_after_the_sound_do_no_harm(tmp_path, recordings):
    path = tmp_path / "a.wav"
    path.write_bytes(recordings["wav"][:-1])
    assert len(read_sound(path).samples) == len(NOISE) - 1
    path.write_bytes(recordings["wav"] + b"LIST\4\0\0\0abcd")
    assert len(read_sound(path).samples) == len(NOISE)


def without_length(data):
    """MP3 without its first frame, which says the length."""
    return data[data.index(data[:2], 20) :]


def test_mp3_that_does_not_say_its_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(
        path, "w", 22_050, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5
    ) as file:
        file.write(NOISE)
    path.write_bytes(without_length(path.read_bytes()) + b"TAG" + bytes(125))
    assert sound_facts(path).seconds is None
    assert 0 <= len(read_sound(path).samples) - len(NOISE) < 2_400  # the encoder's padding


def test_mp3_of_which_only_a_part_would_be_read_is_refused(tmp_path, recordings):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_length(recordings["mp3"]))
    refused(path, "MP3 that doesn't say its length.*only its first 1.* seconds.*Convert it")


def test_an_id3_tag_before_the_length_is_passed_over(tmp_path, recordings):
    path = tmp_path / "a.mp3"
    tag = b"ID3\3\0\0" + bytes([0, 0, 40, 0]) + bytes(40 << 7)
    path.write_bytes(tag + recordings["mp3"])
    assert sound_facts(path).seconds == 2.0


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE[:0], 8_000)
    refused(tmp_path / "a.wav", "has no samples")


def test_a_rate_that_no_recorder_has_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE[:50], 10)
    refused(tmp_path / "a.wav", "a rate of 10 Hz; from 1000 to 768000 Hz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_named(tmp_path, value):
    samples = NOISE[:10_000].copy()
    samples[6_000:] = value
    soundfile.write(tmp_path / "a.wav", samples, 8_000, subtype="FLOAT")
    refused(tmp_path / "a.wav", r"sample 6000 \(at 0.750 s\) is not finite")


def test_no_file_is_left_open(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"text")
    refused(tmp_path / "a.wav", "not sound")
    soundfile.write(tmp_path / "b.wav", NOISE, 8_000)
    next(sound_blocks(tmp_path / "b.wav", seconds=0.1))
    numbers = Path("/proc/self/fd")
    if numbers.exists():
        assert not [n for n in numbers.iterdir() if str(tmp_path) in str(n.resolve())]


def test_of_a_file_that_breaks_off_at_once_nothing_is_to_be_kept(tmp_path):
    soundfile.write(tmp_path / "a.flac", NOISE[:4_000], 8_000)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    message = refused(tmp_path / "a.flac", "0.00 of 0.50 seconds are readable. .*record it again")
    assert "ffmpeg" not in message
