"""Early classification: the rule step by step against a slow one, and the threshold it chooses."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import ConfigError, DataError
from recurra.metrics import early_classification
from recurra.metrics.early_classification import (
    AccuracyOverTime,
    StoppingRule,
    accuracy_over_time,
    harmonic_mean,
)


def sequences(seed=0, count=80, classes=3, longest=12):
    """Probabilities that become surer, and right, over sequences of several lengths."""
    generator = np.random.default_rng(seed)
    actual = generator.integers(classes, size=count)
    tables = []
    for one in actual:
        steps = np.arange(1, generator.integers(1, longest + 1) + 1)[:, None]
        logits = generator.normal(size=(len(steps), classes)) + 0.4 * steps * np.eye(classes)[one]
        tables.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return tables, actual


def slow_stop(table, threshold, patience):
    """The definition, step by step."""
    for t in range(patience, len(table) + 1):
        last = table[t - patience : t]
        if len({*last.argmax(1)}) == 1 and (last.max(1) >= threshold).all():
            return t
    return len(table)


GRID = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=10)


@settings(max_examples=300)
@given(GRID, st.sampled_from([0, 0.4, 0.5, 0.6, 0.7, 1, 2]), st.integers(1, 4))
def test_whole_and_stream_stop_at_the_step_of_the_definition(cells, threshold, patience):
    table = np.array(cells) + 1.0
    table /= table.sum(1, keepdims=True)
    rule = StoppingRule(threshold, patience)
    watch = rule.watch()
    for chances in table:
        if watch.update(chances):
            break
    expected = slow_stop(table, threshold, patience)
    assert rule.stop(table) == watch.steps == expected
    assert watch.predicted == table[expected - 1].argmax()
    early = slow_stop(np.concatenate([table, [[1, 0]]]), threshold, patience) <= len(table)
    assert watch.stopped == early


def test_patience_counts_steps_of_one_class():
    changes = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]
    assert [StoppingRule(0.8, patience).stop(changes) for patience in (1, 2, 3, 9)] == [1, 4, 5, 5]


def test_a_watch_that_has_stopped_keeps_its_class():
    watch = StoppingRule(0.8).watch()
    assert (watch.steps, watch.predicted, watch.stopped) == (0, None, False)
    assert [watch.update(one) for one in ([0.2, 0.8], [1, 0], [1, 0])] == [True] * 3
    assert (watch.steps, watch.predicted) == (1, 1)


@pytest.mark.parametrize("loss", [0, 0.01, 0.1, 1])
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_threshold_is_the_best_of_all(loss, patience):
    """Against every threshold between those that occur."""
    tables, actual = sequences()
    rule = StoppingRule.fit(tables, actual, loss=loss, patience=patience)
    found = rule.scores(tables, actual)
    assert found.accuracy >= found.whole - loss - 1e-9
    for threshold in [*np.linspace(0, 1, 101), 2.0]:
        other = StoppingRule(threshold, patience).scores(tables, actual)
        assert other.accuracy < other.whole - loss or other.earliness >= found.earliness - 1e-9


def test_what_is_lost_is_what_is_won():
    tables, actual = sequences(count=400)
    kept, lost = (StoppingRule.fit(tables, actual, loss=loss) for loss in (0, 0.2))
    assert lost.threshold < kept.threshold < 1
    assert lost.scores(tables, actual).earliness < kept.scores(tables, actual).earliness < 1


def test_many_thresholds_are_thinned_out(monkeypatch):
    tables, actual = sequences(count=200)
    full = StoppingRule.fit(tables, actual).scores(tables, actual)
    monkeypatch.setattr(early_classification, "_CANDIDATES", 50)
    few = StoppingRule.fit(tables, actual).scores(tables, actual)
    assert few.accuracy >= few.whole - 0.01
    assert full.earliness <= few.earliness < full.earliness + 0.05


def test_a_rule_that_could_only_be_wrong_never_stops():
    """It is certain of the wrong class until the last step."""
    table = [[1.0, 0.0], [1.0, 0.0], [0.4, 0.6]]
    rule = StoppingRule.fit([table] * 3, [1] * 3)
    assert rule.threshold > 1
    assert rule.stop(table) == 3
    assert rule.scores([table], [1]) == (1, 1, 1, 0)


def test_a_threshold_that_saves_nothing_is_not_chosen():
    """Of single steps all are read; the last step's probability is no reason to stop there."""
    assert StoppingRule.fit([[[0.6, 0.4]], [[0.9, 0.1]]], [0, 0]).threshold > 1
    late = [[0.5, 0.5], [0.6, 0.4]]
    assert StoppingRule.fit([late], [0]).threshold == 0.5
    assert StoppingRule.fit([late], [1], loss=1).threshold == 0.5


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0, 0.02, 0.3]), st.integers(1, 3))
def test_accuracy_stays_within_the_loss(seed, loss, patience):
    tables, actual = sequences(seed, count=12, longest=5)
    found = StoppingRule.fit(tables, actual, loss=loss, patience=patience).scores(tables, actual)
    assert found.accuracy >= found.whole - loss - 1e-9
    assert 0 < found.earliness <= 1


