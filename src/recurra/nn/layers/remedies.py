"""What is dropped or held back in training: how much of it, and the masks of a run.

Masks are drawn from torch's global generator, and multiply: as with torch's dropout, what is not
finite stays so, lest a mask hide it. One that serves all steps is drawn once a sequence (Gal &
Ghahramani 2016, arXiv:1512.05287), one for each layer and direction.
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

__all__ = ["Plan", "Remedies", "Rows"]


@dataclass(frozen=True)
class Rows:
    """The rows that a run has: T steps of B sequences, or those of a packed sequence.

    `active` (T, B) tells which steps are there where they lie packed.
    """

    like: Tensor
    steps: int
    batch: int
    active: Tensor | None = None

    @classmethod
    def of(cls, x: Tensor, sequences: Sequences | None = None) -> Rows:
        """The rows of an input (T, B, I), or packed (N, I) with its sorted lengths."""
        if sequences is None or not sequences.is_packed or sequences.lengths is None:
            return cls(x, x.shape[0], x.shape[1])
        active = sequences.active(x.device)
        return cls(x, sequences.steps, len(sequences.lengths), active)

    def once(self, value: Tensor) -> Tensor:
        """A value (B, size) for every step."""
        every = value.expand(self.steps, self.batch, value.shape[-1])
        return every if self.active is None else every[self.active]

    def mask(self, drop: float, size: int) -> Tensor:
        """A dropout mask that is the same for every step: 0, or 1 / (1 - drop)."""
        return self.once(_mask(self.like.new_empty(self.batch, size), drop))

    def masks(self, drop: float, size: int) -> Tensor:
        """A dropout mask for every step anew."""
        return _mask(self.like.new_empty(*self.like.shape[:-1], size), drop)

    def elements(self, drop: float, weight: Tensor) -> Tensor:
        """A dropout mask for each element of a matrix, the same for all rows."""
        return _mask(torch.empty_like(weight, requires_grad=False), drop)

    def held(self, share: float, size: int, training: bool) -> Tensor:
        """What zoneout keeps of the old state: 0 or 1 in training, else the share itself."""
        if training:
            return _drawn(self.like.new_empty(*self.like.shape[:-1], size), share)
        return self.once(self.like.new_full((1, size), share))

    def marks(self, begins: Tensor, size: int) -> Tensor:
        """1 where a segment begins, from bools (T, B)."""
        ones = (begins if self.active is None else begins[self.active]).to(self.like.dtype)
        return ones.unsqueeze(-1).repeat_interleave(size, dim=-1)


def _mask(empty: Tensor, drop: float) -> Tensor:
    return _drawn(empty, 1 - drop).div_(1 - drop) if drop < 1 else empty.zero_()


def _drawn(empty: Tensor, share: float) -> Tensor:
    """Ones in that share of the places, to the nearest of 2^16 steps, and zeros in the others."""
    if share in (0, 1):
        return empty.fill_(share)
    # Four places from each 64 random bits: bernoulli_ takes several times as long.
    count, places = min(round(share * 2**16), 2**16 - 1), empty.numel()
    bits = torch.randint(-(2**63), 2**63 - 1, (-(-places // 4),), device=empty.device)
    words = bits.view(torch.int16)[:places]
    torch.lt(words, count - 2**15, out=empty.view(-1))
    return empty


@dataclass(frozen=True)
class Plan:
    """The cell that a run computes, what it is given by name and width, and what is dropped of."""

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
    def checked(cls, cell: Cell, **given: object) -> Remedies:
        """The same once they are known to be shares, and to have something to act on."""
        for name, value in given.items():
            shares = value.values() if isinstance(value, Mapping) else (value,)
            for share in shares:
                check_share(name, share)
        zoneout = given.get("zoneout")
        unknown = set(zoneout) - set(cell.states) if isinstance(zoneout, Mapping) else set()
        if unknown:
            raise ConfigError(
                f"zoneout names the states {', '.join(sorted(unknown))}; "
                f"{type(cell).__name__} has {', '.join(cell.states)}."
            )
        if given.get("weight_drop") and not recurrent_matrices(cell.graph()):
            raise ConfigError(
                f"{type(cell).__name__} has no recurrent matrix, so weight_drop has nothing to "
                "act on; use zoneout or output_dropout."
            )
        return cls(**given)  # type: ignore[arg-type]

    def zoned(self, cell: Cell) -> list[str]:
        """The states that zoneout holds back."""
        return [state for state in cell.states if self.share_zoned(state)]

    def share_zoned(self, state: str) -> float:
        """How much of a state zoneout holds back."""
        shares = self.zoneout
        return shares.get(state, 0.0) if isinstance(shares, Mapping) else float(shares)

    def plan(
        self, cell: Cell, sizes: Mapping[str, int], *, bias: bool, training: bool, starts: bool
    ) -> Plan:
        """What a run computes, in training or not, from learnt states or not."""
        changed = Regularised(
            cell=cell,
            state_masks=training and self.state_dropout > 0,
            inner_masks=training and self.recurrent_dropout > 0,
            zoneout=tuple(self.zoned(cell)),
            starts=starts,
        )
        found = cell if changed == Regularised(cell=cell) else changed
        graph = found.graph(bias=bias)
        return Plan(
            found,
            tuple((name, size.value(sizes)) for name, size in graph.givens),
            recurrent_matrices(graph) if training and self.weight_drop else (),
        )

    def given(
        self, plan: Plan, weights: Mapping[str, Tensor], rows: Rows, *, training: bool
    ) -> dict[str, Tensor]:
        """The masks that a plan asks for, drawn anew, and matrices with elements dropped."""
        found = {
            name: weights[name] * rows.elements(self.weight_drop, weights[name])
            for name in plan.dropped
        }
        for name, width in plan.givens:
            if name == "mask_state":
                found[name] = rows.mask(self.state_dropout, width)
            elif name == "mask_candidate":
                found[name] = rows.masks(self.recurrent_dropout, width)
            elif name.startswith("zone_"):
                share = self.share_zoned(name.removeprefix("zone_"))
                found[name] = rows.held(share, width, training)
        return found

    def mask_input(self, rows: Rows, x: Tensor) -> Tensor:
        """A layer's input with the same elements dropped at every step."""
        return x * rows.mask(self.input_dropout, x.shape[-1]) if self.input_dropout else x

    def mask_output(self, rows: Rows, y: Tensor) -> Tensor:
        """The output with the same elements dropped at every step."""
        return y * rows.mask(self.output_dropout, y.shape[-1]) if self.output_dropout else y

    def words(self) -> list[str]:
        """Those that are used, as arguments."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return [f"{name}={value}" for name, value in pairs if value]
