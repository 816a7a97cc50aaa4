"""exp, log, sigmoid, tanh and their kin as vector functions, in LLVM IR.

exp(x) = 2^n exp(r) with n = round(x / ln 2), |r| <= ln 2 / 2, and exp(r) by its Taylor polynomial,
whose first term left out is below half a unit in the last place; what is smaller than an ordinary
number is 0. log(x) = k ln 2 + log(1 + f) with f between sqrt(1/2) - 1 and sqrt(2) - 1, and
log(1 + f) = 2 atanh(f / (2 + f)) by its series. The other functions are made of these two, but for
tanh in float32: a quotient of polynomials. NaN goes through, infinities come out as they must.
"""

from __future__ import annotations

import math
import struct
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
_ATANH_TERMS = {"float": 4, "double": 10}  # the first left out is a tenth of a unit
_SMALLEST = {"float": 2.0**-126, "double": 2.0**-1022}  # of the numbers with all their digits


def _reduced(t: FunctionText, x: str) -> tuple[str, str]:
    """r and half of 2^n, for x = n ln 2 + r within the limits of exp.

    Half: the power of the largest results would overflow.
    """
    low, high = _LIMITS[t.element]
    clamped = t.select(t.compare("olt", x, t.splat(low)), t.splat(low), x)
    clamped = t.select(t.compare("ogt", clamped, t.splat(high)), t.splat(high), clamped)
    n = t.call(f"llvm.rint.{t.suffix}", t.binary("fmul", clamped, t.splat(1 / math.log(2))))
    head = _LN2_HIGH[t.element]
    r = t.fma(n, t.splat(-head), clamped)
    r = t.fma(n, t.splat(-_LN2_LOW[t.element]), r)
    bits, bias = _EXPONENT[t.element]
    # fptosi of a NaN is poison; r is a NaN all the same once n is made a number.
    n = t.select(t.compare("ord", n, n), n, t.splat(0.0))
    whole = t.value(f"fptosi {t.vector} {n} to {t.integers}")
    shifted = t.value(f"add {t.integers} {whole}, {t.integer_splat(bias - 1)}")
    scale = t.value(f"shl {t.integers} {shifted}, {t.integer_splat(bits)}")
    return r, t.value(f"bitcast {t.integers} {scale} to {t.vector}")


def _exp(t: FunctionText, x: str) -> str:
    low, high = _LIMITS[t.element]
    r, half = _reduced(t, x)
    total = _polynomial(t, r, [2 / math.factorial(k) for k in range(_DEGREE[t.element] + 1)])
    y = t.binary("fmul", total, half)
    y = t.select(t.compare("olt", x, t.splat(low)), t.splat(0.0), y)
    return t.select(t.compare("ogt", x, t.splat(high)), t.splat(math.inf), y)


def _expm1(t: FunctionText, x: str) -> str:
    # 2^n expm1(r) + (2^n - 1), both halved
    r, half = _reduced(t, x)
    terms = [1 / math.factorial(k) for k in range(2, _DEGREE[t.element] + 2)]
    small = t.fma(t.binary("fmul", r, r), _polynomial(t, r, terms), r)
    y = t.fma(small, half, t.binary("fsub", half, t.splat(0.5)))
    y = t.binary("fadd", y, y)
    y = t.select(t.compare("ogt", x, t.splat(_LIMITS[t.element][1])), t.splat(math.inf), y)
    return _unless_tiny(t, x, y)


def _unless_tiny(t: FunctionText, x: str, y: str) -> str:
    """y = f(x), but x itself where f(x) = x in this type: f'(0) = 1, and half of x may vanish."""
    size = t.call(f"llvm.fabs.{t.suffix}", x)
    return t.select(t.compare("olt", size, t.splat(2.0**-60)), x, y)


def _log(t: FunctionText, x: str) -> str:
    return _with_log_limits(t, x, _log_of(t, x, None))


def _log1p(t: FunctionText, x: str) -> str:
    # log(u) + c / u for the sum u as rounded and what was lost, c
    one = t.splat(1.0)
    u = t.binary("fadd", one, x)
    added = t.binary("fsub", u, one)
    c = t.binary(
        "fadd",
        t.binary("fsub", one, t.binary("fsub", u, added)),
        t.binary("fsub", x, added),
    )
    y = _with_log_limits(t, u, _log_of(t, u, t.binary("fdiv", c, u)))
    return _unless_tiny(t, x, y)


