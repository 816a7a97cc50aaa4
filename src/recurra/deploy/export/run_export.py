"""Exports of runs: every network to files, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.c_target import CTarget
from recurra.deploy.export.export_target import ExportTarget
from recurra.deploy.export.html_target import HtmlTarget
from recurra.deploy.export.onnx_target import OnnxTarget
from recurra.deploy.export.torch_target import TorchTarget
from recurra.errors import ConfigError
from recurra.files import write_atomic
from recurra.tasks.estimator import Estimator

__all__ = ["TARGETS", "export", "named_target", "network_names"]

TARGETS: Mapping[str, Callable[..., ExportTarget]] = {
    "onnx": OnnxTarget,
    "c": CTarget,
    "html": HtmlTarget,
    "torch": TorchTarget,
}
"""The kinds of export by name."""


def export(
    model: Estimator[Any, Any],
    to: str,
    out: str | os.PathLike[str],
    *,
    weights: NumberFormat = "float32",
) -> list[Path]:
    """Write the networks of a trained model as files of a kind into the folder `out`.

    to: "onnx", "c", "html" or "torch". weights: the format of their numbers, "float32", or where
    the kind has them "int16" and "int8".

    Returns the files. Each network is run from its files beside the model itself before anything
    is written.

    Raises:
        ConfigError: there is no such kind, or the model can't be exported to it.
        MissingExtra: a library is absent.
        RunError: the exported network gives other numbers than the model.
    """
    target, networks = named_target(to, weights=weights), model.exportables()
    metadata = target.metadata(model)
    contents: dict[str, bytes] = {}
    names = network_names(len(networks))
    for name, exportable in zip(names, networks, strict=True):
        contents |= target.files(exportable, name, metadata)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        write_atomic(folder / file, content)
    return [folder / file for file in contents]


def named_target(name: str, *, weights: NumberFormat) -> ExportTarget:
    """The kind of that name. ConfigError for an unknown one."""
    if name not in TARGETS:
        raise ConfigError(f"to = {name!r}; a run is exported to {', '.join(TARGETS)}.")
    return TARGETS[name](weights)


def network_names(count: int) -> Sequence[str]:
    """`model`, or of an ensemble `model-1` and so on."""
    return ["model"] if count == 1 else [f"model-{number + 1}" for number in range(count)]
