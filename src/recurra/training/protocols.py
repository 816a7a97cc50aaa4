"""What `fit` asks of its caller: windows of data, a loss, and perhaps a validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from recurra.nn.states import State

__all__ = ["Loss", "Metric", "Validate", "Windows"]

Loss: TypeAlias = Callable[[nn.Module, Any, State], tuple[Tensor, int, State]]
"""`loss(model, batch, state) -> (mean loss in nats, a scalar; number of tokens; new state)`."""

Validate: TypeAlias = Callable[[nn.Module], dict[str, float]]
"""`validate(model) -> {"loss": nats, ...}`; called in eval mode, without gradients."""


@dataclass(frozen=True)
class Metric:
    """The number of a validation that chooses the best weights, and its direction."""

    name: str = "loss"
    lower_is_better: bool = True


class Windows(Protocol):
    """The data, cut into the batches that an epoch goes through in order."""

    def __len__(self) -> int:
        """How many windows an epoch has, the same in every epoch."""

    def window(self, epoch: int, index: int) -> Any:
        """The batch number `index` of `epoch`, both from 0; the same whenever it is asked for."""
