"""Swap torch's recurrent layers inside a model for Recurra's, in place."""

import logging
from dataclasses import dataclass

from torch import nn

from recurra.nn.layers.arguments import check_module
from recurra.nn.layers.drop_ins import GRU, LSTM, RNN
from recurra.nn.layers.single_step import GRUCell, LSTMCell, RNNCell

__all__ = ["Swaps", "accelerate"]

_REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
_HOOKS = [
    "_backward_pre_hooks",
    "_backward_hooks",
    "_is_full_backward_hook",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
]

_log = logging.getLogger("recurra")


@dataclass(frozen=True)
class Swaps:
    """Result of `accelerate`: names of swapped layers, and of layers kept, each with the reason."""

    swapped: tuple[str, ...]
    kept: dict[str, str]

    def __str__(self) -> str:
        lines = [f"swapped {name}" for name in self.swapped] or ["swapped nothing"]
        lines += [f"kept {name}: {reason}" for name, reason in self.kept.items()]
        return "\n".join(lines)


def accelerate(model: nn.Module) -> Swaps:
    """Swap every torch recurrent layer inside `model` for Recurra's, in place; list the swaps.

    Parameters are shared, so an existing optimiser still works, and `state_dict` keys, hooks,
    training mode and results don't change. Subclasses of torch's layers, and layers whose
    parameters were changed (by weight normalisation, say), are kept and listed with the reason.

    Raises ValueError if `model` is itself such a layer, since it can only be swapped in a model.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.LSTM(3, 4))
        >>> accelerate(model).swapped
        ('0: torch.nn.LSTM -> recurra.nn.LSTM',)
    """
    check_module("accelerate", model)
    if type(model) in _REPLACEMENTS:
        name = type(model).__name__
        raise ValueError(
            f"accelerate swaps layers inside a model, and this model is a torch.nn.{name} itself; "
            f"build recurra.nn.{name} with the same arguments and load its state_dict."
        )
    swapped: list[str] = []
    kept: dict[str, str] = {}
    done: dict[nn.Module, nn.Module] = {}
    modules: list[tuple[str, nn.Module]] = list(model.named_modules(remove_duplicate=False))
    for name, module in modules:
        if not any(isinstance(module, kind) for kind in _REPLACEMENTS):
            continue
        reason = _reason_to_keep(module)
        if reason is not None:
            kept[name] = reason
            continue
        if module not in done:
            done[module] = _twin(module)
        parent, _, attribute = name.rpartition(".")
        model.get_submodule(parent)._modules[attribute] = done[module]
        kind = type(module).__name__
        swapped.append(f"{name}: torch.nn.{kind} -> recurra.nn.{kind}")
    result = Swaps(tuple(swapped), kept)
    _log.info("accelerate: %s", result)
    return result


def _reason_to_keep(module: nn.Module) -> str | None:
    if type(module) not in _REPLACEMENTS:
        name = type(module).__name__
        return f"{name} is a subclass of torch's layer and may compute something else"
    expected = {name for name, _ in _empty_twin(module).named_parameters()}
    own = {name for name, _ in module.named_parameters()}
    if expected != own:
        changed = ", ".join(sorted(expected ^ own))
        return f"its parameters are not those torch made ({changed})"
    return None


def _twin(module: nn.Module) -> nn.Module:
    twin = _empty_twin(module)
    for name, parameter in module.named_parameters():
        setattr(twin, name, parameter)
    twin.training = module.training
    for hooks in _HOOKS:
        setattr(twin, hooks, getattr(module, hooks))
    return twin


def _empty_twin(module: nn.Module) -> nn.Module:
    """A layer like `module` without storage, so that no random number is drawn."""
    names = ["input_size", "hidden_size", "bias"]
    if isinstance(module, nn.RNNBase):
        names += ["num_layers", "batch_first", "dropout", "bidirectional"]
    if isinstance(module, nn.LSTM):
        names.append("proj_size")
    if isinstance(module, (nn.RNN, nn.RNNCell)):
        names.append("nonlinearity")
    return _REPLACEMENTS[type(module)](**{n: getattr(module, n) for n in names}, device="meta")
