"""Rows of a manifest that are parts of recordings, and windows of these."""

import numpy as np
import pytest
import soundfile

from recurra.data.audio.sound import Sound, read_sound, write_sound
from recurra.data.sequences.step_windows import RECORDING
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.item_sources import digest_items, read_items
from recurra.data.transcripts.sound_windows import sound_windows
from recurra.errors import DataError


@pytest.fixture
def folder(tmp_path):
    samples = np.arange(16_000, dtype=np.float32) / 32_000
    write_sound(tmp_path / "a.wav", Sound(samples, 8000))
    return tmp_path


def manifest(folder, *rows, header="path,start,end,label"):
    (folder / "list.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "list.csv"


def test_rows_are_parts_of_a_recording(folder):
    items = read_items(manifest(folder, "a.wav,0,0.5,x", "a.wav,0.5,1.25,y", "a.wav,,,z"))
    assert [item.name for item in items] == ["a.wav, 0 to 0.5 s", "a.wav, 0.5 to 1.25 s", "a.wav"]
    assert [item.span for item in items] == [(0, 0.5), (0.5, 1.25), None]
    part = read_sound(folder / "a.wav", None, items[1].span)
    assert part.samples.tolist() == read_sound(folder / "a.wav").samples[4000:10_000].tolist()
    others = read_items(manifest(folder, "a.wav,0,0.5,x", "a.wav,0.5,1.3,y", "a.wav,,,z"))
    assert digest_items(items) != digest_items(others)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("path,onset,offset,label", "0.5,1.5"),
        ("audio_filepath,offset,duration,text", "0.5,1"),
        ("path,Begin,duration,label", "0.5,1"),
        ("path,start_time,end_time,label", "0.5,1.5"),
    ],
)
def test_the_usual_names_of_columns(folder, header, cells):
    (item,) = read_items(manifest(folder, f"a.wav,{cells},x", header=header))
    assert item.span == (0.5, 1.5)


def test_the_length_of_a_recording_is_no_part(folder):
    (item,) = read_items(manifest(folder, "a.wav,2.0,x", header="path,duration,label"))
    assert item.span is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1,0.5", r"line 2: start = '1', end = '0.5' is no part of a recording"),
        ("-1,0.5", "is no part of a recording; give seconds"),
        ("now,1", r"line 2: start = 'now', end = '1'; give both in seconds"),
        ("0.5,", "give both in seconds, or neither"),
    ],
)
def test_parts_that_cannot_be(folder, cells, message):
    with pytest.raises(DataError, match=message):
        read_items(manifest(folder, f"a.wav,{cells},x"))
    bad = BadItems(0.9)
    assert len(read_items(manifest(folder, f"a.wav,{cells},x", "a.wav,0,1,y"), bad=bad)) == 1
    assert len(bad) == 1


def test_a_part_beyond_the_end(folder):
    with pytest.raises(DataError, match=r"a\.wav: ends at 2\.00 seconds, and the part from 1 to 9"):
        read_sound(folder / "a.wav", None, (1.0, 9.0))
    assert len(read_sound(folder / "a.wav", None, (1.5, 2.005)).samples) == 4000


@pytest.mark.parametrize(
    ("form", "coding", "error"),
    [("FLAC", "PCM_16", 0), ("OGG", "VORBIS", 1e-3), ("MP3", "MPEG_LAYER_III", 1e-6)],
)
def test_a_part_of_every_format_is_that_of_the_whole(tmp_path, form, coding, error):
    path = tmp_path / "a.sound"
    wave = 0.3 * np.sin(np.arange(48_000) * 0.05) * np.linspace(0, 1, 48_000)
    soundfile.write(path, wave.astype(np.float32), 16_000, format=form, subtype=coding)
    part = read_sound(path, None, (1.0, 1.5)).samples
    np.testing.assert_allclose(part, read_sound(path).samples[16_000:24_000], atol=error)


def test_windows_have_the_label_of_most_of_them(folder):
    rows = ["a.wav,0,0.5,x", "a.wav,0.5,1.2,y"]
    windows = sound_windows(read_items(manifest(folder, *rows)), 40, 20)
    found = [(item.text, *(round(end, 2) for end in item.span)) for item in windows]
    # From 0.4 a quarter is x; from 1.0 half is y, and of those that follow less than half.
    assert found == [
        ("x", 0, 0.4), ("x", 0.2, 0.6), ("y", 0.4, 0.8), ("y", 0.6, 1), ("y", 0.8, 1.2),
        ("y", 1, 1.4),
    ]  # fmt: skip
    assert {item.columns[RECORDING] for item in windows} == {"a.wav"}
    assert len({item.name for item in windows}) == 6


def test_a_recording_with_one_label_is_cut_whole(folder):
    whole = sound_windows(read_items([(folder / "a.wav", "x")]), 50, 50)
    assert [round(item.span[0], 2) for item in whole] == [0, 0.5, 1, 1.5]
    memory = Item("a", "sound", "x", data=Sound(np.zeros(800, np.float32), 8000), format="memory")
    assert [item.span for item in sound_windows([memory], 50, 25)] == [(0.0, 0.1)]


def test_what_cannot_be_cut_stays_an_item(folder):
    (folder / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    rows = ["a.wav,0,1,x", "a.wav,1,9,y", "bad.wav,0,1,x", "bad.wav,,,x"]
    windows = sound_windows(read_items(manifest(folder, *rows)), 100, 100)
    assert [item.name for item in windows if RECORDING not in item.columns] == [
        "a.wav, 1 to 9 s", "bad.wav, 0 to 1 s", "bad.wav",
    ]  # fmt: skip
    assert [item.span for item in windows if RECORDING in item.columns] == [(0.0, 1.0)]
    memory = Item("a", "sound", "x", data=np.zeros(800, np.float32), format="memory")
    with pytest.raises(DataError, match="its rate isn't known"):
        sound_windows([memory], 50, 25)
