"""The words of the language: every operation that may stand in a cell's equations.

A value is a vector (one for each row of the batch), a matrix (a parameter, or made of parameters)
or a scalar. Element-wise operations take values of one shape; scalars go with anything.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["OPS", "Op", "OpKind"]

OpKind = Literal["leaf", "unary", "binary", "product", "structure"]


@dataclass(frozen=True)
class Op:
    """One operation: its arity (None for any), its sort, how it is written, and what it does."""

    name: str
    arity: int | None
    kind: OpKind
    text: str
    meaning: str


_TABLE = (
    Op("input", 0, "leaf", "x", "the step's input vector"),
    Op("state", 0, "leaf", "h", "a state as the previous step left it"),
    Op("given", 0, "leaf", "m", "a vector of each step and row that is not learnt, such as a mask"),
    Op("probe", 0, "leaf", "e", "zeros of each step and row, whose gradient is wanted"),
    Op("param", 0, "leaf", "W", "a learnt matrix, vector or scalar, or one gate's part of it"),
    Op("const", 0, "leaf", "1", "a number"),
    Op("neg", 1, "unary", "-{}", "minus"),
    Op("sigmoid", 1, "unary", "σ({})", "1 / (1 + exp(-a))"),
    Op("tanh", 1, "unary", "tanh({})", "hyperbolic tangent"),
    Op("relu", 1, "unary", "relu({})", "max(a, 0)"),
    Op("exp", 1, "unary", "exp({})", "exponential"),
    Op("log", 1, "unary", "log({})", "natural logarithm"),
    Op("sqrt", 1, "unary", "√({})", "square root"),
    Op("softplus", 1, "unary", "softplus({})", "log(1 + exp(a))"),
    Op("abs", 1, "unary", "|{}|", "magnitude"),
    Op("add", 2, "binary", "{} + {}", "sum"),
    Op("sub", 2, "binary", "{} - {}", "difference"),
    Op("mul", 2, "binary", "{} ⊙ {}", "element-wise product"),
    Op("div", 2, "binary", "{} / {}", "element-wise quotient"),
    Op("maximum", 2, "binary", "max({}, {})", "element-wise maximum"),
    Op("minimum", 2, "binary", "min({}, {})", "element-wise minimum"),
    Op("product", 2, "product", "{} {}", "matrix times vector"),
    Op("transpose", 1, "structure", "{}ᵀ", "transpose of a square matrix"),
    Op("gate", 1, "structure", "{}", "one gate's part of a vector that holds all gates"),
    Op("mean", None, "structure", "mean({})", "the mean over all elements, in each of them"),
    Op("rstd", None, "structure", "rstd({})", "1 / sqrt(variance + eps) over all, in each of them"),
    Op(
        "normalize",
        3,
        "structure",
        "norm({})",
        "(a - mean) / sqrt(variance + eps) over the vector, times a gain, plus a bias",
    ),
)

OPS: dict[str, Op] = {op.name: op for op in _TABLE}
