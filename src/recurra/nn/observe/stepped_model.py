"""Records a loop that a model has of its own, by the submodule or method that computes a step."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from recurra.errors import InsightError
from recurra.ir import Graph, Node, Size
from recurra.nn.observe.observer import Observer, observing
from recurra.nn.observe.recording import LayerRun
from recurra.nn.states import States, tensors_of

__all__ = ["StepRecorder", "recording_steps"]


class _Step(nn.Module):
    """A step of the model's own, called as a module so that its parameters can be replaced."""

    def __init__(self, owner: nn.Module, method: str) -> None:
        super().__init__()
        self.owner: nn.Module = owner
        self.method: str = method

    def forward(self, x: Tensor, *states: Any) -> Any:
        """Whatever the step gives."""
        return getattr(self.owner, self.method)(x, *states)


@dataclass(eq=False)
class _StepCell:
    """The cell of such a loop: it has states, and no equation is known.

    `is_pair`: the step takes its states as one tuple. `outputs` are the results before the states.
    """

    graph: Graph
    called: _Step
    is_pair: bool
    outputs: int

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: the new states from x (..., I) and states (..., size)."""
        is_single = x.dim() == 1
        if is_single:
            x, states = x.unsqueeze(0), [state.unsqueeze(0) for state in states]
        args = (tuple(states),) if self.is_pair else tuple(states)
        new = tensors_of(functional_call(self.called, dict(params), (x, *args)))[self.outputs :]
        return tuple(state.squeeze(0) for state in new) if is_single else tuple(new)

    def widened(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, Sequence[Tensor], Mapping[str, Tensor]]:
        """The tensors as they are."""
        return x, states, params

    def evaluate(
        self,
        nodes: Sequence[Node],
        x: Tensor,
        params: Mapping[str, Tensor],
        states: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """No value of the step is known by name."""
        assert not nodes
        return []


@dataclass
class _Call:
    x: Tensor
    states: list[Tensor]
    is_pair: bool
    results: list[Tensor]


@dataclass(eq=False)
class StepRecorder:
    """The calls of a step in one run of a model; none without a step."""

    name: str = ""
    called: _Step | None = None
    calls: list[_Call] = field(default_factory=list)

    def record(self, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Note one call."""
        if kwargs or not args or not isinstance(args[0], Tensor):
            raise self._error("takes its input and then its states, by position")
        x, rest = args[0], args[1:]
        states, results = tensors_of(list(rest)), tensors_of(result)
        is_pair = bool(rest) and not isinstance(rest[0], Tensor) and rest[0] is not None
        if x.dim() != 2 or not x.is_floating_point():
            raise self._error("has an input (B, I) of floating numbers")
        self.calls.append(_Call(x, states, is_pair, results))

    def runs(self) -> list[LayerRun]:
        """One run for each sequence, in order."""
        found: list[LayerRun] = []
        pieces = self._pieces()
        for index, piece in enumerate(pieces):
            name = self.name if index == 0 else f"{self.name} (call {index + 1})"
            found.append(self._run(name, piece))
        if len(pieces) > 1 and all(len(piece) == 1 for piece in pieces):
            raise self._error("gets the states that its call before returned, unchanged")
        return found

    def _pieces(self) -> list[list[_Call]]:
        """The calls of each sequence: of one, a row's states are those before, or kept."""
        count = next((len(c.states) for c in self.calls if c.states), None)
        pieces: list[list[_Call]] = []
        for call in self.calls:
            if count is not None and not call.states:
                call.states = [torch.zeros_like(r) for r in call.results[-count:]]
            elif count is None:
                call.states = [torch.zeros_like(r) for r in call.results]
            self._check(call)
            if pieces and bool(_continues(pieces[-1][-1], call).any()):
                pieces[-1].append(call)
            else:
                pieces.append([call])
        # States that a step makes itself are given as its other calls give theirs.
        is_pair = any(call.is_pair for call in self.calls)
        for call in self.calls:
            call.is_pair = is_pair
        return pieces

    def _check(self, call: _Call) -> None:
        extra = len(call.results) - len(call.states)
        after = call.results[max(extra, 0) :]
        same = [s.shape for s in call.states] == [s.shape for s in after]
        if extra not in (0, 1) or not same or any(state.dim() != 2 for state in after):
            raise self._error(
                "returns its new states (B, size), as many as it was given, after one output or "
                "none"
            )

    def _run(self, name: str, calls: Sequence[_Call]) -> LayerRun:
        assert self.called is not None
        first = calls[0]
        count = len(first.states)
        outputs = len(first.results) - count
        words = tuple(f"s{k + 1}" for k in range(count)) if count > 1 else ("s",)
        sizes = tuple(Size(f"{word}_size") for word in words)
        leaves = tuple(
            Node("state", (), word, (size,)) for word, size in zip(words, sizes, strict=True)
        )
        graph = Graph(type(self.called.owner).__name__, words, (), sizes, (), leaves)
        tensors = {**dict(self.called.named_parameters()), **dict(self.called.named_buffers())}
        params = {n: v.detach() for n, v in tensors.items() if v.is_floating_point()}
        before: list[States] = [tuple(call.states) for call in calls]
        after: list[States] = [tuple(call.results[outputs:]) for call in calls]
        active = [~_kept(call, later) for call, later in itertools.pairwise(calls)]
        # Nothing comes after the last call: who was held before it is still held.
        active.append(active[-1] if active else _rows(first))
        inputs = torch.stack([call.x.detach() for call in calls])
        return LayerRun(
            name=name,
            cell=_StepCell(graph, self.called, first.is_pair, outputs),
            reverse=False,
            inputs=inputs,
            params=params,
            active=torch.stack(active),
            begins=torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.device),
            before=before,
            after=after,
        )

    def _error(self, wanted: str) -> InsightError:
        return InsightError(
            f"step = {self.name!r} can't be inspected: a step {wanted}; move what is between two "
            "steps into it, or write it so."
        )


