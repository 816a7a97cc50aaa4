"""The operators `recurra::loop` and `recurra::loop_backward`, as tracers and modes see a run.

They are registered piece by piece: `torch.library.custom_op` loads the whole of torch._dynamo at
its first call. Operations are counted as torch counts them: two for a multiplication with its
addition, products alone, and every step of a padded sequence.

torch.compile sees a name and an operator, and leaves the insides to itself: `recurra::sequence` is
made of other operators (CompositeImplicitAutograd), so whoever records a graph takes it for one
call, and whoever derives or lowers that graph runs through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, get_type_hints

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from recurra.engines.base import LoopCode, Sequences, States
from recurra.engines.recorded import are_recorded, gradients_of
from recurra.engines.torch_layout import Parameters, TorchParameters
from recurra.errors import EngineError

__all__ = [
    "LIBRARY",
    "LOOP",
    "LOOP_BACKWARD",
    "OPTIONS_SCHEMA",
    "TracedLoop",
    "call",
    "code_of",
    "name_run",
    "register",
]


_KINDS = {int: "SymInt", bool: "bool", Tensor | None: "Tensor?", float | None: "float?"}
OPTIONS_SCHEMA = ", ".join(f"{_KINDS[t]} {name}" for name, t in get_type_hints(Sequences).items())
"""The options of a run as an operator takes them, in the order of `Sequences`."""

LIBRARY: Any = torch.library.Library("recurra", "FRAGMENT")  # type: ignore[no-untyped-call]
LIBRARY.define(
    f"loop(Tensor[] inputs, Tensor[] states, str key, bool keep, {OPTIONS_SCHEMA}) -> Tensor[]"
)
LIBRARY.define(
    "loop_backward(Tensor[] inputs, Tensor[] tape, Tensor[] gradients, str key, "
    f"{OPTIONS_SCHEMA}) -> Tensor[]"
)
LOOP: Any = torch.ops.recurra.loop
LOOP_BACKWARD: Any = torch.ops.recurra.loop_backward

_CODES: dict[str, LoopCode] = {}


def register(code: LoopCode) -> None:
    """Let programs that torch traces find a loop's code by its key."""
    _CODES[code.key] = code


def code_of(key: str) -> LoopCode:
    """The code of that key. Raises EngineError for a program of a cell not made here yet."""
    if key not in _CODES:
        raise EngineError(
            f"This program runs the cell {key}, which this process doesn't know; make a layer of "
            "it first, and run it once."
        )
    return _CODES[key]


def call(
    code: LoopCode,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    sequences: Sequences,
    *,
    keep: bool,
) -> tuple[Tensor, States, States]:
    """A run through the operator: outputs, last states, the others after each step."""
    found = LOOP(list(inputs), list(states), code.key, keep, *sequences)
    few = len(states)
    others = found[few + 1 : 2 * few] if sequences.every else ()
    return found[0], tuple(found[1 : few + 1]), tuple(others)


def _loop(
    inputs: list[Tensor], states: list[Tensor], key: str, keep: bool, *options: Any
) -> list[Tensor]:
    """Outputs, last states and, with `every`, other states; with `keep` also the tape."""
    code, sequences = code_of(key), Sequences(*options)
    rows = code.rows(inputs, states, sequences)
    run = code.forward(inputs, states, sequences, keep=keep, rows=rows)
    return _apart([run.outputs, *run.last, *run.others, *run.tape], [*inputs, *states])


