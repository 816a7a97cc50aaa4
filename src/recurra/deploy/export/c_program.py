"""A program as one C99 file and its header: a step, a state, no allocation, no library but libm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recurra.deploy.export.c_cells import FUNCTIONS, step_lines
from recurra.deploy.export.c_source import CSource, NumberFormat, indented, number
from recurra.errors import ConfigError
from recurra.nn.program import Operation, Program, Recurrence, Value

__all__ = ["c_files"]


def c_files(
    program: Program, name: str, form: NumberFormat, notes: Mapping[str, str]
) -> tuple[str, str]:
    """The source and the header of a program, whose names begin with `name`.

    notes: what the header says of the network. Raises ConfigError for a network that can't answer
    step by step.
    """
    if program.obstacle is not None:
        raise ConfigError(
            f"A C program answers step by step, and {program.obstacle}; export it to onnx, or "
            "train a network of one direction (--no-bidirectional) without subsampling."
        )
    prefix = re.sub(r"\W", "_", name)
    writer = _StepWriter(program, prefix, form)
    return writer.source(name), writer.header(notes)


class _StepWriter:
    """Writes the step; `_fields` are those of the state, each with its size and start."""

    def __init__(self, program: Program, prefix: str, form: NumberFormat) -> None:
        self._program, self._prefix = program, prefix
        self._source = CSource(form)
        self._fields: list[tuple[str, int, Any]] = []
        self._counters: list[str] = []
        self._arrays: dict[Value, str] = {program.input: "x"}
        for number_, op in enumerate(program.operations):
            self._arrays[op.result] = self._written(number_, op)
        out, size = self._arrays[program.output], program.output.size
        self._source.say(f"memcpy(y, {out}, {size} * sizeof(float));")

    def source(self, name: str) -> str:
        """The C file."""
        own, prefix = self._source, self._prefix
        body = indented(own.lines)
        used = _used(body + own.helpers())
        starts = []
        for field, size, start in self._fields:
            if np.any(start):
                copied = f"memcpy(state->{field}, {own.vector(start)}, {size} * sizeof(float));"
                starts.append("    " + copied)
            else:
                starts.append(f"    memset(state->{field}, 0, sizeof state->{field});")
        starts += [f"    state->{counter} = 0;" for counter in self._counters]
        if not starts:
            starts = ["    state->unused = 0;"]
            body += "\n    (void)state;"
        parts = [
            f'#include "{name}.h"\n\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n',
            "\n\n".join(own.constants) + "\n",
            "\n".join(FUNCTIONS[function] for function in FUNCTIONS if function in used),
            own.helpers() if "product(" in body else "",
            f"void {prefix}_init({prefix}_state *state) {{\n" + "\n".join(starts) + "\n}\n",
            f"void {prefix}_step({prefix}_state *state, const {self._kind} *x, float *y) {{\n"
            f"{body}\n}}\n",
        ]
        return "\n".join(part for part in parts if part)

    def header(self, notes: Mapping[str, str]) -> str:
        """The header."""
        prefix, program = self._prefix, self._program
        guard = f"{prefix.upper()}_H"
        said = "".join(f" * {key}: {_comment(value)}\n" for key, value in notes.items())
        fields = [f"    float {field}[{size}];" for field, size, _ in self._fields]
        fields += [f"    int {counter};" for counter in self._counters]
        fields = fields or ["    int unused;"]
        return (
            f"/* A network written by Recurra: one step, its state kept between steps.\n{said} */\n"
            f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n"
            f"#define {prefix.upper()}_INPUTS {program.input.size}\n"
            f"#define {prefix.upper()}_OUTPUTS {program.output.size}\n\n"
            f"typedef struct {{\n" + "\n".join(fields) + f"\n}} {prefix}_state;\n\n"
            "/* Begin a sequence. */\n"
            f"void {prefix}_init({prefix}_state *state);\n\n"
            f"/* Read the next step x, and write the outputs y. */\n"
            f"void {prefix}_step({prefix}_state *state, const {self._kind} *x, float *y);\n\n"
            "#endif\n"
        )

    @property
    def _kind(self) -> str:
        return "int32_t" if self._program.input.kind == "tokens" else "float"

    def _written(self, place: int, op: Operation) -> str:
        """Add an operation; the name of its result."""
        args = [self._arrays[value] for value in op.args]
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
                return self._convolution(place, op, args[0])
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
            at = self._counter(f"at_{place}")
        for name, width, start in zip(own.graph.states, own.state_sizes, own.initial, strict=True):
            field = self._field(f"{name}_{place}", rows * width, np.tile(start.numpy(), rows))
            states.append(f"({field} + {width} * {at})" if at else field)
        if own.time_skip:
            past = self._field(f"y_{place}", own.time_skip * own.size, 0)
            when = self._counter(f"when_{place}")
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

    def _convolution(self, place: int, op: Operation, x: str) -> str:
        source, weight = self._source, op.tensors["weight"].numpy()
        outputs, size, width = weight.shape
        whole = np.ascontiguousarray(weight.transpose(0, 2, 1)).reshape(outputs, -1)
        if width > 1:
            past = self._field(f"past_{place}", (width - 1) * size, 0)
            window = source.buffer(width * size)
            kept = f"{(width - 1) * size} * sizeof(float)"
            source.say(
                f"memcpy({window}, {past}, {kept});",
                f"memcpy({window} + {(width - 1) * size}, {x}, {size} * sizeof(float));",
                f"memcpy({past}, {window} + {size}, {kept});",
            )
            x = window
        y = source.buffer(outputs)
        bias = op.tensors.get("bias")
        source.product(whole, x, y, None if bias is None else bias.numpy())
        if op.options["relu"]:
            source.say(f"for (int i = 0; i < {outputs}; i++) {y}[i] = relu({y}[i]);")
        return y

    def _pool(self, place: int, op: Operation, args: Sequence[str]) -> str:
        source, size, kind = self._source, op.result.size, op.options["kind"]
        if kind == "last":
            return args[0]
        count = self._counter(f"steps_{place}")
        loop = f"for (int i = 0; i < {size}; i++) "
        if kind == "max":
            top = self._field(f"top_{place}", size, 0)
            source.say(
                f"{loop}{top}[i] = {count} ? larger({top}[i], {args[0]}[i]) : {args[0]}[i];",
                f"{count} = 1;",
            )
            return top
        y, total = source.buffer(size), self._field(f"total_{place}", size, 0)
        weight = self._field(f"weight_{place}", 1, 0)
        if kind == "mean":
            source.say(f"{weight}[0] += 1.0f;", f"{loop}{total}[i] += {args[0]}[i];")
        else:
            highest = self._field(f"highest_{place}", 1, 0)
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

    def _field(self, name: str, size: int, start: Any) -> str:
        self._fields.append((name, size, np.broadcast_to(start, (size,)).astype(np.float32)))
        return f"state->{name}"

    def _counter(self, name: str) -> str:
        self._counters.append(name)
        return f"state->{name}"


def _used(text: str) -> set[str]:
    """The functions that are called in a text, and those that they call."""
    found: set[str] = set()
    for name in reversed(FUNCTIONS):
        if re.search(rf"\b{name}\(", text):
            found.add(name)
            text += FUNCTIONS[name].partition("{")[2]
    return found


def _comment(text: str) -> str:
    """A text that may stand in a comment."""
    return text.replace("*/", "* /").replace("\n", " ")
