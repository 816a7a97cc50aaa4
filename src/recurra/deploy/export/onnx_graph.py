"""A graph of ONNX nodes that is being written."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import MissingExtra

__all__ = ["OnnxGraph", "onnx_library"]


def onnx_library(name: str = "onnx") -> Any:
    """The module of a library of the extra `export`; MissingExtra where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(name.partition(".")[0], "export", "Export to ONNX") from error


class OnnxGraph:
    """Nodes in order, each method gives the name of a result; constants are shared by value.

    A body of a loop has the graph around it as `outer`, where its constants go.
    """

    def __init__(self, outer: OnnxGraph | None = None) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._root: OnnxGraph = self if outer is None else outer._root
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names = 0

    def name(self, hint: str) -> str:
        """A name that no other value of the model has."""
        root = self._root
        root._names += 1
        return f"{hint}_{root._names}"

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """The name of an array."""
        root, array = self._root, np.ascontiguousarray(value, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in root._shared:
            found = root.name("constant")
            root.constants.append(onnx_library("onnx.numpy_helper").from_array(array, found))
            root._shared[key] = found
        return root._shared[key]

    def integers(self, *values: int) -> str:
        """The name of a list of int64."""
        return self.constant(values, np.int64)

    def add(self, op: str, *args: str, **attributes: Any) -> str:
        """The result of a node with one."""
        (found,) = self.add_many(op, args, 1, **attributes)
        return found

    def add_many(self, op: str, args: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """The results of a node."""
        names = [self.name(op.lower()) for _ in range(outputs)]
        helper = onnx_library("onnx.helper")
        self.nodes.append(helper.make_node(op, list(args), names, **attributes))
        return names

    def slice(self, x: str, axis: int, start: int, stop: int) -> str:
        """Part of an axis."""
        ints = self.integers
        return self.add("Slice", x, ints(start), ints(stop), ints(axis))

    def squeeze(self, x: str, axis: int) -> str:
        """Without an axis of length 1."""
        return self.add("Squeeze", x, self.integers(axis))

    def unsqueeze(self, x: str, axis: int) -> str:
        """With a further axis of length 1."""
        return self.add("Unsqueeze", x, self.integers(axis))
