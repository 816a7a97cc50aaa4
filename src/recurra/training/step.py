"""One step: a window's loss, its gradients checked and clipped, the weights updated."""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from recurra.config.training import TrainingConfig
from recurra.errors import TrainingError
from recurra.nn.states import detach
from recurra.training.clipping import Measured, clip, measure
from recurra.training.finite import first_bad
from recurra.training.gradient_flow import Flow, flowing
from recurra.training.loop_state import LoopState
from recurra.training.metrics import Stepped
from recurra.training.optim import learning_rate, set_learning_rate
from recurra.training.protocols import Loss, Windows
from recurra.training.randomness import Before

__all__ = ["Stepper"]


@dataclass(frozen=True)
class Stepper:
    """Takes steps; `total` steps in all are what the schedule runs over."""

    model: nn.Module
    windows: Windows
    loss: Loss
    optimizer: torch.optim.Optimizer
    config: TrainingConfig
    total: int

    def step(self, state: LoopState) -> Stepped:
        """Train on the window where `state` is; not finite: `TrainingError`, weights as before."""
        began = time.perf_counter()
        rate = learning_rate(self.config, state.step, self.total)
        set_learning_rate(self.optimizer, rate)
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
        kept = detach(carried)
        weights = self.optimizer.param_groups[0]["params"]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        measured = measure(loss, gradients, largest=self.config.clip_value is not None)
        if not measured.finite:
            bad = first_bad(self.model, self.loss, batch, state.carried, before)
            self.optimizer.zero_grad(set_to_none=True)
            raise self._error(state.step, measured, bad)
        clipped = clip(gradients, measured, self.config)
        self.optimizer.step()
        lines = flow.lines(state.step) if flow else []
        seconds = time.perf_counter() - began
        return Stepped(measured.loss, tokens, measured.norm, clipped, rate, seconds, kept, lines)

    def _watching(self, step: int) -> AbstractContextManager[Flow | None]:
        every = self.config.watch_every
        return flowing(self.model) if every and step % every == 0 else nullcontext()

    def _error(self, step: int, measured: Measured, bad: str | None) -> TrainingError:
        bad_loss = not math.isfinite(measured.loss)
        what = f"loss is {measured.loss}" if bad_loss else f"gradient's norm is {measured.norm}"
        first = bad or "unknown: the step repeated was finite, so it isn't reproducible"
        return TrainingError(
            f"At step {step + 1} the {what}; the first tensor that went bad: {first}. Nothing of "
            f"this step was saved. Lower learning_rate (now {self.config.learning_rate}) or "
            f"clip_norm (now {self.config.clip_norm}), and look at the data if that is named."
        )
