"""Statistics on made-up numbers, and contenders timed in turn by a made-up clock."""

import pytest

from recurra.bench import measurement
from recurra.bench.measurement import spread_of
from recurra.bench.results import geometric_mean


def test_geometric_mean():
    assert geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10)
    assert geometric_mean([3.0]) == pytest.approx(3)


def test_spread():
    spread = spread_of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (spread.lower, spread.median, spread.upper) == (2, 3, 4)
    assert spread_of([7.0]).upper == 7


def test_summaries_are_of_each_layer_and_work(layers):
    training, forward = layers.summaries()
    assert (training.layer, training.work, forward.work) == ("LSTM", "training", "forward")
    assert training.means == pytest.approx({"faster": 4.0})
    assert training.minima == pytest.approx({"faster": 2.0})
    assert forward.means == pytest.approx({"faster": 3.0})


def test_the_share_is_of_the_higher_peak(layers):
    assert [layers.share(row) for row in layers.points] == pytest.approx([0.25, 0.5, 0.25])
    assert layers.share(layers.points[0], "torch.nn") == pytest.approx(0.125)
    assert layers.summaries()[0].share == pytest.approx(0.125**0.5)


def test_a_second_ratio_compares_with_the_built_in_layer(own):
    (summary,) = own.summaries()
    assert summary.means == pytest.approx({"faster": 4.0, "to LSTM": 0.5})


def test_without_a_count_there_is_no_share(compiling):
    assert compiling.share(compiling.points[0], "compiled") is None
    assert compiling.summaries()[0].share is None


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a run moves it: `clock(name, seconds)` is such a run."""
    now, ran = [0.0], []
    monkeypatch.setattr(measurement.time, "perf_counter", lambda: now[0])

    def made(name, *seconds):
        left = list(seconds)

        def run():
            ran.append(name)
            now[0] += left.pop(0) if len(left) > 1 else left[0]

        return run

    made.ran = ran
    return made


def test_contenders_run_in_turn(clock):
    runs = {"a": clock("a", 9.0, 1.0, 5.0, 3.0), "b": clock("b", 2.0)}
    spreads = measurement.interleaved(runs, rounds=3, warmup=1)
    assert clock.ran == list("abababab")
    assert spreads["a"].median == 3.0  # of 1, 5 and 3: the 9 warmed up
    assert spreads["b"].median == 2.0


def test_short_runs_are_repeated_within_a_round(clock):
    runs = {"short": clock("short", measurement.ENOUGH / 4), "long": clock("long", 1.0)}
    spreads = measurement.interleaved(runs, rounds=1, warmup=1)
    assert clock.ran == ["short", "long", *["short"] * 4, "long"]
    assert spreads["short"].median == pytest.approx(measurement.ENOUGH / 4)