def _apart(found: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """Tensors each in memory of its own, as an operator must return them.

    Of two that share, the later stays: what is kept is larger than the outputs inside it.
    """
    seen = {t.untyped_storage().data_ptr() for t in given}
    apart: list[Tensor] = []
    for tensor in reversed(found):
        address = tensor.untyped_storage().data_ptr()
        shares = address in seen or tensor.storage_offset() > 0
        apart.append(tensor.clone() if shares else tensor)
        seen.add(address)
    return apart[::-1]


def _fake_loop(
    inputs: list[Tensor], states: list[Tensor], key: str, keep: bool, *options: Any
) -> list[Tensor]:
    code, s = code_of(key), Sequences(*options)
    rows, (batch, size) = code.rows(inputs, states, s), states[0].shape
    y = states[0].new_empty((rows, size) if s.is_packed else (s.steps, batch, size))
    last = [v.new_empty(v.shape) for v in states]
    others = [v.new_empty(s.steps, *v.shape) for v in states[1:]] if s.every else []
    shapes = code.tape_shapes(inputs, states, rows, s) if keep else []
    return [y, *last, *others, *(y.new_empty(shape) for shape in shapes)]


def _loop_backward(
    inputs: list[Tensor], tape: list[Tensor], gradients: list[Tensor], key: str, *options: Any
) -> list[Tensor]:
    """Gradients of all inputs, then of the first states."""
    code = code_of(key)
    firsts = gradients[1 : len(code.graph.states) + 1]
    every = (*inputs, *firsts)
    found = code.backward(inputs, tape, gradients, Sequences(*options), [True] * len(every))
    pairs = zip(every, found, strict=True)
    filled = [torch.zeros_like(t) if g is None else g for t, g in pairs]
    return _apart(filled, [*inputs, *tape, *gradients])


def _fake_loop_backward(
    inputs: list[Tensor], tape: list[Tensor], gradients: list[Tensor], key: str, *options: Any
) -> list[Tensor]:
    few = len(code_of(key).graph.states)
    return [t.new_empty(t.shape) for t in (*inputs, *gradients[1 : few + 1])]


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    given, states, ctx.key, _, *options = inputs
    ctx.sequences = Sequences(*options)._replace(lengths=None, resets=None)
    lengths, resets = Sequences(*options).lengths, Sequences(*options).resets
    ctx.count, ctx.states = len(given), len(states)
    results = (2 if ctx.sequences.every else 1) * len(states) + (not ctx.sequences.every)
    ctx.shapes = [(t.shape, t.new_empty(0)) for t in output[:results]]
    ctx.has = lengths is not None, resets is not None
    masks = [t for t in (lengths, resets) if t is not None]
    ctx.save_for_backward(*masks, *given, *states, *output[results:])


def _derivative(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    saved = list(ctx.saved_tensors)
    lengths, resets = (saved.pop(0) if has else None for has in ctx.has)
    many, few = ctx.count, ctx.states
    inputs, states, tape = saved[:many], saved[many : many + few], saved[many + few :]
    given = [
        like.new_zeros(shape) if g is None else g
        for (shape, like), g in zip(ctx.shapes, gradients, strict=False)
    ]
    sequences = ctx.sequences._replace(lengths=lengths, resets=resets)
    found: Sequence[Tensor | None]
    if are_recorded(given):
        code = code_of(ctx.key)
        found = gradients_of(
            lambda t: code.recorded(t[:many], t[many:], sequences), [*inputs, *states], given
        )
    else:
        found = LOOP_BACKWARD(inputs, tape, given, ctx.key, *sequences)
    return list(found[:many]), list(found[many:]), *([None] * (2 + len(sequences)))


def _no_derivative(ctx: Any, gradients: list[Tensor | None]) -> None:
    raise EngineError(
        "recurra::loop_backward has no derivative of its own; second gradients are those of "
        "recurra::loop, differentiated with create_graph=True."
    )


LIBRARY.impl("loop", _loop, "CPU")
LIBRARY.impl("loop_backward", _loop_backward, "CPU")
torch.library.register_fake("recurra::loop", _fake_loop, lib=LIBRARY)
torch.library.register_fake("recurra::loop_backward", _fake_loop_backward, lib=LIBRARY)
torch.library.register_autograd(
    "recurra::loop", _derivative, setup_context=_keep_for_backward, lib=LIBRARY
)
torch.library.register_autograd("recurra::loop_backward", _no_derivative, lib=LIBRARY)


@register_flop_formula(LOOP, get_raw=True)
def _forward_flops(
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    key: str,
    *_: object,
    out_val: Sequence[Tensor],
) -> int:
    """Operations of `recurra::loop`."""
    return 2 * code_of(key).multiplications(inputs) * prod(out_val[0].shape[:-1])


@register_flop_formula(LOOP_BACKWARD, get_raw=True)
def _backward_flops(
    inputs: Sequence[Tensor],
    tape: Sequence[Tensor],
    gradients: Sequence[Tensor],
    key: str,
    *_: object,
    out_val: Sequence[Tensor],
) -> int:
    """Operations of `recurra::loop_backward`: each product gives those of vector and matrix."""
    return 4 * code_of(key).multiplications(inputs) * prod(gradients[0].shape[:-1])


Run = Callable[[Tensor, Sequence[Tensor], Parameters, Sequences], tuple[Tensor, States]]

_NAMED: dict[str, Run] = {}


def name_run(name: str, run: Run) -> None:
    """Let programs find a cell's run over sequences by that name."""
    _NAMED[name] = run


LIBRARY.define(
    "sequence(Tensor x, Tensor[] states, str[] names, Tensor[] params, str loop, "
    f"{OPTIONS_SCHEMA}) -> Tensor[]"
)


def _sequence(
    x: Tensor,
    states: list[Tensor],
    names: list[str],
    params: list[Tensor],
    loop: str,
    *options: Any,
) -> list[Tensor]:
    if loop not in _NAMED:
        raise EngineError(
            f"This program runs the cell {loop}, which this process doesn't know; compile the "
            "program again where it is to run."
        )
    given: Mapping[str, Tensor] = dict(zip(names, params, strict=True))
    is_torchs = "weight_ih" in given
    y, found = _NAMED[loop](
        x, states, TorchParameters(**given) if is_torchs else given, Sequences(*options)
    )
    return [y, *found]


LIBRARY.impl("sequence", _sequence, "CompositeImplicitAutograd")


@dataclass(frozen=True)
class TracedLoop:
    """A cell's loop as code under torch.compile sees it."""

    name: str

    def choose(self, *_: object) -> TracedLoop:
        """Itself: the engine is chosen when the operator runs."""
        return self

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I): outputs (T, B, size), and last states or those of each step."""
        if isinstance(params, TorchParameters):
            pairs = zip(TorchParameters._fields, params, strict=True)
            params = {name: t for name, t in pairs if t is not None}
        y, *found = torch.ops.recurra.sequence(
            x, list(states), list(params), list(params.values()), self.name, *sequences
        )
        return y, tuple(found)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        _, last = self.sequence(x.reshape(1, -1, x.shape[-1]), rows, params, Sequences(1))
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))

    def stack(self, *_: object) -> None:
        """Layers and directions are traced one after another."""
