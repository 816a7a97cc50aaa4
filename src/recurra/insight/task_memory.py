"""What a network has learnt of its task, and how far back the task needs it to look.

Three questions, each answered by the loss itself:

- How good is the network? Its loss beside that of the best answer that never changes.
- How far back does it look? Inputs older than some distance are replaced by those of other rows;
  what that costs is the share of its knowledge that rests on them.
- How far back should it look? The gradient of the loss by the outputs is what the network still
  does wrong. Where inputs of a distance explain it, there is something to learn at that distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recurra.insight.recorded_model import Loss, Recording, call_model, gradients_of, untouched
from recurra.nn.states import tensors_of

__all__ = ["TaskMemory", "task_memory"]

EXPLAINED = 0.05
"""Inputs at a distance matter where they explain this share of what a constant answer lacks."""
RESTS = 0.1
"""A network looks back so far as this share of its knowledge rests on what is older."""
_DISTANCES = 24
"""Distances that are looked at, evenly spaced by their logarithms."""
_ROLLS, _SIGMAS = 16, 5.0
"""Other rows that inputs are paired with, to see how much chance explains, and by how many of its
deviations the own ones must explain more."""
_CUTS = (0.2, 0.4, 0.6)
"""Where sequences are cut whose every step has a loss, as shares of their steps."""
_FEATURES = 12
"""Inputs of more features are reduced to so many principal components."""


@dataclass(frozen=True, eq=False)
class TaskMemory:
    """A network's loss, and its dependence on inputs by their distance.

    Attributes:
        loss: the mean loss.
        constant: that of the best constant answer; None where it can't be computed.
        distances: steps back, ascending.
        rests: by distance, the share of the network's knowledge (constant - loss) that rests on
            older inputs; empty where the batch can't be spliced.
        asked: by distance, the share of what a constant answer lacks that inputs of that distance
            explain by a linear model; chance is taken off.
        missing: by distance, the share of it that the network hasn't learnt.
    """

    loss: float
    constant: float | None
    distances: tuple[int, ...] = field(default=(), repr=False)
    rests: tuple[float, ...] = field(default=(), repr=False)
    asked: tuple[float, ...] = field(default=(), repr=False)
    missing: tuple[float, ...] = field(default=(), repr=False)

    @property
    def skill(self) -> float | None:
        """The share by which the loss is below that of the best constant answer; None: unknown."""
        if self.constant is None or self.constant <= 0:
            return None
        return 1 - self.loss / self.constant

    @property
    def used(self) -> int | None:
        """The distance up to which the network looks back; None: unknown."""
        if not self.rests:
            return None
        return max(
            (d for d, r in zip(self.distances, self.rests, strict=True) if r > RESTS), default=0
        )

    @property
    def unlearnt(self) -> int | None:
        """The farthest distance at which there is something left to learn; None: none is seen."""
        pairs = zip(self.distances, self.missing, strict=False)
        return max((d for d, share in pairs if share > EXPLAINED), default=None)


def task_memory(model: nn.Module, batch: Any, recorded: Recording, loss: Loss) -> TaskMemory:
    """Measure what a recorded model has learnt, and from which distances."""
    values = loss(recorded.output)
    output = _heard(recorded.output, values)
    answer = None if output is None else _constant(recorded.output, output, loss)
    values = values.detach().double()
    constant = None if answer is None else float(answer[0].double().mean())
    total = float(values.mean())
    steps = len(recorded.runs[0].inputs)
    distances = _distances(steps)
    rests: tuple[float, ...] = ()
    asked: tuple[float, ...] = ()
    missing: tuple[float, ...] = ()
    if constant is not None and constant > total:
        costs = _spliced(model, batch, recorded, loss, values, distances)
        rests = tuple(cost / (constant - total) for cost in costs)
    if output is not None and answer is not None:
        asked, missing = _explained(recorded, output, loss, answer[1], distances)
    return TaskMemory(total, constant, distances, rests, asked, missing)


def _distances(steps: int) -> tuple[int, ...]:
    """Distances from 0 to the longest, each once."""
    if steps < 2:
        return (0,)
    most = torch.tensor(float(steps - 1)).log()
    some = torch.linspace(0, float(most), _DISTANCES).exp().round().long().tolist()
    return (0, *sorted(set(some)))


def _heard(whole: Any, values: Tensor) -> Tensor | None:
    """The tensor (..., K) of the output that the loss is of; None where it is of several."""
    tensors = [t for t in tensors_of(whole) if t.requires_grad]
    found = gradients_of(values.sum(), tensors)
    heard = [t for t in tensors if found[id(t)] is not None]
    return heard[0] if len(heard) == 1 and heard[0].dim() in (2, 3) else None


def _constant(whole: Any, output: Tensor, loss: Loss) -> tuple[Tensor, Tensor] | None:
    """The loss of the best constant answer, and that answer (K,); None where none is found."""
    answer = output.detach().flatten(0, -2).mean(0).double().requires_grad_()
    optimizer = torch.optim.LBFGS([answer], max_iter=60, line_search_fn="strong_wolfe")

    def of(value: Tensor) -> Tensor:
        spread = value.to(output.dtype).expand_as(output)
        return loss(_with_other(whole, output, spread)).double()

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = of(answer).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    before = float(of(answer).detach().mean())
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found = of(answer).detach()
    if not bool(found.isfinite().all()) or float(found.mean()) > before + 1e-6:
        return None
    return found, answer.detach()


def _with_other(whole: Any, old: Tensor, new: Tensor) -> Any:
    """The model's output with another tensor in the place of one."""
    if whole is old:
        return new
    if isinstance(whole, tuple):
        parts = [_with_other(part, old, new) for part in whole]
        return type(whole)(*parts) if hasattr(whole, "_fields") else tuple(parts)
    if isinstance(whole, list):
        return [_with_other(part, old, new) for part in whole]
    if isinstance(whole, dict):
        return {name: _with_other(part, old, new) for name, part in whole.items()}
    return whole