def _with_log_limits(t: FunctionText, x: str, y: str) -> str:
    """y = log(x), right where x is not an ordinary positive number."""
    infinite = t.splat(math.inf)
    y = t.select(t.compare("oeq", x, infinite), infinite, y)
    y = t.select(t.compare("oeq", x, t.splat(0.0)), t.splat(-math.inf), y)
    return t.select(t.compare("ult", x, t.splat(0.0)), t.splat(math.nan), y)


def _log_of(t: FunctionText, x: str, correction: str | None) -> str:
    """log(x) plus a small correction, for positive finite x."""
    bits, _ = _EXPONENT[t.element]
    is_small = t.compare("olt", x, t.splat(_SMALLEST[t.element]))
    x = t.select(is_small, t.binary("fmul", x, t.splat(2.0 ** (bits + 1))), x)
    offset = t.select(is_small, t.splat(-float(bits + 1)), t.splat(0.0))
    # The exponent and fraction of x / sqrt(1/2): f is then around 0.
    least = _as_integer(math.sqrt(0.5), t.element)
    whole = t.value(f"bitcast {t.vector} {x} to {t.integers}")
    whole = t.value(f"sub {t.integers} {whole}, {t.integer_splat(least)}")
    k = t.value(f"ashr {t.integers} {whole}, {t.integer_splat(bits)}")
    k = t.value(f"trunc {t.integers} {k} to <{t.lanes} x i32>") if t.bits == 64 else k
    k = t.value(f"sitofp <{t.lanes} x i32> {k} to {t.vector}")
    k = t.binary("fadd", k, offset)
    fraction = t.value(f"and {t.integers} {whole}, {t.integer_splat((1 << bits) - 1)}")
    fraction = t.value(f"add {t.integers} {fraction}, {t.integer_splat(least)}")
    f = t.value(f"bitcast {t.integers} {fraction} to {t.vector}")
    f = t.binary("fsub", f, t.splat(1.0))
    # 2 atanh(s) = f - (f^2 / 2 - s (f^2 / 2 + R)), R the series but its first term
    s = t.binary("fdiv", f, t.binary("fadd", t.splat(2.0), f))
    z = t.binary("fmul", s, s)
    terms = [2 / (2 * j + 3) for j in range(_ATANH_TERMS[t.element])]
    rest = t.binary("fmul", z, _polynomial(t, z, terms))
    half = t.binary("fmul", t.binary("fmul", f, f), t.splat(0.5))
    low = t.binary("fmul", k, t.splat(_LN2_LOW[t.element]))
    low = low if correction is None else t.binary("fadd", low, correction)
    low = t.fma(s, t.binary("fadd", half, rest), low)
    tail = t.binary("fsub", t.binary("fsub", half, low), f)
    return t.binary("fsub", t.binary("fmul", k, t.splat(_LN2_HIGH[t.element])), tail)


def _as_integer(value: float, element: str) -> int:
    """The bits of a number."""
    form = {"float": ("<f", "<i"), "double": ("<d", "<q")}[element]
    (whole,) = struct.unpack(form[1], struct.pack(form[0], value))
    return int(whole)


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
    positive = t.select(t.compare("olt", x, t.splat(0.0)), t.splat(0.0), x)
    return t.binary("fadd", positive, _log1p_of_exp(t, x))


def _log_sigmoid(t: FunctionText, x: str) -> str:
    # min(x, 0) - log(1 + exp(-|x|))
    negative = t.select(t.compare("ogt", x, t.splat(0.0)), t.splat(0.0), x)
    return t.binary("fsub", negative, _log1p_of_exp(t, x))


def _log1p_of_exp(t: FunctionText, x: str) -> str:
    """log(1 + exp(-|x|))."""
    size = t.call(f"llvm.fabs.{t.suffix}", x)
    e = t.call("recurra.exp", t.binary("fsub", t.splat(-0.0), size))
    return t.call("recurra.log1p", e)


FUNCTIONS: dict[str, Callable[[FunctionText, str], str]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
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
    lines = [f"declare {v} @llvm.{f}.{s}({v})" for f in ("rint", "fabs", "sqrt")]
    lines += [
        f"declare {v} @llvm.copysign.{s}({v}, {v})",
        f"declare {v} @llvm.fmuladd.{s}({v}, {v}, {v})",
        f"declare {v} @llvm.masked.load.{s}.p0(ptr, i32, <{lanes} x i1>, {v})",
        f"declare {element} @llvm.vector.reduce.fadd.{s}({element}, {v})",
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        f"declare void @llvm.masked.store.{s}.p0({v}, ptr, i32, <{lanes} x i1>)",
    ]
    return "\n".join(lines) + "\n"
