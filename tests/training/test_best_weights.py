"""The validation whose weights are kept: by the metric, its error, of equal ones by the loss."""

import pytest

from recurra.config.training_config import Metric
from recurra.training.loop_state import LoopState


@pytest.mark.parametrize(
    ("metric", "validations", "best"),
    [
        ("errors:min", [(0.2, 1.0), (0.0, 0.9), (0.0, 0.5), (0.0, 0.7)], 3),
        ("errors:min", [(0.1, 1.0), (0.1, 1.0), (0.2, 0.1)], 1),
        ("errors:max", [(0.1, 1.0), (0.1, 0.4), (0.0, 0.1)], 2),
        ("loss:min", [(0.1, 1.0), (0.1, 0.4), (0.0, 0.4)], 2),
    ],
)
def test_of_equal_figures_the_lower_loss_is_the_best(metric, validations, best):
    state = LoopState()
    for step, (errors, loss) in enumerate(validations, start=1):
        state.step = step
        state.judge({"errors": errors, "loss": loss}, Metric.parse(metric))
    assert state.best["step"] == best
    assert state.since_best == len(validations) - best


def test_without_a_loss_the_first_of_equal_figures_stays():
    state = LoopState()
    for state.step in (1, 2):
        state.judge({"accuracy": 1.0}, Metric("accuracy", lower_is_better=False))
    assert state.best["step"] == 1


@pytest.mark.parametrize(
    ("metric", "values", "kept", "since"),
    [
        ("accuracy:max", [0.5, 1.0, 0.97, 0.95, 0.97], 5, 3),
        ("accuracy:max", [0.5, 1.0, 0.97, 0.9, 0.9], 3, 3),
        ("accuracy:max", [1.0, 0.97, 0.94, 0.91, 0.88], 2, 4),  # of the best, not of the one before
        ("accuracy:min", [0.5, 0.2, 0.23, 0.24, 0.1], 5, 0),
        ("accuracy:min", [0.2, 0.24, 0.3, 0.25, 0.26], 4, 4),
    ],
)
def test_later_weights_are_kept_within_the_error_of_the_best(metric, values, kept, since):
    state = LoopState()
    for state.step, value in enumerate(values, start=1):
        numbers = {"accuracy": value, "accuracy_error": 0.05 + 1e-9}
        assert state.judge(numbers, Metric.parse(metric)) == (state.best["step"] == state.step)
    assert state.best["step"] == kept
    assert state.since_best == since
