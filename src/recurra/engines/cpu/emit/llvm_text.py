"""LLVM IR as text: a function's lines as they are written, values by number."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

__all__ = ["WIDE", "FunctionText", "literal"]

WIDE = '"prefer-vector-width"="512" "min-legal-vector-width"="512"'
"""Attributes of functions that let LLVM take the widest registers."""


def literal(value: float, element: str) -> str:
    """A floating-point constant as LLVM reads it: the bits of a double that the type can hold."""
    if element == "float":
        value = ctypes.c_float(value).value
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class FunctionText:
    """Lines of one function. `element` is float or double, `lanes` the width of its vectors."""

    element: str
    lanes: int
    vector: str
    bits: int
    integers: str
    suffix: str
    lines: list[str]

    def __init__(self, element: str, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        self.vector = f"<{lanes} x {element}>"
        self.bits = 32 if element == "float" else 64
        self.integers = f"<{lanes} x i{self.bits}>"
        self.suffix = f"v{lanes}f{self.bits}"
        self.lines: list[str] = []
        self._values = self._labels = 0

    def line(self, text: str) -> None:
        """Add a line that has no value."""
        self.lines.append("  " + text)

    def value(self, text: str) -> str:
        """Add a line and give the name of its value."""
        self._values += 1
        name = f"%v{self._values}"
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self, kind: str) -> str:
        """A label that no other line has."""
        self._labels += 1
        return f"{kind}{self._labels}"

    def begin(self, label: str) -> None:
        """Begin the block of a label."""
        self.lines.append(f"{label}:")

    def splat(self, value: float) -> str:
        """A vector constant."""
        one = f"{self.element} {literal(value, self.element)}"
        return "<" + ", ".join([one] * self.lanes) + ">"

    def integer_splat(self, value: int) -> str:
        """An integer vector constant."""
        return "<" + ", ".join([f"i{self.bits} {value}"] * self.lanes) + ">"

    def call(self, name: str, *args: str, result: str | None = None) -> str:
        """A call on vectors."""
        given = ", ".join(f"{self.vector} {a}" for a in args)
        return self.value(f"call {result or self.vector} @{name}({given})")

    def fma(self, a: str, b: str, c: str) -> str:
        """a * b + c, rounded once where the processor can."""
        return self.call(f"llvm.fmuladd.{self.suffix}", a, b, c)

    def binary(self, op: str, a: str, b: str) -> str:
        """fadd, fsub, fmul or fdiv of two vectors."""
        return self.value(f"{op} {self.vector} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        """a where the condition holds, else b."""
        kind = f"<{self.lanes} x i1>"
        return self.value(f"select {kind} {condition}, {self.vector} {a}, {self.vector} {b}")

    def compare(self, how: str, a: str, b: str) -> str:
        """A vector of booleans; `how` is LLVM's, such as ogt."""
        return self.value(f"fcmp {how} {self.vector} {a}, {b}")

    def pointer(self, base: str, index: str) -> str:
        """The address of an element."""
        return self.value(f"getelementptr {self.element}, ptr {base}, i64 {index}")

    def broadcast(self, scalar: str) -> str:
        """A scalar in every lane."""
        one = self.value(f"insertelement {self.vector} poison, {self.element} {scalar}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.value(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def load(self, pointer: str, mask: Sequence[bool] | None = None) -> str:
        """A vector from memory; lanes outside the mask are zero."""
        align = self.bits // 8
        if mask is None:
            return self.value(f"load {self.vector}, ptr {pointer}, align {align}")
        return self.value(
            f"call {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr {pointer}, i32 {align}, "
            f"{self._mask(mask)}, {self.vector} zeroinitializer)"
        )

    def load_until(self, base: str, index: str, end: str) -> str:
        """A vector from an element on; what lies at `end` or after it is zero."""
        return self.value(
            f"call {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr "
            f"{self.pointer(base, index)}, i32 {self.bits // 8}, {self._until(index, end)}, "
            f"{self.vector} zeroinitializer)"
        )

    def store_until(self, value: str, base: str, index: str, end: str) -> None:
        """A vector to memory from an element on; from `end` on nothing is written."""
        self.line(
            f"call void @llvm.masked.store.{self.suffix}.p0({self.vector} {value}, ptr "
            f"{self.pointer(base, index)}, i32 {self.bits // 8}, {self._until(index, end)})"
        )

    def _until(self, index: str, end: str) -> str:
        left = self.value(f"trunc i64 {self.value(f'sub i64 {end}, {index}')} to i32")
        kind = f"<{self.lanes} x i32>"
        one = self.value(f"insertelement {kind} poison, i32 {left}, i32 0")
        zeros = f"{kind} zeroinitializer"
        lefts = self.value(f"shufflevector {kind} {one}, {kind} poison, {zeros}")
        lanes = ", ".join(f"i32 {i}" for i in range(self.lanes))
        return f"<{self.lanes} x i1> " + self.value(f"icmp slt {kind} <{lanes}>, {lefts}")

    def total(self, vector: str) -> str:
        """The sum of a vector's elements, added in pairs."""
        return self.value(
            f"call reassoc {self.element} @llvm.vector.reduce.fadd.{self.suffix}"
            f"({self.element} {literal(-0.0, self.element)}, {self.vector} {vector})"
        )

    def store(self, value: str, pointer: str, mask: Sequence[bool] | None = None) -> None:
        """A vector to memory; lanes outside the mask are left alone."""
        align = self.bits // 8
        if mask is None:
            self.line(f"store {self.vector} {value}, ptr {pointer}, align {align}")
        else:
            self.line(
                f"call void @llvm.masked.store.{self.suffix}.p0({self.vector} {value}, "
                f"ptr {pointer}, i32 {align}, {self._mask(mask)})"
            )

    def _mask(self, mask: Sequence[bool]) -> str:
        bits = ", ".join(f"i1 {'true' if on else 'false'}" for on in mask)
        return f"<{self.lanes} x i1> <{bits}>"
