"""Regression of every step: recordings and series, windows, streams, missing values, tables."""

import csv

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.signal import lfilter

from recurra import Regressor, load
from recurra.cli import main
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.inputs.window_batches import WindowBatches
from recurra.tasks.regress.estimate import CHUNK
from recurra.tasks.regress.targets import step_numbers

pytestmark = pytest.mark.filterwarnings("ignore:.*:recurra.errors.RecurraWarning")


def lagged(steps, seed=0):
    """A signal (T,) that jumps, and what a slow system of the first order makes of it."""
    generator = np.random.default_rng(seed)
    signal = np.repeat(generator.uniform(-1, 1, steps // 8 + 1), 8)[:steps]
    return signal, 50 + 20 * lfilter([0.2], [1, -0.8], signal)


def small(**settings):
    sizes = {"hidden": 12, "channels": 4, "max_steps": 150, "validate_every": 50, "window": 100}
    return Regressor(**{**sizes, "learning_rate": 0.02, **settings})


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """A model of the system, of one recording."""
    out = tmp_path_factory.mktemp("steps") / "run"
    with pytest.warns(RecurraWarning) as noted:
        model = small().fit(*lagged(3000), out=out)
    return model, " ".join(str(each.message) for each in noted)


def test_a_recording_is_simulated_and_what_was_chosen_is_said(simulator):
    model, notes = simulator
    for part in ("every step has an answer: each of what came until then", "windows of 100"):
        assert part in notes
    assert "the first 50 of which don't count" in notes
    assert "The last part of each series is held out" in notes
    signal, actual = lagged(2000, seed=1)
    found = model.predict(signal)
    assert found.shape == (2000,)
    explained = 1 - np.square(found - actual).sum() / np.square(actual - actual.mean()).sum()
    assert explained > 0.97
    assert model.score(signal, actual) == pytest.approx(explained, abs=1e-6)
    assert model.validation["steps"] == 300
    low, high = model.predict_interval(signal)
    assert 0.75 < ((low <= actual) & (actual <= high)).mean() < 0.99


def test_a_linear_system_is_known_before_the_network_is_trained():
    signal, actual = lagged(3000)
    model = small(max_steps=1, learning_rate=1e-9).fit(signal, actual)
    fresh, expected = lagged(1000, seed=1)
    error = np.abs(model.predict(fresh) - expected)
    assert error[50:].max() < 0.01 * expected.std()


def test_a_hundred_thousand_steps_are_simulated_in_chunks(simulator, monkeypatch):
    model, _ = simulator
    signal, _ = lagged(100_000, seed=2)
    net = model._ready().nets[0]
    longest, whole = [], type(net.front).whole
    monkeypatch.setattr(
        type(net.front),
        "whole",
        lambda self, features: longest.append(len(features)) or whole(self, features),
    )
    found = model.predict(signal)
    assert max(longest) < CHUNK + 100
    how = model._ready().input
    features = how.standardised(how.columns.features(_series(signal)))
    with torch.inference_mode():
        whole = net(torch.from_numpy(features)[:, None], torch.tensor([len(signal)]))[:, 0]
    np.testing.assert_allclose(
        found, model._ready().targets.restored(whole.double().numpy())[:, 0], atol=2e-3
    )


def test_a_session_gives_the_same_and_may_be_saved_on_the_way(simulator):
    model, _ = simulator
    signal, _ = lagged(300, seed=3)
    session, again = model.session(), model.session()
    values = session.feed(signal[:7]) + session.feed(signal[7:150])
    again.restore(session.save())
    values += again.feed(signal[150:]) + again.finish()
    assert len(values) == 300
    np.testing.assert_allclose(
        [value.prediction[0] for value in values], model.predict(signal), atol=1e-3
    )
    assert values[0].low[0] < values[0].prediction[0] < values[0].high[0]


def test_no_answer_depends_on_later_steps(simulator):
    model, _ = simulator
    signal, _ = lagged(200, seed=4)
    other = np.concatenate([signal[:120], -signal[120:]])
    first, second = model.predict(signal), model.predict(other)
    np.testing.assert_allclose(first[:120], second[:120], atol=1e-4)
    assert np.abs(first[121:130] - second[121:130]).max() > 0.1


def test_a_loaded_run_predicts_the_same(simulator):
    model, _ = simulator
    signal, _ = lagged(250, seed=5)
    again = load(model.run.path)
    assert (again.predict(signal) == model.predict(signal)).all()
    page = (model.run.path / "report.html").read_text()
    for part in (
        "at every step",
        "Curves",
        "the best linear filter",
        "root mean squared error",
        "300 steps of 1 held-out",
    ):
        assert part in page, part


def test_series_of_different_lengths_with_gaps_and_rare_labels():
    generator = np.random.default_rng(0)
    inputs, outputs = [], []
    for number in range(40):
        signal, actual = lagged(int(generator.integers(60, 120)), seed=number)
        values = np.stack([signal, generator.normal(size=len(signal))])
        values[0, generator.random(len(signal)) < 0.05] = np.nan
        actual[generator.random(len(signal)) < 0.8] = np.nan  # measured now and then
        inputs.append(values)  # (channels, steps)
        outputs.append(actual)
    model = small(valid_fraction=0.3, max_steps=200, level=0.8).fit(inputs, outputs)
    assert model.validation["items"] == 12
    signal, actual = lagged(100, seed=99)
    found = model.predict([np.stack([signal, 0 * signal]), np.full((2, 5), np.inf)])
    assert found[1] is None
    assert np.corrcoef(found[0][5:], actual[5:])[0, 1] > 0.95
    assert 0.6 < model.validation["coverage"] <= 1


def test_several_numbers_a_step():
    signal, actual = lagged(400)
    both = np.stack([actual, 1e-3 * signal], axis=1)
    parts = [signal[:, None][n : n + 50] for n in range(0, 400, 50)]
    model = small(max_steps=150).fit(parts, [both[n : n + 50] for n in range(0, 400, 50)])
    found = model.predict(parts)
    assert found[0].shape == (50, 2)
    errors = np.concatenate(found) - both
    assert (errors.std(0) < 0.4 * both.std(0)).all()


def test_a_table_is_read_trained_on_and_answered_by_the_step(tmp_path):
    signal, actual = lagged(600)
    rows = [f"{n},{u},{v}" for n, (u, v) in enumerate(zip(signal, actual, strict=True))]
    (tmp_path / "a.csv").write_text("\n".join(["time,u,level", *rows]))
    run = str(tmp_path / "run")
    words = ["train", "regress", str(tmp_path / "a.csv"), "--label-column", "level", "--out", run]
    small = ["--hidden", "4", "--channels", "2", "--max-steps", "5"]
    result = CliRunner().invoke(main, [*words, *small])
    assert result.exit_code == 0, result.output
    assert "so all 600 rows are one" in result.output
    unlabelled = [f"{n},{u}" for n, u in enumerate(signal[:30])]
    (tmp_path / "b.csv").write_text("\n".join(["time,u", *unlabelled]))
    out = str(tmp_path / "out.csv")
    result = CliRunner().invoke(main, ["predict", run, str(tmp_path / "b.csv"), "-o", out])
    assert result.exit_code == 0, result.output
    table = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["step"] for row in table] == [str(n) for n in range(1, 31)]
    assert set(table[0]) == {"item", "step", "time", "prediction", "low", "high"}
    result = CliRunner().invoke(main, ["evaluate", run, str(tmp_path / "a.csv")])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": "step", "pooling": "mean"}, "pooling = 'mean' where every step has an answer"),
        ({"answers": "sequence", "window": 9}, "window = 9 where a whole sequence has an answer"),
        ({"window": 50, "washout": 50}, "no step of a window would count"),
        ({"window": 0, "pooling": "mean"}, "pooling = 'mean' where every step has an answer"),
    ],
)
def test_settings_of_the_other_kind_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        small(**settings).fit(*lagged(400))


