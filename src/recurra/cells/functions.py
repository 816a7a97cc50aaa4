"""The functions that a cell's equations may use."""

from recurra.cells.symbols import Number, Symbol, here
from recurra.ir import CellError

__all__ = [
    "bounded_sqrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log_sigmoid",
    "maximum",
    "minimum",
    "norm",
    "relu",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
    "where_positive",
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


def expm1(a: Symbol) -> Symbol:
    """exp(a) - 1, with all digits where a is near 0."""
    return _unary("expm1", a)


def log(a: Symbol) -> Symbol:
    """Natural logarithm."""
    return _unary("log", a)


def log1p(a: Symbol) -> Symbol:
    """log(1 + a), with all digits where a is near 0."""
    return _unary("log1p", a)


def sqrt(a: Symbol) -> Symbol:
    """Square root."""
    return _unary("sqrt", a)


def bounded_sqrt(a: Symbol) -> Symbol:
    """Square root whose derivative, infinite at 0, is taken as 0 where a is at most 1e-24."""
    return _unary("bounded_sqrt", a)


def softplus(a: Symbol) -> Symbol:
    """log(1 + exp(a)), without overflow."""
    return _unary("softplus", a)


def log_sigmoid(a: Symbol) -> Symbol:
    """log(sigmoid(a)), finite wherever a is."""
    return _unary("log_sigmoid", a)


def maximum(a: Symbol | Number, b: Symbol | Number) -> Symbol:
    """The larger of two, element by element."""
    return _of_several("maximum", a, b)


def minimum(a: Symbol | Number, b: Symbol | Number) -> Symbol:
    """The smaller of two, element by element."""
    return _of_several("minimum", a, b)


def where_positive(a: Symbol, b: Symbol | Number, c: Symbol | Number) -> Symbol:
    """b where a > 0, else c, element by element; the one not taken may be infinite or NaN."""
    return _of_several("where_positive", a, b, c)


def _of_several(op: str, *args: Symbol | Number) -> Symbol:
    symbol = next((a for a in args if isinstance(a, Symbol)), None)
    if symbol is None:
        raise CellError(f"{here()}: {op} takes at least one vector of the step, not only numbers.")
    return symbol.make(op, *args)


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
