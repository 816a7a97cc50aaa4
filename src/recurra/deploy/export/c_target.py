"""C99 files, and their runs through the machine's compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from recurra import settings
from recurra.deploy.export.c_program import c_files, c_prefix, last_outputs
from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.export_target import ExportTarget, Files, check_agrees
from recurra.deploy.export.row_runs import Numbers, rows_in_turn
from recurra.errors import ConfigError, RunError
from recurra.nn.program import Program
from recurra.tasks.exportable import Exportable, ProgramRun

__all__ = ["CRun", "CTarget", "compiler"]

_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-ffp-contract=off")


class CTarget(ExportTarget):
    """Two files, NAME.c and NAME.h."""

    name: ClassVar[str] = "c"
    weights: ClassVar[tuple[NumberFormat, ...]] = ("float32", "int16", "int8")

    def files(self, exportable: Exportable, name: str, metadata: Mapping[str, str]) -> Files:
        """Source and header; of float32 once a compiled copy has given the same numbers."""
        notes = {key: metadata[key] for key in ("task", "recurra_version") if key in metadata}
        source, header = c_files(exportable.program, name, self.form, notes)
        found = {f"{name}.c": source.encode(), f"{name}.h": header.encode()}
        if self.form == "float32":
            with tempfile.TemporaryDirectory() as folder:
                run = self.run(exportable, found, Path(folder))
                check_agrees(self.name, exportable, run)
        return found

    def run(self, exportable: Exportable, files: Files, folder: Path) -> ProgramRun:
        """By a shared library that the machine's compiler makes of them in `folder`."""
        return CRun(exportable.program, files, folder)


class CRun:
    """A program run by its C source, a row of a batch after another."""

    def __init__(self, program: Program, files: Files, folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (header,) = (name for name in files if name.endswith(".h"))
        prefix = c_prefix(header.removesuffix(".h"))
        driver = (
            _DRIVER.replace("HEADER", header)
            .replace("PREFIX", prefix)
            .replace("UPPER", prefix.upper())
        )
        kind = "int32_t" if program.input.kind == "tokens" else "float"
        (folder / "driver.c").write_text(driver.replace("KIND", kind))
        library = folder / "network.so"
        sources = [str(folder / name) for name in (f"{header[:-2]}.c", "driver.c")]
        _compile([*compiler(), *_FLAGS, *sources, "-o", str(library), "-lm"])
        self._library = ctypes.CDLL(str(library))
        self._library.state_bytes.restype = ctypes.c_size_t
        self._program = program

    def __call__(self, x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        def run(row: int, inputs: Numbers, state: Any) -> tuple[Numbers, bytes]:
            own = (ctypes.c_char * self._library.state_bytes())()
            if state is None:
                self._library.begin(own)
            else:
                own[:] = state
            size, last = self._program.output.size, last_outputs(self._program)
            outputs = np.zeros((len(inputs) + last, size), np.float32)
            found = self._library.run(
                own,
                inputs.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_long(len(inputs)),
                outputs.ctypes.data_as(ctypes.c_void_p),
                int(self._program.ragged),
            )
            return outputs[:found], bytes(own)

        return rows_in_turn(self._program, x, lengths, states, run)


def compiler() -> list[str]:
    """The command of a C compiler: $CC, the system's, or that of the package ziglang.

    Raises ConfigError where there is none.
    """
    for name in (settings.c_compiler(), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return [name]
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise ConfigError(
        "Export to C needs a C compiler to try the result, and there is none; install gcc or clang "
        "(CC names another), or pip install 'recurra[export]', which has zig's."
    )


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(
            f"The compiler refuses the exported source: {done.stderr.strip()[-2000:]} This is a "
            "fault of the export to C; please report it."
        )


_DRIVER = """\
#include <stddef.h>
#include "HEADER"

size_t state_bytes(void);
void begin(PREFIX_state *state);
int run(PREFIX_state *state, const KIND *x, long steps, float *y, int ends);

size_t state_bytes(void) { return sizeof(PREFIX_state); }

void begin(PREFIX_state *state) { PREFIX_init(state); }

int run(PREFIX_state *state, const KIND *x, long steps, float *y, int ends) {
    int found = 0;
    for (long t = 0; t < steps; t++, x += UPPER_INPUTS)
        found += PREFIX_step(state, x, y + found * UPPER_OUTPUTS);
    return ends ? found + PREFIX_finish(state, y + found * UPPER_OUTPUTS) : found;
}
"""
