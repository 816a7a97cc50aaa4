"""A program as the source of a class of torch.nn layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import GRU, IRNN, LSTM, RNN
from recurra.errors import ConfigError
from recurra.nn.program import Operation, Program, Recurrence

__all__ = ["torch_files"]


def torch_files(program: Program, name: str) -> tuple[str, dict[str, Tensor]]:
    """The source of a class `Network`, and its state_dict.

    Raises ConfigError for a layer that torch.nn doesn't have, by its name.
    """
    writer = _ClassWriter(program)
    return writer.source(name), writer.weights


class _ClassWriter:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._made: list[str] = []
        self._lines: list[str] = []
        self._states: list[str] = []
        self.weights: dict[str, Tensor] = {}
        values = {program.input: "x"}
        self._ends: dict[tuple[int, ...], str] = {(): "lengths"}
        for number, op in enumerate(program.operations):
            result = f"v{number}"
            args = [values[value] for value in op.args]
            self._write(number, op, args, result)
            values[op.result] = result
        self._output = values[program.output]

    def source(self, name: str) -> str:
        """The Python file."""
        ragged = self._program.ragged
        made = "\n".join(f"        {line}" for line in self._made)
        lines = "\n".join(f"        {line}" for line in self._lines)
        given = "x, lengths" if ragged else "x, states=None"
        returned = self._output if ragged else f"{self._output}, [{', '.join(self._states)}]"
        size = self._program.input.size
        kind = "int64 tokens" if self._program.input.kind == "tokens" else "float32 features"
        about = "with lengths (B,)" if ragged else "and the states that the call before gave"
        helper = _INSIDE if "inside(" in lines else ""
        return (
            f'"""A network written by Recurra, of torch.nn layers.\n\n'
            f"    from safetensors.torch import load_file\n\n"
            f"    network = Network().eval()\n"
            f'    network.load_state_dict(load_file("{name}.safetensors"))\n"""\n\n'
            f"import torch\nfrom torch import nn\nfrom torch.nn import functional\n\n\n{helper}"
            f"class Network(nn.Module):\n"
            f'    """Inputs (T, B, {size}), {kind}, {about}."""\n\n'
            f"    def __init__(self):\n        super().__init__()\n{made}\n\n"
            f"    def forward(self, {given}):\n{lines}\n        return {returned}\n"
        )

    def _write(self, number: int, op: Operation, args: Sequence[str], y: str) -> None:
        if op.recurrence is not None:
            self._recurrence(number, op, op.recurrence, args[0], y)
            return
        say, x, own = self._lines.append, args[0], f"self.layer{number}"
        match op.name:
            case "columns":
                say(f"{y} = {x}[..., {op.options['start']}:{op.options['stop']}]")
            case "embedding":
                rows, size = op.tensors["table"].shape
                self._layer(number, f"nn.Embedding({rows}, {size})", weight=op.tensors["table"])
                say(f"{y} = {own}({x}.squeeze(-1))")
            case "linear":
                outputs, inputs = op.tensors["weight"].shape
                bias = "bias" in op.tensors
                made = f"nn.Linear({inputs}, {outputs}, bias={bias})"
                self._layer(number, made, **op.tensors)
                say(f"{y} = {own}({x})")
            case "normalise":
                made = f"nn.LayerNorm({op.result.size}, eps={op.options['eps']})"
                self._layer(number, made, **op.tensors)
                say(f"{y} = {own}({x})")
            case "add":
                say(f"{y} = {x} + {args[1]}")
            case "multiply":
                say(f"{y} = {x} * {args[1]}")
            case "complement":
                say(f"{y} = 1 - {x}")
            case "concatenate":
                say(f"{y} = torch.cat([{', '.join(args)}], -1)")
            case "tanh" | "sigmoid":
                say(f"{y} = torch.{op.name}({x})")
            case "log_softmax":
                say(f"{y} = {x}.log_softmax(-1)")
            case "repeat":
                say(f"{y} = {x}.repeat_interleave({op.options['times']}, 0)[: len(x)]")
            case "spelling":
                self._spelling(number, op, x, y)
            case "convolution":
                self._convolution(number, op, x, y)
            case "pool":
                self._pool(op, args, y)
            case _:
                raise AssertionError(op.name)

    def _layer(self, number: int, made: str, **tensors: Tensor) -> None:
        self._made.append(f"self.layer{number} = {made}")
        self.weights |= {f"layer{number}.{name}": tensor for name, tensor in tensors.items()}

    def _recurrence(self, number: int, op: Operation, own: Recurrence, x: str, y: str) -> None:
        kind = _kind_of(own)
        params, size = own.params, own.size
        w, u = params["W"], params["U"]
        bias = "b" in params
        tensors = {"weight_ih_l0": w, "weight_hh_l0": u}
        if bias:
            tensors |= {"bias_ih_l0": params["b"], "bias_hh_l0": torch.zeros_like(params["b"])}
        if "b_h" in params:
            tensors["bias_hh_l0"][-size:] = params["b_h"]
        made = f"{kind[:-1]}, bias={bias})".replace("I, H", f"{w.shape[1]}, {size}")
        self._layer(number, made, **tensors)
        starts = [f"start{number}_{place}" for place in range(len(own.initial))]
        for name, start in zip(starts, own.initial, strict=True):
            self._made.append(f'self.register_buffer("{name}", torch.zeros({len(start)}))')
            self.weights[name] = start
        wide = [f"self.{name}.expand(1, {x}.shape[1], -1).contiguous()" for name in starts]
        first = wide[0] if len(wide) == 1 else f"({', '.join(wide)})"
        say = self._lines.append
        if not self._program.ragged:
            place = len(self._states)
            say(f"s{number} = {first} if states is None else states[{place}]")
            say(f"{y}, s{number} = self.layer{number}({x}, s{number})")
            self._states.append(f"s{number}")
            return
        ends = self._lengths(op.args[0].pooled)
        if own.reverse:
            say(f"back = torch.arange(len({x}), device={x}.device).unsqueeze(1)")
            say(f"back = torch.where(back < {ends}, {ends} - 1 - back, back).unsqueeze(-1)")
            say(f"{y} = {x}.gather(0, back.expand_as({x}))")
            say(f"{y}, _ = self.layer{number}({y}, {first})")
            say(f"{y} = {y}.gather(0, back.expand_as({y}))")
        else:
            say(f"{y}, _ = self.layer{number}({x}, {first})")

    def _lengths(self, pooled: tuple[int, ...]) -> str:
        """The name of the lengths of values of which so many steps are one."""
        if pooled not in self._ends:
            before = self._lengths(pooled[:-1])
            name = f"lengths{len(self._ends)}"
            self._lines.append(f"{name} = ({before} + {pooled[-1] - 1}) // {pooled[-1]}")
            self._ends[pooled] = name
        return self._ends[pooled]

    def _masked(self, op: Operation, x: str, fill: str = "0") -> str:
        """The value with `fill` after the ends of rows."""
        if not self._program.ragged:
            return x
        ends = self._lengths(op.args[0].pooled)
        return f"{x}.masked_fill(~inside({x}, {ends}), {fill})"

    def _spelling(self, number: int, op: Operation, x: str, y: str) -> None:
        say, table = self._lines.append, op.tensors["table"]
        rows, size = table.shape
        self._layer(number, f"nn.Embedding({rows}, {size})", weight=table)
        say(f"letters = {x}.flatten(0, 1)")
        say(f"spelt = self.layer{number}(letters).transpose(1, 2)")
        say("there = (letters != 0).unsqueeze(1)")
        parts = []
        for place in range((len(op.tensors) - 1) // 2):
            weight, bias = op.tensors[f"weight{place}"], op.tensors[f"bias{place}"]
            channels, _, width = weight.shape
            name = f"spell{number}_{place}"
            made = f"nn.Conv1d({size}, {channels}, {width}, padding={width // 2})"
            self._made.append(f"self.{name} = {made}")
            self.weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
            parts.append(f"(self.{name}(spelt)[..., : letters.shape[1]].relu() * there).amax(2)")
        say(f"{y} = torch.cat([{', '.join(parts)}], 1).unflatten(0, {x}.shape[:2])")

    def _convolution(self, number: int, op: Operation, x: str, y: str) -> None:
        say, options, weight = self._lines.append, op.options, op.tensors["weight"]
        outputs, inputs, width, *reach = weight.shape
        planes = bool(reach)
        pads = (0 if options["causal"] else width // 2, *[size // 2 for size in reach])
        made = (
            f"nn.Conv{2 if planes else 1}d({inputs}, {outputs}, {(width, *reach)}, "
            f"padding={pads}, bias={'bias' in op.tensors})"
        )
        self._layer(number, made, **op.tensors)
        say(f"{y} = {self._masked(op, x)}.permute(1, 2, 0)")
        if planes:
            say(f"{y} = {y}.unflatten(1, ({inputs}, {options['features']})).transpose(2, 3)")
        if options["causal"] and width > 1:
            say(f"{y} = functional.pad({y}, ({width - 1}, 0))")
        say(f"{y} = self.layer{number}({y})" + (".relu()" if options["relu"] else ""))
        pool = options["pool"] if planes else options["pool"][:1]
        if set(pool) != {1}:
            if self._program.ragged:
                ends = self._lengths(op.args[0].pooled)
                mask = f"inside({x}, {ends}).permute(1, 2, 0)" + (
                    ".unsqueeze(-1)" if planes else ""
                )
                say(f"{y} = {y} * {mask}")
            kind = "max_pool2d" if planes else "max_pool1d"
            say(f"{y} = functional.{kind}({y}, {pool}, ceil_mode=True)")
        if planes:
            say(f"{y} = {y}.transpose(2, 3).flatten(1, 2)")
        say(f"{y} = {y}.permute(2, 0, 1)")

    def _pool(self, op: Operation, args: Sequence[str], y: str) -> None:
        say, x, kind = self._lines.append, args[0], op.options["kind"]
        ragged = self._program.ragged
        ends = self._lengths(op.args[0].pooled) if ragged else f"torch.tensor(len({x}))"
        if kind == "last":
            rows = f"torch.arange({x}.shape[1], device={x}.device)"
            say(f"{y} = {x}[({ends}.clamp(min=1) - 1), {rows}]" if ragged else f"{y} = {x}[-1]")
            if op.options["bidirectional"]:
                half = op.args[0].size // 2
                say(f"{y} = torch.cat([{y}[:, :{half}], {x}[0, :, {half}:]], -1)")
        elif kind == "max":
            say(f"{y} = {self._masked(op, x, '-torch.inf')}.amax(0)")
        elif kind == "mean":
            count = f"{ends}.clamp(min=1).unsqueeze(-1)" if ragged else ends
            say(f"{y} = {self._masked(op, x)}.sum(0) / {count}")
        else:
            weights = f"{self._masked(op, args[1], '-torch.inf')}.softmax(0)"
            say(f"{y} = ({weights} * {self._masked(op, x)}).sum(0)")


def _kind_of(recurrence: Recurrence) -> str:
    """The layer of torch.nn that has these equations, with I, H for its sizes."""
    digest, bias = recurrence.graph.digest(), "b" in recurrence.params
    known = [
        (LSTM(), "nn.LSTM(I, H)"),
        (GRU(), "nn.GRU(I, H)"),
        (RNN(), "nn.RNN(I, H)"),
        (RNN(nonlinearity="relu"), 'nn.RNN(I, H, nonlinearity="relu")'),
        (IRNN(), 'nn.RNN(I, H, nonlinearity="relu")'),
    ]
    for cell, made in known:
        if cell.graph(bias=bias).digest() == digest:
            if recurrence.dilation == 1 and recurrence.time_skip == 0:
                return made
            raise ConfigError(
                f"{recurrence.name} looks several steps back, which no layer of torch.nn does; "
                "export to onnx or c."
            )
    raise ConfigError(
        f"torch.nn has no layer with the equations of {recurrence.name}; export to onnx or c, or "
        "train with lstm, gru or rnn."
    )


_INSIDE = '''\
def inside(x, lengths):
    """Which steps (T, B, 1) are before the ends of rows."""
    return (torch.arange(len(x), device=x.device).unsqueeze(1) < lengths).unsqueeze(-1)


'''
