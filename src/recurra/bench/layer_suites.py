"""Suites of layers: whole sequences, a user's own cell, single steps, and what remedies cost."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra.nn
from recurra.bench.catalogue import RECURRA, TORCH, WITH, WITHOUT
from recurra.bench.measurement import (
    FORWARD,
    TRAINING,
    Point,
    PointResult,
    SuitePlan,
    forward_run,
    interleaved,
    leaf,
    operations,
    timed,
    training_run,
)
from recurra.cells import PeepholeLSTM
from recurra.nn import LSTM, Recurrent, init
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty

__all__ = [
    "REMEDIES",
    "Contender",
    "EagerPeephole",
    "inference",
    "layers",
    "own",
    "packed",
    "pair",
    "ragged_lengths",
    "remedies",
    "steps",
]


def pair(name: str, size: int) -> dict[str, nn.Module]:
    """torch's layer of that name and Recurra's, with the same weights."""
    theirs, ours = getattr(nn, name)(size, size), getattr(recurra.nn, name)(size, size)
    ours.load_state_dict(theirs.state_dict())
    return {TORCH: theirs, RECURRA: ours}


def layers(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure training steps and forward passes."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _padded(point, plan)


def inference(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure forward passes alone."""
    for layer in plan.layers:
        for point in plan.points(layer):
            if point.work == FORWARD:
                yield _padded(point, plan)


