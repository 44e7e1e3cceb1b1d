"""Functions of float32 and float64 as a few instructions that stand in the kernel itself.

A call of the C library's vector functions costs as much as its arithmetic: all that the loop holds in vector registers goes to the stack
and back. The methods are the usual ones, an argument reduced by powers of 2 and a polynomial (Muller, Elementary Functions, chapters 3 and 11);
the coefficients are minimax fits of the relative error. Measured errors in ulp, over all float32 numbers, and 2 * 10**7 or more float64
numbers of each of several kinds:

    float32   exp 1.01   exp2 0.95   log 0.86   log1p 1.44   tanh 1.10   (NumPy's: 2.5, 2.4, 3.8, 1.9 and 1.4)
    float64   exp 1.04   exp2 0.99   log 0.86   log1p 1.38   tanh 1.63

hypot is at most 1.01 ulp off, in both.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numfuse.runtime.cpu.instructions import as_word, bits_of, call, constant, element, fused, polynomial, words
from numfuse.runtime.intrinsics import DOUBLE, FLOAT


@dataclasses.dataclass(frozen=True)
class _Precision:
    """What the functions of one type are made of."""

    kind: ir.Type
    digits: int
    """Bits of the mantissa."""
    bias: int
    """What is added to exponents."""
    ln2: tuple[float, float]
    """Their sum is log(2); the first has so few bits that its product with an exponent is exact."""
    bounds: tuple[float, float]
    """Where exp is 0 from there down, and infinite from there up."""
    exp: tuple[float, ...]
    """(exp(r) - 1 - r) / r**2 for abs(r) <= log(2) / 2; the error is below 0.06 ulp."""
    exp2: tuple[float, ...]
    """2**r for abs(r) <= 1/2; the error is below 0.04 ulp."""
    tanh: tuple[float, ...]
    """(tanh(x) - x) / x**3 by powers of x**2 up to the first of the bounds; the error is below 0.02 ulp."""
    tanh_bounds: tuple[float, float]
    """From where on exp is used, and where the result is 1."""


_SINGLE = _Precision(
    kind=FLOAT,
    digits=23,
    bias=127,
    ln2=(0.693145751953125, 1.428606765330187e-06),
    bounds=(-104.0, 89.0),
    exp=(0.4999999343209687, 0.16666520398628737, 0.041668390788271704, 0.00836874515944381, 0.001381454014455819),
    exp2=(
        1.0, 0.6931472029330383, 0.24022647903585634, 0.05550332286061263, 0.00961843810332498, 0.00133989519407136,
        0.00015353299789499941,
    ),
    tanh=(
        -0.333333222634916, 0.1333297826472713, -0.053929301654016625, 0.02166354266293685, -0.00826454408581298,
        0.002582667975645345, -0.00045545999237803155,
    ),
    tanh_bounds=(0.9, 10.0),
)  # fmt: skip
_DOUBLE = _Precision(
    kind=DOUBLE,
    digits=52,
    bias=1023,
    ln2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
    bounds=(-746.0, 710.0),
    exp=(
        0.5000000000000011, 0.16666666666666413, 0.04166666666652994, 0.008333333333494716, 0.0013888888943695099,
        0.00019841269506177641, 2.4801493024202242e-05, 2.7557586590732836e-06, 2.7630277340666084e-07,
        2.500003887592034e-08,
    ),
    exp2=(
        1.0, 0.6931471805599453, 0.24022650695910155, 0.05550410866481992, 0.009618129107588335, 0.0013333558146790007,
        0.0001540353046251367, 1.5252733489912685e-05, 1.3215433089953907e-06, 1.017819805162569e-07, 7.074105578073897e-09,
        4.4352784043382424e-10,
    ),
    tanh=(
        -0.3333333333333333, 0.13333333333333067, -0.05396825396804401, 0.02186948852784008, -0.008863235336546855,
        0.0035921251667058282, -0.0014558058812557295, 0.0005898332147234987, -0.0002382146464576479, 9.396817503781972e-05,
        -3.2966734541205715e-05, 7.449008835258173e-06,
    ),
    tanh_bounds=(0.55, 20.0),
)  # fmt: skip
_PRECISIONS = {precision.kind: precision for precision in (_SINGLE, _DOUBLE)}

LOG_SINGLE = (
    0.33333331742573263, -0.2500082269910849, 0.2000122564944377, -0.16623292089943598, 0.14201734903114174,
    -0.13160845356047451, 0.12762081846865803, -0.07633283339629786,
)  # fmt: skip
"""(log(1 + r) - r + r**2 / 2) / r**3 for 1 + r between sqrt(1/2) and sqrt(2); the error is below 0.1 ulp."""
LOG_DOUBLE = (
    0.6666666666666735, 0.39999999999411845, 0.2857142874312579, 0.22222198486742653, 0.18183569351131396,
    0.1531390895068022, 0.14797491486460482,
)  # fmt: skip
"""(log((1 + s) / (1 - s)) - 2 * s) / s**3 by powers of s**2, between the same numbers; the error is below 0.02 ulp."""


def is_fast() -> bool:
    """Whether this processor multiplies and adds in one instruction; else the C library's functions are better."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon") or features.get("fp-armv8"))


