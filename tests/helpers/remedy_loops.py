"""Layers with remedies as plain loops in torch, with the masks that a layer drew."""

import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from recurra.nn.layers import remedies


class Draws(list):
    """What a layer draws, in that order, as (name, mask), once it is told to watch."""

    def watch(self, monkeypatch):
        for name in ("for_all_steps", "for_each_step", "zoneout", "of_elements"):
            monkeypatch.setattr(remedies.Masks, name, self._noting(name))
        return self

    def _noting(self, name):
        draw = getattr(remedies.Masks, name)

        def noting(*args, **named):
            self.append((name, draw(*args, **named)))
            return self[-1][1]

        return noting

    def padded(self, packed):
        """The same of a packed sequence (sorted) as of a padded one."""
        return [
            (name, m if name == "of_elements" else pad_packed_sequence(like(packed, m))[0])
            for name, m in self
        ]


def like(packed, data):
    return PackedSequence(data, packed.batch_sizes)


def lstm(x, states, w, mask, candidate):
    """An LSTM's step with a masked state and a masked candidate."""
    h, c = states
    i, f, g, o = (x @ w["W"].T + (mask * h) @ w["U"].T + w["b"]).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * (candidate * g.tanh())
    return o.sigmoid() * c.tanh(), c


def gru(x, states, w, mask, candidate):
    """A GRU's step as torch has it, with a masked state and a masked candidate."""
    (h,) = states
    xr, xz, xn = (x @ w["W"].T + w["b"]).chunk(3, -1)
    hr, hz, hn = ((mask * h) @ w["U"].T).chunk(3, -1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    n = candidate * torch.tanh(xn + r * (hn + w["b_h"]))
    return ((1 - z) * n + z * h,)


STEPS = {"LSTM": lstm, "GRU": gru}


def run(layer, x, draws=(), lengths=None, resets=None):
    """The layers' outputs (T, B, D*H) and last states (L*D, B, H) of x (T, B, I), from the start.

    `draws` are what the layer drew in its run.
    """
    left = iter([mask for _, mask in draws])
    lengths = torch.full((x.shape[1],), len(x)) if lengths is None else torch.as_tensor(lengths)
    ways = ["", "_reverse"][: 1 + layer.bidirectional]
    suffixes = [f"_l{n}{way}" for n in range(layer.num_layers) for way in ways]
    weights = [_weights(layer, suffix, left) for suffix in suffixes]
    found = []
    for n in range(layer.num_layers):
        x = x * next(left) if layer.training and layer.remedies.input_dropout else x
        rows = weights[n * len(ways) : (n + 1) * len(ways)]
        runs = [_one_way(layer, x, w, lengths, resets, back=i == 1) for i, w in enumerate(rows)]
        x = torch.cat([y for y, _ in runs], -1)
        found += [states for _, states in runs]
    y = x * next(left) if layer.training and layer.remedies.output_dropout else x
    return y, tuple(torch.stack(s) for s in zip(*found, strict=True))


def _weights(layer, suffix, left):
    """A layer's and direction's parameters, and its masks by name."""
    own = layer.named_parameters()
    w = {name.removesuffix(suffix): p for name, p in own if name.endswith(suffix)}
    given, training = layer.remedies, layer.training
    if training and given.weight_drop:
        w["U"] = w["U"] * next(left)
    if training and given.recurrent_dropout:
        w["candidate"] = next(left)
    for state in layer.cell.states:
        if given.zoneout_of(state):
            w[f"zone_{state}"] = next(left)
    if training and given.state_dropout:
        w["mask"] = next(left)
    return w


def _one_way(layer, x, w, lengths, resets, *, back):
    steps, batch = x.shape[:2]
    zeros = x.new_zeros(batch, layer.hidden_size)
    starts = [zeros + w.get(f"initial_{name}", 0) for name in layer.cell.states]
    states, ys = starts, [None] * steps
    for t in reversed(range(steps)) if back else range(steps):
        begins = _begins(resets, lengths, t, back=back)
        states = [torch.where(begins, s0, s) for s0, s in zip(starts, states, strict=True)]
        mask, candidate = (w[k][t] if k in w else 1.0 for k in ("mask", "candidate"))
        new = STEPS[type(layer.cell).__name__](x[t], states, w, mask, candidate)
        zones = [w[k][t] if k in w else 0.0 for k in (f"zone_{n}" for n in layer.cell.states)]
        new = [z * s + (1 - z) * n for z, s, n in zip(zones, states, new, strict=True)]
        there = (t < lengths).unsqueeze(-1)
        ys[t] = torch.where(there, new[0], 0.0)
        states = [torch.where(there, n, s) for n, s in zip(new, states, strict=True)]
    return torch.stack(ys), states


def _begins(resets, lengths, t, *, back):
    """Where a segment begins with step t in this direction, (B, 1)."""
    if resets is None:
        return torch.zeros(len(lengths), 1, dtype=torch.bool)
    if not back:
        return (resets[t] & (t < lengths)).unsqueeze(-1)
    after = resets[t + 1] if t + 1 < len(resets) else torch.zeros_like(resets[0])
    return (after & (t + 1 < lengths)).unsqueeze(-1)
