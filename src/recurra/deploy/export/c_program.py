"""A program as one C99 file and its header: a step, a state, no allocation, no library but libm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.deploy.export.c_cells import FUNCTIONS
from recurra.deploy.export.c_operations import OperationWriter
from recurra.deploy.export.c_source import CSource, NumberFormat, indented
from recurra.errors import ConfigError
from recurra.nn.program import Operation, Program, Value

__all__ = ["c_files", "c_prefix", "last_outputs", "state_fields"]


def c_files(
    program: Program, name: str, form: NumberFormat, notes: Mapping[str, str]
) -> tuple[str, str]:
    """The source and the header of a program, whose names begin with `name`.

    notes: what the header says of the network. Raises ConfigError for a network that reads from a
    sequence's end.
    """
    _check(program)
    writer = _NetworkWriter(program, c_prefix(name), form)
    return writer.source(name), writer.header(notes)


def c_prefix(name: str) -> str:
    """What the names of a source begin with that is called so.

    >>> c_prefix("model-1")
    'model_1'
    """
    return re.sub(r"\W", "_", name)


def state_fields(program: Program) -> list[tuple[str, int]]:
    """The fields that the state begins with: their names, and how many floats each has."""
    writer = _NetworkWriter(program, "network", "float32")
    return [(name, size) for name, size, _ in writer.fields]


def last_outputs(program: Program) -> int:
    """Outputs at most that wait for the end of a sequence."""
    waiting = (op for op in program.operations if op.waits)
    return sum(1 + op.tensors["weight"].shape[2] // 2 for op in waiting)


def _check(program: Program) -> None:
    for recurrence in program.recurrences:
        if recurrence.reverse:
            raise ConfigError(
                f"A C program answers as steps come, and {recurrence.name} reads each sequence "
                "from its end; export it to onnx, or train a network of one direction "
                "(--no-bidirectional)."
            )
    if any(op.name == "repeat" for op in program.operations):
        raise ConfigError(
            "A C program gives an output when it has one, and this network repeats each for "
            "several steps; export it to onnx, or train with subsampling = 1."
        )


class _NetworkWriter:
    """Writes the functions of a network.

    The operations are cut where one waits for later steps: each part is a function that ends with
    a call of the next one, if there is something for it by then.
    """

    def __init__(self, program: Program, prefix: str, form: NumberFormat) -> None:
        self._program, self._prefix = program, prefix
        self._source = CSource(form)
        self._operations = OperationWriter(self._source)
        self._functions: list[tuple[str, str]] = []
        self._flushes: list[str] = []
        self._part = 1
        arrays: dict[Value, str] = {program.input: "x"}
        for place, op in enumerate(program.operations):
            if op.waits:
                self._wait(place, op, arrays[op.args[0]])
                arrays = {op.result: "x"}
            else:
                args = [arrays[value] for value in op.args]
                arrays[op.result] = self._operations.write(place, op, args)
        out, size = arrays[program.output], program.output.size
        self._source.say(f"memcpy(y, {out}, {size} * sizeof(float));", "return 1;")
        self._end(f"part{self._part}")

    @property
    def fields(self) -> list[tuple[str, int, Any]]:
        """The fields of floats of the state, with their sizes and beginnings."""
        return self._operations.fields

    def _wait(self, place: int, op: Operation, x: str) -> None:
        """End a part by a convolution that has a function of its own; another part follows."""
        source, own = self._source, self._operations
        pad = 0 if op.options["causal"] else op.tensors["weight"].shape[2] // 2
        steps, size, outputs = op.options["pool"][0], op.args[0].size, op.result.size
        upper, wait, after = self._prefix.upper(), f"wait{self._part}", f"part{self._part + 1}"
        source.say(f"return {wait}(state, {x}, y);")
        self._end(f"part{self._part}")
        y = own.convolved(place, op, "x")
        if pad:
            # The first outputs would be of steps before the sequence.
            seen = own.counter(f"seen_{place}")
            source.say(f"if ({seen} < {pad}) {{", f"{seen} += 1;", "return 0;", "}")
            self._flushes += [
                f"if ({seen}) {{",
                f"const float zeros[{size}] = {{0.0f}};",
                f"for (int i = 0; i < {pad}; i++)",
                f"    found += {wait}(state, zeros, y + found * {upper}_OUTPUTS);",
                "}",
            ]
        if steps > 1:
            most, held = own.field(f"most_{place}", outputs, 0), own.counter(f"held_{place}")
            source.say(
                f"for (int i = 0; i < {outputs}; i++)",
                f"    if ({held} == 0 || {most}[i] < {y}[i]) {most}[i] = {y}[i];",
                f"if (++{held} < {steps}) return 0;",
                f"{held} = 0;",
            )
            y = most
            self._flushes += [
                f"if ({held}) {{",
                f"{held} = 0;",
                f"found += {after}(state, {most}, y + found * {upper}_OUTPUTS);",
                "}",
            ]
        source.say(f"return {after}(state, {y}, y);")
        self._end(wait)
        self._part += 1

    def _end(self, name: str) -> None:
        """Close a function."""
        kind = self._kind if not self._functions else "float"
        lines, self._source.lines = self._source.lines, []
        if not any("state" in line for line in lines):
            lines.insert(0, "(void)state;")
        head = f"static int {name}({self._prefix}_state *state, const {kind} *x, float *y)"
        self._functions.append((head, indented(lines)))

    def source(self, name: str) -> str:
        """The C file."""
        own, prefix = self._source, self._prefix
        bodies = "\n".join(body for _, body in self._functions)
        used = _used(bodies + own.helpers())
        starts = []
        for field, size, start in self.fields:
            if np.any(start):
                starts.append(
                    f"memcpy(state->{field}, {own.vector(start)}, {size} * sizeof(float));"
                )
            else:
                starts.append(f"memset(state->{field}, 0, sizeof state->{field});")
        starts += [f"state->{counter} = 0;" for counter in self._operations.counters]
        starts = starts or ["state->unused = 0;"]
        finish = ["int found = 0;", *self._flushes, "return found;"]
        if not self._flushes:
            finish = ["(void)state;", "(void)y;", "return 0;"]
        state = f"{prefix}_state *state"
        parts = [
            f'#include "{name}.h"\n\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n',
            "\n\n".join(own.constants) + "\n",
            "\n".join(FUNCTIONS[function] for function in FUNCTIONS if function in used),
            own.helpers() if "product(" in bodies else "",
            "".join(f"{head};\n" for head, _ in self._functions),
            "\n".join(f"{head} {{\n{body}\n}}\n" for head, body in self._functions),
            f"void {prefix}_init({state}) {{\n{indented(starts)}\n}}\n",
            f"int {prefix}_step({state}, const {self._kind} *x, float *y) {{\n"
            "    return part1(state, x, y);\n}\n",
            f"int {prefix}_finish({state}, float *y) {{\n{indented(finish)}\n}}\n",
        ]
        return "\n".join(part for part in parts if part)

    def header(self, notes: Mapping[str, str]) -> str:
        """The header."""
        prefix, program = self._prefix, self._program
        upper, state = prefix.upper(), f"{prefix}_state *state"
        said = "".join(f" * {key}: {_comment(value)}\n" for key, value in notes.items())
        fields = [f"    float {field}[{size}];" for field, size, _ in self.fields]
        fields += [f"    int {counter};" for counter in self._operations.counters]
        fields = fields or ["    int unused;"]
        return (
            "/* A network written by Recurra: a step at a time, its state kept between steps.\n"
            f"{said} */\n"
            f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n\n"
            f"#define {upper}_INPUTS {program.input.size}\n"
            f"#define {upper}_OUTPUTS {program.output.size}\n"
            f"/* Outputs that may wait for the end of a sequence. */\n"
            f"#define {upper}_LAST {last_outputs(program)}\n\n"
            "typedef struct {\n" + "\n".join(fields) + f"\n}} {prefix}_state;\n\n"
            f"/* Begin a sequence. */\nvoid {prefix}_init({state});\n\n"
            f"/* Read the next step x; 1 where it has written outputs y, 0 where they wait. */\n"
            f"int {prefix}_step({state}, const {self._kind} *x, float *y);\n\n"
            f"/* End the sequence: write the outputs that waited, at most {upper}_LAST times\n"
            f"   {upper}_OUTPUTS numbers, and return how many. */\n"
            f"int {prefix}_finish({state}, float *y);\n\n#endif\n"
        )

    @property
    def _kind(self) -> str:
        return "int32_t" if self._program.input.kind == "tokens" else "float"


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