def exp(builder: ir.IRBuilder, x: Any) -> Any:
    """2**n * (1 + r + r**2 * P(r)), where x = n * log(2) + r"""
    precision = _PRECISIONS[element(x.type)]
    kept = _within(builder, x, *precision.bounds)
    n, r = _turns(builder, kept)
    result = builder.fadd(_exp_of_rest(builder, r), constant(x.type, 1.0))
    return _times_power(builder, result, n)


def exp2(builder: ir.IRBuilder, x: Any) -> Any:
    """2**n * 2**r, where x = n + r"""
    precision = _PRECISIONS[element(x.type)]
    kept = _within(builder, x, *(bound / math.log(2) for bound in precision.bounds))
    n = call(builder, "rint", kept)
    return _times_power(builder, polynomial(builder, builder.fsub(kept, n), precision.exp2), n)


def exp2_of_sum(builder: ir.IRBuilder, x: Any, rest: Any) -> Any:
    """2**(x + rest) of an x within twice the bounds of exp2, and a small rest."""
    n = call(builder, "rint", builder.fadd(x, rest))
    r = builder.fadd(builder.fsub(x, n), rest)
    return _times_power(builder, polynomial(builder, r, _PRECISIONS[element(x.type)].exp2), n)


def _within(builder: ir.IRBuilder, x: Any, low: float, high: float) -> Any:
    """x, or the bound that it is beyond; what is no number remains so."""
    least, most = constant(x.type, low), constant(x.type, high)
    kept = builder.select(builder.fcmp_ordered(">", least, x), least, x)
    return builder.select(builder.fcmp_ordered("<", most, kept), most, kept)


def _turns(builder: ir.IRBuilder, x: Any) -> tuple[Any, Any]:
    """n and r with x = n * log(2) + r"""
    number = functools.partial(constant, x.type)
    n = call(builder, "rint", builder.fmul(x, number(1 / math.log(2))))
    high, low = _PRECISIONS[element(x.type)].ln2
    return n, fused(builder, n, number(-low), fused(builder, n, number(-high), x))


def _exp_of_rest(builder: ir.IRBuilder, r: Any) -> Any:
    """exp(r) - 1"""
    return fused(builder, polynomial(builder, r, _PRECISIONS[element(r.type)].exp), builder.fmul(r, r), r)


