"""One step: a window's loss, its gradients checked and clipped, the weights updated.

In distributed data parallel each rank carries the state of its own rows and draws its own dropout.
Gradients are averaged over all ranks, weighted by their tokens, so that every rank takes the same
step.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.training_config import TrainingConfig
from recurra.errors import ConfigError, TrainingError
from recurra.nn.states import detach
from recurra.runs import ranks
from recurra.training.finite import Bad, first_bad
from recurra.training.gradient_flow import Flow, flowing
from recurra.training.loop_state import LoopState, Stepped
from recurra.training.optim import learning_rate, set_learning_rate
from recurra.training.protocols import Loss, Windows
from recurra.training.randomness import Before

__all__ = [
    "Averaged",
    "Measured",
    "Stepper",
    "average",
    "clip",
    "measure",
    "seed_of_rank",
    "set_bptt_clip",
    "sharded",
    "synchronise",
]


@dataclass(frozen=True)
class Averaged:
    """A step's mean loss over all tokens, and how many tokens there are."""

    loss: Tensor
    tokens: int


def sharded(windows: Windows) -> Windows:
    """The part of this rank. Raises `ConfigError` where the windows can't be divided."""
    if ranks.world_size() == 1:
        return windows
    shard = getattr(windows, "shard", None)
    if shard is None:
        raise ConfigError(
            f"{type(windows).__name__} has no shard(rank, world), so this training can't be "
            "divided between processes; start it without torchrun."
        )
    part: Windows = shard(ranks.rank(), ranks.world_size())
    return part


def seed_of_rank(seed: int) -> int:
    """The seed itself for rank 0; for others one that follows from it and the rank."""
    if ranks.rank() == 0:
        return seed
    key = f"{seed} {ranks.rank()}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 1


def synchronise(model: nn.Module, *, buffers_alone: bool) -> None:
    """Give every rank the buffers of rank 0, and its parameters unless `buffers_alone`."""
    if ranks.world_size() > 1:
        weights = [] if buffers_alone else list(model.parameters())
        ranks.copy_from_first_([*weights, *model.buffers()])


def average(loss: Tensor, tokens: int, weights: Sequence[nn.Parameter]) -> Averaged:
    """Replace this rank's gradients by those of the mean loss over the tokens of all ranks."""
    if ranks.world_size() == 1:
        return Averaged(loss, tokens)
    reached = [float(weight.grad is not None) for weight in weights]
    every = ranks.numbers([float(loss.detach()) * tokens, tokens, *reached])
    loss_sum, total, *reached = (sum(column) for column in zip(*every, strict=True))
    gradients = [_gradient(w) for w, is_reached in zip(weights, reached, strict=True) if is_reached]
    torch._foreach_mul_(gradients, tokens / max(total, 1))
    ranks.add_(gradients)
    return Averaged(loss.new_tensor(loss_sum / max(total, 1)), round(total))


def _gradient(weight: nn.Parameter) -> Tensor:
    """The gradient, zeros where this rank's loss doesn't reach the parameter."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


@dataclass(frozen=True)
class Measured:
    """Numbers of one step, read from the device in one transfer."""

    loss: float
    norm: float
    largest: float

    @property
    def is_finite(self) -> bool:
        """True if loss and gradients are finite."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


