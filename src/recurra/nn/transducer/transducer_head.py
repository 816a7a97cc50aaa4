"""A prediction network and a joint network: what a transducer has besides its encoder."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.nn.states import State
from recurra.nn.transducer.joint import SLICE_ELEMENTS, Joint
from recurra.nn.transducer.loss import transducer_loss
from recurra.nn.transducer.prediction_network import PredictionNetwork

__all__ = ["Transducer"]


class Transducer(nn.Module):
    """Scores targets against an encoder's frames, and gives the steps that decoding takes.

    Args:
        encoder_size: size E of an encoder's frame.
        tokens: K; token 0 is the blank.
        joint_size: size J of the joint network.
        predictor_size: size of the prediction network.
        cell, layers, options: of the prediction network.
        slice_elements: the limit on tensors of the joint network.

    Example:
        >>> transducer = Transducer(encoder_size=8, tokens=5, joint_size=16, predictor_size=6)
        >>> encoded = torch.randn(2, 7, 8)
        >>> targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
        >>> transducer(encoded, targets, lengths=[7, 5], target_lengths=[3, 2]).shape
        torch.Size([2])
    """

    def __init__(
        self,
        encoder_size: int,
        tokens: int,
        *,
        joint_size: int,
        predictor_size: int,
        cell: Cell | type[Cell] | str = "lstm",
        layers: int = 1,
        slice_elements: int = SLICE_ELEMENTS,
        **options: Any,
    ) -> None:
        super().__init__()
        factory = {name: options[name] for name in ("device", "dtype") if name in options}
        self.predictor: PredictionNetwork = PredictionNetwork(
            tokens, predictor_size, cell=cell, layers=layers, **options
        )
        self.joint: Joint = Joint(
            encoder_size,
            predictor_size,
            joint_size,
            tokens,
            slice_elements=slice_elements,
            **factory,
        )

    def forward(
        self,
        encoded: Tensor,
        targets: Tensor,
        lengths: Tensor | Sequence[int],
        target_lengths: Tensor | Sequence[int],
    ) -> Tensor:
        """The loss of each target (B,), in nats; arguments as for `Joint`."""
        predicted = self.predictor(targets)
        blank, emit = self.joint(encoded, predicted, targets, lengths, target_lengths)
        return transducer_loss(blank, emit, lengths, target_lengths)

    def predict(
        self, tokens: Tensor, states: Sequence[State] | None = None
    ) -> tuple[Tensor, Sequence[State]]:
        """A step of the prediction network: see `PredictionNetwork.step`."""
        return self.predictor.step(tokens, states)

    def join(self, frame: Tensor, outputs: Tensor) -> Tensor:
        """Log-probabilities (N, K) at a frame (E,), after outputs (N, P) of `predict`."""
        return self.joint.log_probabilities(frame, outputs)
