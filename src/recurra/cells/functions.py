"""The functions that a cell's equations may use."""

from recurra.cells.symbols import Number, Symbol, here
from recurra.ir import CellError

__all__ = [
    "exp",
    "log",
    "maximum",
    "minimum",
    "norm",
    "relu",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
]


def _unary(op: str, value: Symbol) -> Symbol:
    if not isinstance(value, Symbol):
        raise CellError(
            f"{here()}: {op} takes a vector of the step, not {type(value).__name__}; "
            "compute numbers with Python's math."
        )
    return value.make(op, value)


def sigmoid(a: Symbol) -> Symbol:
    """1 / (1 + exp(-a))."""
    return _unary("sigmoid", a)


def tanh(a: Symbol) -> Symbol:
    """Hyperbolic tangent."""
    return _unary("tanh", a)


def relu(a: Symbol) -> Symbol:
    """max(a, 0)."""
    return _unary("relu", a)


def exp(a: Symbol) -> Symbol:
    """Exponential."""
    return _unary("exp", a)


def log(a: Symbol) -> Symbol:
    """Natural logarithm."""
    return _unary("log", a)


def sqrt(a: Symbol) -> Symbol:
    """Square root."""
    return _unary("sqrt", a)


def softplus(a: Symbol) -> Symbol:
    """log(1 + exp(a)), without overflow."""
    return _unary("softplus", a)


def maximum(a: Symbol | Number, b: Symbol | Number) -> Symbol:
    """The larger of two, element by element."""
    return _binary("maximum", a, b)


def minimum(a: Symbol | Number, b: Symbol | Number) -> Symbol:
    """The smaller of two, element by element."""
    return _binary("minimum", a, b)


def _binary(op: str, a: Symbol | Number, b: Symbol | Number) -> Symbol:
    symbol = a if isinstance(a, Symbol) else b
    if not isinstance(symbol, Symbol):
        raise CellError(f"{here()}: {op} takes at least one vector of the step, not two numbers.")
    return symbol.make(op, a, b)


def norm(v: Symbol, name: str | None = None, eps: float = 1e-5) -> Symbol:
    """Layer normalisation (Ba et al. 2016) of a vector, with its own learnt gain and bias.

    The parameters are called `norm1_gain`, `norm1_bias`, `norm2_gain`, ... in the order of the
    equations, or `NAME_gain` and `NAME_bias`.
    """
    if not isinstance(v, Symbol):
        raise CellError(f"{here()}: norm takes a vector of the step, not {type(v).__name__}.")
    tape = v.tape
    tape.norms += 1
    name = name or f"norm{tape.norms}"
    gain = v.make("param", detail=(f"{name}_gain", None))
    bias = v.make("param", detail=(f"{name}_bias", None))
    return v.make("normalize", v, gain, bias, detail=float(eps))
