"""Sixty small networks: thirty with an illness that is known, thirty healthy ones.

Each is made by its seed alone. `Case.build` gives the untrained model, `Case.train` trains it as
the case has it; a healthy one until it is as good as `Case.quality` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.nn import Layer, Recurrent, Stack

ROWS = 32


class Net(nn.Module):
    """Recurrent layers and a linear head over every step, the last one, the mean, or `y[:, -1]`."""

    def __init__(self, recurrent, outputs, reads="steps", scale=1.0):
        super().__init__()
        self.recurrent, self.reads, self.scale = recurrent, reads, scale
        self.head = nn.Linear(recurrent.output_size, outputs)

    def forward(self, x, lengths=None):
        y, _ = self.recurrent(self.scale * x, lengths=lengths)
        if self.reads == "last":
            y = y[-1] if lengths is None else y[lengths - 1, torch.arange(y.shape[1])]
        elif self.reads == "mean":
            count = len(y) if lengths is None else lengths.unsqueeze(1)
            y = y.sum(0) / count
        return self.head(y)


@dataclass(frozen=True)
class Problem:
    """Batches (arguments of the model, targets) and the loss of an output, by step where it can."""

    draw: Callable[[torch.Generator, int], tuple[tuple[Tensor, ...], Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    inputs: int
    outputs: int
    reads: str = "steps"


def squares(output, target):
    """Squared errors: of each step (T,), or one number."""
    errors = (output - target).square()
    return errors.mean((1, 2)) if errors.dim() == 3 else errors.mean()


def nats(output, target):
    """Cross-entropy: of each step (T,), or one number; targets below 0 count for nothing."""
    if output.dim() == 2:
        return functional.cross_entropy(output, target)
    losses = functional.cross_entropy(
        output.flatten(0, 1), target.flatten(), reduction="none", ignore_index=-1
    )
    return losses.view(target.shape).mean(1)


def waves(steps=60, noise=0.02):
    def draw(g, rows):
        t = torch.arange(steps + 1.0).view(-1, 1)
        phase, pace = (torch.rand(1, rows, generator=g) for _ in range(2))
        x = torch.sin(t * (0.2 + 0.4 * pace) + 6.28 * phase)
        x = (x + noise * torch.randn(x.shape, generator=g)).unsqueeze(-1)
        return (x[:-1],), x[1:]

    return Problem(draw, squares, 1, 1)


def recall(distance, steps=None):
    """Say at every step which of four symbols came `distance` steps ago."""

    def draw(g, rows):
        ids = torch.randint(0, 4, (steps or 2 * distance + 10, rows), generator=g)
        target = torch.full_like(ids, -1)
        target[distance:] = ids[: len(ids) - distance]
        return (functional.one_hot(ids, 4).float(),), target

    return Problem(draw, nats, 4, 4)


def first(steps):
    """Say at the end which of four symbols came first, noise in between."""

    def draw(g, rows):
        ids = torch.randint(0, 4, (rows,), generator=g)
        x = 0.3 * torch.randn(steps, rows, 4, generator=g)
        x[0] += 2 * functional.one_hot(ids, 4)
        return (x,), ids

    return Problem(draw, nats, 4, 4, "last")


def adding(steps):
    def draw(g, rows):
        values = torch.rand(steps, rows, generator=g)
        marks = torch.zeros(steps, rows)
        for low, high in ((0, steps // 2), (steps // 2, steps)):
            marks[torch.randint(low, high, (rows,), generator=g), torch.arange(rows)] = 1
        return (torch.stack([values, marks], -1),), (values * marks).sum(0).unsqueeze(1)

    return Problem(draw, squares, 2, 1, "last")


def flip_flops(steps=60, bits=2):
    def draw(g, rows):
        pulses = (torch.rand(steps, rows, bits, generator=g) < 0.1).float()
        x = pulses * (2.0 * torch.randint(0, 2, pulses.shape, generator=g) - 1)
        held, out = torch.zeros(rows, bits), []
        for now in x:
            held = torch.where(now != 0, now, held)
            out.append(held)
        return (x,), torch.stack(out)

    return Problem(draw, squares, bits, bits)


def parity(steps=16):
    def draw(g, rows):
        bits = torch.randint(0, 2, (steps, rows), generator=g)
        return ((2.0 * bits - 1).unsqueeze(-1),), bits.cumsum(0) % 2

    return Problem(draw, nats, 1, 2)


def neighbours(steps=30):
    """Tag each step by the one before and the one after it: for two directions."""

    def draw(g, rows):
        ids = torch.randint(0, 3, (steps, rows), generator=g)
        target = torch.full_like(ids, -1)
        target[1:-1] = 3 * ids[:-2] + ids[2:]
        return (functional.one_hot(ids, 3).float(),), target

    return Problem(draw, nats, 3, 9)


def paces(steps=50, *, ragged=False, reads="mean", classes=3):
    """Which of a few frequencies a noisy wave has; of sequences of different lengths, perhaps."""

    def draw(g, rows):
        kind = torch.randint(0, classes, (rows,), generator=g)
        t = torch.arange(float(steps)).view(-1, 1)
        phase = 6.28 * torch.rand(1, rows, generator=g)
        x = torch.sin(t * (0.25 + 0.2 * kind) + phase)
        x = (x + 0.3 * torch.randn(x.shape, generator=g)).unsqueeze(-1)
        if not ragged:
            return (x,), kind
        lengths = torch.randint(steps // 3, steps + 1, (rows,), generator=g)
        inside = torch.arange(steps).view(-1, 1) < lengths
        return (x * inside.unsqueeze(-1), lengths), kind

    return Problem(draw, nats, 1, classes, reads)


def padded(problem):
    """The same, its lengths withheld from the model."""

    def draw(g, rows):
        (x, _), target = problem.draw(g, rows)
        return (x,), target

    return Problem(draw, problem.loss, problem.inputs, problem.outputs, "last")


def text(steps=40):
    """The next character of Python's own aphorisms."""
    import codecs
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        import this
    book = codecs.decode(this.s, "rot13").lower()
    known = sorted(set(book))
    ids = torch.tensor([known.index(c) for c in book])

    def draw(g, rows):
        begins = torch.randint(0, len(ids) - steps - 1, (rows,), generator=g)
        window = torch.stack([ids[b : b + steps + 1] for b in begins.tolist()], 1)
        return (functional.one_hot(window[:-1], len(known)).float(),), window[1:]

    return Problem(draw, nats, len(known), len(known))


