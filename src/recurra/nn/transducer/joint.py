"""The transducer's joint network, computed in slices so that memory stays bounded."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurra.nn.layers.arguments import check_whole
from recurra.nn.linear import Linear
from recurra.nn.transducer.lattice_checks import check_ends, check_targets

__all__ = ["Joint"]

SLICE_ELEMENTS = 2**18  # 1 MiB of float32, about a core's own cache


class Joint(nn.Module):
    """h = tanh(W_e encoder + W_p predictor + b), logits = W_o h + b_o; token 0 is the blank.

    Args:
        encoder_size: size E of an encoder's frame.
        predictor_size: size P of the prediction network's outputs.
        joint_size: size J of h.
        tokens: K, the blank included.
        slice_elements: no intermediate tensor has more elements, but that a slice has at least one
            frame: (U + 1) * max(J, K) for U symbols.

    Scores of all K tokens at each frame and symbol would be (B, T, U + 1, K). A slice is some
    frames of one sequence, of which only the scores of blank and of the target's symbols are kept;
    the backward pass computes slices again. Padding is not computed.

    Example:
        >>> joint = Joint(encoder_size=8, predictor_size=6, joint_size=16, tokens=5)
        >>> encoded, predicted = torch.randn(2, 7, 8), torch.randn(2, 4, 6)
        >>> targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
        >>> log_blank, log_emit = joint(encoded, predicted, targets, [7, 5], [3, 2])
        >>> log_blank.shape, log_emit.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 7, 3]))
    """

    def __init__(
        self,
        encoder_size: int,
        predictor_size: int,
        joint_size: int,
        tokens: int,
        *,
        slice_elements: int = SLICE_ELEMENTS,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "encoder_size": encoder_size,
            "predictor_size": predictor_size,
            "joint_size": joint_size,
            "slice_elements": slice_elements,
            "tokens": tokens,
        }
        check_whole(**sizes)
        for name, size in sizes.items():
            if size < 1 + (name == "tokens"):
                least = "2, the blank and a symbol" if name == "tokens" else "1"
                raise ValueError(f"{name} is {size}; give at least {least}")
        self.tokens = tokens
        self.slice_elements = slice_elements
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.encoder: nn.Linear = Linear(encoder_size, joint_size, **factory)
        self.predictor: nn.Linear = Linear(predictor_size, joint_size, bias=False, **factory)
        self.output: nn.Linear = Linear(joint_size, tokens, **factory)

    def forward(
        self,
        encoded: Tensor,
        predicted: Tensor,
        targets: Tensor,
        lengths: Tensor | Sequence[int],
        target_lengths: Tensor | Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the blank (B, T, U + 1) and of the targets' symbols (B, T, U).

        Args:
            encoded: (B, T, E) frames.
            predicted: (B, U + 1, P) outputs of the prediction network, after 0 to U symbols.
            targets: (B, U) symbols 1 to K - 1, padded with 0.
            lengths: (B,) frames of each sequence, at least 1.
            target_lengths: (B,) symbols of each target.

        Both are zero beyond the lengths. Raises ValueError or TypeError for what doesn't fit.
        """
        self._check(encoded, predicted, targets)
        size = len(encoded), encoded.shape[1], targets.shape[1]
        lengths, target_lengths = check_ends(lengths, target_lengths, size)
        check_targets(targets, self.tokens, target_lengths.to(targets.device))
        ends = list(zip(lengths.tolist(), target_lengths.tolist(), strict=True))
        scores: tuple[Tensor, Tensor] = _TargetScores.apply(  # type: ignore[no-untyped-call]
            self.encoder(encoded),
            self.predictor(predicted),
            self.output.weight,
            self.output.bias,
            targets.long(),
            ends,
            self.slice_elements,
        )
        return scores

    def log_probabilities(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """Log-probabilities (..., K) of the next token, for a step of decoding.

        `encoded` is (..., E) and `predicted` (..., P): one frame may stand beside many outputs.
        """
        h = torch.tanh(self.encoder(encoded) + self.predictor(predicted))
        return torch.log_softmax(self.output(h), -1)

    def _check(self, encoded: Tensor, predicted: Tensor, targets: Tensor) -> None:
        given = f"{tuple(encoded.shape)}, {tuple(predicted.shape)} and {tuple(targets.shape)}"
        sizes = self.encoder.in_features, self.predictor.in_features
        fits = encoded.dim() == predicted.dim() == 3 and targets.dim() == 2
        if not fits or (encoded.shape[-1], predicted.shape[-1]) != sizes:
            raise ValueError(
                f"Joint: encoded, predicted and targets have shapes {given}; "
                f"give (B, T, {sizes[0]}), (B, U + 1, {sizes[1]}) and (B, U)"
            )
        batch, symbols = targets.shape
        if len(encoded) != batch or predicted.shape[:2] != (batch, symbols + 1):
            raise ValueError(
                f"Joint: encoded, predicted and targets have shapes {given}; they must be of as "
                "many sequences, with one output more than symbols: that before the first"
            )

    def extra_repr(self) -> str:
        """The limit on a slice."""
        return f"slice_elements={self.slice_elements}"


class _TargetScores(torch.autograd.Function):
    """Scores of blank and targets from the two projections, e (B, T, J) and p (B, U + 1, J)."""

    @staticmethod
    def forward(
        ctx: Any,
        e: Tensor,
        p: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        ends: list[tuple[int, int]],
        slice_elements: int,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(e, p, weight, bias, targets)
        ctx.slices = _slices(ends, slice_elements // max(weight.shape))
        blank = e.new_zeros(*e.shape[:2], p.shape[1])
        emit = e.new_zeros(*e.shape[:2], p.shape[1] - 1)
        for row, at, symbols in ctx.slices:
            y = targets[row, :symbols]
            _, scores = _log_softmax(e[row, at], p[row, : symbols + 1], weight, bias)
            blank[row, at, : symbols + 1] = scores[..., 0]
            emit[row, at, :symbols] = scores[:, torch.arange(symbols), y]
        return blank, emit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, blank: Tensor, emit: Tensor) -> tuple[Tensor | None, ...]:
        e, p, weight, bias, targets = ctx.saved_tensors
        of_e, of_p, of_weight, of_bias = (torch.zeros_like(t) for t in (e, p, weight, bias))
        for row, at, symbols in ctx.slices:
            h, scores = _log_softmax(e[row, at], p[row, : symbols + 1], weight, bias)
            of_scores = blank[row, at, : symbols + 1], emit[row, at, :symbols]
            of_logits = _back_to_logits(scores, targets[row, :symbols], *of_scores)
            of_bias += of_logits.sum((0, 1))
            of_weight += of_logits.flatten(0, 1).T @ h.flatten(0, 1)
            of_sum = torch.ops.aten.tanh_backward(of_logits @ weight, h)
            of_e[row, at] = of_sum.sum(1)
            of_p[row, : symbols + 1] += of_sum.sum(0)
        return of_e, of_p, of_weight, of_bias, None, None, None


def _slices(ends: list[tuple[int, int]], nodes: int) -> list[tuple[int, slice, int]]:
    """A sequence, some of its frames and its number of symbols, for slices of so many nodes."""
    slices = []
    for row, (frames, symbols) in enumerate(ends):
        step = max(nodes // (symbols + 1), 1)
        starts = range(0, frames, step)
        slices += [(row, slice(at, min(at + step, frames)), symbols) for at in starts]
    return slices


def _log_softmax(e: Tensor, p: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """h (t, U + 1, J) and the log-probabilities of all tokens (t, U + 1, K) of a slice."""
    h = (e.unsqueeze(1) + p).tanh_()
    return h, torch.nn.functional.linear(h, weight, bias).log_softmax(-1)


def _back_to_logits(scores: Tensor, y: Tensor, blank: Tensor, emit: Tensor) -> Tensor:
    """The gradient of logits (t, U + 1, K), from those of the scores of blank and symbols y (U,).

    It is written over `scores`.
    """
    total = blank.clone()
    total[:, :-1] += emit
    of_logits = scores.exp_().mul_(-total.unsqueeze(-1))
    of_logits[..., 0] += blank
    of_logits[:, torch.arange(len(y)), y] += emit
    return of_logits
