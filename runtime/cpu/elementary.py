"""Functions of float32 and float64 as a few instructions that stand in the kernel itself.

A call of the C library's vector functions costs as much as its arithmetic: all that the loop holds in vector registers goes to the stack
and back. The methods are the usual ones, an argument reduced by powers of 2 and a polynomial (Muller, Elementary Functions, chapters 3 and 11);
the coefficients are minimax fits of the relative error. Measured errors in ulp, over all float32 numbers, and 2 * 10**7 or more float64
numbers of each of several kinds:

    float32   exp 1.01   log 0.86   tanh 1.10   (NumPy's: 2.5, 3.8 and 1.4)
    float64   exp 1.04   log 0.86
"""

from __future__ import annotations

import dataclasses
import functools
import math
import struct
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numfuse.runtime.intrinsics import DOUBLE, FLOAT, I32, I64, external


@dataclasses.dataclass(frozen=True)
class _Precision:
    """What exp and log are made of."""

    kind: ir.Type
    word: ir.IntType
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


_SINGLE = _Precision(
    kind=FLOAT,
    word=I32,
    digits=23,
    bias=127,
    ln2=(0.693145751953125, 1.428606765330187e-06),
    bounds=(-104.0, 89.0),
    exp=(0.4999999343209687, 0.16666520398628737, 0.041668390788271704, 0.00836874515944381, 0.001381454014455819),
)  # fmt: skip
_DOUBLE = _Precision(
    kind=DOUBLE,
    word=I64,
    digits=52,
    bias=1023,
    ln2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
    bounds=(-746.0, 710.0),
    exp=(
        0.5000000000000011, 0.16666666666666413, 0.04166666666652994, 0.008333333333494716, 0.0013888888943695099,
        0.00019841269506177641, 2.4801493024202242e-05, 2.7557586590732836e-06, 2.7630277340666084e-07,
        2.500003887592034e-08,
    ),
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
TANH = (
    -0.333333222634916, 0.1333297826472713, -0.053929301654016625, 0.02166354266293685, -0.00826454408581298,
    0.002582667975645345, -0.00045545999237803155,
)  # fmt: skip
"""(tanh(x) - x) / x**3 by powers of x**2 for abs(x) <= 0.9; the error is below 0.02 ulp."""
EXP2 = (
    1.0, 0.6931472029330383, 0.24022647903585634, 0.05550332286061263, 0.00961843810332498, 0.00133989519407136,
    0.00015353299789499941,
)  # fmt: skip
"""2**r for abs(r) <= 1/2; the error is below 0.04 ulp."""


def is_fast() -> bool:
    """Whether this processor multiplies and adds in one instruction; else the C library's functions are better."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon") or features.get("fp-armv8"))


def exp(builder: ir.IRBuilder, x: Any) -> Any:
    """2**n * (1 + r + r**2 * P(r)), where x = n * log(2) + r"""
    precision = _PRECISIONS[x.type]
    number, word = functools.partial(ir.Constant, x.type), functools.partial(ir.Constant, precision.word)
    least, most = (number(bound) for bound in precision.bounds)
    kept = builder.select(builder.fcmp_ordered(">", least, x), least, x)  # what is no number remains so
    kept = builder.select(builder.fcmp_ordered("<", most, kept), most, kept)
    n = _call(builder, "rint", builder.fmul(kept, number(1 / math.log(2))))
    high, low = precision.ln2
    r = _fused(builder, n, number(-low), _fused(builder, n, number(-high), kept))
    result = _fused(builder, _polynomial(builder, r, list(map(number, precision.exp))), builder.fmul(r, r), r)
    result = builder.fadd(result, number(1.0))
    # 2**n itself may be too small or large: two factors. The lowest bits of this sum are those of n + 2 * bias
    biased = builder.fadd(n, number(1.5 * 2.0**precision.digits + 2 * precision.bias))
    whole = builder.bitcast(biased, precision.word)
    half = builder.lshr(whole, word(1))
    for part in (half, builder.sub(whole, half)):
        result = builder.fmul(result, builder.bitcast(builder.shl(part, word(precision.digits)), x.type))
    return result


def log(builder: ir.IRBuilder, x: Any) -> Any:
    """n * log(2) + log(1 + r), where x = 2**n * (1 + r)"""
    precision = _PRECISIONS[x.type]
    number, word = functools.partial(ir.Constant, x.type), functools.partial(ir.Constant, precision.word)
    digits, bias = precision.digits, precision.bias
    one, sqrt_half, shift = (_bits(x.type, value) for value in (1.0, math.sqrt(0.5), 2.0**digits))
    small = builder.fcmp_ordered("<", x, number(2.0 ** (1 - bias)))
    bits = builder.bitcast(builder.select(small, builder.fmul(x, number(2.0**digits)), x), precision.word)
    bits = builder.add(bits, word(one - sqrt_half))
    # the exponent as the lowest bits of a float
    biased = builder.bitcast(builder.or_(builder.lshr(bits, word(digits)), word(shift)), x.type)
    zero = 2.0**digits + bias
    n = builder.fsub(biased, builder.select(small, number(zero + digits), number(zero)))
    mantissa = builder.add(builder.and_(bits, word(2**digits - 1)), word(sqrt_half))
    r = builder.fsub(builder.bitcast(mantissa, x.type), number(1.0))
    high, low = precision.ln2
    near_one = _log_single if x.type == FLOAT else _log_double
    result = _fused(builder, n, number(high), near_one(builder, r, builder.fmul(n, number(low))))
    positive = builder.fcmp_ordered(">", x, number(0.0))
    finite = builder.fcmp_ordered("<", x, number(math.inf))
    at_zero = builder.fcmp_ordered("==", x, number(0.0))
    else_ = builder.select(at_zero, number(-math.inf), builder.select(positive, x, number(math.nan)))
    return builder.select(builder.and_(positive, finite), result, else_)


def _log_single(builder: ir.IRBuilder, r: Any, rest: Any) -> Any:
    """log(1 + r) + rest = r - r**2 / 2 + r**3 * P(r) + rest"""
    square = builder.fmul(r, r)
    polynomial = _polynomial(builder, r, list(map(_number, LOG_SINGLE)))
    rest = _fused(builder, builder.fmul(r, square), polynomial, rest)
    return builder.fadd(r, _fused(builder, square, _number(-0.5), rest))


def _log_double(builder: ir.IRBuilder, r: Any, rest: Any) -> Any:
    """log(1 + r) + rest, by s = r / (2 + r) as fdlibm does it: r - (h - (s * (h + s**2 * P(s**2)) + rest)) with h = r**2 / 2.

    A division costs less than the other twelve coefficients that a polynomial in r has.
    """
    number = functools.partial(ir.Constant, DOUBLE)
    half = builder.fmul(builder.fmul(r, r), number(0.5))
    s = builder.fdiv(r, builder.fadd(r, number(2.0)))
    square = builder.fmul(s, s)
    inner = _fused(builder, square, _polynomial(builder, square, list(map(number, LOG_DOUBLE))), half)
    return builder.fsub(r, builder.fsub(half, _fused(builder, s, inner, rest)))


def tanh(builder: ir.IRBuilder, x: Any) -> Any:
    """abs(x) + abs(x)**3 * P(x**2) up to 0.9, from there on 1 - 2 / (exp(2 * abs(x)) + 1): one polynomial, whose argument and coefficients are picked."""
    size = _call(builder, "fabs", x)
    bits = builder.bitcast(size, I32)
    limit, most, infinity = (_bits(FLOAT, value) for value in (0.9, 10.0, math.inf))
    is_large = builder.icmp_unsigned("<=", builder.sub(bits, _whole(limit)), _whole(infinity - limit))  # and a number
    kept = builder.bitcast(builder.select(builder.icmp_signed("<", bits, _whole(most)), bits, _whole(most)), FLOAT)
    n = _call(builder, "rint", builder.fmul(kept, _number(2 / math.log(2))))
    r = _fused(builder, kept, _number(2 / math.log(2)), builder.fneg(n))
    half_power = builder.bitcast(builder.shl(builder.add(builder.fptosi(n, I32), _whole(126)), _whole(23)), FLOAT)
    square = builder.fmul(x, x)

    def pick(large: Any, small: Any) -> Any:
        return builder.select(is_large, large, small)

    total = _polynomial(builder, pick(r, square), [pick(*map(_number, each)) for each in zip(EXP2, TANH, strict=True)])
    total = _fused(builder, total, pick(half_power, builder.fmul(size, square)), pick(_number(0.5), size))
    result = pick(builder.fsub(_number(1.0), builder.fdiv(_number(1.0), total)), total)
    return _call(builder, "copysign", result, x)


def _number(value: float) -> ir.Constant:
    return ir.Constant(FLOAT, value)


def _whole(value: int) -> ir.Constant:
    return ir.Constant(I32, value)


def _call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    kind = args[0].type
    suffix = "f32" if kind == FLOAT else "f64"
    return builder.call(external(builder, f"llvm.{name}.{suffix}", kind, [kind] * len(args)), args)


def _fused(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "fma", a, b, c)


def _bits(kind: ir.Type, value: float) -> int:
    return int.from_bytes(struct.pack("<f" if kind == FLOAT else "<d", value), "little")


def _polynomial(builder: ir.IRBuilder, x: Any, coefficients: Sequence[Any]) -> Any:
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = _fused(builder, total, x, coefficient)
    return total
