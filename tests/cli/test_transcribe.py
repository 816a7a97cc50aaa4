"""Transcription from the command line, as a user does it, mistakes too."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from test_cli_errors import told

from recurra.cli import main
from recurra.data.audio.sound import Sound, write_sound
from recurra.data.images.image_file import png_bytes

RATE = 8000
SMALL = ("--hidden", 8, "--channels", 4, "--max-steps", 3, "--batch-size", 8)


def tone(text):
    """A tone for each letter."""
    time = np.arange(RATE // 5) / RATE
    pitches = {"a": 700, "b": 1900, " ": 0}
    parts = [0.3 * np.sin(2 * np.pi * pitches[each] * time) for each in text]
    return Sound(np.concatenate(parts).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with recordings, a manifest and the run `run` of one direction."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recordings")
    rows = ["path,text,split,speaker"]
    for number in range(24):
        text = ("ab", "ba", "a b", "bb")[number % 4]
        write_sound(folder / f"{number}.wav", tone(text))
        split = "test" if number % 6 == 5 else "train"
        rows.append(f"{number}.wav,{text},{split},s{number // 6 % 2}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    words = ["train", "transcribe", folder / "manifest.csv", "--where", "split=train", *SMALL]
    words += ["--no-bidirectional", "--out", folder / "run"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def folder(made, here):
    return made[0]


def test_training_tells_how_good_it_is_and_what_to_do_next(made):
    folder, result = made
    for part in ("characters", "95 % interval", f"recurra transcribe {folder}/run", "report.html"):
        assert part in result.stdout
    report = (folder / "run" / "report.html").read_text()
    assert "of the characters wrong" in report
    assert "<audio" in report


def test_it_writes_text_a_line_each(folder, recurra):
    result = recurra("transcribe", folder / "run", folder / "0.wav", folder / "1.wav")
    assert result.exit_code == 0, result.output
    names = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert [name.rpartition("/")[2] for name in names] == ["0.wav", "1.wav"]


def test_it_writes_json_and_subtitles(folder, recurra, here):
    found = json.loads(recurra("transcribe", folder / "run", folder / "0.wav", "--json").stdout)
    assert found["unit"] == "seconds"
    assert found["length"] == pytest.approx(0.4)
    result = recurra("transcribe", folder / "run", folder / "0.wav", "-o", here / "a.srt")
    assert result.exit_code == 0, result.output
    assert (here / "a.srt").exists()
    (here / "subtitles").mkdir()
    files = (folder / "0.wav", folder / "1.wav")
    result = recurra("transcribe", folder / "run", *files, "--vtt", "-o", here / "subtitles")
    assert sorted(path.name for path in (here / "subtitles").iterdir()) == ["0.vtt", "1.vtt"]
    assert (here / "subtitles" / "0.vtt").read_text().startswith("WEBVTT")


def test_it_hears_standard_input(folder, recurra):
    samples = (tone("ab").samples * 32767).astype("<i2").tobytes()
    words = ("transcribe", folder / "run", "-")
    live = CliRunner().invoke(main, [str(word) for word in words], input=samples)
    assert live.exit_code == 0, live.output
    whole = recurra("transcribe", folder / "run", folder / "0.wav")
    assert live.stdout.strip() == whole.stdout.strip()


def test_it_is_evaluated_on_rows_of_a_manifest(folder, recurra):
    words = ("evaluate", folder / "run", folder / "manifest.csv", "--json")
    numbers = json.loads(recurra(*words, "--where", "split=test", "--groups", "speaker").stdout)
    assert numbers["items"] == 4
    assert {"cer", "wer", "exact", "cer_low", "wer_high"} <= numbers.keys()
    told(recurra("evaluate", folder / "run", "--where", "split=test"), "name the manifest")
    told(recurra(*words, "--groups", "hand"), "nothing in that column")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["nothing.wav"], ["nothing.wav", "no such file"]),
        (["-", "a.wav"], ["Standard input is live"]),
        (["0.wav", "--rate", 8000], ["--rate is of standard input"]),
        (["0.wav", "1.wav", "--srt"], ["name a folder"]),
        (["manifest.csv", "--srt"], ["24 recordings", "name a folder"]),
        (["0.wav", "0.wav", "--vtt", "-o", "."], ["Two of the recordings", "0.vtt"]),
        (["0.wav", "--srt", "--nbest", 2], ["one reading"]),
        (["-", "--decoder", "flashlight"], ["takes whole sequences"]),
        (["0.wav", "--boost", "xyz"], ["'xyz'", "alphabet"]),
        (["0.wav", "--beam", 0], ["beam = 0"]),
        (["0.wav", "--lm-weight", 2], ["language_weight = 2", "without language"]),
        (["0.wav", "--boost-weight", 3], ["boost_weight = 3", "without boost"]),
        (["line.png"], ["image", "sound"]),
        (["broken.wav"], ["is not sound"]),
    ],
)
def test_mistakes_are_one_sentence(folder, recurra, here, words, parts):
    (folder / "broken.wav").write_text("not a recording")
    (folder / "line.png").write_bytes(png_bytes(np.ones((20, 60), np.float32)))
    files = {"0.wav", "1.wav", "line.png", "broken.wav", "manifest.csv"}
    given = [folder / word if word in files else word for word in words]
    told(recurra("transcribe", folder / "run", *given), *parts)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--where", "split=dev"], ["dev", "test", "train"]),
        (["--where", "part=train"], ["part", "split"]),
        (["--input", "ink"], ["sound", "ink"]),
        (["--alphabet", "xy"], ["outside the alphabet"]),
        (["--valid", "absent.csv"], ["absent.csv"]),
        (["--model", "transducer", "--ensemble", 2], ["transducer", "ensemble"]),
        (["--height", 64, "--input", "sound"], ["height", "image"]),
        (["--subsampling", 3], ["subsampling = 3"]),
        (["--ngram", -1], ["ngram = -1"]),
        (["--ngram-text", "absent.txt"], ["absent.txt", "no such file"]),
        (["--replace", "abc"], ["abc"]),
        (["--init", "chrono"], ["chrono"]),
    ],
)
def test_contradicting_settings_are_refused(folder, recurra, words, parts):
    out = ("--out", "x", *SMALL)
    told(recurra("train", "transcribe", folder / "manifest.csv", *words, *out), *parts)
