"""Shows torch's own recurrent layers and cells to an observer, wherever a model calls them.

Every one of torch's layers, its subclasses and functional uses end in one of a few operations
(`torch.lstm`, `torch.gru_cell`, ...). Within `torch_layers_shown()` such a call is computed by the
drop-in of the same equations with the weights of the call, which the observer sees. The model is
left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from recurra.nn.layers.drop_ins import GRU, LSTM, RNN

__all__ = ["torch_layers_shown"]

_OPTIONS = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", "params", *_OPTIONS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", "params", *_OPTIONS)
_STEP = ("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")

_LAYERS: Mapping[Callable[..., Any], tuple[type[nn.Module], dict[str, str]]] = {
    torch.lstm: (LSTM, {}),
    torch.gru: (GRU, {}),
    torch.rnn_tanh: (RNN, {"nonlinearity": "tanh"}),
    torch.rnn_relu: (RNN, {"nonlinearity": "relu"}),
}
_CELLS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.lstm_cell: torch.lstm,
    torch.gru_cell: torch.gru,
    torch.rnn_tanh_cell: torch.rnn_tanh,
    torch.rnn_relu_cell: torch.rnn_relu,
}


@contextmanager
def torch_layers_shown() -> Iterator[None]:
    """Let the observer of this context see calls of torch's recurrent layers and cells, too."""
    with _Shown():
        yield


class _Shown(TorchFunctionMode):
    """Computes torch's recurrent operations by drop-ins; every other operation passes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _LAYERS:
            second = args[1] if len(args) > 1 else named.get("batch_sizes")
            is_packed = isinstance(second, Tensor) and not second.is_floating_point()
            names = _PACKED if is_packed else _PADDED
            return _layer(func, {**dict(zip(names, args, strict=False)), **named})
        if func in _CELLS:
            return _step(func, {**dict(zip(_STEP, args, strict=False)), **named})
        return func(*args, **named)


def _layer(func: Callable[..., Any], call: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """A call of a layer's operation: the outputs and the last states."""
    kind, fixed = _LAYERS[func]
    x: Any = call.get("input")
    if x is None:
        x = PackedSequence(call["data"], call["batch_sizes"].cpu())
    hx, weights = call["hx"], list(call["params"])
    first = hx[0] if isinstance(hx, (tuple, list)) else hx
    options: dict[str, Any] = dict(fixed)
    if kind is LSTM and hx[0].shape[-1] != hx[1].shape[-1]:
        options["proj_size"] = first.shape[-1]
    size = hx[1].shape[-1] if kind is LSTM else first.shape[-1]
    twin = kind(
        weights[0].shape[1],
        size,
        num_layers=call["num_layers"],
        bias=call["has_biases"],
        batch_first=call.get("batch_first", False),
        dropout=call["dropout"],
        bidirectional=call["bidirectional"],
        device="meta",
        **options,
    ).train(call["train"])
    names = [name for name, _ in twin.named_parameters()]
    states = tuple(hx) if isinstance(hx, (tuple, list)) else hx
    y, last = functional_call(twin, dict(zip(names, weights, strict=True)), (x, states))
    y = y.data if isinstance(y, PackedSequence) else y
    return (y, *last) if isinstance(last, tuple) else (y, last)


def _step(func: Callable[..., Any], call: Mapping[str, Any]) -> Any:
    """A call of a cell's operation, as one step of its layer: the new states."""
    hx, biases = call["hx"], (call.get("b_ih"), call.get("b_hh"))
    is_pair = isinstance(hx, (tuple, list))
    weights = [call["w_ih"], call["w_hh"], *(bias for bias in biases if bias is not None)]
    layer = {
        "input": call["input"].unsqueeze(0),
        "hx": tuple(state.unsqueeze(0) for state in hx) if is_pair else hx.unsqueeze(0),
        "params": weights,
        "has_biases": biases[0] is not None,
        "num_layers": 1,
        "dropout": 0.0,
        "train": False,
        "bidirectional": False,
    }
    states = [state.squeeze(0) for state in _layer(_CELLS[func], layer)[1:]]
    return tuple(states) if is_pair else states[0]
