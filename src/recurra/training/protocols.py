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
    """The data, cut into the batches of an epoch, in order.

    Where several processes train together it also has `shard(rank, world)`: the windows with one
    process's part of every batch.
    """

    def __len__(self) -> int:
        """Number of windows in an epoch, the same in every epoch."""

    def window(self, epoch: int, index: int) -> Any:
        """The batch number `index` of `epoch`, both from 0; the same whenever it is asked for."""


class Progress(Protocol):
    """Receives the reports of `fit`; `update` should accept keywords that later versions add."""

    def start(self, total_steps: int | None, step: int) -> None:
        """Training starts, or is resumed, after `step` of at most `total_steps` steps.

        None where time alone ends it.
        """

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        metric: str = "loss",
        seconds: float | None = None,
    ) -> None:
        """A step is done; `validation` is the last validation's value of `metric`.

        `seconds` are those of the training so far, before it was resumed as well.
        """

    def message(self, text: str) -> None:
        """Show a line of text."""

    def stop(self) -> None:
        """Training has ended, normally or not."""


class Silent:
    """Shows nothing."""

    def start(self, total_steps: int | None, step: int) -> None:
        """Show nothing."""

    def update(
        self, step: int, epoch: int, loss: float, tokens_per_second: float, **more: Any
    ) -> None:
        """Show nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""
