"""Cells that no test has run before, memory that is poisoned, threads that are put back."""

from contextlib import contextmanager
from dataclasses import fields
from itertools import count

import torch

from recurra.engines.cpu.run import bound_call, compiled_loop, products

_NUMBERS = count()


def renamed(cell):
    """The same cell under a name of its own: its kernel is made anew, with what is patched."""
    kind = type(f"{type(cell).__name__}{next(_NUMBERS)}", (type(cell),), {})
    return kind(**{f.name: getattr(cell, f.name) for f in fields(cell) if f.init})


def guarded(tensor):
    """The same values with NaN before, after and between the rows."""
    if not tensor.dim():
        return tensor
    room = torch.full((*tensor.shape[:-1], tensor.shape[-1] + 9), float("nan"), dtype=tensor.dtype)
    if tensor.dim() < 3:  # states and parameters are read as they lie
        room = torch.full((tensor.numel() + 128,), float("nan"), dtype=tensor.dtype)
        found = room[64 : 64 + tensor.numel()].view(tensor.shape)
    else:
        found = room[..., 4:-5]
    found.copy_(tensor.detach())
    return found.requires_grad_(tensor.requires_grad)


def guarded_all(drawn):
    """What `draw` gives, guarded."""
    params, x, states = drawn
    return {k: guarded(v) for k, v in params.items()}, guarded(x), [guarded(s) for s in states]


@contextmanager
def threads(number):
    """So many threads of torch, and one again."""
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(1)


def by_columns(monkeypatch):
    """Threads share the columns, whatever the sizes."""
    monkeypatch.setattr(bound_call, "_by_columns", lambda code, *_: bool(code.plan.panels))


def hoisted(monkeypatch):
    """Input products stand before the loop, whatever the sizes."""
    monkeypatch.setattr(compiled_loop, "_MERGED_FROM", 10**9)
    monkeypatch.setattr(compiled_loop, "_LARGE", -1)


def poisoned(monkeypatch):
    """Memory that nothing has been written to yet holds NaN."""
    for name in ("new_empty",):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, _filled(real))
    monkeypatch.setattr(torch, "empty_like", _filled(torch.empty_like))
    monkeypatch.setattr(compiled_loop.workspace, "empty", _filled(compiled_loop.workspace.empty))
    take = bound_call.take
    for module in (bound_call, compiled_loop, products):
        monkeypatch.setattr(module, "take", lambda size: take(size).fill_(255))  # bytes of NaN


def _filled(make):
    def filled(*args, **kwargs):
        tensor = make(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    return filled
