"""Trained runs as programs for other machines: ONNX, and torch's own layers."""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.deploy.export.exported_evaluation import evaluate_exported
    from recurra.deploy.export.run_export import TARGETS, export

__all__ = ["TARGETS", "evaluate_exported", "export"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "TARGETS": "recurra.deploy.export.run_export",
        "evaluate_exported": "recurra.deploy.export.exported_evaluation",
        "export": "recurra.deploy.export.run_export",
    },
)
