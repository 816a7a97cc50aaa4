"""The base class of cells: states, gates and a `step` with the equations."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
from collections.abc import Mapping
from typing import Any, ClassVar, dataclass_transform

from recurra.cells.roles import check_roles
from recurra.cells.source import declaration
from recurra.cells.symbols import Symbol
from recurra.cells.tracing import Declaration, trace
from recurra.ir import CellError, Graph, Init, equations, verify

__all__ = ["Cell", "Initial", "Names", "Scalars", "Sizes"]

Names = tuple[str, ...]
Sizes = Mapping[str, str]
Scalars = Mapping[str, float]
Initial = Mapping[str, Init]


@dataclass_transform(kw_only_default=True, frozen_default=True)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A recurrent cell, written as the equations of one step.

    A subclass defines its `states` (the first is the layer's output), its `gates`, and
    `step(self, x, <states>, <parameters>)`, which returns the new states. The kind of a parameter
    follows from its use: `W @ v` makes it a matrix, `b + v` or `p * v` a vector; `W.i` is its part
    for gate i. Annotated attributes with a default are options, passed to the constructor and
    available in `step`.

    | attribute | meaning                                                                        |
    |-----------|--------------------------------------------------------------------------------|
    | states    | names of the states                                                            |
    | gates     | names of the gates that parameters are stacked over                            |
    | sizes     | size of a state or of x, if it isn't `hidden_size` or `input_size`, and rows   |
    |           | of a parameter, if the equations leave them open: one of these two words or    |
    |           | the name of an option that holds the number                                    |
    | scalars   | parameters that are one learnt number, with the initial value of each          |
    | blocks    | matrices that are block-diagonal, with the option that holds the block count   |
    | init      | initial values of a parameter, or of a gate's part of it ("b.f"): "uniform"    |
    |           | (±1 / sqrt(hidden_size), the default), ("uniform", gain) for gain times that,  |
    |           | "normal" (variance 1 / columns), "zeros", "ones", "identity", "orthogonal", a  |
    |           | number, a uniform range (low, high), or a function of a draw between 0 and 1   |
    |           | (a distribution's quantile function); matrices are initialised gate by gate,   |
    |           | block by block                                                                 |
    | candidate | the name of the candidate in `step`: the value that a gate adds to the state   |
    | forget    | the gate that multiplies the old state: "f", or "1 - f" if it discards it      |
    | source    | the publication of the equations                                               |

    Example:
        >>> from recurra.cells import Cell, sigmoid, tanh
        >>> class Minimal(Cell):
        ...     states = ("h",)
        ...     gates = ("f", "n")
        ...     def step(self, x, h, W, U, b):
        ...         f = sigmoid(W.f @ x + U.f @ h + b.f)
        ...         n = tanh(W.n @ x + U.n @ (f * h) + b.n)
        ...         return (1 - f) * h + f * n
        >>> [p.name for p in Minimal().graph().params]
        ['W', 'U', 'b']
    """

    states: ClassVar[Names] = ()
    gates: ClassVar[Names] = ()
    sizes: ClassVar[Sizes] = {}
    scalars: ClassVar[Scalars] = {}
    blocks: ClassVar[Sizes] = {}
    init: ClassVar[Initial] = {}
    candidate: ClassVar[str] = ""
    forget: ClassVar[str] = ""
    source: ClassVar[str] = ""

    # `step` has no signature here: every cell has states and parameters of its own.
    step: ClassVar[Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def graph(self, *, bias: bool = True) -> Graph:
        """The graph of one step, with or without the biases: `b`, `b2`, `b_h` and the like.

        Raises CellError, naming the line, for invalid equations.
        """
        try:
            hash(self)
        except TypeError as error:
            raise CellError(
                f"{self!r}: {error}; options of a cell must be hashable: numbers, text, tuples."
            ) from error
        return _graph(self, bias)

    def show(self) -> str:
        """The equations as text, one a line."""
        return equations(self.graph())

    def digest(self) -> str:
        """A hash of the equations, which changes with what the cell computes."""
        return self.graph().digest()

    def options(self) -> dict[str, Any]:
        """The options that this cell was made with."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def bind(self, input_size: int, hidden_size: int) -> dict[str, int]:
        """The number for each size name of the graph. Raises CellError for contradictory sizes."""
        graph = self.graph()
        names = {"input_size": input_size, "hidden_size": hidden_size}
        options = self.options()
        for name in {*self.sizes.values()} - names.keys():
            names[name] = options[name]
        wanted = self.sizes.get("x", "input_size")
        if names[wanted] != input_size:
            raise CellError(
                f"{graph.cell}: input_size is {input_size}, and its equations need it to equal "
                f"{wanted}, which is {names[wanted]}; give {wanted} = {input_size}, or map the "
                f"input first: torch.nn.Linear({input_size}, {names[wanted]})."
            )
        for param in graph.params:
            for size in (param.rows, param.columns) if param.blocks > 1 else ():
                if size is not None and size.value(names) % param.blocks:
                    raise CellError(
                        f"{graph.cell}: {self.blocks[param.name]}={param.blocks} must divide "
                        f"{size}, which is {size.value(names)}."
                    )
        return names


@functools.lru_cache(maxsize=256)
def _graph(cell: Cell, bias: bool) -> Graph:
    kind = type(cell)
    _check_declaration(cell)
    graph = trace(
        Declaration(
            name=kind.__name__,
            states=kind.states,
            gates=kind.gates,
            sizes=kind.sizes,
            scalars=kind.scalars,
            blocks={name: int(getattr(cell, option)) for name, option in kind.blocks.items()},
            init=kind.init,
            bias=bias,
        ),
        cell.step,
    )
    verify(graph)
    check_roles(kind, graph, init=kind.init, candidate=kind.candidate, forget=kind.forget)
    return graph


def _check_declaration(cell: Cell) -> None:
    for what in ("states", "gates"):
        _check_names(cell, what)
    if not cell.states:
        raise _error(cell, "states", "`states` is empty; a recurrent cell has one: ('h',)")
    step = getattr(type(cell), "step", None)
    if not callable(step) or not inspect.isfunction(inspect.unwrap(step)):
        raise _error(
            cell, "step", f"it has no method `step(self, x, {', '.join(cell.states)}, ...)`"
        )
    for gate in cell.gates:
        if gate == "T" or hasattr(Symbol, gate):
            raise _error(cell, "gates", f"a gate can't be called `{gate}`; choose another name")
    _check_options(cell)


def _check_names(cell: Cell, what: str) -> None:
    words: object = getattr(cell, what)
    if not isinstance(words, tuple) or not all(_is_name(w) for w in words):
        raise _error(cell, what, f"`{what}` is {words!r}; it must be a tuple of names: ('h',)")
    if len(set(words)) != len(words):
        raise _error(cell, what, f"`{what}` is {words!r}, which has a name twice")
    if what == "states" and "x" in words:
        raise _error(cell, what, "a state can't be called `x`, which is the input")


def _is_name(word: object) -> bool:
    return isinstance(word, str) and word.isidentifier() and not keyword.iskeyword(word)


def _check_options(cell: Cell) -> None:
    options = cell.options()
    for key, size in cell.sizes.items():
        if size not in ("input_size", "hidden_size") and not _is_count(options.get(size)):
            raise _error(
                cell,
                "sizes",
                f"`sizes` gives {key} the size `{size}`; allowed are input_size, hidden_size "
                "and the name of an option that holds a whole number above 0",
            )
    for key, option in cell.blocks.items():
        if not _is_count(options.get(option)):
            raise _error(
                cell,
                "blocks",
                f"`blocks` gives {key} `{option}` blocks; it must be the name of an option that "
                "holds a whole number above 0",
            )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _error(cell: Cell, attribute: str, problem: str) -> CellError:
    where = declaration(type(cell), attribute)
    return CellError(f"{f'{where}: ' if where else ''}{type(cell).__name__}: {problem}.")
