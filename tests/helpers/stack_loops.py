"""Stacks as plain loops: one sequence, one step, one torch operation after another."""

import torch
from torch.nn import functional as F

from recurra.nn.stack.lookback import state_rows_of as rows_of


def step(cell, x, states, w):
    """One step of a cell, as in its paper."""
    z = w["W"] @ x + w["b"]
    if cell == "RNN":
        return (torch.tanh(z + w["U"] @ states[0]),)
    if cell == "LSTM":
        h, c = states
        i, f, g, o = (z + w["U"] @ h).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    (h,) = states
    (zr, zz, zn), (ur, uz, un) = z.chunk(3), (w["U"] @ h).chunk(3)
    r, u = (zr + ur).sigmoid(), (zz + uz).sigmoid()
    n = torch.tanh(zn + r * (un + w["b_h"]))
    return ((1 - u) * n + u * h,)


class Past:
    """A value so many steps before: of this sequence, of `rows`, or the start past a mark."""

    def __init__(self, rows, marks, start=None):
        self.rows, self.marks, self.known = list(rows), marks, []
        self.start = torch.zeros_like(self.rows[0]) if start is None else start

    def before(self, t):
        then = t - len(self.rows)
        if any(then < m <= t for m in self.marks):
            return self.start
        return self.known[then] if then >= 0 else self.rows[t]

    def rows_to_come(self):
        end = len(self.known)
        return torch.stack([self.before(end + k) for k in range(len(self.rows))])


def run_one_way(recurrent, x, states, marks, suffix="_l0", skip=0):
    """x (L, I) from rows (d, size) of each state: outputs, rows to come, every state."""
    w = {n.removesuffix(suffix): p for n, p in recurrent.named_parameters() if n.endswith(suffix)}
    starts = [w.get(f"initial_{name}") for name in recurrent.cell.states] + [None] * bool(skip)
    past = [Past(s, marks, start) for s, start in zip(states, starts, strict=True)]
    values, ys = past[: len(past) - bool(skip)], []
    for t, row in enumerate(x):
        read = torch.cat([row, past[-1].before(t)]) if skip else row
        new = step(type(recurrent.cell).__name__, read, [p.before(t) for p in values], w)
        for p, n in zip(past, (*new, new[0]), strict=False):
            p.known.append(n)
        ys.append(new[0])
    every = [torch.stack(p.known) for p in values] if len(x) else None
    return torch.stack(ys) if ys else x.new_zeros(0, recurrent.state_sizes[0]), past, every


def directions(layer):
    """The recurrences of a layer: module, suffix of its parameters, time skip, whether it's back"""
    if hasattr(layer, "ahead"):
        (ahead,), (back,) = directions(layer.ahead), directions(layer.back)
        return [ahead, (*back[:3], True)]
    skip = getattr(layer, "time_skip", 0)
    while hasattr(layer, "layer"):
        layer = layer.layer
    both = [(layer, "_l0", skip, False), (layer, "_l0_reverse", skip, True)]
    return both if layer.bidirectional else both[:1]


def run_layer(layer, x, states, marks):
    """x (L, I), states (D*d, size) each: outputs (L, D*size), states."""
    found, ways = [], directions(layer)
    for index, (recurrent, suffix, skip, back) in enumerate(ways):
        own = [s.chunk(len(ways))[index] for s in states]
        turned = [len(x) - m for m in marks if 0 < m < len(x)]
        steps, met = (x.flip(0), turned) if back else (x, [m for m in marks if m < len(x)])
        if not hasattr(recurrent, f"W{suffix}"):
            suffix = "_l0"
        y, past, _ = run_one_way(recurrent, steps, own, met, suffix, skip)
        found.append((y.flip(0) if back else y, [p.rows_to_come() for p in past]))
    joint = torch.cat([y for y, _ in found], -1)
    return joint, [torch.cat(rows) for rows in zip(*(r for _, r in found), strict=True)]


def learnt_states(stack, batch):
    """The learnt states that every layer starts from, as the stack returns states."""
    return [
        [_learnt(layer, n, rows, size, batch) for n, (_, rows, size) in enumerate(rows_of(layer))]
        for layer in stack.layers
    ]


def _learnt(layer, number, rows, size, batch):
    found, ways = [], directions(layer)
    for recurrent, suffix, _, _ in ways:
        suffix = suffix if hasattr(recurrent, f"W{suffix}") else "_l0"
        names = recurrent.cell.states
        start = getattr(recurrent, f"initial_{names[number]}{suffix}") if number < len(names) else 0
        empty = torch.zeros(rows // len(ways), batch, size, dtype=torch.double)
        found.append(empty + start)
    return torch.cat(found)


def join(stack, block, x, y, *, is_last):
    """The stream above a layer, by the definition of the skip connection."""
    if stack.skip is None or (stack.skip == "dense" and is_last):
        return block.after(y)
    if stack.skip == "dense":
        return torch.cat([x, block.after(y)], -1)
    below = x if x.shape == y.shape else F.linear(x, block.skip.projection.weight)
    if stack.skip == "residual":
        return block.after(below + y)
    t = torch.sigmoid(x @ block.skip.gate.weight.T + block.skip.gate.bias)
    return block.after(y * t + below * (1 - t))


def run_stack(stack, x, states, lengths, marks):
    """x (T, B, I), states of each layer, steps and marks of each sequence: outputs, states."""
    outputs, ends = [], []
    for b, length in enumerate(lengths):
        stream, rows = x[:length, b], []
        for index, block in enumerate(stack.blocks):
            given = [s[:, b] for s in states[index]]
            y, found = run_layer(block.layer, block.before(stream), given, marks[b])
            stream = join(stack, block, stream, y, is_last=index + 1 == len(stack.blocks))
            rows.append(found)
        outputs.append(F.pad(stack.after(stream), (0, 0, 0, len(x) - length)))
        ends.append(rows)
    last = [
        tuple(torch.stack(s, 1) for s in zip(*layer, strict=True))
        for layer in zip(*ends, strict=True)
    ]
    return torch.stack(outputs, 1), last
