"""Shares that the remedies drop or keep in training, and the masks of a run.

Masks are drawn from torch's global generator, and multiply: as with torch's dropout, a value that
isn't finite stays so, since a mask would hide it. A mask for all steps is drawn once a sequence
(Gal & Ghahramani 2016, arXiv:1512.05287), for each layer and direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.cells.regularised import Regularised, recurrent_matrices
from recurra.errors import ConfigError
from recurra.nn.execute import Sequences
from recurra.nn.layers.arguments import check_share

__all__ = ["Masks", "Remedies", "RemedyPlan"]


@dataclass(frozen=True)
class Masks:
    """Draws masks for a run's rows: T steps of B sequences, or the rows of a packed sequence.

    `active` (T, B) marks the steps that a packed sequence has. Masks are like the input `like`.
    """

    like: Tensor
    steps: int
    batch: int
    active: Tensor | None = None

    @classmethod
    def of(cls, x: Tensor, sequences: Sequences | None = None) -> Masks:
        """For an input (T, B, I), or packed (N, I) with its sorted lengths."""
        if sequences is None or not sequences.is_packed or sequences.lengths is None:
            return cls(x, x.shape[0], x.shape[1])
        active = sequences.active(x.device)
        return cls(x, sequences.steps, len(sequences.lengths), active)

    def repeated(self, value: Tensor) -> Tensor:
        """A value (B, size) repeated for every step."""
        every = value.expand(self.steps, self.batch, value.shape[-1])
        return every if self.active is None else every[self.active]

    def for_all_steps(self, drop: float, size: int) -> Tensor:
        """A dropout mask that is the same for every step: 0, or 1 / (1 - drop)."""
        return self.repeated(_mask(self.like.new_empty(self.batch, size), drop))

    def for_each_step(self, drop: float, size: int) -> Tensor:
        """A dropout mask drawn for each step."""
        return _mask(self.like.new_empty(*self.like.shape[:-1], size), drop)

    def of_elements(self, drop: float, weight: Tensor) -> Tensor:
        """A dropout mask for each element of a matrix, the same for all rows."""
        return _mask(torch.empty_like(weight, requires_grad=False), drop)

    def zoneout(self, share: float, size: int, training: bool) -> Tensor:
        """The part of the old state that zoneout keeps: 0 or 1 in training, else the share."""
        if training:
            return _drawn(self.like.new_empty(*self.like.shape[:-1], size), share)
        return self.repeated(self.like.new_full((1, size), share))

    def segment_starts(self, begins: Tensor, size: int) -> Tensor:
        """1 at the first step of a segment, else 0, from bools (T, B)."""
        ones = (begins if self.active is None else begins[self.active]).to(self.like.dtype)
        return ones.unsqueeze(-1).repeat_interleave(size, dim=-1)


def _mask(empty: Tensor, drop: float) -> Tensor:
    return _drawn(empty, 1 - drop).div_(1 - drop) if drop < 1 else empty.zero_()


def _drawn(empty: Tensor, share: float) -> Tensor:
    """Ones in that share of the elements, to the nearest 2^-16, and zeros in the others."""
    if share in (0, 1):
        return empty.fill_(share)
    # Four elements from each 64 random bits: bernoulli_ takes several times as long.
    count, elements = min(round(share * 2**16), 2**16 - 1), empty.numel()
    bits = torch.randint(-(2**63), 2**63 - 1, (-(-elements // 4),), device=empty.device)
    words = bits.view(torch.int16)[:elements]
    torch.lt(words, count - 2**15, out=empty.view(-1))
    return empty


@dataclass(frozen=True)
class RemedyPlan:
    """The cell that a run computes, with remedies in its equations.

    `givens` are its inputs besides x, by name and width; `dropped` the matrices with weight drop.
    """

    cell: Cell
    givens: tuple[tuple[str, int], ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Remedies:
    """The shares that `Recurrent` was given, each from 0 to 1."""

    input_dropout: float = 0.0
    state_dropout: float = 0.0
    output_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float | Mapping[str, float] = 0.0

    @classmethod
    def checked(cls, cell: Cell, **settings: object) -> Remedies:
        """The remedies for a cell. Raises ValueError or ConfigError for invalid ones."""
        for name, value in settings.items():
            shares = value.values() if isinstance(value, Mapping) else (value,)
            for share in shares:
                check_share(name, share)
        zoneout = settings.get("zoneout")
        unknown = set(zoneout) - set(cell.states) if isinstance(zoneout, Mapping) else set()
        if unknown:
            raise ConfigError(
                f"zoneout names the states {', '.join(sorted(unknown))}; "
                f"{type(cell).__name__} has {', '.join(cell.states)}."
            )
        if settings.get("weight_drop") and not recurrent_matrices(cell.graph()):
            raise ConfigError(
                f"{type(cell).__name__} has no recurrent matrix, so weight_drop has nothing to "
                "act on; use zoneout or output_dropout."
            )
        return cls(**settings)  # type: ignore[arg-type]

    def zoneout_of(self, state: str) -> float:
        """The share of a state's values that zoneout keeps."""
        shares = self.zoneout
        return shares.get(state, 0.0) if isinstance(shares, Mapping) else float(shares)

    def plan(
        self, cell: Cell, sizes: Mapping[str, int], *, bias: bool, training: bool, starts: bool
    ) -> RemedyPlan:
        """The plan of a run, in training or not, with learnt starts of segments or not."""
        regularised = Regularised(
            cell=cell,
            state_masks=training and self.state_dropout > 0,
            inner_masks=training and self.recurrent_dropout > 0,
            zoneout=tuple(state for state in cell.states if self.zoneout_of(state)),
            starts=starts,
        )
        planned = cell if regularised == Regularised(cell=cell) else regularised
        graph = planned.graph(bias=bias)
        return RemedyPlan(
            planned,
            tuple((name, size.value(sizes)) for name, size in graph.givens),
            recurrent_matrices(graph) if training and self.weight_drop else (),
        )

    def inputs(
        self, plan: RemedyPlan, weights: Mapping[str, Tensor], masks: Masks, *, training: bool
    ) -> dict[str, Tensor]:
        """Newly drawn masks by the names of a plan, and matrices with elements dropped."""
        inputs = {
            name: weights[name] * masks.of_elements(self.weight_drop, weights[name])
            for name in plan.dropped
        }
        for name, width in plan.givens:
            if name == "mask_state":
                inputs[name] = masks.for_all_steps(self.state_dropout, width)
            elif name == "mask_candidate":
                inputs[name] = masks.for_each_step(self.recurrent_dropout, width)
            elif name.startswith("zone_"):
                share = self.zoneout_of(name.removeprefix("zone_"))
                inputs[name] = masks.zoneout(share, width, training)
        return inputs

    def mask_input(self, masks: Masks, x: Tensor) -> Tensor:
        """A layer's input with the same elements dropped at every step."""
        share = self.input_dropout
        return x * masks.for_all_steps(share, x.shape[-1]) if share else x

    def mask_output(self, masks: Masks, y: Tensor) -> Tensor:
        """The output with the same elements dropped at every step."""
        share = self.output_dropout
        return y * masks.for_all_steps(share, y.shape[-1]) if share else y

    def words(self) -> list[str]:
        """The remedies in use, written as arguments."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return [f"{name}={value}" for name, value in pairs if value]