def _times_power(builder: ir.IRBuilder, x: Any, n: Any) -> Any:
    """x * 2**n, where 2**n itself may be too small or large: by two factors."""
    precision, word = _PRECISIONS[element(x.type)], functools.partial(constant, words(x.type))
    # the lowest bits of this sum are those of n + 2 * bias
    biased = builder.fadd(n, constant(x.type, 1.5 * 2.0**precision.digits + 2 * precision.bias))
    whole = as_word(builder, biased)
    half = builder.lshr(whole, word(1))
    for part in (half, builder.sub(whole, half)):
        x = builder.fmul(x, builder.bitcast(builder.shl(part, word(precision.digits)), x.type))
    return x


def log(builder: ir.IRBuilder, x: Any) -> Any:
    """n * log(2) + log(1 + r), where x = 2**n * (1 + r)"""
    precision, number = _PRECISIONS[element(x.type)], functools.partial(constant, x.type)
    digits, bias = precision.digits, precision.bias
    small = builder.fcmp_ordered("<", x, number(2.0 ** (1 - bias)))
    n, mantissa = split(builder, builder.select(small, builder.fmul(x, number(2.0**digits)), x), small)
    return _log_of(builder, x, n, builder.fsub(mantissa, number(1.0)))


def log1p(builder: ir.IRBuilder, x: Any) -> Any:
    """n * log(2) + log(1 + r), where 1 + x = 2**n * (1 + r). From the sum come n and the exceptions, but not r: it is rounded."""
    precision = _PRECISIONS[element(x.type)]
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    total = builder.fadd(x, number(1.0))
    n, _ = split(builder, total)
    # 2**(2 - n), which is not subnormal where n is largest. The lowest bits of the sum are those of its exponent
    biased = builder.fsub(number(1.5 * 2.0**precision.digits + 2 + precision.bias), n)
    power = builder.bitcast(builder.shl(as_word(builder, biased), word(precision.digits)), x.type)
    quarter = number(0.25)
    r = fused(builder, builder.fmul(x, power), quarter, fused(builder, power, quarter, number(-1.0)))
    return call(builder, "copysign", _log_of(builder, total, n, r), x)


def split(builder: ir.IRBuilder, x: Any, was_small: Any = None) -> tuple[Any, Any]:
    """n and m from sqrt(1/2) to sqrt(2), with x = 2**n * m, of a positive number that is not subnormal. One that `was_small` is now a multiple by
    all digits."""
    precision = _PRECISIONS[element(x.type)]
    digits, word = precision.digits, functools.partial(constant, words(x.type))
    one, sqrt_half, shift = (bits_of(x.type, value) for value in (1.0, math.sqrt(0.5), 2.0**digits))
    bits = builder.add(as_word(builder, x), word(one - sqrt_half))
    # the exponent as the lowest bits of a float
    raised = builder.bitcast(builder.or_(builder.lshr(bits, word(digits)), word(shift)), x.type)
    mantissa = builder.add(builder.and_(bits, word(2**digits - 1)), word(sqrt_half))
    zero = constant(x.type, 2.0**digits + precision.bias)
    if was_small is not None:
        zero = builder.select(was_small, constant(x.type, 2.0**digits + precision.bias + digits), zero)
    return builder.fsub(raised, zero), builder.bitcast(mantissa, x.type)


def _log_of(builder: ir.IRBuilder, x: Any, n: Any, r: Any) -> Any:
    """log(x), where x = 2**n * (1 + r) if x is positive and finite."""
    number = functools.partial(constant, x.type)
    high, low = _PRECISIONS[element(x.type)].ln2
    near_one = _log_single if element(x.type) == FLOAT else _log_double
    result = fused(builder, n, number(high), near_one(builder, r, builder.fmul(n, number(low))))
    positive = builder.fcmp_ordered(">", x, number(0.0))
    finite = builder.fcmp_ordered("<", x, number(math.inf))
    at_zero = builder.fcmp_ordered("==", x, number(0.0))
    else_ = builder.select(at_zero, number(-math.inf), builder.select(positive, x, number(math.nan)))
    return builder.select(builder.and_(positive, finite), result, else_)


