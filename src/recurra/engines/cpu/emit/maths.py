"""exp, sigmoid, tanh and their kin as vector functions, in LLVM IR.

exp(x) = 2^n exp(r) with n = round(x / ln 2), |r| <= ln 2 / 2, and exp(r) by its Taylor polynomial,
whose first term left out is below half a unit in the last place. The other functions are made of
it, but for tanh in float32: a quotient of polynomials. NaN goes through, infinities come out as
they must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from recurra.engines.cpu.emit.llvm_text import FunctionText

__all__ = ["FUNCTIONS", "declarations", "function"]

_DEGREE = {"float": 7, "double": 13}
_LIMITS = {"float": (-86.6, 88.7228317), "double": (-707.7, 709.78271289338397)}
_LN2_HIGH = {"float": 0.693359375, "double": 6.93147180369123816490e-01}
_LN2_LOW = {"float": -2.12194440054690583e-4, "double": 1.90821492927058770002e-10}
_TANH_LIMIT = 9.01  # where tanh is 1 in float32
_TANH_ABOVE = (
    1.0,
    0.13083583,
    3.1034786e-3,
    1.1149276e-5,
    -2.0204553e-8,
    5.2678316e-11,
    -8.45966e-14,
)
_TANH_BELOW = (1.0, 0.46416911, 2.4493279e-2, 2.5454475e-4)
"""tanh(x) / x in powers of x²: fitted with weights that even out the relative error up to the
limit (7e-9, 3.2e-7 as rounded), the last coefficient above raised by 2e-7 of the whole, so that the
limit gives 1.
"""
_EXPONENT = {"float": (23, 127), "double": (52, 1023)}


def _exp(t: FunctionText, x: str) -> str:
    low, high = _LIMITS[t.element]
    clamped = t.select(t.compare("olt", x, t.splat(low)), t.splat(low), x)
    clamped = t.select(t.compare("ogt", clamped, t.splat(high)), t.splat(high), clamped)
    n = t.call(f"llvm.rint.{t.suffix}", t.binary("fmul", clamped, t.splat(1 / math.log(2))))
    head = _LN2_HIGH[t.element]
    r = t.fma(n, t.splat(-head), clamped)
    r = t.fma(n, t.splat(-_LN2_LOW[t.element]), r)
    # Twice the polynomial, half the power of two: the power of the largest results would overflow.
    total = t.splat(2 / math.factorial(_DEGREE[t.element]))
    for power in range(_DEGREE[t.element] - 1, -1, -1):
        total = t.fma(total, r, t.splat(2 / math.factorial(power)))
    bits, bias = _EXPONENT[t.element]
    # fptosi of a NaN is poison; the product below is a NaN all the same once n is made a number.
    n = t.select(t.compare("ord", n, n), n, t.splat(0.0))
    whole = t.value(f"fptosi {t.vector} {n} to {t.integers}")
    shifted = t.value(f"add {t.integers} {whole}, {t.integer_splat(bias - 1)}")
    scale = t.value(f"shl {t.integers} {shifted}, {t.integer_splat(bits)}")
    power_of_two = t.value(f"bitcast {t.integers} {scale} to {t.vector}")
    y = t.binary("fmul", total, power_of_two)
    y = t.select(t.compare("olt", x, t.splat(low)), t.splat(0.0), y)
    return t.select(t.compare("ogt", x, t.splat(high)), t.splat(math.inf), y)


def _sigmoid(t: FunctionText, x: str) -> str:
    e = t.call("recurra.exp", t.binary("fsub", t.splat(-0.0), x))
    return t.binary("fdiv", t.splat(1.0), t.binary("fadd", t.splat(1.0), e))


def _tanh(t: FunctionText, x: str) -> str:
    if t.element == "float":
        return _tanh_quotient(t, x)
    # (1 - e) / (1 + e) with e = exp(-2|x|); below 1/4, where 1 - e loses digits, the Taylor series.
    size = t.call(f"llvm.fabs.{t.suffix}", x)
    e = t.call("recurra.exp", t.binary("fmul", size, t.splat(-2.0)))
    large = t.binary(
        "fdiv",
        t.binary("fsub", t.splat(1.0), e),
        t.binary("fadd", t.splat(1.0), e),
    )
    large = t.call(f"llvm.copysign.{t.suffix}", large, x)
    small = t.binary("fmul", _polynomial(t, t.binary("fmul", x, x), _tanh_series(14)), x)
    return t.select(t.compare("olt", size, t.splat(0.25)), small, large)


def _tanh_quotient(t: FunctionText, x: str) -> str:
    x = _clamped(t, x, _TANH_LIMIT)
    x2 = t.binary("fmul", x, x)
    above = t.binary("fmul", _polynomial(t, x2, _TANH_ABOVE), x)
    y = t.binary("fdiv", above, _polynomial(t, x2, _TANH_BELOW))
    return _clamped(t, y, 1.0)


def _clamped(t: FunctionText, x: str, limit: float) -> str:
    """x within +-limit; NaN stays."""
    low, high = t.splat(-limit), t.splat(limit)
    x = t.select(t.compare("olt", x, low), low, x)
    return t.select(t.compare("ogt", x, high), high, x)


def _polynomial(t: FunctionText, x: str, terms: Sequence[float]) -> str:
    """The sum of terms[n] x^n."""
    total = t.splat(terms[-1])
    for term in reversed(terms[:-1]):
        total = t.fma(total, x, t.splat(term))
    return total


def _tanh_series(count: int) -> list[float]:
    """Coefficients of tanh(x) / x in powers of x²: from y' = 1 - y²."""
    terms = [1.0]
    for n in range(1, count):
        square = sum(terms[k] * terms[n - 1 - k] for k in range(n))
        terms.append(-square / (2 * n + 1))
    return terms