def test_scores_are_those_of_the_steps():
    tables, actual = sequences()
    rule = StoppingRule(0.7, patience=2)
    steps = [slow_stop(table, 0.7, 2) for table in tables]
    right = [t[s - 1].argmax() == one for t, s, one in zip(tables, steps, actual, strict=True)]
    found = rule.scores(tables, actual)
    assert found.accuracy == pytest.approx(np.mean(right))
    assert found.whole == accuracy_over_time(tables, actual).accuracies[-1]
    assert found.earliness == pytest.approx(
        np.mean([step / len(table) for step, table in zip(steps, tables, strict=True)])
    )
    assert found.harmonic_mean == harmonic_mean(found.accuracy, found.earliness)


def test_the_harmonic_mean_is_that_of_the_paper():
    """2 (1 - e) a / ((1 - e) + a)."""
    assert harmonic_mean(0.8, 0.6) == pytest.approx(2 * 0.4 * 0.8 / 1.2)
    assert harmonic_mean(0.7, 0.3) == pytest.approx(0.7)


def test_shares_of_a_step_count_as_the_step():
    """Sequences of 1, 3 and 10 steps, right at a known step alone."""
    tables = [np.tile([0.9, 0.1], (length, 1)) for length in (1, 3, 10)]
    for table, right in zip(tables, (0, 1, 9), strict=True):
        table[right] = [0.1, 0.9]
    found = accuracy_over_time(tables, [1, 1, 1], points=10)
    assert found.shares == pytest.approx(np.arange(1, 11) / 10)
    hits = [1, 1, 1, 2, 2, 2, 1, 1, 1, 2]
    assert found.accuracies == pytest.approx(np.array(hits) / 3)
    assert accuracy_over_time(tables, [1, 1, 1], points=1) == AccuracyOverTime((1,), (2 / 3,))


def test_the_rule_is_json():
    rule = StoppingRule.fit(*sequences())
    assert StoppingRule(**json.loads(json.dumps(dataclasses.asdict(rule)))) == rule


USES = [accuracy_over_time, StoppingRule.fit, StoppingRule(0.5).scores]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("tables", "actual", "message"),
    [
        ([], [], "The 0 sequences have probabilities of no classes"),
        (
            [[[1, 0]], [[1, 0, 0]]],
            [0, 0],
            r"The 2 sequences have probabilities of \[2, 3\] classes",
        ),
        ([[[1, 0]]], [0, 1], "1 sequences and 2 actual classes; give as many of both"),
        ([[[1, 0]]], [2], "The class of item 0 is 2"),
        ([[[0.5, 0.1]]], [0], r"sum to 0\.6; they sum to 1"),
        ([[]], [0], r"probabilities \(0,\)"),
    ],
)
def test_wrong_sequences(use, tables, actual, message):
    with pytest.raises(DataError, match=message):
        use(tables, actual)


def test_wrong_settings():
    for wrong in ((-0.1, 1), (math.nan, 1), (math.inf, 1), (0.5, 0)):
        with pytest.raises(ConfigError, match="patience is 1 step or more"):
            StoppingRule(*wrong)
    for loss in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigError, match="of accuracy; it is from 0 to 1"):
            StoppingRule.fit([[[1, 0]]], [0], loss=loss)
    with pytest.raises(ConfigError, match="patience = 0"):
        StoppingRule.fit([[[1, 0]]], [0], patience=0)
    with pytest.raises(ConfigError, match="points = 0"):
        accuracy_over_time([[[1, 0]]], [0], points=0)
    with pytest.raises(DataError, match="sum to 2"):
        StoppingRule(0.5).watch().update([1, 1])