def test_labels_that_cannot_be_are_named():
    signal, actual = lagged(100)
    with pytest.raises(DataError, match=r"sequence 1 \(from 0\): has 100 steps and 99 labels"):
        small().fit([signal, signal], [actual, actual[1:]])
    with pytest.raises(DataError, match="'high' is no number"):
        small().fit([signal], [["high", *actual[1:]]])
    with pytest.raises(DataError, match=r"2 \(step 1\) and 1 \(step 2\) numbers"):
        step_numbers(["[1, 2]", "[3]"])
    assert np.isnan(step_numbers(["", ""], 2)).shape == (2, 2)


def test_windows_count_every_step_but_the_washout():
    windows = WindowBatches.places([100, 1000], 200, 50)
    assert [place for number, place in windows if number == 1] == list(range(7))
    model = small(window=200, washout=50, noise=0.0, masks=0.0)
    signal, actual = lagged(1000)
    with pytest.warns(RecurraWarning):
        model.set_params(max_steps=2).fit(signal, actual)
    batches = model._task.windows(model._data)
    counts = set()
    for epoch in range(3):
        for index in range(len(batches)):
            batch = batches.window(epoch, index)
            counted = ~batch.targets[..., 0].isnan()
            counts |= set(counted.sum(0).tolist())
            assert counted[50:200].all()
            assert not counted[200:].any()
    assert counts == {150, 200}  # the whole of those that begin where the recording does


def _series(values):
    from recurra.data.sequences.series import Series

    return Series.of(values)
