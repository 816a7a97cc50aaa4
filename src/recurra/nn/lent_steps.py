"""Steps of many sequences by one copy of a module's weights: each has its states, and lends the
memory in which they are computed.
"""

from __future__ import annotations

import weakref

from torch import Tensor, nn

from recurra.nn.module_steps import ModuleSteps, steps_of
from recurra.nn.states import State

__all__ = ["LentSteps", "StepsLender"]


class StepsLender:
    """The steps of one module, lent to any number of sequences, one at a time.

    ConfigError as for `steps_of`.

    >>> lender = StepsLender(nn.LSTM(3, 4))
    >>> first, second = lender.lend(), lender.lend()
    >>> y = first.feed(torch.ones(2, 1, 3))
    >>> torch.equal(second.feed(torch.ones(2, 1, 3)), y)
    True
    """

    def __init__(self, module: nn.Module) -> None:
        self.steps: ModuleSteps = steps_of(module)
        self._holder: weakref.ref[LentSteps] | None = None

    def lend(self) -> LentSteps:
        """Steps of a sequence that has not begun."""
        return LentSteps(self)

    def hold(self, taker: LentSteps) -> ModuleSteps:
        """The steps with the states of `taker`; those of who had them before are put aside."""
        holder = None if self._holder is None else self._holder()
        if holder is not taker:
            if holder is not None:
                holder.aside = self.steps.state()
            self.steps.reset()
            if taker.aside is not None:
                self.steps.set_state(taker.aside)
            taker.aside = None
            self._holder = weakref.ref(taker)
        return self.steps


class LentSteps(ModuleSteps):
    """The steps of one sequence; `aside` are its states while another has the memory."""

    def __init__(self, lender: StepsLender) -> None:
        own = lender.steps
        super().__init__(own.module, 1)
        self.output_size: int = own.output_size
        self._lender = lender
        self.aside: State = None

    def _feed(self, x: Tensor) -> Tensor:
        return self._lender.hold(self).feed(x)

    def _step(self, x: Tensor) -> Tensor:
        return self._lender.hold(self).step(x)

    def _step_rows(self, x: Tensor, rows: Tensor) -> Tensor:
        return self._lender.hold(self).step_rows(x, rows)

    def state(self, rows: Tensor | None = None) -> State:
        """The states that the next step starts from, copied."""
        return self._lender.hold(self).state(rows)

    def set_state(self, state: State, rows: Tensor | None = None) -> None:
        """Continue from what `state` gave."""
        self._lender.hold(self).set_state(state, rows)

    def reset(self, rows: Tensor | None = None) -> None:
        """Begin a new sequence."""
        self._lender.hold(self).reset(rows)

    def refresh(self, module: nn.Module) -> None:
        """Take over the weights of the module, for all that share them."""
        self._lender.hold(self).refresh(module)
