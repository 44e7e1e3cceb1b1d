"""nextafter, ldexp and frexp by the bits of floats: instructions that stand in the kernel, in place of calls that stop a loop from being vectorised."""

from __future__ import annotations

import functools
import math
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.cpu.instructions import as_word, call, constant, element, words
from numfuse.runtime.intrinsics import FLOAT


def _layout(kind: ir.Type) -> tuple[int, int]:
    """The mantissa's bits, and what is added to exponents."""
    return (23, 127) if element(kind) == FLOAT else (52, 1023)


def nextafter(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    """The bits of abs(x) and one more, or one less."""
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    digits, bias = _layout(x.type)
    grows = builder.icmp_unsigned("==", builder.fcmp_ordered("<", x, y), builder.fcmp_ordered(">", x, number(0.0)))
    moved = builder.add(as_word(builder, x), builder.select(grows, word(1), word(-1)))
    least = call(builder, "copysign", number(2.0 ** (1 - bias - digits)), y)
    result = builder.select(builder.fcmp_ordered("==", x, number(0.0)), least, builder.bitcast(moved, x.type))
    result = builder.select(builder.fcmp_ordered("==", x, y), y, result)
    return builder.select(builder.fcmp_unordered("uno", x, y), builder.fadd(x, y), result)


def ldexp(builder: ir.IRBuilder, x: Any, exponent: Any) -> Any:
    """x * 2**exponent, rounded once: where the result is subnormal, nothing is lost before the last of three products."""
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    digits, bias = _layout(x.type)
    most, least = bias, 1 - bias
    n = exponent
    for _ in range(2):
        high, low = builder.icmp_signed(">", n, word(most)), builder.icmp_signed("<", n, word(least))
        for test, step in ((high, most), (low, least + digits + 1)):
            x = builder.fmul(x, builder.select(test, number(2.0**step), number(1.0)))
            n = builder.sub(n, builder.select(test, word(step), word(0)))
    n = call(builder, "smax", call(builder, "smin", n, word(most)), word(least))
    return builder.fmul(x, builder.bitcast(builder.shl(builder.add(n, word(bias)), word(digits)), x.type))


def frexp(builder: ir.IRBuilder, x: Any) -> tuple[Any, Any]:
    """x as a number from a half to one, and the exponent of two by which it is to be multiplied."""
    number, word = functools.partial(constant, x.type), functools.partial(constant, words(x.type))
    digits, bias = _layout(x.type)
    size = call(builder, "fabs", x)
    is_subnormal = builder.fcmp_ordered("<", size, number(2.0 ** (1 - bias)))
    scaled = builder.select(is_subnormal, builder.fmul(x, number(2.0 ** (digits + 1))), x)
    bits = as_word(builder, scaled)
    field = 2 * bias + 1
    exponent = builder.and_(builder.lshr(bits, word(digits)), word(field))
    exponent = builder.sub(exponent, builder.select(is_subnormal, word(bias + digits), word(bias - 1)))
    bits = builder.or_(builder.and_(bits, word(~(field << digits))), word((bias - 1) << digits))
    is_zero, is_finite = builder.fcmp_ordered("==", x, number(0.0)), builder.fcmp_ordered("<", size, number(math.inf))
    has = builder.and_(builder.not_(is_zero), is_finite)
    return builder.select(has, builder.bitcast(bits, x.type), x), builder.select(has, exponent, word(0))
