"""A program as a WebAssembly module: its C source, compiled by the clang of the package ziglang."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from recurra.deploy.export.c_program import c_files
from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.row_runs import Numbers, rows_in_turn
from recurra.errors import MissingExtra, RunError
from recurra.nn.program import Program

__all__ = ["WasmRun", "wasm_module"]

_STEPS = 64
"""Steps of a call at most, for which there is memory."""

_FLAGS = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c99", "-O2", "-s")


def wasm_module(program: Program, form: NumberFormat) -> bytes:
    """The module. It imports nothing, and exports its memory and

    network_input(), network_output(), network_state(): places of the inputs and outputs of up to 64
    steps, and of the state; network_begin(): begins a sequence; network_run(n): n steps, and
    network_finish(): their end; both give how many outputs they have written.

    Raises ConfigError for a network that can't answer step by step, MissingExtra without ziglang.
    """
    if find_spec("ziglang") is None:
        raise MissingExtra("ziglang", "export", "Export to WebAssembly")
    source, header = c_files(program, "network", form, {})
    kind = "int32_t" if program.input.kind == "tokens" else "float"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "network.c").write_text(source)
        (place / "network.h").write_text(header)
        (place / "exports.c").write_text(_EXPORTS.replace("KIND", kind))
        module = place / "network.wasm"
        sources = [str(place / "network.c"), str(place / "exports.c")]
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, *sources, "-o", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(
                f"The compiler refuses the exported source: {done.stderr.strip()[-2000:]} This is "
                "a fault of the export to WebAssembly; please report it."
            )
        return module.read_bytes()


class WasmRun:
    """A program run by wasmtime, a row of a batch after another."""

    def __init__(self, program: Program, module: bytes) -> None:
        runtime = _wasmtime()
        self._program = program
        self._store: Any = runtime.Store()
        instance = runtime.Instance(self._store, runtime.Module(self._store.engine, module), [])
        self._exports: Any = instance.exports(self._store)
        if "_initialize" in self._exports:
            self._call("_initialize")
        self._memory: Any = self._exports["memory"]

    def __call__(self, x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        place, length = self._call("network_state"), self._call("network_state_bytes")

        def run(row: int, inputs: Numbers, state: Any) -> tuple[Numbers, bytes]:
            if state is None:
                self._call("network_begin")
            else:
                self._memory.write(self._store, state, place)
            found = []
            for first in range(0, len(inputs), _STEPS):
                part = inputs[first : first + _STEPS]
                self._memory.write(self._store, part.tobytes(), self._call("network_input"))
                found.append(self._outputs(self._call("network_run", len(part))))
            if self._program.ragged:
                found.append(self._outputs(self._call("network_finish")))
            after = bytes(self._memory.read(self._store, place, place + length))
            return np.concatenate(found), after

        return rows_in_turn(self._program, x, lengths, states, run)

    def _outputs(self, count: int) -> Numbers:
        begin, size = self._call("network_output"), self._program.output.size
        found = self._memory.read(self._store, begin, begin + 4 * count * size)
        return np.frombuffer(bytes(found), np.float32).reshape(count, size)

    def _call(self, name: str, *args: int) -> Any:
        return self._exports[name](self._store, *args)


def _wasmtime() -> Any:
    try:
        return importlib.import_module("wasmtime")
    except ImportError as error:
        raise MissingExtra("wasmtime", "export", "A run of WebAssembly") from error


_EXPORTS = f"""\
#include "network.h"

static network_state state;
static KIND inputs[{_STEPS} * NETWORK_INPUTS];
static float outputs[({_STEPS} + NETWORK_LAST) * NETWORK_OUTPUTS];

#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(network_input) KIND *network_input(void) {{ return inputs; }}
EXPORT(network_output) float *network_output(void) {{ return outputs; }}
EXPORT(network_state) network_state *network_state_place(void) {{ return &state; }}
EXPORT(network_state_bytes) int network_state_bytes(void) {{ return (int)sizeof state; }}
EXPORT(network_begin) void network_begin(void) {{ network_init(&state); }}
EXPORT(network_run) int network_run(int steps) {{
    int found = 0;
    for (int t = 0; t < steps; t++)
        found += network_step(&state, inputs + t * NETWORK_INPUTS,
                              outputs + found * NETWORK_OUTPUTS);
    return found;
}}
EXPORT(network_finish) int network_finish_all(void) {{ return network_finish(&state, outputs); }}
"""
