"""Regression from data in memory: learns, keeps, loads, answers with intervals."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from recurra import Regressor, load
from recurra.cli import main
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.regress.targets import Targets, numbers_of


def waves(count, seed=0, targets=1):
    """Waves of some pace, (T,) of their own length, and the pace, with the height beside it."""
    generator = np.random.default_rng(seed)
    contents, numbers = [], []
    for _ in range(count):
        pace, height = generator.uniform(0.2, 1.2), generator.uniform(1, 3)
        steps = np.arange(generator.integers(25, 45))
        contents.append(height * np.sin(steps * pace + generator.uniform(0, 6)))
        numbers.append([100 + 1000 * pace, height][:targets])
    found = np.array(numbers)
    return contents, found[:, 0] if targets == 1 else found


def small(**settings):
    sizes = {"hidden": 16, "channels": 8, "max_steps": 200, "batch_size": 16, "dropout": 0.0}
    rates = {"learning_rate": 0.02, "validate_every": 20}
    return Regressor(input="series", **{**sizes, **rates, **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of two numbers, one of them a thousand times the other."""
    out = tmp_path_factory.mktemp("regress") / "run"
    return small(valid_fraction=0.3, level=0.8).fit(*waves(300, targets=2), out=out)


def test_numbers_of_different_sizes_are_learnt(trained):
    contents, actual = waves(100, seed=1, targets=2)
    figures = trained.evaluate(list(zip(contents, map(json.dumps, actual.tolist()), strict=True)))
    found = trained.predict(contents)
    assert found.shape == (100, 2)
    explained = 1 - ((found - actual) ** 2).sum(0) / ((actual - actual.mean(0)) ** 2).sum(0)
    assert (explained > 0.8).all()
    assert figures["r2"] == pytest.approx(explained.mean())
    assert figures["rmse"] == pytest.approx(np.sqrt(((found - actual) ** 2).mean()))
    assert trained.score(contents, actual) == figures["r2"]


def test_intervals_hold_as_many_actual_values_as_they_say(trained):
    contents, actual = waves(200, seed=2, targets=2)
    low, high = trained.predict_interval(contents)
    inside = ((low <= actual) & (actual <= high)).mean(0)
    assert ((inside > 0.68) & (inside < 0.95)).all()
    pairs = list(zip(contents, map(json.dumps, actual.tolist()), strict=True))
    assert trained.evaluate(pairs)["coverage"] == pytest.approx(inside.mean())


def test_a_loaded_run_answers_the_same(trained):
    contents, _ = waves(10, seed=3)
    again = load(trained.run.path)
    assert isinstance(again, Regressor)
    assert (again.predict(contents) == trained.predict(contents)).all()
    for ends, others in zip(
        again.predict_interval(contents), trained.predict_interval(contents), strict=True
    ):
        assert (ends == others).all()


def test_what_cannot_be_read_is_nan_and_told(trained):
    contents, _ = waves(3, seed=4)
    with pytest.warns(RecurraWarning, match=r"item 1 \(from 0\).*inf"):
        found = trained.predict([contents[0], np.array([1.0, np.inf]), contents[2]])
    assert np.isnan(found).all(1).tolist() == [False, True, False]
    rows = trained.predictions([contents[0], np.array([np.inf])])
    assert set(rows[0]) == {
        "item",
        *(f"{n}_{k}" for n in ("prediction", "low", "high") for k in (1, 2)),
    }
    assert "error" in rows[1]


@pytest.mark.slow
def test_the_median_is_learnt_where_absolute_errors_are_made_small():
    skewed = np.random.default_rng(0).exponential(size=64) ** 2
    settings = {"max_steps": 60, "hidden": 4, "level": 0.5, "learning_rate": 0.05}
    plain = [np.zeros(20)] * 64  # nothing to learn from but the numbers themselves
    means = small(**settings, valid_fraction=0.1).fit(plain, skewed).predict(plain[:1])
    medians = small(**settings, error="absolute").fit(plain, skewed).predict(plain[:1])
    assert medians[0] < 0.75 * means[0]


def test_too_few_held_out_items_leave_no_interval():
    contents, paces = waves(40)
    with pytest.warns(RecurraWarning, match="need 19 held-out items, and there are 4"):
        model = small(max_steps=2, level=0.95).fit(contents, paces)
    assert "coverage" not in model.validation
    with pytest.raises(DataError, match="too few items for intervals"):
        model.predict_interval(contents)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        ([1.0] * 12, "nothing to learn"),
        ([1.0, float("nan")] * 6, "has no label"),
        (["many", "few"] * 6, "'many' is no number"),
        ([[1.0], [1.0, 2.0]] * 6, "1 and 2 numbers"),
    ],
)
def test_labels_that_cannot_be_are_named(labels, parts):
    contents, _ = waves(12)
    with pytest.raises(DataError, match=parts):
        small(max_steps=2).fit(contents, labels)


def test_labels_of_files_that_are_no_numbers_are_named(tmp_path):
    rows = [f"{n},{k},{k * n},{'high' if n == 3 else n}" for n in range(30) for k in range(5)]
    (tmp_path / "a.csv").write_text("\n".join(["id,time,a,target", *rows]))
    with pytest.warns(RecurraWarning, match="the label 'high' is no number"):
        small(max_steps=2, level=0.5).fit(tmp_path / "a.csv")


def test_targets_are_standardised_and_put_back():
    targets = Targets.of(np.array([[1.0, 10.0], [3.0, np.nan], [np.nan, 10.0]]))
    assert (targets.means, targets.deviations) == ([2.0, 10.0], [1.0, 1.0])
    values = np.array([[4.0, 11.0]])
    assert targets.standardised(values).tolist() == [[2.0, 1.0]]
    assert targets.restored(targets.standardised(values)).tolist() == values.tolist()
    for text in ("inf", "[]", "[1, 'a']", "", "{}"):
        with pytest.raises(DataError, match="is no number"):
            numbers_of(text)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="level = 1"):
        Regressor(level=1.0)


def test_searches_of_scikit_learn_take_it():
    pytest.importorskip("sklearn")
    from sklearn.base import is_regressor
    from sklearn.model_selection import cross_val_score

    contents, paces = waves(40)
    model = small(max_steps=4, level=0.5)
    assert is_regressor(model)
    assert len(cross_val_score(model, contents, paces, cv=2)) == 2


def test_the_command_line_trains_evaluates_and_predicts(tmp_path):
    rows = [f"{n},{k},{np.sin(k * n / 30)},{n / 30}" for n in range(40) for k in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(["id,time,a,target", *rows]))
    run = str(tmp_path / "run")
    words = ["train", "regress", str(tmp_path / "a.csv"), "--out", run, "--level", "0.5"]
    result = CliRunner().invoke(main, [*words, "--hidden", "6", "--max-steps", "4"])
    assert result.exit_code == 0, result.output
    assert "root mean squared error" in result.stdout
    result = CliRunner().invoke(
        main, ["predict", run, str(tmp_path / "a.csv"), "--format", "jsonl"]
    )
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout.splitlines()[0])
    assert first["low"] <= first["prediction"] <= first["high"]
    report = (tmp_path / "run" / "report.html").read_text()
    for part in ("root mean squared error", "the mean of training", "Worst items"):
        assert part in report, part