def packed(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure training steps and forward passes of packed sequences of unsorted lengths."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _packed(point, plan)


def _padded(point: Point, plan: SuitePlan) -> PointResult:
    x = leaf(torch.randn(point.steps, point.batch, point.size), point.work, plan)
    runs = {
        name: _run(point.work, module, x, x, lambda y: y)
        for name, module in pair(point.layer, point.size).items()
    }
    return timed(point, runs, _count(point, point.steps * point.batch, plan), plan)


def _packed(point: Point, plan: SuitePlan) -> PointResult:
    lengths = ragged_lengths(point.batch, point.steps)
    padded = torch.randn(point.steps, point.batch, point.size)
    sequences = pack_padded_sequence(padded, lengths, enforce_sorted=False)
    sequences = sequences._replace(data=leaf(sequences.data, point.work, plan))
    runs = {
        name: _run(point.work, module, sequences, sequences.data, lambda y: y.data)
        for name, module in pair(point.layer, point.size).items()
    }
    return timed(point, runs, _count(point, int(lengths.sum()), plan), plan)


def ragged_lengths(batch: int, steps: int) -> Tensor:
    """Lengths drawn evenly from 1 to `steps`, always the same, one of them `steps`."""
    lengths = torch.randint(1, steps + 1, (batch,), generator=torch.Generator().manual_seed(0))
    lengths[batch // 2] = steps
    return lengths


def _run(
    work: str,
    module: nn.Module,
    x: Tensor | PackedSequence,
    data: Tensor,
    outputs: Callable[[Any], Tensor],
) -> Callable[[], None]:
    if work == FORWARD:
        return forward_run(lambda: module(x))
    gradient = torch.randn_like(data)
    return training_run(module, data, lambda: outputs(module(x)[0]), gradient)


def _count(point: Point, rows: int, plan: SuitePlan) -> float:
    return operations(point.layer, point.work, rows, point.size, input_gradient=plan.input_gradient)


def own(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure training steps and forward passes of an LSTM with peepholes."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _own(point, plan)


def _own(point: Point, plan: SuitePlan) -> PointResult:
    ours = Recurrent(PeepholeLSTM, point.size, point.size)
    modules = {
        "eager loop": EagerPeephole(ours),
        RECURRA: ours,
        "Recurra LSTM": LSTM(point.size, point.size),
    }
    x = leaf(torch.randn(point.steps, point.batch, point.size), point.work, plan)
    runs = {name: _run(point.work, module, x, x, lambda y: y) for name, module in modules.items()}
    # The products of peepholes have H operations where others have H * H: they aren't counted.
    return timed(point, runs, _count(point, point.steps * point.batch, plan), plan)


class EagerPeephole(nn.Module):
    """An LSTM with peepholes as a fast loop of torch operations: `y, (h, c) = layer(x)`.

    The products of all gates are one, and those of the input one for all steps. x (T, B, I). The
    weights are copied from `layer`, a `Recurrent(PeepholeLSTM, ...)`.
    """

    W: nn.Parameter
    U: nn.Parameter
    b: nn.Parameter
    p: nn.Parameter

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.hidden_size: int = layer.hidden_size
        weights = {name: value.detach() for name, value in layer.named_parameters()}
        for name in ("W", "U", "b", "p"):
            setattr(self, name, nn.Parameter(weights[f"{name}_l0"].clone()))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (T, B, H) and the last states, from zeros."""
        h = c = x.new_zeros(x.shape[1], self.hidden_size)
        recurrent = self.U.t()
        p_i, p_f, p_o = self.p.chunk(3)
        outputs = []
        for products in nn.functional.linear(x, self.W, self.b).unbind():
            i, f, g, o = torch.addmm(products, h, recurrent).chunk(4, dim=1)
            i, f = torch.addcmul(i, p_i, c).sigmoid(), torch.addcmul(f, p_f, c).sigmoid()
            c = f * c + i * g.tanh()
            o = torch.addcmul(o, p_o, c).sigmoid()
            h = o * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)


STREAMED = "LSTM"
"""The layer whose single step is measured."""


def steps(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure one step of a layer of each size, then a training step of a loop over each cell."""
    if STREAMED in plan.layers:
        for size in plan.grid.sizes:
            yield _one_step(Point(STREAMED, "one step", 1, 1, size), plan)
    for layer in plan.layers:
        for batch, length, size in plan.grid.points():
            point = Point(f"{layer}Cell", "training loop", batch, length, size)
            yield _loop(layer, point, plan)


def _one_step(point: Point, plan: SuitePlan) -> PointResult:
    x, state = torch.randn(1, 1, point.size), torch.randn(2, 1, 1, point.size)
    states = (state[0], state[1])
    runs = {
        name: _step_run(module, x, states) for name, module in pair(STREAMED, point.size).items()
    }
    return timed(point, runs, operations(STREAMED, FORWARD, 1, point.size), plan)


def _step_run(module: nn.Module, x: Tensor, states: tuple[Tensor, Tensor]) -> Callable[[], None]:
    return forward_run(lambda: module(x, states))


def _loop(layer: str, point: Point, plan: SuitePlan) -> PointResult:
    x = leaf(torch.randn(point.steps, point.batch, point.size), TRAINING, plan)
    runs = {
        name: _loop_run(getattr(library, point.layer)(point.size, point.size), x)
        for name, library in ((TORCH, nn), (RECURRA, recurra.nn))
    }
    rows = point.steps * point.batch
    wanted = plan.input_gradient
    count = operations(layer, TRAINING, rows, point.size, input_gradient=wanted)
    return timed(point, runs, count, plan)


def _loop_run(cell: nn.Module, x: Tensor) -> Callable[[], None]:
    def outputs() -> Tensor:
        state: Any = None
        hidden = []
        for row in x:
            state = cell(row, state)
            hidden.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(hidden)

    return training_run(cell, x, outputs, torch.randn_like(x))


Penalty = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """A layer to be trained: its difference from a plain one, and the base it is measured against.

    `start` changes its parameters, `penalty` is added to the loss, `layers` are the layers that the
    remedy is for, and `cell` replaces their cell.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    start: Callable[[Recurrent], object] | None = None
    penalty: Penalty | None = None
    has_resets: bool = False
    cell: str | None = None
    layers: tuple[str, ...] = ("LSTM", "GRU")
    against: str = "plain"


BASES = {
    "plain": Contender(),
    "two layers": Contender({"num_layers": 2}),
    "resets": Contender(has_resets=True),
}


def _start(layer: Recurrent) -> None:
    init.orthogonal_(layer)
    init.chrono_(layer, 128)


REMEDIES = {
    "dropout": Contender({"num_layers": 2, "dropout": 0.3}, against="two layers"),
    "input dropout": Contender({"input_dropout": 0.3}),
    "state dropout": Contender({"state_dropout": 0.3}),
    "output dropout": Contender({"output_dropout": 0.3}),
    "recurrent dropout": Contender({"recurrent_dropout": 0.3}),
    "weight drop": Contender({"weight_drop": 0.5}),
    "zoneout": Contender({"zoneout": 0.1}),
    "activation penalty": Contender(penalty=activation_penalty),
    "temporal penalty": Contender(penalty=temporal_activation_penalty),
    "learnt start": Contender({"learn_initial_state": True}),
    "learnt, resets": Contender({"learn_initial_state": True}, has_resets=True, against="resets"),
    "initialisation": Contender(start=_start),
    "norm by gate": Contender(cell="lstm_layernorm", layers=("LSTM",)),
    "norm over gates": Contender(cell="lstm_layernorm_joint", layers=("LSTM",)),
}
"""The remedies by name. Initialisations have one row: they cost a training step nothing."""


def remedies(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure training steps, each remedy in turn with the same layer without it."""
    for layer in plan.layers:
        for batch, steps, size in plan.grid.points():
            for name, contender in REMEDIES.items():
                if layer in contender.layers:
                    yield _row(contender, Point(layer, name, batch, steps, size), plan)


def _row(contender: Contender, point: Point, plan: SuitePlan) -> PointResult:
    x = leaf(torch.randn(point.steps, point.batch, point.size), TRAINING, plan)
    pair = {WITHOUT: BASES[contender.against], WITH: contender}
    runs = {name: _remedy_run(each, point, x) for name, each in pair.items()}
    # One pair at a time: with all remedies in turn, minutes would pass between the two.
    return PointResult(point, interleaved(runs, rounds=plan.rounds, warmup=plan.warmup))


def _remedy_run(contender: Contender, point: Point, x: Tensor) -> Callable[[], None]:
    """A forward and backward pass from dL/dy, and from the penalty if there is one."""
    cell = contender.cell or point.layer.lower()
    module = Recurrent(cell, point.size, point.size, **contender.options)
    if contender.start is not None:
        contender.start(module)
    penalty, gradient = contender.penalty, torch.randn_like(x)
    resets = _resets(point) if contender.has_resets else None

    def run() -> None:
        y, _ = module(x, resets=resets)
        ends = (y,) if penalty is None else (y, penalty(y))
        torch.autograd.backward(ends, (gradient, None)[: len(ends)])
        module.zero_grad(set_to_none=True)
        x.grad = None

    return run


def _resets(point: Point) -> Tensor:
    """Reset marks (T, B), about one step in 16, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(point.steps, point.batch, generator=generator) < 1 / 16
