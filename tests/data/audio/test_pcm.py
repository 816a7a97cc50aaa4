"""Raw samples from bytes in any chunks, and notes on sound that will be recognised badly."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data.audio.pcm import PcmStream, pcm_samples
from recurra.data.audio.sound_notes import clipping_note, rate_note, silence_note
from recurra.errors import DataError


@given(st.lists(st.integers(-32_768, 32_767), max_size=30), st.lists(st.integers(0, 7)))
@example([5, -5], [1, 1, 1, 1])
@example([7], [])
def test_bytes_in_any_chunks_give_the_samples(values, cuts):
    data, stream, pieces = np.array(values, "<i2").tobytes(), PcmStream(), []
    for size in [*cuts, len(data)]:
        pieces.append(stream.feed(data[:size]))
        data = data[size:]
    samples = np.concatenate([*pieces, stream.finish()])
    assert samples.dtype == np.float32
    assert samples.tolist() == [value / 32_768 for value in values]


def test_half_a_sample_at_the_end_is_refused():
    stream = PcmStream()
    assert len(stream.feed(b"\1\2\3\4\5")) == 2
    with pytest.raises(DataError, match="half a sample"):
        stream.finish()


@pytest.mark.parametrize(("magic", "kind"), [(b"RIFF", "WAV"), (b"fLaC", "FLAC"), (b"OggS", "OGG")])
def test_a_file_with_a_header_is_not_raw_sound(magic, kind):
    with pytest.raises(DataError, match=f"like a {kind} file.*Give the path"):
        pcm_samples(magic + bytes(100))
    stream = PcmStream()
    stream.feed(magic[:3])
    with pytest.raises(DataError, match=kind):
        stream.feed(magic[3:])


def test_clipping_is_noted_and_one_full_sample_is_not():
    tone = np.sin(np.arange(8_000, dtype=np.float32) / 7)
    assert clipping_note(0.99 * tone) is None
    assert clipping_note(tone[:0]) is None
    peak = 0.5 * tone
    peak[100] = -1
    assert clipping_note(peak) is None
    assert "32.9 %" in clipping_note(np.clip(1.15 * tone, -1, 1))


def test_silence_is_noted():
    tone = np.sin(np.arange(8_000, dtype=np.float32) / 7)
    assert "is zero" in silence_note(0 * tone)
    assert "-70 dB" in silence_note(tone * 10 ** (-70 / 20))
    assert silence_note(tone * 10 ** (-59 / 20)) is None
    assert silence_note(tone[:0])


def test_another_rate_is_noted():
    assert rate_note(8_000, 8_000) is None
    assert rate_note(44_100, 8_000).endswith("resampled to the 8000 Hz of the model.")
    assert "nothing above 4000 Hz" in rate_note(8_000, 16_000)
