"""Long recordings: windows with the label of most of their steps, answers as intervals."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from recurra import Classifier, load
from recurra.cli import main
from recurra.data.audio.sound import Sound, write_sound
from recurra.data.sequences.series import Series
from recurra.data.sequences.step_windows import (
    RECORDING,
    hold_out_stretches,
    usual_window,
    window_starts,
    windowed,
)
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, RecurraWarning

pytestmark = pytest.mark.filterwarnings("ignore:.*:recurra.errors.RecurraWarning")
PACES = {"rest": 0.0, "walk": 0.4, "run": 1.2}


def recording(stretches, seed=0):
    """A signal (T, 1) of stretches of one activity each, and the activity of each step."""
    generator = np.random.default_rng(seed)
    names = [list(PACES)[n % 3] for n in range(stretches)]
    lengths = generator.integers(60, 120, stretches)
    labels = np.repeat(names, lengths)
    wave = np.sin(np.cumsum([PACES[label] for label in labels]))
    return (wave + 0.1 * generator.normal(size=len(labels)))[:, None], labels


def small(**settings):
    sizes = {"hidden": 8, "channels": 4, "max_steps": 120, "batch_size": 16, "dropout": 0.0}
    return Classifier(**{**sizes, "learning_rate": 0.02, "window_length": 24, **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    pairs = [recording(18, seed) for seed in range(2)]
    out = tmp_path_factory.mktemp("recordings") / "run"
    return small().fit([x for x, _ in pairs], [y for _, y in pairs], out=out)


def test_stretches_are_found_again(trained):
    signal, labels = recording(9, seed=5)
    found, short = trained.predict([signal, signal[:10]])
    assert (found == labels).mean() > 0.8
    assert short.shape == (10,)
    (intervals, _) = trained.predict_intervals([signal, signal[:10]])
    starts, ends = ([each[place] for each in intervals] for place in (0, 1))
    assert (starts[0], ends[-1]) == (1, len(labels))
    assert [end + 1 for end in ends[:-1]] == starts[1:]
    for start, end, label, confidence in intervals:
        assert (found[int(start) - 1 : int(end)] == label).all()
        assert 0.3 < confidence <= 1
    assert trained.predict_proba([signal])[0].shape == (len(labels), 3)
    assert trained.score([signal], [labels]) > 0.8
    again = load(trained.run.path)
    assert again.predict_intervals([signal])[0] == intervals
    with pytest.raises(ConfigError, match="trained on windows of long series"):
        trained.session()


def test_no_window_for_training_shares_a_step_with_one_held_out(trained):
    data = trained._data
    used = {RECORDING: set()}
    for part in (data.train, data.held_out):
        spans = set()
        for item in part.items:
            first = int(item.columns["first step"])
            spans |= {(item.columns[RECORDING], step) for step in range(first, first + 24)}
        used[part is data.train] = spans
    assert used[True]
    assert used[False]
    assert not used[True] & used[False]


def test_windows_have_the_label_of_most_of_their_steps():
    labels = ["a"] * 5 + ["b"] * 3 + [""] * 8
    series = Series.of(np.arange(16.0), labels=labels)
    items = windowed([Item("x", "series", None, data=series)], 4, 2)
    assert [item.text for item in items] == ["a", "a", "b", "b"]
    assert [item.columns["first step"] for item in items] == ["0", "2", "4", "6"]
    assert all(item.data.labels is None for item in items)
    assert window_starts(10, 4, 4) == [0, 4, 6]
    assert usual_window([Item("x", "series", None, data=series)]) == 8
    whole = windowed([Item("x", "series", "u", data=Series.of(np.arange(9.0)))], 4, 4)
    assert [item.text for item in whole] == ["u"] * 3


def test_recordings_are_held_out_whole_where_there_are_enough():
    items = [
        Item(f"w{n}", "series", "a", data=Series.of([1.0]), columns={RECORDING: f"r{n % 10}"})
        for n in range(40)
    ]
    parts = hold_out_stretches(items, 0.2, 0)
    sides = [{item.columns[RECORDING] for item in part} for part in (parts.train, parts.held)]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_a_table_is_answered_by_intervals(tmp_path):
    signal, labels = recording(12)
    rows = [f"{n / 10},{x},{y}" for n, (x, y) in enumerate(zip(signal[:, 0], labels, strict=True))]
    (tmp_path / "a.csv").write_text("\n".join(["time,x,activity", *rows]))
    run, out = str(tmp_path / "run"), tmp_path / "out.csv"
    words = ["train", "classify", str(tmp_path / "a.csv"), "--out", run, "--max-steps", "4"]
    result = CliRunner().invoke(main, [*words, "--hidden", "4", "--channels", "2"])
    assert result.exit_code == 0, result.output
    assert "windows of" in result.output
    result = CliRunner().invoke(main, ["predict", run, str(tmp_path / "a.csv"), "-o", str(out)])
    assert result.exit_code == 0, result.output
    table = list(csv.DictReader(out.open()))
    assert set(table[0]) == {"item", "start", "end", "label", "confidence"}
    assert float(table[0]["start"]) == 0
    assert float(table[-1]["end"]) == pytest.approx((len(labels) - 1) / 10)


def test_settings_of_windows_are_checked():
    with pytest.raises(ConfigError, match="a window has one label"):
        Classifier(several=True, window_length=10)
    with pytest.raises(ConfigError, match="what is between windows would have no answer"):
        Classifier(window_length=10, hop=11)
    signal, labels = recording(6)
    with pytest.raises(ConfigError, match="hop = 500 with window_length"):
        small(window_length=None, hop=500).fit([signal], [labels])
    texts = (["good film", "bad film"] * 10, ["a", "b"] * 10)
    with pytest.raises(ConfigError, match="window_length = 24 is for series"):
        small().fit(*texts)
    model = small(window_length=None, max_steps=1, batch_size=2)
    waves = [np.sin(np.arange(20.0) * (1 + n % 2)) for n in range(12)]
    model.fit(waves, ["a", "b"] * 6)
    with pytest.raises(ConfigError, match="trained on whole sequences"):
        model.predict_intervals(waves)


def beeps(path, seed, seconds=12):
    """A recording of 8,000 Hz in which noise and two tones take turns, and its labelled parts."""
    generator = np.random.default_rng(seed)
    names, parts, rows = ["hum", "low", "high"], [], []
    while sum(map(len, parts)) < seconds * 8000:
        name = names[len(parts) % 3]
        count = int(generator.integers(6000, 12_000))
        start = sum(map(len, parts)) / 8000
        pitch = {"hum": 0.0, "low": 0.2, "high": 1.2}[name]
        tone = 0.3 * np.sin(np.arange(count) * pitch + generator.random())
        parts.append(tone + 0.02 * generator.normal(size=count))
        rows.append(f"{path.name},{start},{start + count / 8000},{name}")
    write_sound(path, Sound(np.concatenate(parts).astype(np.float32), 8000))
    return rows


def test_sounds_are_found_in_long_recordings(tmp_path):
    rows = [row for n in range(3) for row in beeps(tmp_path / f"{n}.wav", n)]
    (tmp_path / "events.csv").write_text("\n".join(["path,start,end,label", *rows]) + "\n")
    model = Classifier(window_length=0.5, hidden=16, channels=4, max_steps=80, batch_size=16)
    out = tmp_path / "run"
    with pytest.warns(RecurraWarning, match=r"windows of 0\.5 seconds, 0\.25 from one to the next"):
        model.fit(tmp_path / "events.csv", out=out)
    wanted = [row.split(",") for row in beeps(tmp_path / "new.wav", 7)]
    table = tmp_path / "found.csv"
    arguments = ["predict", str(out), str(tmp_path / "new.wav"), "-o", str(table)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    found = list(csv.DictReader(table.open()))
    assert float(found[-1]["end"]) == pytest.approx(float(wanted[-1][2]), abs=0.02)
    right = total = 0
    for _, start, end, label in wanted:
        for row in found:
            shared = min(float(end), float(row["end"])) - max(float(start), float(row["start"]))
            right += max(0.0, shared) * (row["label"] == label)
        total += float(end) - float(start)
    assert right / total > 0.8
    classes = load(out).predict([str(tmp_path / "new.wav")])[0]
    assert len(classes) == pytest.approx(100 * total, abs=1)


def test_parts_are_items_without_windows(tmp_path):
    rows = beeps(tmp_path / "a.wav", 0, seconds=20)
    (tmp_path / "events.csv").write_text("\n".join(["path,start,end,label", *rows]) + "\n")
    model = Classifier(hidden=8, channels=4, max_steps=2)
    with pytest.warns(RecurraWarning, match=f"{len(rows)} items are parts of 1 recordings"):
        model.fit(tmp_path / "events.csv")
    assert model.predict(tmp_path / "events.csv").shape == (len(rows),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_length": 2.5}, r"window_length = 2\.5, and series are cut between steps"),
        ({"window_length": 20, "hop": 2.5}, r"hop = 2\.5, and series are cut between steps"),
        ({"window_length": 1}, "less than two steps"),
    ],
)
def test_windows_of_series_are_whole_steps(settings, message):
    signal, labels = recording(9)
    with pytest.raises(ConfigError, match=message):
        small(**settings).fit([signal], [labels])