def _spliced(
    model: nn.Module,
    batch: Any,
    recorded: Recording,
    loss: Loss,
    values: Tensor,
    distances: Sequence[int],
) -> list[float]:
    """By distance, what the loss rises by where older inputs are those of other rows."""
    active = recorded.runs[0].active
    shape, lengths = (active.shape[0], active.shape[1]), active.sum(0)
    if shape[1] < 2 or not _timed(batch, shape, recorded.batch_first):
        return []
    by_step = values.dim() == 1 and len(values) == shape[0]

    def cost(cut: Tensor) -> Tensor:
        """The rise of the loss where each row's inputs before its cut (B,) are another's."""
        parts = []
        for roll in {1, max(1, shape[1] // 2)}:
            own = _with_past(batch, shape, recorded.batch_first, cut, lengths, roll)
            with torch.no_grad(), untouched(model):
                parts.append(loss(call_model(model, own)).double() - values)
        return torch.stack(parts).mean(0)

    if not by_step:
        return [float(cost((lengths - 1 - d).clamp(min=0)).mean()) for d in distances]
    curves: list[list[Tensor]] = [[] for _ in distances]
    for part in _CUTS:
        cut = int(part * shape[0])
        risen = cost(torch.full_like(lengths, cut))
        for place, distance in enumerate(distances):
            if cut + distance < len(risen):
                curves[place].append(risen[cut + distance])
    return [float(torch.stack(c).mean()) if c else 0.0 for c in curves]


def _timed(batch: Any, shape: tuple[int, int], batch_first: bool) -> bool:
    """Whether some tensor of a batch has the steps and rows of the first layer."""
    if isinstance(batch, Mapping):
        return any(_timed(part, shape, batch_first) for part in batch.values())
    if isinstance(batch, (tuple, list)):
        return any(_timed(part, shape, batch_first) for part in batch)
    return isinstance(batch, Tensor) and _axes(batch, shape, batch_first) is not None


def _axes(part: Tensor, shape: tuple[int, int], batch_first: bool) -> bool | None:
    """Whether a tensor has rows before steps; None where it has not both."""
    if part.dim() < 2:
        return None
    orders = [shape[::-1], shape] if batch_first else [shape, shape[::-1]]
    for order in orders:
        if tuple(part.shape[:2]) == order:
            return order != shape if shape[0] != shape[1] else batch_first
    return None


def _with_past(
    batch: Any,
    shape: tuple[int, int],
    batch_first: bool,
    cut: Tensor,
    lengths: Tensor,
    roll: int,
) -> Any:
    """The batch with each row's steps before its cut taken from another row."""
    if isinstance(batch, Mapping):
        return {n: _with_past(v, shape, batch_first, cut, lengths, roll) for n, v in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(_with_past(v, shape, batch_first, cut, lengths, roll) for v in batch)
    if not isinstance(batch, Tensor):
        return batch
    rows_first = _axes(batch, shape, batch_first)
    if rows_first is None:
        return batch
    x = batch.transpose(0, 1) if rows_first else batch
    steps = torch.arange(shape[0], device=x.device).unsqueeze(1)
    rows = torch.arange(shape[1], device=x.device)
    others = rows.roll(roll)
    past = x[steps % lengths[others].clamp(min=1), others]
    mask = (steps < cut).view(*shape, *[1] * (x.dim() - 2))
    spliced = torch.where(mask, past, x)
    return spliced.transpose(0, 1) if rows_first else spliced


def _explained(
    recorded: Recording, output: Tensor, loss: Loss, answer: Tensor, distances: Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """By distance, the shares that a constant answer lacks and that the network lacks."""
    run = recorded.runs[0]
    steps, rows = run.active.shape
    lengths = run.active.sum(0)
    wrong = _slope(recorded.output, output, output, loss)
    base = _slope(recorded.output, output, answer.to(output.dtype).expand_as(output), loss)
    if wrong is None or base is None or rows < 4:
        return (), ()
    if output.dim() == 3:
        if recorded.batch_first:
            wrong, base = wrong.transpose(0, 1), base.transpose(0, 1)
        if tuple(wrong.shape[:2]) != (steps, rows):
            return (), ()
    elif output.dim() != 2 or len(wrong) != rows:
        return (), ()
    features = _features(run.inputs, run.active)
    asked, missing = list[float](), list[float]()
    for distance in distances:
        pairs = [_paired(features, e, distance, lengths) for e in (base, wrong)]
        norm = float(pairs[0][1].square().sum())
        for kept, (own, errors, others) in zip((asked, missing), pairs, strict=True):
            kept.append(_share(own, errors, others, norm))
    return tuple(asked), tuple(missing)


def _slope(whole: Any, old: Tensor, at: Tensor, loss: Loss) -> Tensor | None:
    """The gradient of the loss by the model's output."""
    leaf = at.detach().clone().requires_grad_()
    values = loss(_with_other(whole, old, leaf)).sum()
    (found,) = torch.autograd.grad(values, leaf, allow_unused=True)
    return None if found is None else found.detach().double()


def _features(inputs: Tensor, active: Tensor) -> Tensor:
    """Inputs (T, B, F), few, centred, with their products where there are very few."""
    x = inputs.double()
    flat = x[active]
    x = x - flat.mean(0)
    if x.shape[-1] > _FEATURES:
        _, _, v = torch.linalg.svd(x[active], full_matrices=False)
        x = x @ v[:_FEATURES].t()
    if x.shape[-1] <= 3:
        first, second = torch.triu_indices(x.shape[-1], x.shape[-1]).unbind()
        products = x[..., first] * x[..., second]
        x = torch.cat([x, products - products[active].mean(0)], -1)
    return torch.where(active.unsqueeze(-1), x, 0)


def _paired(
    features: Tensor, errors: Tensor, distance: int, lengths: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Features and errors that are a distance apart, and features of other rows beside them."""
    rows = features.shape[1]
    rolls = range(1, min(rows, _ROLLS + 1))
    if errors.dim() == 3:
        own = features[: len(features) - distance]
        late = errors[distance:].flatten(0, 1)
        return own.flatten(0, 1), late, [own.roll(j, 1).flatten(0, 1) for j in rolls]
    place = (lengths - 1 - distance).clamp(min=0)
    own = features[place, torch.arange(rows)]
    own = own * (lengths - 1 >= distance).unsqueeze(1)
    return own, errors, [own.roll(j, 0) for j in rolls]


def _share(own: Tensor, errors: Tensor, others: Sequence[Tensor], norm: float) -> float:
    """The share of `norm` that features explain of the errors, beyond what others' do by chance."""
    if norm <= 0:
        return 0.0
    right = _fitted(own, errors)
    chance = torch.tensor([_fitted(other, errors) for other in others])
    spread = float(chance.std()) if len(chance) > 1 else 0.0
    beyond = right - float(chance.mean())
    return max(0.0, beyond / norm) if beyond > _SIGMAS * spread else 0.0


def _fitted(features: Tensor, errors: Tensor) -> float:
    """The squared norm of the errors that a linear model of the features explains."""
    gram = features.t() @ features
    ridge = 1e-6 * float(gram.diagonal().mean()) + 1e-300
    gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype)
    cross = features.t() @ errors
    return float((cross * torch.linalg.solve(gram, cross)).sum())
