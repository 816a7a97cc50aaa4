"""A user's own file with a cell in it, written and imported for a test."""

import importlib.util
import re
import sys
import textwrap

import pytest

from recurra.cells import Cell
from recurra.ir import CellError

IMPORTS = """\
import math
import numpy as np
import torch
from recurra.cells import Cell, exp, log, maximum, norm, relu, sigmoid, sqrt, tanh
"""


def write(folder, body, *, declare="", signature="x, h, W, U, b"):
    """The text of `mycell.py`: the class Mine with these declarations and this body of step."""
    declare = declare or 'states = ("h",)'
    text = "\n".join(
        [
            IMPORTS,
            "def helper(v):",
            "    return v if v > 0 else -v",
            "",
            "class Mine(Cell):",
            textwrap.indent(declare, "    "),
            f"    def step(self, {signature}):",
            textwrap.indent(textwrap.dedent(body), "        "),
            "",
        ]
    )
    path = folder / "mycell.py"
    path.write_text(text, encoding="utf-8")
    return path


def load(path):
    """The class Mine of a file."""
    spec = importlib.util.spec_from_file_location(f"mycell_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert issubclass(module.Mine, Cell)
    return module.Mine


def refused(path, at, says):
    """Assert that the cell is refused at the line that holds `at`, with a text that has `says`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if at in line)
    with pytest.raises(CellError) as caught:
        load(path)().graph()
    message = str(caught.value)
    assert message.startswith(f"mycell.py:{number}, `"), message
    assert at.strip() in message, message
    assert re.search(says, message), message
    assert message.endswith("."), message
    return message
