"""Recurrent modules whose steps come one after another: states carried, weights copied once."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from ctypes import memmove
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.acceleration import accelerate
from recurra.nn.execute import StepRun
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.layers.rnn_base import RNNBase
from recurra.nn.states import State, concatenate, detach, reorder, tensors_of

__all__ = ["ModuleSteps", "steps_of"]


class ModuleSteps(ABC):
    """The steps of a module for a batch of sequences, each continued by the next.

    The module is in evaluation mode, and its weights are copies.
    """

    module: nn.Module
    batch: int
    dtype: torch.dtype
    device: torch.device
    input_size: int
    output_size: int

    def __init__(self, module: nn.Module, batch: int) -> None:
        self.module, self.batch = module, batch
        weight = next(module.parameters())
        self.dtype, self.device = weight.dtype, weight.device
        size: Any = module.input_size
        self.input_size = int(size)
        self._row = torch.Size((batch, self.input_size))
        self.output_size = 0

    def feed(self, x: Tensor) -> Tensor:
        """Outputs (T, B, O) of the next steps (T, B, I): those that the whole sequence has there.

        Raises ValueError for another shape, dtype or device.
        """
        self._check(x, "(T, B, I)", 3)
        return self._feed(x)

    def step(self, x: Tensor) -> Tensor:
        """The output (B, O) of the next step (B, I); ValueError as for `feed`."""
        if x.shape != self._row or x.dtype is not self.dtype or x.device != self.device:
            self._check(x, "(B, I)", 2)
        return self._step(x)

    def step_rows(self, x: Tensor, rows: Tensor) -> Tensor:
        """The outputs (K, O) of one step (K, I) of some sequences, `rows` (K,) of the batch.

        The others stay where they are. ValueError as for `feed`.
        """
        if x.shape != (len(rows), self.input_size):
            raise ValueError(
                f"A step of {len(rows)} sequences is given as {tuple(x.shape)}; it is "
                f"({len(rows)}, {self.input_size})."
            )
        self._check_kind(x)
        return self._step_rows(x, rows)

    def _check(self, x: Tensor, form: str, axes: int) -> None:
        if x.dim() != axes or x.shape[-2:] != self._row:
            raise ValueError(
                f"Steps are given as {tuple(x.shape)}; they are {form} with B = {self.batch} and I "
                f"= {self.input_size}."
            )
        self._check_kind(x)

    def _check_kind(self, x: Tensor) -> None:
        if x.dtype is not self.dtype or x.device != self.device:
            raise ValueError(
                f"Steps are {x.dtype} on {x.device}, and the weights {self.dtype} on "
                f"{self.device}; bring them there: x.to({self.dtype})."
            )

    @abstractmethod
    def _feed(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _step(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _step_rows(self, x: Tensor, rows: Tensor) -> Tensor: ...

    @abstractmethod
    def state(self, rows: Tensor | None = None) -> State:
        """The states that the next step starts from, of all sequences or of `rows`, copied.

        Tensors have the batch in axis 1.
        """

    @abstractmethod
    def set_state(self, state: State, rows: Tensor | None = None) -> None:
        """Go on from what `state` gave, with all sequences or with `rows`."""

    @abstractmethod
    def reset(self, rows: Tensor | None = None) -> None:
        """Begin new sequences, all of them or `rows` of the batch."""

    @abstractmethod
    def refresh(self, module: nn.Module) -> None:
        """Take over the weights of the module as they are now; states stay."""


def steps_of(
    module: nn.Module, batch: int = 1, *, chunk: int = 64, quantize: bool = False
) -> ModuleSteps:
    """The steps of a layer or a stack, by code that is made for them where there is any.

    module: Recurra's layers and stacks, torch's recurrent layers, or any module that is called with
    (input (T, B, I), states) and gives outputs and states.
    chunk: steps that are run at once, for which memory is kept; more are cut.
    quantize: matrices as int8 with a scale for each row, the vectors that they multiply as int8
    with a scale for each step; sums, biases, states and all else stay float32.

    Raises ConfigError for one that reads its sequences from the end as well; with `quantize`, for
    one that isn't a float32 layer of a cell, without zoneout, on the CPU engine. EngineError for a
    cell that multiplies its input alone.
    """
    if reading := [name for name, part in module.named_modules() if _is_bidirectional(part)]:
        raise ConfigError(
            f"{reading[0] or type(module).__name__} is bidirectional: its outputs depend on steps "
            "that are yet to come, so it has no stream; train one with bidirectional = false."
        )
    holder = nn.ModuleList([copy.deepcopy(module).eval()])
    accelerate(holder)
    (own,) = holder
    if not hasattr(own, "input_size"):
        raise ConfigError(
            f"{type(own).__name__} has no input_size, so it isn't known what a step is; give a "
            "recurrent layer, a stack, or a module that has it."
        )
    if batch < 1:
        raise ConfigError(f"batch = {batch}; it must be at least 1.")
    runs: list[StepRun] | None = None
    if isinstance(own, (RNNBase, Recurrent)):
        if quantize and next(own.parameters()).dtype is not torch.float32:
            raise ConfigError(
                f"quantize is for float32 weights, and these are {next(own.parameters()).dtype}; "
                "convert the module: module.float()."
            )
        runs = own.step_runs(batch, chunk, quantize=quantize)
    if quantize and runs is None:
        raise ConfigError(
            f"{type(own).__name__} has no compiled steps, so its weights can't be int8; give a "
            "layer of recurra.nn (or torch.nn) without zoneout, on the CPU, or leave quantize out."
        )
    return _CalledSteps(own, batch) if runs is None else _CompiledSteps(own, batch, runs)


def _is_bidirectional(module: nn.Module) -> bool:
    return getattr(module, "bidirectional", False) is True


class _CompiledSteps(ModuleSteps):
    """Steps by the code of an engine, one run for each layer.

    States lie in the runs' memory, or, where some of the sequences are stepped, in `_kept`.
    """

    def __init__(self, module: nn.Module, batch: int, runs: list[StepRun]) -> None:
        super().__init__(module, batch)
        self._runs, self._inputs = runs, runs[0].inputs
        self._first, self._output = self._inputs[0], runs[-1].outputs[0]
        self.output_size = self._output.shape[-1]
        self._place, self._size = self._first.data_ptr(), self._first.nbytes
        self._kept: list[tuple[Tensor, ...]] | None = None
        self._initial = self._starts()
        self.reset()

    def _starts(self) -> list[tuple[Tensor, ...]]:
        """The initial states of each layer, (size,) each."""
        own: Any = self.module
        learnt = own.learnt_states() if getattr(own, "learn_initial_state", False) else ()
        if learnt:
            each = zip(*(state.detach().unbind() for state in learnt), strict=True)
            return [tuple(states) for states in each]
        return [tuple(s.new_zeros(s.shape[-1]) for s in run.states) for run in self._runs]

    def _feed(self, x: Tensor) -> Tensor:
        self._settle()
        outputs = self._output.new_empty(len(x), *self._output.shape)
        most = len(self._inputs)
        for begin in range(0, len(x), most):
            part = x[begin : begin + most].detach()
            count = len(part)
            self._inputs[:count] = part
            for run in self._runs:
                run.run(count)
            outputs[begin : begin + count] = self._runs[-1].outputs[:count]
        return outputs

    def _step(self, x: Tensor) -> Tensor:
        if self._kept is not None:
            self._settle()
        if x.is_contiguous():
            memmove(self._place, x.data_ptr(), self._size)
        else:
            self._first.copy_(x.detach())
        for run in self._runs:
            run.run(1)
        return self._output.clone()

    def _step_rows(self, x: Tensor, rows: Tensor) -> Tensor:
        if self._kept is None:
            self._kept = [tuple(state.clone() for state in run.states) for run in self._runs]
        count = len(rows)
        self._first[:count] = x.detach()
        for run, kept in zip(self._runs, self._kept, strict=True):
            for own, whole in zip(run.first_states(), kept, strict=True):
                torch.index_select(whole, 0, rows, out=own[:count])
            run.run_rows(count)
            for own, whole in zip(run.states, kept, strict=True):
                whole.index_copy_(0, rows, own[:count])
        return self._output[:count].clone()

    def _settle(self) -> None:
        """Bring the states back into the runs' memory."""
        if self._kept is None:
            return
        for run, kept in zip(self._runs, self._kept, strict=True):
            for own, whole in zip(run.first_states(), kept, strict=True):
                own.copy_(whole)
        self._kept = None

    @property
    def _states(self) -> list[tuple[Tensor, ...]]:
        """The memory of the states, (B, size) each, layer by layer."""
        return [run.states for run in self._runs] if self._kept is None else self._kept

    def state(self, rows: Tensor | None = None) -> State:
        """The states that the next step starts from, (L, B, size) for each of the cell's."""
        chosen = slice(None) if rows is None else rows
        by_state = zip(*self._states, strict=True)
        return tuple(torch.stack([own[chosen] for own in each]) for each in by_state)

    def set_state(self, state: State, rows: Tensor | None = None) -> None:
        """Go on from what `state` gave, with all sequences or with `rows`."""
        given = tensors_of(state)
        for layer, states in enumerate(self._states):
            for own, value in zip(states, given, strict=True):
                own[slice(None) if rows is None else rows] = value[layer]

    def reset(self, rows: Tensor | None = None) -> None:
        """Begin new sequences, all of them or `rows` of the batch."""
        for states, starts in zip(self._states, self._initial, strict=True):
            for own, start in zip(states, starts, strict=True):
                own[slice(None) if rows is None else rows] = start

    def refresh(self, module: nn.Module) -> None:
        """Take over the weights of the module as they are now; states stay."""
        self.module.load_state_dict(module.state_dict())
        self._initial = self._starts()
        own: Any = self.module
        for run, params in zip(self._runs, own.layer_parameters(), strict=True):
            run.refresh(params)


