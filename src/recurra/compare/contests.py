"""What a comparison asks of a task: a model's size, a training, and what its figures mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from recurra.insight.flow import GradientFlow, StateFlow
from recurra.tasks.long_range.problems import Published
from recurra.training import Progress, TrainingResult

__all__ = ["Contest", "Facts", "Settings", "Trained", "Weights", "farthest"]

Settings = Mapping[str, Any]
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Facts:
    """What the figures of a problem are: their names, and figures to hold them against.

    `loss` names what is drawn as the learning curve; `chance` is the figure, of `measure`, that
    knowing nothing of the inputs gives, and `chance_loss` the loss of that.
    """

    title: str
    quality: str
    measure: Literal["loss", "accuracy"]
    chance: float | None
    loss: str
    chance_loss: float | None
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A training's result, its figures on the test, and the tokens of one training step."""

    result: TrainingResult
    test: dict[str, float]
    tokens_each: int


class Contest(Protocol):
    """A task that cells compete in; `settings` are those of the task's configuration."""

    def facts(self, settings: Settings) -> Facts:
        """What the figures mean."""

    def count(self, settings: Settings) -> int | None:
        """Learnt numbers of the model, None for a hidden size that the cell can't have."""

    def check(self, settings: Settings) -> str:
        """Raise what building the model would; the digest of its cell's equations."""

    def warm_up(self, settings: Settings) -> None:
        """One small training step, which loads libraries and compiles what can be compiled."""

    def train(self, settings: Settings, out: Path, resume: bool, progress: Progress) -> Trained:
        """Train into the run `out`, and test."""

    def flow(self, settings: Settings, weights: Weights | None) -> StateFlow:
        """The loss's gradient on its way back, with weights of a run or those of the start."""


def farthest(flow: GradientFlow) -> StateFlow:
    """That of the layer, and its state, through which the gradient reaches farthest."""
    states = (layer.longest for layer in flow.layers)
    return max(states, key=lambda s: (s.horizon.steps, not s.horizon.reached))