def _log_single(builder: ir.IRBuilder, r: Any, rest: Any) -> Any:
    """log(1 + r) + rest = r - r**2 / 2 + r**3 * P(r) + rest"""
    square = builder.fmul(r, r)
    rest = fused(builder, builder.fmul(r, square), polynomial(builder, r, LOG_SINGLE), rest)
    return builder.fadd(r, fused(builder, square, constant(r.type, -0.5), rest))


def _log_double(builder: ir.IRBuilder, r: Any, rest: Any) -> Any:
    """log(1 + r) + rest, by s = r / (2 + r) as fdlibm does it: r - (h - (s * (h + s**2 * P(s**2)) + rest)) with h = r**2 / 2.

    A division costs less than the other twelve coefficients that a polynomial in r has.
    """
    number = functools.partial(constant, r.type)
    half = builder.fmul(builder.fmul(r, r), number(0.5))
    s = builder.fdiv(r, builder.fadd(r, number(2.0)))
    square = builder.fmul(s, s)
    inner = fused(builder, square, polynomial(builder, square, LOG_DOUBLE), half)
    return builder.fsub(r, builder.fsub(half, fused(builder, s, inner, rest)))


def hypot(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    """sqrt(x**2 + y**2), where both are divided by the larger one's power of 2, so that no square is infinite or loses digits."""
    precision = _PRECISIONS[element(x.type)]
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    a, b = call(builder, "fabs", x), call(builder, "fabs", y)
    is_first = builder.fcmp_ordered(">", a, b)
    larger, smaller = builder.select(is_first, a, b), builder.select(is_first, b, a)
    step, most = 1 << precision.digits, 2 * precision.bias
    power = builder.and_(as_word(builder, larger), word((2 * precision.bias + 1) * step))
    power = call(builder, "umin", call(builder, "umax", power, word(step)), word((most - 1) * step))
    inverse = builder.bitcast(builder.sub(word(most * step), power), x.type)
    long, short = builder.fmul(larger, inverse), builder.fmul(smaller, inverse)
    root = call(builder, "sqrt", fused(builder, long, long, builder.fmul(short, short)))
    result = builder.fmul(root, builder.bitcast(power, x.type))
    is_infinite = builder.or_(*[builder.fcmp_ordered("==", each, number(math.inf)) for each in (a, b)])
    return builder.select(is_infinite, number(math.inf), result)


def tanh(builder: ir.IRBuilder, x: Any) -> Any:
    """abs(x) + abs(x)**3 * P(x**2) for small x, else 1 - 2 / (exp(2 * abs(x)) + 1): one polynomial, whose argument and coefficients are picked."""
    precision = _PRECISIONS[element(x.type)]
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    size = call(builder, "fabs", x)
    bits = as_word(builder, size)
    limit, most, infinity = (bits_of(x.type, value) for value in (*precision.tanh_bounds, math.inf))
    is_large = builder.icmp_unsigned("<=", builder.sub(bits, word(limit)), word(infinity - limit))  # and a number
    kept = builder.bitcast(builder.select(builder.icmp_signed("<", bits, word(most)), bits, word(most)), x.type)
    n = call(builder, "rint", builder.fmul(kept, number(2 / math.log(2))))
    r = fused(builder, kept, number(2 / math.log(2)), builder.fneg(n))
    biased = builder.fadd(n, number(1.5 * 2.0**precision.digits + precision.bias - 1))
    half_power = builder.bitcast(builder.shl(as_word(builder, biased), word(precision.digits)), x.type)
    square = builder.fmul(x, x)

    def pick(large: Any, small: Any) -> Any:
        return builder.select(is_large, large, small)

    picked = [pick(*map(number, each)) for each in zip(precision.exp2, precision.tanh, strict=True)]
    total = polynomial(builder, pick(r, square), picked)
    total = fused(builder, total, pick(half_power, builder.fmul(size, square)), pick(number(0.5), size))
    result = pick(builder.fsub(number(1.0), builder.fdiv(number(1.0), total)), total)
    return call(builder, "copysign", result, x)
