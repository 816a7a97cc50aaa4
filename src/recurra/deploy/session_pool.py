"""Many sessions of one module, stepped together while each begins and ends when it likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recurra.deploy.module_session import state_from, state_tensors
from recurra.errors import ConfigError
from recurra.nn.module_steps import steps_of
from recurra.tasks.session import Resumable, weights_digest

__all__ = ["PoolSession", "SessionPool"]


class SessionPool:
    """At most `most` sessions of a module, of which any may be stepped at once.

    module, quantize: as for `ModuleSession`. Sessions don't see one another: a NaN in one stays
    there.

    Example:
        >>> import recurra
        >>> pool = SessionPool(recurra.nn.GRU(3, 8), most=100)
        >>> first, second = pool.open(), pool.open()
        >>> pool.step([first, second], torch.zeros(2, 3)).shape
        torch.Size([2, 8])
        >>> second.close()
        >>> len(pool)
        1
    """

    def __init__(self, module: nn.Module, most: int, *, quantize: bool = False) -> None:
        self._module = module
        self._steps = steps_of(module, most, chunk=1, quantize=quantize)
        self.most = most
        self.digest: str = weights_digest([self._steps.module])
        self._free = list(range(most))[::-1]

    def __len__(self) -> int:
        """The sessions that are open."""
        return self.most - len(self._free)

    def open(self) -> PoolSession:
        """A session at its beginning; ConfigError where as many are open as there may be."""
        if not self._free:
            raise ConfigError(f"{self.most:,} sessions are open, and more can't be; close one.")
        row = self._free.pop()
        self._steps.reset(torch.tensor([row]))
        return PoolSession(self, row)

    def step(self, sessions: Sequence[PoolSession], x: Tensor) -> Tensor:
        """The outputs (K, O) of one step (K, I) of some sessions, each of which comes once.

        Raises ConfigError for a session that is closed, of another pool, or twice there; ValueError
        for another shape or dtype.
        """
        rows = [self._row(session) for session in sessions]
        if len(set(rows)) < len(rows):
            raise ConfigError("A session is given twice for one step; give its steps one by one.")
        return self._steps.step_rows(x, torch.tensor(rows, dtype=torch.int64))

    def refresh(self) -> None:
        """Take over the module's weights as they are now; the states stay."""
        self._steps.refresh(self._module)
        self.digest = weights_digest([self._steps.module])

    def _row(self, session: PoolSession) -> int:
        if session.pool is not self or session.row is None:
            raise ConfigError("A session is closed, or another pool's; open one of this pool.")
        return session.row


class PoolSession(Resumable):
    """One of a pool's sessions. What it saves a `ModuleSession` of the same module restores."""

    def __init__(self, pool: SessionPool, row: int) -> None:
        self.pool: SessionPool = pool
        self.row: int | None = row

    @property
    def digest(self) -> str:
        """That of the pool's weights."""
        return self.pool.digest

    def close(self) -> None:
        """End the session; its place is free for another. Does nothing the second time."""
        if self.row is not None:
            self.pool._free.append(self.row)
            self.row = None

    def reset(self) -> None:
        """Go back to the beginning."""
        self.pool._steps.reset(self._rows())

    def state(self) -> dict[str, Tensor]:
        """The states that the next step starts from, as tensors by name."""
        return state_tensors(self.pool._steps.state(self._rows()))

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self.pool._steps.set_state(state_from(tensors, self.pool._steps), self._rows())

    def _rows(self) -> Tensor:
        return torch.tensor([self.pool._row(self)])