@dataclass(frozen=True)
class Stepper:
    """Takes steps with `weights`, those of the model that are trained."""

    model: nn.Module
    weights: Sequence[nn.Parameter]
    windows: Windows
    loss: Loss
    optimizer: torch.optim.Optimizer
    config: TrainingConfig

    def step(self, state: LoopState) -> Stepped:
        """Train on the window where `state` is.

        Raises `TrainingError` where loss or gradient isn't finite; the weights are then as before.
        """
        began = time.perf_counter()
        rate = learning_rate(self.config, state.budget, state.step, state.seconds)
        share = state.budget.share(state.step, state.seconds, 0)
        set_learning_rate(self.optimizer, rate, share)
        self.optimizer.zero_grad(set_to_none=True)
        before = Before(self.model)
        try:
            batch = self.windows.window(state.epoch, state.index)
            with self._watching(state.step) as flow:
                loss, tokens, carried = self.loss(self.model, batch, state.carried)
                loss.backward()  # type: ignore[no-untyped-call]
        except KeyboardInterrupt:
            before.restore()
            raise
        carried_on = detach(carried)
        whole = average(loss, tokens, self.weights)
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        measured = measure(whole.loss, gradients, largest=self.config.clip_value is not None)
        if not measured.is_finite:
            raise self._error(state, measured, batch, before)
        clipped = clip(gradients, measured, self.config)
        self.optimizer.step()
        synchronise(self.model, buffers_alone=True)
        return Stepped(
            loss=measured.loss,
            tokens=whole.tokens,
            gradient_norm=measured.norm,
            taken_norm=self._taken_norm(measured, gradients, clipped),
            clipped=clipped,
            learning_rate=rate,
            carried=carried_on,
            flow=flow.lines(state.step) if flow else [],
            seconds=time.perf_counter() - began,
        )

    def _taken_norm(self, measured: Measured, gradients: list[Tensor], clipped: bool) -> float:
        """The norm of the gradients as the optimiser gets them."""
        if not clipped:
            return measured.norm
        if self.config.clip_value is None and self.config.clip_norm is not None:
            return self.config.clip_norm
        return float(_norm(gradients, torch.float64))

    def _watching(self, step: int) -> AbstractContextManager[Flow | None]:
        every = self.config.watch_every
        is_due = every and step % every == 0 and ranks.rank() == 0
        return flowing(self.model) if is_due else nullcontext()

    def _error(
        self, state: LoopState, measured: Measured, batch: Any, before: Before
    ) -> TrainingError:
        """The error of a step that isn't finite, with the first bad tensor of any rank."""
        own = first_bad(self.model, self.loss, batch, state.carried, before)
        self.optimizer.zero_grad(set_to_none=True)
        unknown = Bad("unknown: the step repeated was finite, so it isn't reproducible")
        bad = Bad(*next(filter(None, ranks.share(own)), unknown))
        bad_loss = not math.isfinite(measured.loss)
        what = f"loss is {measured.loss}" if bad_loss else f"gradient's norm is {measured.norm}"
        slower = (
            f"If numbers grew step by step, lower learning_rate (now {self.config.learning_rate}) "
            f"or clip_norm (now {self.config.clip_norm})."
        )
        sentences = [
            f"At step {state.step + 1} the {what}; the first tensor that went bad: {bad.what}.",
            "Nothing of this step was saved.",
            bad.remedy,
            slower if bad.slower else "",
        ]
        return TrainingError(" ".join(filter(None, sentences)))


def measure(loss: Tensor, gradients: list[Tensor], *, largest: bool) -> Measured:
    """The loss, the norm of all gradients together and, if asked, their largest element."""
    if not gradients:
        raise TrainingError("No parameter got a gradient: the loss doesn't depend on any of them.")
    dtype = torch.promote_types(loss.dtype, torch.float32)
    numbers = [loss.detach().to(dtype).reshape(()), _norm(gradients, dtype)]
    if largest:
        numbers.append(torch.stack([_largest(gradient).to(dtype) for gradient in gradients]).max())
    values = torch.stack(numbers).tolist()
    if math.isinf(values[1]) and all(bool(gradient.isfinite().all()) for gradient in gradients):
        # The squares overflowed, not the gradients: float64 has room for them.
        values[1] = float(_norm([gradient.double() for gradient in gradients], torch.float64))
    return Measured(values[0], values[1], values[2] if largest else 0.0)


def clip(gradients: list[Tensor], measured: Measured, config: TrainingConfig) -> bool:
    """Scale gradients to `clip_norm`, then clamp to `clip_value`; True if either changed any."""
    norm, value, scale = config.clip_norm, config.clip_value, 1.0
    if norm is not None and measured.norm > norm:
        scale = norm / measured.norm
        torch._foreach_mul_(gradients, scale)
    too_large = value is not None and measured.largest > value
    if value is not None and too_large:
        torch._foreach_clamp_min_(gradients, -value)
        torch._foreach_clamp_max_(gradients, value)
    return scale < 1.0 or too_large


def set_bptt_clip(model: nn.Module, value: float) -> None:
    """Have every recurrent layer clamp dL/dh to `value` at each step; `ConfigError` if none can."""
    layers = [module for module in model.modules() if hasattr(module, "bptt_clip")]
    if not layers:
        raise ConfigError(
            f"clip_bptt = {value}, but no layer of the model has `bptt_clip`; recurra.nn's layers "
            "have: use one, or leave clip_bptt out."
        )
    for layer in layers:
        setattr(layer, "bptt_clip", value)  # noqa: B010  a Module's attributes are typed as tensors


def _norm(gradients: list[Tensor], dtype: torch.dtype) -> Tensor:
    # torch's own get_total_norm is this behind a layer of Python that takes as long again.
    norms = torch._foreach_norm(gradients)
    total: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(dtype) for norm in norms]))
    return total


def _largest(gradient: Tensor) -> Tensor:
    low, high = torch.aminmax(gradient)
    return torch.maximum(-low, high)
