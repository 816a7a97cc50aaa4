"""Warnings of a training under way: gradients that vanish or explode, steps that are clipped.

Each is given once. A short gradient is no fault where the task asks for none: so it is told only
where the loss has stopped falling soon after the start.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from recurra.training.loop_state import Stepped

__all__ = ["Alarms"]

EARLY = range(20, 120)
"""The steps whose mean loss later ones are compared with: what is learnt at once has been."""
LATE = 400
"""The step from which a loss that hasn't fallen is told."""
RECENT = 100
FALLEN = 0.05
"""A loss that has fallen by a smaller share has not."""
SHARE = 0.01
"""A gradient has vanished where this share of its start is left, as in an inspection."""
NEAR = 0.25
"""The share of a window that a gradient must reach, where the loss doesn't fall."""
SHORT = 16
"""In a shorter window every step is near."""
GROWN, WILD = 100.0, 1e4
"""A gradient that grows by the first factor explodes where the loss doesn't fall, else by the
second."""
CLIPPED, ALL_CLIPPED = 0.5, 0.9
"""Shares of recent steps that are clipped: where the loss doesn't fall, and elsewhere."""
IN_A_ROW = 3
"""Watched steps that must agree."""


@dataclass(frozen=True)
class _Reach:
    """How far one watched gradient reached, its largest norm by its first, and the window."""

    steps: int
    growth: float
    window: int

    @classmethod
    def of(cls, line: dict[str, Any]) -> _Reach:
        """From a line of gradients.jsonl."""
        distances, norms = line["distances"], line["norms"]
        first = norms[0]
        if not first > 0:
            return cls(0, math.nan, distances[-1] + 1)
        pairs = zip(distances, norms, strict=True)
        reached = next((d for d, norm in pairs if norm <= SHARE * first), distances[-1] + 1)
        return cls(reached, max(norms) / first, distances[-1] + 1)


@dataclass(eq=False)
class Alarms:
    """Follows steps, and gives each warning once, in words, to `warn`.

    `warmup` are the first steps, whose clipping says nothing.
    """

    warn: Callable[[str], None]
    warmup: int = 0
    _told: set[str] = field(default_factory=set)
    _early: list[float] = field(default_factory=list)
    _losses: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _clipped: deque[bool] = field(default_factory=lambda: deque(maxlen=2 * RECENT))
    _reaches: dict[str, deque[_Reach]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=IN_A_ROW))
    )

    def after(self, step: int, stepped: Stepped) -> None:
        """Follow the step of that number, counted from 1."""
        if step in EARLY:
            self._early.append(stepped.loss)
        self._losses.append(stepped.loss)
        if step > self.warmup:
            self._clipped.append(stepped.clipped)
        for line in stepped.flow:
            self._reaches[line["layer"]].append(_Reach.of(line))
        if stepped.flow:
            self._look_at_gradients(step)
        if len(self._clipped) == self._clipped.maxlen and step % RECENT == 0:
            self._look_at_clipping(step)

    def is_stuck(self, step: int) -> bool:
        """Whether the loss has not fallen since the start; unknown, so false, when resumed."""
        if step < LATE or len(self._early) < len(EARLY):
            return False
        early = _mean(self._early)
        return _mean(self._losses) > early - FALLEN * abs(early)

    def _look_at_gradients(self, step: int) -> None:
        full = {n: r for n, r in self._reaches.items() if len(r) == IN_A_ROW}
        stuck = self.is_stuck(step)
        for name, reaches in full.items():
            least = min(reach.growth for reach in reaches)
            if least > (GROWN if stuck else WILD):
                self._tell(
                    "exploding",
                    f"the gradient of {name} grows {least:.3g} times and more on its way back in "
                    f"time over {reaches[-1].window} steps: use orthogonal initialisation "
                    "(init = 'orthogonal'), a gated cell, or a lower learning_rate or clip_norm",
                    step,
                )
        if not full or not stuck:
            return
        name, reaches = max(full.items(), key=lambda pair: max(r.steps for r in pair[1]))
        farthest, window = max(r.steps for r in reaches), reaches[-1].window
        if window >= SHORT and farthest < NEAR * window:
            self._tell(
                "vanishing",
                f"the gradient fades to 1 % within {farthest} of {window} steps ({name} carries it "
                "farthest), and the loss has not fallen since the start: if the task needs to look "
                "farther back, use a gated cell, init = 'forget-bias:1' or 'chrono:"
                f"{window}', or for a simple RNN init = 'orthogonal'",
                step,
            )

    def _look_at_clipping(self, step: int) -> None:
        share = sum(self._clipped) / len(self._clipped)
        if share > (CLIPPED if self.is_stuck(step) else ALL_CLIPPED):
            self._tell(
                "clipping",
                f"{100 * share:.0f} % of the last {len(self._clipped)} steps were clipped, so that "
                "the limit sets the size of steps: lower learning_rate, lengthen warmup_steps, or "
                "raise clip_norm above the gradient_norm of metrics.jsonl",
                step,
            )

    def _tell(self, kind: str, text: str, step: int) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self.warn(f"At step {step} {text}.")


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)
