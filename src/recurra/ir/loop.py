"""A loop over time, with the inputs computed outside it, and its schedule of phases.

These leaves join those of a cell's graph:

| op      | detail                                                                         |
|---------|--------------------------------------------------------------------------------|
| outer   | (index, part): a value computed outside the loop, or one gate's part of it     |
| adjoint | the name of a state: its gradient, as the step after has left it               |
| seed    | the name of a state: the gradient that comes to it from above, a step          |
| new     | the name of a state: its forward value after the step                          |
| saved   | the index of a forward value that was kept for the backward loop               |
| buffer  | (name, part): a value that an earlier phase of the step has written            |
| sum     | the index of a sum of products of this phase                                   |
| statistic | the index of a mean or a reciprocal deviation that this phase begins with    |
"""

from __future__ import annotations

from dataclasses import dataclass

from recurra.ir.graph import Node, Size

__all__ = ["Emission", "Loop", "LoopInput", "Phase", "Schedule", "Store"]


@dataclass(frozen=True)
class LoopInput:
    """A value that the loop reads: (T, B, size) where it is timed, else shaped as its node.

    `node` says how it is computed from the input and the parameters; `parts` how many gates it
    holds; `blocks` how many blocks a matrix has that is stored without what is outside them.
    """

    node: Node
    timed: bool
    parts: int = 1
    blocks: int = 1


@dataclass(frozen=True)
class Emission:
    """A gradient that the backward loop gives for a loop input.

    | kind   | what becomes of `node`, step by step                                         |
    |--------|------------------------------------------------------------------------------|
    | timed  | stored for the step and the row                                              |
    | vector | summed over steps and rows                                                   |
    | scalar | summed over steps, rows and elements                                         |
    | matrix | stored; the gradient is its product with `operand`, summed over steps, rows  |
    """

    kind: str
    outer: tuple[int, int | None]
    node: Node
    operand: Node | None = None


@dataclass(frozen=True)
class Loop:
    """One step of a recurrence in time: states from states, with what it reads from outside.

    `saved` are values that a forward loop keeps for the backward one. A `backward` loop goes back
    in time from the gradients of the last states, and overwrites `adjoint:STATE` at each step.
    """

    cell: str
    states: tuple[str, ...]
    state_sizes: tuple[Size, ...]
    inputs: tuple[LoopInput, ...]
    results: tuple[Node, ...]
    emissions: tuple[Emission, ...] = ()
    saved: tuple[Node, ...] = ()
    backward: bool = False


@dataclass(frozen=True)
class Store:
    """A value that a phase writes to a buffer, at the columns of a part; `add` adds to it."""

    buffer: str
    part: int
    node: Node
    add: bool = False


@dataclass(frozen=True)
class Phase:
    """A part of a step that needs no value of itself as an operand of a product.

    First the statistics of rows, then the sums of products, over columns of one size, then the
    element-wise rest, in which the leaf `sum` with detail i is the i-th of them, then the stores.
    `statistics` are nodes `mean` and `rstd` with their indices; later phases read them, too.
    """

    size: Size
    sums: tuple[tuple[Node, ...], ...]
    stores: tuple[Store, ...]
    statistics: tuple[tuple[int, Node], ...] = ()


@dataclass(frozen=True)
class Schedule:
    """The phases of a loop, and where each emission's node and operand lie: (buffer, part)."""

    phases: tuple[Phase, ...]
    places: tuple[tuple[str, int], ...]
    temporaries: tuple[Size, ...]

    @property
    def statistics(self) -> int:
        """The number of statistics of all phases."""
        return sum(len(p.statistics) for p in self.phases)
