"""ONNX files, and their runs by ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.export_target import ExportTarget, Files, check_agrees
from recurra.deploy.export.onnx_graph import onnx_library
from recurra.deploy.export.onnx_program import onnx_model, state_shapes
from recurra.nn.program import Program
from recurra.tasks.exportable import Exportable, ProgramRun

__all__ = ["OnnxRun", "OnnxTarget"]


class OnnxTarget(ExportTarget):
    """One file, NAME.onnx; the weights of products in 8 bits are quantised by ONNX Runtime."""

    name: ClassVar[str] = "onnx"
    weights: ClassVar[tuple[NumberFormat, ...]] = ("float32", "int8")

    def files(self, exportable: Exportable, name: str, metadata: Mapping[str, str]) -> Files:
        """The model, once ONNX Runtime has given the same numbers."""
        model = onnx_model(exportable.program, metadata, name).SerializeToString()
        check_agrees(self.name, exportable, OnnxRun(exportable.program, model))
        return {f"{name}.onnx": _quantised(model) if self.form == "int8" else model}

    def run(self, exportable: Exportable, files: Files, folder: Path) -> ProgramRun:
        """By ONNX Runtime on the CPU."""
        (model,) = files.values()
        return OnnxRun(exportable.program, model)


class OnnxRun:
    """A program run by ONNX Runtime, on one thread."""

    def __init__(self, program: Program, model: bytes) -> None:
        runtime = onnx_library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._session: Any = runtime.InferenceSession(model, options, providers=providers)
        self._names = [each.name for each in self._session.get_outputs()]
        self._states = state_shapes(program)

    def __call__(
        self, x: Tensor, lengths: Tensor | None, states: Any
    ) -> tuple[Tensor, dict[str, np.ndarray[Any, Any]]]:
        given = {"input": x.numpy()}
        if lengths is not None:
            given["lengths"] = lengths.numpy()
        for name, (rows, size, start) in self._states.items():
            fresh = np.broadcast_to(start, (rows, x.shape[1], size)).astype(np.float32)
            given[name] = fresh if states is None else states[name]
        found = dict(zip(self._names, self._session.run(None, given), strict=True))
        output = torch.from_numpy(found.pop("output"))
        return output, {name.removesuffix("_after"): value for name, value in found.items()}


def _quantised(model: bytes) -> bytes:
    """The model with weights of 8 bits, a scale for each matrix or channel."""
    quantization = onnx_library("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
        before.write_bytes(model)
        quantization.quantize_dynamic(before, after, weight_type=quantization.QuantType.QInt8)
        return after.read_bytes()
