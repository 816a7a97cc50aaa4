"""Warm starts: a model begins with weights of another run, some of them frozen."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.errors import ConfigError, RunError
from recurra.runs.run import Run

__all__ = ["freeze", "start_from"]

_SHOWN = 6


def start_from(model: nn.Module, run: Run) -> str:
    """Copy weights of a run into a model, by name; a sentence says which.

    An embedding or a linear layer that has grown at its end, by new tokens, keeps the old rows. The
    members of an ensemble all start from its first one.

    Raises RunError where nothing fits.
    """
    old = {name.removeprefix("member0."): value for name, value in run.load_model().items()}
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
            f"No weight of {run.path} fits this model: it has {_listed(list(old))}, the model "
            f"{_listed(new)}; start from a run with layers of the same names and sizes."
        )
    parts = {"copied": copied, "grown": grown, "drawn": new}
    said = (f"{what} {_listed(names)}" for what, names in parts.items() if names)
    return f"Weights from {run.path}: {'; '.join(said)}."


def freeze(model: nn.Module, parts: str) -> None:
    """Keep parameters as they are whose names begin with one of `parts`, separated by commas.

    Raises ConfigError for a part that the model does not have, and where nothing is left to train.
    """
    # Tied weights under each of their names.
    every = dict(model.named_parameters(remove_duplicate=False))
    for part in (word.strip() for word in parts.split(",") if word.strip()):
        names = [name for name in every if name.startswith(part)]
        if not names:
            roots = sorted({name.partition(".")[0] for name in every})
            raise ConfigError(
                f"freeze = {parts!r}: no parameter's name begins with {part!r}; the model has "
                f"{', '.join(roots)}."
            )
        for name in names:
            every[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in every.values()):
        raise ConfigError(f"freeze = {parts!r}: nothing is left to train; freeze fewer parts.")


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
