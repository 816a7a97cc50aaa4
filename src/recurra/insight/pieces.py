"""Sequences that a model runs in pieces, put together again."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from recurra.nn.recording import LayerRun

__all__ = ["joined"]


def joined(runs: Iterable[LayerRun]) -> tuple[LayerRun, ...]:
    """The runs, those joined to one that go on from where the one before of their module ended.

    Such is a layer that a loop calls step by step, with the states it returned.
    """
    found: dict[str, LayerRun] = {}
    for run in runs:
        name = run.name.partition(" (call ")[0]
        latest = next((k for k in reversed(found) if k.partition(" (call ")[0] == name), None)
        if latest is not None and _goes_on(found[latest], run):
            found[latest] = _join(found[latest], run)
        else:
            found[run.name] = run
    return tuple(found.values())


def _goes_on(run: LayerRun, later: LayerRun) -> bool:
    """Whether a later run starts with the states that a run ended with."""
    ended, begun = run.after[run.order[-1]], later.before[later.order[0]]
    return all(s.shape == t.shape and torch.equal(s, t) for s, t in zip(ended, begun, strict=True))


def _join(run: LayerRun, later: LayerRun) -> LayerRun:
    first, second = (later, run) if run.reverse else (run, later)
    names = [name for name, _ in run.graph.givens]
    given = {name: torch.cat([first.params[name], second.params[name]]) for name in names}
    return replace(
        run,
        inputs=torch.cat([first.inputs, second.inputs]),
        params={**run.params, **given},
        active=torch.cat([first.active, second.active]),
        begins=torch.cat([first.begins, second.begins]),
        before=first.before + second.before,
        after=first.after + second.after,
    )
