"""Programs of the modules that networks are made of."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.frontends import (
    FilteredFrontEnd,
    PlaneFrontEnd,
    SequenceFrontEnd,
    WordFrontEnd,
)
from recurra.nn.frontends.convolutions import CausalConvolution, FrontEnd, RaggedNorm
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.pooling import Pooling
from recurra.nn.program.builder import ProgramBuilder
from recurra.nn.program.program import Recurrence, Value
from recurra.nn.stack.block import Dense, Highway, NoSkip, Residual, StackBlock
from recurra.nn.stack.layer import Bidirectional
from recurra.nn.stack.lookback import Dilated, TimeSkip
from recurra.nn.stack.stack import Stack

__all__ = ["lowered"]


@functools.singledispatch
def lowered(module: nn.Module, build: ProgramBuilder, x: Value) -> Value:
    """What a module makes of a value, as operations.

    Raises ConfigError for a module that has none.
    """
    raise ConfigError(
        f"{type(module).__name__} can't be exported: only recurrent layers, stacks, front ends, "
        "poolings, embeddings, linear layers and normalisations can."
    )


@lowered.register
def _(module: nn.Dropout, build: ProgramBuilder, x: Value) -> Value:
    return x


@lowered.register
def _(module: nn.Identity, build: ProgramBuilder, x: Value) -> Value:
    return x


@lowered.register
def _(module: nn.Tanh, build: ProgramBuilder, x: Value) -> Value:
    return build.activation("tanh", x)


@lowered.register
def _(module: nn.Sequential, build: ProgramBuilder, x: Value) -> Value:
    for part in module:
        x = lowered(part, build, x)
    return x


@lowered.register
def _(module: nn.Linear, build: ProgramBuilder, x: Value) -> Value:
    return build.linear(x, module.weight, module.bias)


@lowered.register
def _(module: nn.LayerNorm, build: ProgramBuilder, x: Value) -> Value:
    return build.normalise(x, module.weight, module.bias, module.eps)


@lowered.register
def _(module: nn.Embedding, build: ProgramBuilder, x: Value) -> Value:
    return build.embedding(x, module.weight)


@lowered.register
def _(module: Recurrent, build: ProgramBuilder, x: Value) -> Value:
    both = 2 if module.bidirectional else 1
    directions = _recurrences(module)
    for layer in range(0, len(directions), both):
        parts = [build.recurrence(x, own) for own in directions[layer : layer + both]]
        x = build.concatenate(*parts)
    return x


@lowered.register
def _(module: Dilated, build: ProgramBuilder, x: Value) -> Value:
    return build.recurrence(x, _lookback(module, reverse=False))


@lowered.register
def _(module: TimeSkip, build: ProgramBuilder, x: Value) -> Value:
    return build.recurrence(x, _lookback(module, reverse=False))


@lowered.register
def _(module: Bidirectional, build: ProgramBuilder, x: Value) -> Value:
    ahead = build.recurrence(x, _lookback(module.ahead, reverse=False))
    return build.concatenate(ahead, build.recurrence(x, _lookback(module.back, reverse=True)))


@lowered.register
def _(module: Stack, build: ProgramBuilder, x: Value) -> Value:
    for block in module.blocks:
        assert isinstance(block, StackBlock)
        y = lowered(block.layer, build, lowered(block.before, build, x))
        x = _skipped(block.skip, build, x, y, block.after)
    return lowered(module.after, build, x)


@lowered.register
def _(module: WordFrontEnd, build: ProgramBuilder, x: Value) -> Value:
    steps = build.embedding(build.columns(x, 0, 1), module.tokens.weight)
    if module.letters is None:
        return steps
    letters = build.columns(x, 1, x.size)
    spelt = build.spelling(letters, module.letters.weight, list(module.spellings))
    return build.concatenate(steps, spelt)


@lowered.register
def _(module: SequenceFrontEnd, build: ProgramBuilder, x: Value) -> Value:
    return _convolved(module, build, x, 1)


@lowered.register
def _(module: PlaneFrontEnd, build: ProgramBuilder, x: Value) -> Value:
    return _convolved(module, build, x, x.size)


@lowered.register
def _(module: FilteredFrontEnd, build: ProgramBuilder, x: Value) -> Value:
    steps = lowered(module.front, build, x)
    filtered = build.convolution(x, module.weight, module.bias, causal=True, relu=False)
    return build.concatenate(steps, filtered)


@lowered.register
def _(module: Pooling, build: ProgramBuilder, x: Value) -> Value:
    scores = None if module.score is None else lowered(module.score, build, x)
    return build.pool(x, module.kind, bidirectional=module.bidirectional, scores=scores)


def _convolved(front: FrontEnd, build: ProgramBuilder, x: Value, features: int) -> Value:
    """The blocks of a front end, their normalisation folded into the convolutions."""
    layers = zip(front.blocks, front.convolutions, front.norms, strict=True)
    for block, convolution, norm in layers:
        weight = convolution.weight
        assert isinstance(weight, Tensor)
        assert isinstance(norm, RaggedNorm)
        scale, shift = norm.folded()
        x = build.convolution(
            x,
            weight * scale.view(-1, *[1] * (weight.dim() - 1)),
            shift,
            causal=isinstance(convolution, CausalConvolution),
            features=features,
            pool=(block.steps, block.features if features > 1 else 1),
        )
        features = -(-features // block.features) if features > 1 else 1
    return x


def _skipped(skip: NoSkip, build: ProgramBuilder, x: Value, y: Value, norm: nn.Module) -> Value:
    """The next layer's input, as the `forward` of the connection has it."""
    if isinstance(skip, Dense):
        return build.concatenate(x, lowered(norm, build, y))
    if isinstance(skip, Highway):
        gate = build.activation("sigmoid", lowered(skip.gate, build, x))
        kept = build.multiply(lowered(skip.projection, build, x), build.complement(gate))
        return lowered(norm, build, build.add(build.multiply(y, gate), kept))
    if isinstance(skip, Residual):
        return lowered(norm, build, build.add(lowered(skip.projection, build, x), y))
    return lowered(norm, build, y)


def _recurrences(module: Recurrent) -> list[Recurrence]:
    """The layers and directions of a module, in order."""
    found = []
    starts = module.learnt_states() if module.learn_initial_state else ()
    for number, (graph, params, givens) in enumerate(module.evaluated()):
        if starts:
            initial = tuple(_own(start[number]) for start in starts)
        else:
            initial = tuple(torch.zeros(size) for size in module.state_sizes)
        layer, direction = divmod(number, 2 if module.bidirectional else 1)
        found.append(
            Recurrence(
                name=f"{graph.cell}, layer {layer}" + (", from the end" if direction else ""),
                graph=graph,
                params={name: _own(value) for name, value in params.items()},
                givens=givens,
                state_sizes=tuple(module.state_sizes),
                initial=initial,
                reverse=direction == 1,
            )
        )
    return found


def _lookback(module: Dilated | TimeSkip, *, reverse: bool) -> Recurrence:
    skip = module.time_skip if isinstance(module, TimeSkip) else 0
    inner = module.layer if isinstance(module, TimeSkip) else module
    dilation = inner.dilation if isinstance(inner, Dilated) else 1
    layer = inner.layer if isinstance(inner, Dilated) else inner
    (own,) = _recurrences(layer)
    fields = {**vars(own), "reverse": reverse, "dilation": dilation, "time_skip": skip}
    return Recurrence(**fields)


def _own(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float32).contiguous()