def _softplus(t: FunctionText, x: str) -> str:
    # max(x, 0) + log(1 + exp(-|x|))
    size = t.call(f"llvm.fabs.{t.suffix}", x)
    e = t.call("recurra.exp", t.binary("fsub", t.splat(-0.0), size))
    # log(u) for u = 1 + e as rounded, put right by e / (u - 1); where u is 1, the log is e.
    u = t.binary("fadd", t.splat(1.0), e)
    ratio = t.binary("fdiv", e, t.binary("fsub", u, t.splat(1.0)))
    tail = t.binary("fmul", t.call(f"llvm.log.{t.suffix}", u), ratio)
    tail = t.select(t.compare("oeq", u, t.splat(1.0)), e, tail)
    positive = t.select(t.compare("olt", x, t.splat(0.0)), t.splat(0.0), x)
    return t.binary("fadd", positive, tail)


FUNCTIONS: dict[str, Callable[[FunctionText, str], str]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
}


def function(name: str, element: str, lanes: int) -> str:
    """The definition of `@recurra.NAME` on vectors."""
    t = FunctionText(element, lanes)
    result = FUNCTIONS[name](t, "%x")
    body = "\n".join(t.lines)
    head = f"define internal {t.vector} @recurra.{name}({t.vector} %x) alwaysinline"
    return f"{head} {{\n{body}\n  ret {t.vector} {result}\n}}\n"


def declarations(element: str, lanes: int) -> str:
    """The intrinsics that emitted code may call."""
    t = FunctionText(element, lanes)
    v, s = t.vector, t.suffix
    lines = [f"declare {v} @llvm.{f}.{s}({v})" for f in ("rint", "fabs", "log", "sqrt")]
    lines += [
        f"declare {v} @llvm.copysign.{s}({v}, {v})",
        f"declare {v} @llvm.fmuladd.{s}({v}, {v}, {v})",
        f"declare {v} @llvm.masked.load.{s}.p0(ptr, i32, <{lanes} x i1>, {v})",
        f"declare {element} @llvm.vector.reduce.fadd.{s}({element}, {v})",
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        f"declare void @llvm.masked.store.{s}.p0({v}, ptr, i32, <{lanes} x i1>)",
    ]
    return "\n".join(lines) + "\n"