def _rows(call: _Call) -> Tensor:
    return torch.ones(len(call.x), dtype=torch.bool, device=call.x.device)


def _equal(states: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """The rows (B,) whose states are equal."""
    each = [(s == o).all(-1) for s, o in zip(states, others, strict=True)]
    return torch.stack(each).all(0)


def _continues(call: _Call, later: _Call) -> Tensor:
    """The rows of a later call that start with the states that a call gave, or was given."""
    if len(call.x) != len(later.x) or len(call.states) != len(later.states):
        return torch.zeros(1, dtype=torch.bool)
    return _equal(_new(call), later.states) | _kept(call, later)


def _kept(call: _Call, later: _Call) -> Tensor:
    """The rows that a mask has held: the later call gets the states from before this one."""
    is_new = _equal(_new(call), later.states)
    is_moved = torch.stack([(s != 0).any(-1) for s in call.states]).any(0)
    return _equal(call.states, later.states) & ~is_new & is_moved


def _new(call: _Call) -> list[Tensor]:
    return call.results[len(call.results) - len(call.states) :]


@contextlib.contextmanager
def recording_steps(model: nn.Module, step: str | None) -> Iterator[StepRecorder]:
    """Record each call of a step in this context: a submodule or a method, by its name."""
    if step is None:
        yield StepRecorder()
        return
    owner, method = _found(model, step)
    recorder = StepRecorder(step, _Step(owner, method))
    own = owner.__dict__.get(method)
    owner.__dict__[method] = _noting(recorder, getattr(owner, method))
    try:
        yield recorder
    finally:
        if own is None:
            del owner.__dict__[method]
        else:
            owner.__dict__[method] = own


def _noting(recorder: StepRecorder, step: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        with observing(Observer()):  # a layer inside the step is part of it
            result = step(*args, **kwargs)
        recorder.record(args, kwargs, result)
        return result

    return noted


def _found(model: nn.Module, step: str) -> tuple[nn.Module, str]:
    """The module that has the step, and the name of its method."""
    path, _, method = step.rpartition(".")
    modules = dict(model.named_modules())
    if step and step in modules:
        return modules[step], "forward"
    if path in modules and callable(getattr(modules[path], method, None)):
        return modules[path], method
    names = ", ".join(name for name in modules if name) or "none"
    raise InsightError(
        f"step = {step!r} is neither a submodule of this {type(model).__name__} nor a method; its "
        f"submodules are {names}."
    )
