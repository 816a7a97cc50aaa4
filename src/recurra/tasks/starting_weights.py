"""Weights that training begins with and that aren't drawn: another run's, part by part."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.errors import RunError
from recurra.runs.run import Run
from recurra.tasks.task import Task
from recurra.training.optim import PartRate

__all__ = ["Begun", "begin", "set_part_rates", "settings_taken_over", "start_from"]

_SHOWN = 6
_LAYER = re.compile(r"\.blocks\.(\d+)\.|_l(\d+)(?:_reverse)?$")


@dataclass(frozen=True)
class Begun:
    """Sentences about what a model begins with, and the weights that it has of another run."""

    sentences: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    def said(self, changed: str) -> str | None:
        """All sentences, and one about settings; None where all is drawn."""
        return " ".join([*self.sentences, *([changed] if changed else [])]) or None


def begin(task: Task[Any, Any, Any], model: nn.Module, data: Any, start: Run | None) -> Begun:
    """Give a model the weights of the run to start from, and those that the data decide."""
    begun = Begun()
    if start is not None:
        weights = {n.removeprefix("member0."): value for n, value in start.load_model().items()}
        begun = start_from(model, task.translated(start.config, weights), start.path)
        set_part_rates(model, begun.taken, task.config)
    primed = task.primed(model, data)
    return begun if primed is None else Begun((*begun.sentences, primed), begun.taken)


def start_from(model: nn.Module, old: Mapping[str, Tensor], path: Path) -> Begun:
    """Copy weights of the run at `path` into a model, by name.

    An embedding or a linear layer that has grown at its end, by new tokens, keeps the old rows. The
    members of an ensemble all start from its first one.

    Raises RunError where nothing fits.
    """
    copied, grown, new = [], [], []
    for name, value in model.state_dict().items():
        if name not in old:
            new.append(name)
        elif old[name].shape == value.shape:
            value.copy_(old[name])
            copied.append(name)
        elif _has_grown(model.get_submodule(name.rpartition(".")[0]), old[name], value):
            value[: len(old[name])].copy_(old[name])
            grown.append(name)
        else:
            new.append(name)
    if not copied and not grown:
        raise RunError(
            f"No weight of {path} fits this model: it has {_listed(list(old))}, the model "
            f"{_listed(new)}; start from a run with layers of the same names and sizes."
        )
    parts = {"copied": copied, "grown": grown, "drawn": new}
    said = (f"{what} {_listed(names)}" for what, names in parts.items() if names)
    return Begun((f"Weights from {path}: {'; '.join(said)}.",), (*copied, *grown))


def settings_taken_over(before: TaskConfig, after: TaskConfig) -> str:
    """A sentence about settings that what is there already decides; empty for none.

    >>> settings_taken_over(TaskConfig(), TaskConfig(hidden=64))
    'Settings taken over with them: hidden = 64.'
    """
    fields = [field.name for field in dataclasses.fields(after)]
    changed = [
        f"{name} = {getattr(after, name)!r}"
        for name in fields
        if getattr(after, name) != getattr(before, name)
    ]
    return f"Settings taken over with them: {', '.join(changed)}." if changed else ""


def set_part_rates(model: nn.Module, taken: Collection[str], config: TaskConfig) -> None:
    """Let the parts of a model with weights `taken` over begin to learn later, from the top down.

    A part is a layer, or one of the model's own modules, in the model's order. What is new learns
    from the beginning, as does the top part where nothing is new.
    """
    if not config.unfreeze and config.lower_rate == 1:
        return
    every = [name for name, _ in model.named_parameters()]
    names = [name for name in every if name in taken]
    parts: Sequence[str] = list(dict.fromkeys(map(_part, names)))
    top = int(len(names) < len(every))
    depths = {part: top + above for above, part in enumerate(reversed(parts))}
    share, factor = config.unfreeze or 0.0, config.lower_rate
    rates = {
        part: PartRate(min(1.0, share * depth), factor**depth) for part, depth in depths.items()
    }
    model.part_rates = {name: rates[_part(name)] for name in names}  # type: ignore[assignment]


def _part(name: str) -> str:
    found = _LAYER.search(name)
    return f"{name.partition('.')[0]}{found[1] or found[2] if found else ''}"


def _has_grown(owner: nn.Module, old: Tensor, new: Tensor) -> bool:
    # The rows of other modules, such as the gates of a recurrent layer, don't grow at their end.
    return (
        isinstance(owner, (nn.Embedding, nn.Linear))
        and old.shape[1:] == new.shape[1:]
        and len(old) < len(new)
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
