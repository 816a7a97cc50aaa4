"""Plain torch: a Python file that needs torch alone, and its weights as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor

from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.export_target import ExportTarget, Files, check_agrees
from recurra.deploy.export.torch_source import torch_files
from recurra.nn.program import Program
from recurra.runs.saving import from_bytes, to_bytes
from recurra.tasks.exportable import Exportable, ProgramRun

__all__ = ["TorchRun", "TorchTarget"]


class TorchTarget(ExportTarget):
    """Two files, NAME.py with the class Network of torch.nn layers, and NAME.safetensors."""

    name: ClassVar[str] = "torch"
    weights: ClassVar[tuple[NumberFormat, ...]] = ("float32",)

    def files(self, exportable: Exportable, name: str, metadata: Mapping[str, str]) -> Files:
        """Source and weights, once they have given the same numbers."""
        source, weights = torch_files(exportable.program, name)
        found = {f"{name}.py": source.encode(), f"{name}.safetensors": to_bytes(weights, metadata)}
        check_agrees(self.name, exportable, TorchRun(exportable.program, found))
        return found

    def run(self, exportable: Exportable, files: Files, folder: Path) -> ProgramRun:
        """By torch."""
        return TorchRun(exportable.program, files)


class TorchRun:
    """A program run by the class that is written of it."""

    def __init__(self, program: Program, files: Files) -> None:
        (source,) = (text for name, text in files.items() if name.endswith(".py"))
        (weights,) = (data for name, data in files.items() if name.endswith(".safetensors"))
        module = ModuleType("exported")
        exec(compile(source, "exported.py", "exec"), module.__dict__)
        self._net: Any = module.Network().eval()
        self._net.load_state_dict(from_bytes(weights, "the weights"))
        self._ragged = program.ragged

    @torch.inference_mode()
    def __call__(self, x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        if self._ragged:
            output: Tensor = self._net(x, lengths)
            return output, None
        output, after = self._net(x, states)
        return output, after
