"""The validation that is the best so far: by the metric, and of equal ones by the loss."""

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