class _CalledSteps(ModuleSteps):
    """Steps by calls of the module, whose states are whatever it gives.

    `_fresh` (1, B, 1) marks sequences that have not begun: they are called without states.
    """

    def __init__(self, module: nn.Module, batch: int) -> None:
        super().__init__(module, batch)
        self._batch_first = getattr(module, "batch_first", False) is True
        self._state: State = None
        self._fresh = torch.ones(1, batch, 1, dtype=torch.bool, device=self.device)
        self._every = torch.arange(batch, device=self.device)
        zeros = torch.zeros(1, 1, self.input_size, dtype=self.dtype, device=self.device)
        self.output_size = self._call(zeros, None)[0].shape[-1]

    def _feed(self, x: Tensor) -> Tensor:
        return self._advance(x, self._every)

    def _step(self, x: Tensor) -> Tensor:
        return self._advance(x.unsqueeze(0), self._every)[0]

    def _step_rows(self, x: Tensor, rows: Tensor) -> Tensor:
        return self._advance(x.unsqueeze(0), rows)[0]

    def _advance(self, x: Tensor, rows: Tensor) -> Tensor:
        """The outputs (T, K, O) of steps (T, K, I) of some sequences."""
        is_fresh = self._fresh[0, rows, 0]
        order = is_fresh.argsort(descending=True, stable=True)
        begun = int(is_fresh.sum())
        parts = []
        for chosen, is_new in ((order[:begun], True), (order[begun:], False)):
            if len(chosen):
                before = None if is_new else reorder(self._state, rows[chosen])
                parts.append(self._call(x[:, chosen], before))
        back = order.argsort()
        outputs = torch.cat([y for y, _ in parts], 1)[:, back]
        self._put(reorder(concatenate([state for _, state in parts]), back), rows)
        self._fresh[0, rows, 0] = False
        return outputs

    @torch.no_grad()
    def _call(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = x.transpose(0, 1) if self._batch_first else x
        found = self.module(x, state)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ConfigError(
                f"{type(self.module).__name__} doesn't give outputs and states when it is called "
                "with (input, states), so its steps can't be continued; give one that does."
            )
        outputs, state = found
        return (outputs.transpose(0, 1) if self._batch_first else outputs), detach(state)

    def _put(self, state: State, rows: Tensor) -> None:
        if len(rows) == self.batch and rows is self._every:
            self._state = state
            return
        if self._state is None:
            self._state = reorder(state, torch.zeros_like(self._every))
        for own, new in zip(tensors_of(self._state), tensors_of(state), strict=True):
            own.index_copy_(1, rows, new)

    def state(self, rows: Tensor | None = None) -> State:
        """What the module gave last, and which sequences have not begun."""
        return reorder((self._state, self._fresh), self._every if rows is None else rows)

    def set_state(self, state: State, rows: Tensor | None = None) -> None:
        """Go on from what `state` gave, with all sequences or with `rows`."""
        assert isinstance(state, tuple)
        given, fresh = state
        assert isinstance(fresh, Tensor)
        chosen = self._every if rows is None else rows
        self._fresh[0, chosen] = fresh[0].to(torch.bool)
        if given is not None:
            self._put(reorder(given, torch.arange(len(chosen), device=self.device)), chosen)

    def reset(self, rows: Tensor | None = None) -> None:
        """Begin new sequences, all of them or `rows` of the batch."""
        self._fresh[:, slice(None) if rows is None else rows] = True

    def refresh(self, module: nn.Module) -> None:
        """Take over the weights of the module as they are now; states stay."""
        self.module.load_state_dict(module.state_dict())
