"""The operations of a program as C, but those that wait for later steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.deploy.export.c_cells import step_lines
from recurra.deploy.export.c_source import CSource, number
from recurra.nn.program import Operation, Recurrence

__all__ = ["OperationWriter"]


class OperationWriter:
    """Adds operations to a source, with fields of the state for what they keep.

    `fields` have a name, a size and what a sequence begins with; `counters` begin with 0.
    """

    def __init__(self, source: CSource) -> None:
        self._source = source
        self.fields: list[tuple[str, int, Any]] = []
        self.counters: list[str] = []

    def write(self, place: int, op: Operation, args: Sequence[str]) -> str:
        """Add an operation, the `place`-th of the program; the name of its result."""
        if op.recurrence is not None:
            return self._recurrence(place, op, op.recurrence, args[0])
        match op.name:
            case "columns":
                return f"({args[0]} + {op.options['start']})"
            case "embedding":
                size = op.result.size
                table = self._source.vector(op.tensors["table"].numpy())
                return f"({table} + {size} * {args[0]}[0])"
            case "spelling":
                return self._spelling(op, args[0])
            case "convolution":
                return self.convolved(place, op, args[0])
            case "pool":
                return self._pool(place, op, args)
            case _:
                return self._simple(op, args)

    def _simple(self, op: Operation, args: Sequence[str]) -> str:
        source, size = self._source, op.result.size
        y = source.buffer(size)
        loop = f"for (int i = 0; i < {size}; i++) {y}[i] = "
        match op.name:
            case "linear":
                bias = op.tensors.get("bias")
                shift = None if bias is None else bias.numpy()
                source.product(op.tensors["weight"].numpy(), args[0], y, shift)
            case "normalise":
                gain, bias_ = (source.vector(op.tensors[k].numpy()) for k in ("weight", "bias"))
                eps = number(op.options["eps"])
                source.say(f"normalise({args[0]}, {gain}, {bias_}, {eps}, {y}, {size});")
            case "concatenate":
                first = 0
                for value, name in zip(op.args, args, strict=True):
                    width = value.size
                    source.say(f"memcpy({y} + {first}, {name}, {width} * sizeof(float));")
                    first += width
            case "add":
                source.say(f"{loop}{args[0]}[i] + {args[1]}[i];")
            case "multiply":
                source.say(f"{loop}{args[0]}[i] * {args[1]}[i];")
            case "complement":
                source.say(f"{loop}1.0f - {args[0]}[i];")
            case "tanh":
                source.say(f"{loop}tanhf({args[0]}[i]);")
            case "sigmoid":
                source.say(f"{loop}sigmoid({args[0]}[i]);")
            case "log_softmax":
                top, total = source.name("s"), source.name("s")
                source.say(
                    f"float {top} = {args[0]}[0], {total} = 0.0f;",
                    f"for (int i = 1; i < {size}; i++) {top} = larger({top}, {args[0]}[i]);",
                    f"for (int i = 0; i < {size}; i++) {total} += expf({args[0]}[i] - {top});",
                    f"{total} = {top} + logf({total});",
                    f"{loop}{args[0]}[i] - {total};",
                )
            case _:
                raise AssertionError(op.name)
        return y

    def _recurrence(self, place: int, op: Operation, own: Recurrence, x: str) -> str:
        source, size = self._source, op.args[0].size
        rows = own.dilation
        states, at = [], ""
        if rows > 1:
            at = self.counter(f"at_{place}")
        for name, width, start in zip(own.graph.states, own.state_sizes, own.initial, strict=True):
            field = self.field(f"{name}_{place}", rows * width, np.tile(start.numpy(), rows))
            states.append(f"({field} + {width} * {at})" if at else field)
        if own.time_skip:
            past = self.field(f"y_{place}", own.time_skip * own.size, 0)
            when = self.counter(f"when_{place}")
            skipped = f"({past} + {own.size} * {when})"
            whole = source.buffer(size + own.size)
            source.say(
                f"memcpy({whole}, {x}, {size} * sizeof(float));",
                f"memcpy({whole} + {size}, {skipped}, {own.size} * sizeof(float));",
            )
            x, size = whole, size + own.size
        new = step_lines(source, own, x, size, states)
        for state, value, width in zip(states, new, own.state_sizes, strict=True):
            source.say(f"memcpy({state}, {value}, {width} * sizeof(float));")
        if own.time_skip:
            source.say(f"memcpy({skipped}, {new[0]}, {own.size} * sizeof(float));")
            source.say(f"{when} = ({when} + 1) % {own.time_skip};")
        if at:
            source.say(f"{at} = ({at} + 1) % {rows};")
        return new[0]

    def _spelling(self, op: Operation, letters: str) -> str:
        source, count, size = self._source, op.args[0].size, op.result.size
        table = op.tensors["table"].numpy()
        y, rows, width = source.buffer(size), source.vector(table), table.shape[1]
        source.say(f"memset({y}, 0, sizeof {y});")
        first = 0
        for number_ in range((len(op.tensors) - 1) // 2):
            weight = op.tensors[f"weight{number_}"].numpy()
            channels, _, reach = weight.shape
            names = [source.vector(np.ascontiguousarray(weight.transpose(0, 2, 1)))]
            names.append(source.vector(op.tensors[f"bias{number_}"].numpy()))
            source.say(
                f"spell({letters}, {count}, {rows}, {width}, {', '.join(names)}, {channels}, "
                f"{reach}, {y} + {first});"
            )
            first += channels
        return y

    def convolved(self, place: int, op: Operation, x: str) -> str:
        """Add the convolution of the last steps, the newest of which is x, and its maxima over
        features.
        """
        source, weight = self._source, op.tensors["weight"].numpy()
        size, width = op.args[0].size, weight.shape[2]
        if width > 1:
            past = self.field(f"past_{place}", (width - 1) * size, 0)
            window = source.buffer(width * size)
            kept = f"{(width - 1) * size} * sizeof(float)"
            source.say(
                f"memcpy({window}, {past}, {kept});",
                f"memcpy({window} + {(width - 1) * size}, {x}, {size} * sizeof(float));",
                f"memcpy({past}, {window} + {size}, {kept});",
            )
            x = window
        bias = op.tensors.get("bias")
        shift = None if bias is None else bias.numpy()
        if weight.ndim == 3:
            outputs = weight.shape[0]
            whole = np.ascontiguousarray(weight.transpose(0, 2, 1)).reshape(outputs, -1)
            y = source.buffer(outputs)
            source.product(whole, x, y, shift)
        else:
            outputs, y = self._planes(op, weight, x, shift)
        if op.options["relu"]:
            source.say(f"for (int i = 0; i < {outputs}; i++) {y}[i] = relu({y}[i]);")
        across = op.options["pool"][1]
        if across == 1:
            return y
        most, features = source.buffer(op.result.size), op.options["features"]
        source.say(f"most_across({y}, {weight.shape[0]}, {features}, {across}, {most});")
        return most

    def _planes(self, op: Operation, weight: Any, x: str, shift: Any) -> tuple[int, str]:
        """A convolution over steps and features: for each feature a product with its neighbours."""
        source, features = self._source, op.options["features"]
        channels, inputs, width, reach = weight.shape
        patch, made = source.buffer(width * inputs * reach), source.buffer(channels)
        outputs = channels * features
        y = source.buffer(outputs)
        whole = np.ascontiguousarray(weight.transpose(0, 2, 1, 3)).reshape(channels, -1)
        source.say(
            f"for (int f = 0; f < {features}; f++) {{",
            f"take_patch({x}, {width * inputs}, {features}, f, {reach}, {patch});",
        )
        source.product(whole, patch, made, shift)
        source.say(
            f"for (int k = 0; k < {channels}; k++) {y}[k * {features} + f] = {made}[k];",
            "}",
        )
        return outputs, y

    def _pool(self, place: int, op: Operation, args: Sequence[str]) -> str:
        source, size, kind = self._source, op.result.size, op.options["kind"]
        if kind == "last":
            return args[0]
        count = self.counter(f"steps_{place}")
        loop = f"for (int i = 0; i < {size}; i++) "
        if kind == "max":
            top = self.field(f"top_{place}", size, 0)
            source.say(
                f"{loop}{top}[i] = {count} ? larger({top}[i], {args[0]}[i]) : {args[0]}[i];",
                f"{count} = 1;",
            )
            return top
        y, total = source.buffer(size), self.field(f"total_{place}", size, 0)
        weight = self.field(f"weight_{place}", 1, 0)
        if kind == "mean":
            source.say(f"{weight}[0] += 1.0f;", f"{loop}{total}[i] += {args[0]}[i];")
        else:
            highest = self.field(f"highest_{place}", 1, 0)
            now, shrink, share = (source.name("s") for _ in range(3))
            score = args[1]
            source.say(
                f"const float {now} = {count} ? larger({highest}[0], {score}[0]) : {score}[0];",
                f"const float {shrink} = {count} ? expf({highest}[0] - {now}) : 0.0f;",
                f"const float {share} = expf({score}[0] - {now});",
                f"{highest}[0] = {now};",
                f"{weight}[0] = {weight}[0] * {shrink} + {share};",
                f"{loop}{total}[i] = {total}[i] * {shrink} + {share} * {args[0]}[i];",
            )
        source.say(f"{count} = 1;", f"{loop}{y}[i] = {total}[i] / {weight}[0];")
        return y

    def field(self, name: str, size: int, start: Any) -> str:
        """A new field of the state, of so many floats."""
        self.fields.append((name, size, np.broadcast_to(start, (size,)).astype(np.float32)))
        return f"state->{name}"

    def counter(self, name: str) -> str:
        """A new whole number of the state, 0 at the beginning."""
        self.counters.append(name)
        return f"state->{name}"
