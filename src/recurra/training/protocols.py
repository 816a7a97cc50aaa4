"""Interfaces of `fit`: windows of data, a loss, perhaps a validation, and progress."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from recurra.nn.states import State

__all__ = ["Loss", "Progress", "Silent", "Validate", "Windows"]

Loss: TypeAlias = Callable[[nn.Module, Any, State], tuple[Tensor, int, State]]
"""`loss(model, batch, state) -> (mean loss in nats, a scalar; number of tokens; new state)`."""

Validate: TypeAlias = Callable[[nn.Module], dict[str, float]]
"""`validate(model) -> {"loss": nats, "accuracy": share, ...}`; any finite numbers by their names.

It is called in eval mode, without gradients.
"""


class Windows(Protocol):
    """The data, cut into the batches that an epoch goes through in order."""

    def __len__(self) -> int:
        """How many windows an epoch has, the same in every epoch."""

    def window(self, epoch: int, index: int) -> Any:
        """The batch number `index` of `epoch`, both from 0; the same whenever it is asked for."""


class Progress(Protocol):
    """What `fit` calls; have `update` take any further keyword, as later versions give more."""

    def start(self, total_steps: int, step: int) -> None:
        """Training begins, or goes on, after `step` of at most `total_steps` steps."""

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        metric: str = "loss",
    ) -> None:
        """A step is done; `validation` is what the last one gave for `metric`."""

    def message(self, text: str) -> None:
        """Something worth a line."""

    def stop(self) -> None:
        """Training has ended, in whatever way."""


class Silent:
    """Shows nothing."""

    def start(self, total_steps: int, step: int) -> None:
        """Show nothing."""

    def update(
        self, step: int, epoch: int, loss: float, tokens_per_second: float, **more: Any
    ) -> None:
        """Show nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""
