"""Functions of float32 as a few instructions that stand in the kernel itself.

A call of the C library's vector functions costs as much as its arithmetic: all that the loop holds in vector registers goes to the stack
and back. The methods are the usual ones, an argument reduced by powers of 2 and a polynomial (Muller, Elementary Functions, chapters 3 and 11);
the coefficients are minimax fits of the relative error. Over all float32 numbers exp is at most 1.02 ulp off, log 1.01 and tanh 1.10 (NumPy's:
2.5, 3.8 and 1.4).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numfuse.runtime.intrinsics import FLOAT, I32, external

LN2_HIGH, LN2_LOW = 0.693145751953125, 1.428606765330187e-06
"""Their sum is log(2); the first has 16 bits, so that its product with an exponent is exact."""
EXP = (0.4999999343209687, 0.16666520398628737, 0.041668390788271704, 0.00836874515944381, 0.001381454014455819)
"""(exp(r) - 1 - r) / r**2 for abs(r) <= log(2) / 2; the error is below 0.06 ulp."""
LOG = (
    0.33333331742573263, -0.2500082269910849, 0.2000122564944377, -0.16623292089943598, 0.14201734903114174,
    -0.13160845356047451, 0.12762081846865803, -0.07633283339629786,
)  # fmt: skip
"""(log(1 + r) - r + r**2 / 2) / r**3 for 1 + r between sqrt(1/2) and sqrt(2); the error is below 0.1 ulp."""
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
SQRT_HALF_BITS = 0x3F3504F3
LEAST_NORMAL = 2.0**-126


def is_fast() -> bool:
    """Whether this processor multiplies and adds in one instruction; else the C library's functions are better."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon") or features.get("fp-armv8"))


def exp(builder: ir.IRBuilder, x: Any) -> Any:
    above = builder.select(builder.fcmp_ordered(">", x, _number(-104.0)), x, _number(-104.0))
    kept = builder.select(builder.fcmp_ordered("<", above, _number(89.0)), above, _number(89.0))
    n = _call(builder, "rint", builder.fmul(kept, _number(1 / math.log(2))))
    r = _fused(builder, n, _number(-LN2_LOW), _fused(builder, n, _number(-LN2_HIGH), kept))
    result = _fused(builder, _polynomial(builder, r, _numbers(EXP)), builder.fmul(r, r), r)
    result = builder.fadd(result, _number(1.0))
    whole = builder.fptosi(n, I32)
    half = builder.ashr(whole, _whole(1))
    for part in (half, builder.sub(whole, half)):  # 2**n itself may be too small or large for a float32
        power = builder.shl(builder.add(part, _whole(127)), _whole(23))
        result = builder.fmul(result, builder.bitcast(power, FLOAT))
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)


def log(builder: ir.IRBuilder, x: Any) -> Any:
    small = builder.fcmp_ordered("<", x, _number(LEAST_NORMAL))
    bits = builder.bitcast(builder.select(small, builder.fmul(x, _number(2.0**23)), x), I32)
    exponent = builder.ashr(builder.sub(bits, _whole(SQRT_HALF_BITS)), _whole(23))
    mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, _whole(23))), FLOAT)
    n = builder.fadd(builder.sitofp(exponent, FLOAT), builder.select(small, _number(-23.0), _number(0.0)))
    r = builder.fsub(mantissa, _number(1.0))
    square = builder.fmul(r, r)
    rest = builder.fmul(builder.fmul(r, square), _polynomial(builder, r, _numbers(LOG)))
    rest = _fused(builder, square, _number(-0.5), _fused(builder, n, _number(LN2_LOW), rest))
    result = _fused(builder, n, _number(LN2_HIGH), builder.fadd(r, rest))
    positive = builder.fcmp_ordered(">", x, _number(0.0))
    finite = builder.fcmp_ordered("<", x, _number(math.inf))
    at_zero = builder.fcmp_ordered("==", x, _number(0.0))
    else_ = builder.select(at_zero, _number(-math.inf), builder.select(positive, x, _number(math.nan)))
    return builder.select(builder.and_(positive, finite), result, else_)


def tanh(builder: ir.IRBuilder, x: Any) -> Any:
    """abs(x) + abs(x)**3 * P(x**2) up to 0.9, and 1 - 2 / (exp(2 * abs(x)) + 1) from there on: one polynomial, whose argument and coefficients are picked."""
    size = _call(builder, "fabs", x)
    bits = builder.bitcast(size, I32)
    limit, infinity = _bits(0.9), _bits(math.inf)
    is_large = builder.icmp_unsigned("<=", builder.sub(bits, _whole(limit)), _whole(infinity - limit))  # and a number
    bits = builder.select(builder.icmp_signed("<", bits, _whole(_bits(10.0))), bits, _whole(_bits(10.0)))
    kept = builder.bitcast(bits, FLOAT)
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


def _numbers(values: Sequence[float]) -> list[ir.Constant]:
    return [_number(value) for value in values]


def _whole(value: int) -> ir.Constant:
    return ir.Constant(I32, value)


def _call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    return builder.call(external(builder, f"llvm.{name}.f32", FLOAT, [FLOAT] * len(args)), args)


def _fused(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "fma", a, b, c)


def _bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def _polynomial(builder: ir.IRBuilder, x: Any, coefficients: Sequence[Any]) -> Any:
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = _fused(builder, total, x, coefficient)
    return total