@dataclass(frozen=True)
class Case:
    """One network: its problem, how it is made and trained, and what is to be found.

    `expected` are names of verdicts of which the first finding must be one; none for a healthy one.
    `remedied` makes the network as the remedy has it. `quality` is the share of the loss of the
    best constant answer that a healthy one may have left.
    """

    name: str
    problem: Problem
    cell: str = "lstm"
    hidden: int = 24
    layers: int = 1
    seed: int = 0
    bidirectional: bool = False
    expected: tuple[str, ...] = ()
    spoil: Callable[[Net], None] | None = None
    remedied: Callable[[Case], Case] | None = None
    steps: int = 200
    rate: float = 3e-3
    clip: float | None = 1.0
    quality: float = 0.1
    scale: float = 1.0
    reads: str | None = None
    window: int | None = None
    stack: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    def build(self):
        torch.manual_seed(self.seed)
        sizes = (self.cell, self.problem.inputs, self.hidden, self.layers)
        if self.stack:
            layers = [Layer(self.cell, self.hidden) for _ in range(self.layers)]
            recurrent = Stack(self.problem.inputs, layers, **self.stack)
        else:
            recurrent = Recurrent(*sizes, bidirectional=self.bidirectional, **self.options)
        net = Net(recurrent, self.problem.outputs, self.reads or self.problem.reads, self.scale)
        if self.spoil is not None:
            with torch.no_grad():
                self.spoil(net)
        return net

    def batch(self, seed=1, rows=ROWS):
        return self.problem.draw(torch.Generator().manual_seed(1000 * self.seed + seed), rows)

    def loss(self, output, target):
        return self.problem.loss(output, target)

    def train(self, net, steps=None, good=None):
        """Train; with `good` until the loss is at most that. Lines of metrics, and the loss."""
        g = torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.Adam(net.parameters(), self.rate)
        clipped, mean, total, step = 0, None, steps or self.steps, 0
        while step < total:
            step += 1
            inputs, target = self.problem.draw(g, ROWS)
            optimizer.zero_grad()
            loss = self._trained_loss(net, inputs, target)
            loss.backward()
            if self.clip is not None:
                norm = nn.utils.clip_grad_norm_(net.parameters(), self.clip)
                clipped += int(norm > self.clip)
            if not all(p.grad is None or p.grad.isfinite().all() for p in net.parameters()):
                break
            optimizer.step()
            mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
            if good is not None and mean <= good:
                break
        return [{"step": step, "clipped_share": clipped / step}], mean

    def _trained_loss(self, net, inputs, target):
        if self.window is None:
            return self.problem.loss(net(*inputs), target).mean()
        (x,) = inputs
        total, states = 0.0, None
        for begin in range(0, len(x), self.window):
            end = begin + self.window
            y, states = net.recurrent(net.scale * x[begin:end], states)
            states = tuple(s.detach() for s in states)
            total = total + self.problem.loss(net.head(y), target[begin:end]).sum()
        return total / len(x)

    def chance(self):
        """The loss of the best constant answer."""
        _, target = self.batch(rows=256)
        if target.is_floating_point():
            return float((target - target.flatten(0, -2).mean(0)).square().mean())
        counts = torch.bincount(target[target >= 0]).double()
        shares = counts / counts.sum()
        known = float((target >= 0).double().mean())
        return float(-(shares * shares.clamp(min=1e-9).log()).sum()) * known
