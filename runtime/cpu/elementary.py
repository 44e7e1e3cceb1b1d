"""exp and log of float32 as a few instructions that stand in the kernel itself.

A call of the C library's vector functions costs as much as its arithmetic: all that the loop holds in vector registers goes to the stack
and back. The methods are the usual ones, an argument reduced by powers of 2 and a polynomial (Muller, Elementary Functions, chapters 3 and 11);
the coefficients are minimax fits of the relative error. Over all float32 numbers exp is at most 1.02 ulp off, and log 1.01 (NumPy's: 2.5 and 3.8).
"""

from __future__ import annotations

import math
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
    result = _fused(builder, _polynomial(builder, r, EXP), builder.fmul(r, r), r)
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
    rest = builder.fmul(builder.fmul(r, square), _polynomial(builder, r, LOG))
    rest = _fused(builder, square, _number(-0.5), _fused(builder, n, _number(LN2_LOW), rest))
    result = _fused(builder, n, _number(LN2_HIGH), builder.fadd(r, rest))
    positive = builder.fcmp_ordered(">", x, _number(0.0))
    finite = builder.fcmp_ordered("<", x, _number(math.inf))
    at_zero = builder.fcmp_ordered("==", x, _number(0.0))
    else_ = builder.select(at_zero, _number(-math.inf), builder.select(positive, x, _number(math.nan)))
    return builder.select(builder.and_(positive, finite), result, else_)


def _number(value: float) -> ir.Constant:
    return ir.Constant(FLOAT, value)


def _whole(value: int) -> ir.Constant:
    return ir.Constant(I32, value)


def _call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    return builder.call(external(builder, f"llvm.{name}.f32", FLOAT, [FLOAT] * len(args)), args)


def _fused(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "fma", a, b, c)


def _polynomial(builder: ir.IRBuilder, x: Any, coefficients: tuple[float, ...]) -> Any:
    total = _number(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = _fused(builder, total, x, _number(coefficient))
    return total
