"""Parts of a C source: constants, products of matrices in one of three number formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

__all__ = ["BITS", "CSource", "NumberFormat", "indented", "number"]

NumberFormat = Literal["float32", "int16", "int8"]
Numbers = np.ndarray[Any, Any]

BITS: dict[NumberFormat, int] = {"float32": 32, "int16": 16, "int8": 8}
_A_LINE = 12


def number(value: float) -> str:
    """A float literal that reads back as the same float32."""
    text = f"{np.float32(value):.9g}"
    if text in ("inf", "-inf", "nan"):
        return {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}[text]
    return f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"


class CSource:
    """Constants and the lines of a function's body, in the format that weights have.

    A matrix of int8 or int16 has a scale for each row; the vector that it multiplies is scaled to
    the same format by its largest number, sums are whole numbers of 32 or 64 bits, and everything
    else is float32.
    """

    def __init__(self, form: NumberFormat) -> None:
        self.form: NumberFormat = form
        self.constants: list[str] = []
        self.lines: list[str] = []
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names = 0

    def name(self, hint: str) -> str:
        """A name that nothing else has."""
        self._names += 1
        return f"{hint}{self._names}"

    def say(self, *lines: str) -> None:
        """Add lines to the body."""
        self.lines.extend(lines)

    def buffer(self, size: int, hint: str = "a") -> str:
        """The name of a new array of floats."""
        found = self.name(hint)
        self.say(f"float {found}[{size}];")
        return found

    def vector(self, value: Numbers) -> str:
        """The name of constant floats."""
        return self._constant("float", np.ascontiguousarray(value, np.float32))

    def product(self, matrix: Numbers, x: str, y: str, bias: Numbers | None = None) -> None:
        """y = W x + b."""
        rows, columns = matrix.shape
        shift = "NULL" if bias is None else self.vector(bias)
        if self.form == "float32":
            weights = self._constant("float", np.ascontiguousarray(matrix, np.float32))
            self.say(f"product({weights}, {shift}, {x}, {y}, {rows}, {columns});")
            return
        most = 2 ** (BITS[self.form] - 1) - 1
        scale = np.abs(matrix).max(1) / most
        scale[scale == 0] = 1.0
        whole = np.rint(matrix / scale[:, None])
        kind = np.int8 if self.form == "int8" else np.int16
        weights = self._constant(f"{self.form}_t", whole.astype(kind))
        scales = self.vector(scale)
        scaled = self.name("q")
        self.say(
            f"{self.form}_t {scaled}[{columns}];",
            f"product({weights}, {scales}, {shift}, {x}, {scaled}, {y}, {rows}, {columns});",
        )

    def _constant(self, kind: str, value: Numbers) -> str:
        key = (kind, value.shape, value.tobytes())
        if key not in self._shared:
            found = self._shared[key] = self.name("k")
            texts = map(number if kind == "float" else str, value.ravel().tolist())
            self.constants.append(_array(kind, found, list(texts)))
        return self._shared[key]

    def helpers(self) -> str:
        """The functions that the body calls."""
        if self.form == "float32":
            return _PRODUCT
        most = 2 ** (BITS[self.form] - 1) - 1
        total = "int32_t" if self.form == "int8" else "int64_t"
        return (
            _SCALED_PRODUCT.replace("WEIGHT", f"{self.form}_t")
            .replace("TOTAL", total)
            .replace("MOST", number(most))
        )


def _array(kind: str, name: str, texts: list[str]) -> str:
    lines = [
        "    " + ", ".join(texts[place : place + _A_LINE])
        for place in range(0, len(texts), _A_LINE)
    ]
    return f"static const {kind} {name}[{len(texts)}] = {{\n" + ",\n".join(lines) + "\n};"


def indented(lines: Iterable[str]) -> str:
    """Lines of a body, each as deep as its braces."""
    depth, found = 1, []
    for line in lines:
        depth -= line.startswith("}")
        found.append("    " * depth + line)
        depth += line.endswith("{")
    return "\n".join(found)


_PRODUCT = """\
static void product(const float *w, const float *b, const float *x, float *y, int rows,
                    int columns) {
    for (int r = 0; r < rows; r++, w += columns) {
        float sum = b == NULL ? 0.0f : b[r];
        for (int c = 0; c < columns; c++) sum += w[c] * x[c];
        y[r] = sum;
    }
}
"""

_SCALED_PRODUCT = """\
static void product(const WEIGHT *w, const float *scale, const float *b, const float *x, WEIGHT *q,
                    float *y, int rows, int columns) {
    float largest = 0.0f;
    for (int c = 0; c < columns; c++) {
        const float size = fabsf(x[c]);
        if (!(size <= largest)) largest = size;
    }
    if (largest == 0.0f) largest = 1.0f;
    if (!(largest <= 3.0e38f)) { /* not finite: nothing to scale by */
        for (int r = 0; r < rows; r++) y[r] = NAN;
        return;
    }
    for (int c = 0; c < columns; c++) q[c] = (WEIGHT)lrintf(x[c] / largest * MOST);
    for (int r = 0; r < rows; r++, w += columns) {
        TOTAL sum = 0;
        for (int c = 0; c < columns; c++) sum += (TOTAL)w[c] * (TOTAL)q[c];
        y[r] = (float)sum * (scale[r] * (largest / MOST)) + (b == NULL ? 0.0f : b[r]);
    }
}
"""
