"""One HTML file: the page of a server, with the network in WebAssembly in the server's place."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from recurra.deploy.export.c_program import state_fields
from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.export_target import ExportTarget, Files, check_agrees
from recurra.deploy.export.web_assembly import WasmRun, wasm_module
from recurra.deploy.page import single_page
from recurra.errors import ConfigError
from recurra.nn.program import Program
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable, ProgramRun

__all__ = ["HtmlTarget"]


class HtmlTarget(ExportTarget):
    """One file, NAME.html, which needs no server and makes no request."""

    name: ClassVar[str] = "html"
    weights: ClassVar[tuple[NumberFormat, ...]] = ("float32", "int16", "int8")

    def metadata(self, model: Estimator[Any, Any]) -> dict[str, str]:
        """What is known of the run, and what its page needs.

        Raises ConfigError for an ensemble, and for a run that has no page by itself.
        """
        networks = len(model.exportables())
        if networks > 1:
            raise ConfigError(
                f"A page has one network, and the run is an ensemble of {networks}; export a run "
                "with ensemble = 1."
            )
        page = model.page_facts()
        return {**super().metadata(model), "page": json.dumps(page)}

    def files(self, exportable: Exportable, name: str, metadata: Mapping[str, str]) -> Files:
        """The page; of float32 once wasmtime has given the same numbers."""
        program = exportable.program
        module = wasm_module(program, self.form)
        if self.form == "float32":
            check_agrees(self.name, exportable, WasmRun(program, module))
        page = json.loads(metadata["page"])
        model = {
            "run": {"name": name, **page["run"]},
            "facts": page["facts"],
            "wasm": base64.b64encode(module).decode(),
            "inputs": program.input.size,
            "outputs": program.output.size,
            "tokens": program.input.kind == "tokens",
            "units": _units(program),
        }
        backend = (files("recurra.deploy.export") / "wasm_backend.js").read_text(encoding="utf-8")
        script = f"const MODEL = {json.dumps(model)};\n{backend}"
        return {f"{name}.html": single_page(script).encode()}

    def run(self, exportable: Exportable, files: Files, folder: Path) -> ProgramRun:
        """By wasmtime, of the module that the page holds."""
        (page,) = files.values()
        _, _, rest = page.decode().partition('"wasm": "')
        return WasmRun(exportable.program, base64.b64decode(rest.partition('"')[0]))


def _units(program: Program) -> dict[str, int]:
    """Where in the state the outputs of the highest layer lie, in numbers, and how many they are.

    The state begins with what operations keep, in their order.
    """
    place, places = 0, {}
    for name, size in state_fields(program):
        places[name] = place
        place += size
    found = {"place": 0, "size": 0}
    for number, op in enumerate(program.operations):
        if op.recurrence is not None:
            name = f"{op.recurrence.graph.states[0]}_{number}"
            found = {"place": places[name], "size": op.recurrence.size}
    return found
