"""Every named value of a layer's equations, at every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.ir import Graph, Node, in_order
from recurra.nn.observe.recording import LayerRun, position, recording
from recurra.ragged import within

__all__ = ["Trace", "Values", "trace_layers", "traced"]

Values = dict[str, Tensor]
Key = str | tuple[str, int] | tuple[str, int, int]


class Trace(Mapping[Any, Tensor]):
    """The values of a run by name: `trace["i"]`, `trace["i", layer]`, `trace["i", layer, 1]`.

    Each is (T, B, size), or laid out as the layer's input; NaN after a sequence's end. Names are
    those assigned in the cell's `step`; a name assigned twice is that of the later value. "x" is
    the layer's input, and a state's name its value after the step. The layer may be left out if
    there is one, and the direction (0 forward, 1 backward) if there is one, as in the keys.
    Matrices made of parameters alone have no value at each step, so they are left out.
    """

    def __init__(self, layers: Sequence[Sequence[Values]]) -> None:
        self.layers: tuple[tuple[Values, ...], ...] = tuple(
            tuple(directions) for directions in layers
        )

    def __getitem__(self, key: Key) -> Tensor:
        name, layer, direction = self._whole(key)
        if not -len(self.layers) <= layer < len(self.layers):
            raise KeyError(f"there is no layer {layer}; the trace has {len(self.layers)}")
        directions = self.layers[layer]
        if direction is None and len(directions) > 1:
            raise KeyError(
                f"layer {layer} has 2 directions; ask for trace[{name!r}, {layer}, 0] or "
                f"trace[{name!r}, {layer}, 1]"
            )
        if (direction or 0) not in range(len(directions)):
            raise KeyError(f"layer {layer} has {len(directions)} directions, got {direction}")
        values = directions[direction or 0]
        if name not in values:
            raise KeyError(f"layer {layer} has no value {name!r}; it has {', '.join(values)}")
        return values[name]

    def __iter__(self) -> Iterator[Key]:
        for index, directions in enumerate(self.layers):
            for direction, values in enumerate(directions):
                for name in values:
                    if len(directions) > 1:
                        yield name, index, direction
                    else:
                        yield (name, index) if len(self.layers) > 1 else name

    def __len__(self) -> int:
        return sum(len(values) for directions in self.layers for values in directions)

    def __repr__(self) -> str:
        return f"Trace({', '.join(map(str, self))})"

    def _whole(self, key: Key) -> tuple[str, int, int | None]:
        if isinstance(key, str):
            if len(self.layers) > 1:
                raise KeyError(
                    f"the trace has {len(self.layers)} layers; ask for trace[{key!r}, layer]"
                )
            return key, 0, None
        if not isinstance(key, tuple) or len(key) not in (2, 3) or not isinstance(key[0], str):
            raise KeyError(f"{key!r} must be a name, (name, layer) or (name, layer, direction)")
        return (*key, None) if len(key) == 2 else key


def trace_layers(
    module: nn.Module,
    layers: Sequence[nn.Module],
    input: Tensor,
    states: object,
    lengths: Tensor | Sequence[int] | None,
    resets: Tensor | None,
) -> Trace:
    """The trace of one run of `module`, which runs `layers` one after another.

    Raises TypeError for a packed sequence.
    """
    if isinstance(input, PackedSequence):
        raise TypeError("trace takes a padded input and its lengths, got a PackedSequence")
    with torch.no_grad(), recording() as recorder:
        module(input, states, lengths=lengths, resets=resets)
    is_batched = input.dim() == 3
    is_turned = bool(module.batch_first) and is_batched
    steps = input.shape[1 if is_turned else 0]
    ends = None if lengths is None else torch.as_tensor(lengths).reshape(-1)
    runs = iter(recorder.runs)
    values = [ways for layer in layers for ways in traced(layer, runs, steps, ends)]

    def laid_out(value: Tensor) -> Tensor:
        if ends is not None:
            ended = ~within(ends, steps, value.device)
            value = value.masked_fill(ended.unsqueeze(-1), torch.nan)
        value = value.transpose(0, 1) if is_turned else value
        return value if is_batched else value.squeeze(1)

    return Trace([[{k: laid_out(v) for k, v in way.items()} for way in ways] for ways in values])


def traced(
    layer: nn.Module, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None
) -> list[list[Values]]:
    """Values (T, B, size) of a module's layers and their directions, from its recorded runs."""
    own = getattr(layer, "traced", None)
    if callable(own):
        return [own(runs, steps, lengths)]
    ways = 2 if layer.bidirectional else 1
    return [
        [_values(next(runs)) for _ in range(ways)] for _ in range(cast("int", layer.num_layers))
    ]


@torch.no_grad()
def _values(run: LayerRun) -> Values:
    """The values (T, B, size) of a run by name."""
    nodes = _nodes_by_name(run.graph)
    before = [torch.stack(s) for s in zip(*run.before, strict=True)]
    values = run.cell.evaluate(tuple(nodes.values()), run.inputs, run.params, before)
    # A value that depends on neither input nor state has no steps, and a learnt number no size.
    vectors = (v.unsqueeze(0) if v.dim() == 0 else v for v in values)
    by_name = {k: v.expand(*run.active.shape, -1) for k, v in zip(nodes, vectors, strict=True)}
    return {"x": run.inputs} | by_name


def _nodes_by_name(graph: Graph) -> dict[str, Node]:
    """The values of a step by name; of two with one name the later."""
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if node.name is None or node.op in _LEAVES or len(node.shape) > 1:
            continue
        if node.name not in nodes or _is_later(node, nodes[node.name]):
            nodes[node.name] = node
    nodes |= zip(graph.states, graph.results, strict=True)
    return dict(sorted(nodes.items(), key=lambda item: position(item[1])))


_LEAVES = ("input", "state", "param", "const")


def _is_later(node: Node, other: Node) -> bool:
    """True if a value was made of another, or its expression stands further down."""
    if other in in_order((node,)):
        return True
    return position(node) > position(other)
