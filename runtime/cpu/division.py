"""fmod and floor_divide as a few instructions that stand in the vectorised loop.

Both are exact while the quotient is: abs(x) = q * abs(y) + rest. The quotient is rounded, so that q may be one too many; then the rest is negative. Each rest
has its last digit where x or y has it, and is smaller than y, so that it is a float: a fused multiplication and subtraction gives just that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.cpu.guarded import Guarded, of_library
from numfuse.runtime.cpu.instructions import as_word, call, constant, element, fused, words
from numfuse.runtime.intrinsics import FLOAT

SPARE = 3
"""How many digits floor_divide leaves unused: NumPy rounds abs(x) - rest and its quotient by y, and what results is less than 0.3 off then."""


def _divided(builder: ir.IRBuilder, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """abs(x / y), its whole part, and the rest."""
    a, b = call(builder, "fabs", x), call(builder, "fabs", y)
    quotient = builder.fdiv(a, b)
    q = call(builder, "trunc", quotient)
    rest = fused(builder, builder.fneg(q), b, a)
    over = builder.fcmp_ordered("<", rest, constant(x.type, 0.0))
    q = builder.select(over, builder.fsub(q, constant(x.type, 1.0)), q)
    rest = builder.select(over, builder.fadd(rest, b), rest)
    return quotient, q, builder.select(builder.fcmp_ordered("<", a, b), a, rest)  # b may be infinite


def _is_far(spare: int) -> Callable[..., Any]:
    """Whether the quotient of finite numbers is too large. An infinite x, or a zero y, give what they should."""

    def is_far(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
        number = functools.partial(constant, x.type)
        a, b = call(builder, "fabs", x), call(builder, "fabs", y)
        limit = 2.0 ** ((24 if element(x.type) == FLOAT else 53) - spare)
        large = builder.fcmp_ordered(">=", builder.fdiv(a, b), number(limit))
        finite = builder.fcmp_ordered("<", a, number(math.inf))
        return builder.and_(builder.and_(large, finite), builder.fcmp_ordered(">", b, number(0.0)))

    return is_far


def _fmod(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    return call(builder, "copysign", _divided(builder, x, y)[2], x)


def _floor_divide(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    """-(q + 1) in place of -q, where there is a rest; the quotient itself where y is 0, and NaN where the rest is."""
    number = functools.partial(constant, x.type)
    sign = builder.xor(as_word(builder, x), as_word(builder, y))
    quotient, q, rest = _divided(builder, x, y)
    is_negative = builder.icmp_signed("<", sign, constant(words(x.type), 0))
    is_broken = builder.fcmp_unordered("!=", rest, number(0.0))
    down = builder.and_(is_negative, is_broken)
    q = builder.select(down, builder.fadd(q, number(1.0)), q)
    q = builder.select(builder.fcmp_unordered("uno", rest, rest), rest, q)
    q = builder.select(builder.fcmp_ordered("==", y, number(0.0)), quotient, q)
    return call(builder, "copysign", q, builder.bitcast(sign, x.type))


def _numpys_floor_divide(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    """NumPy's, of finite numbers whose quotient is neither small nor infinite."""
    number = functools.partial(constant, x.type)
    rest = of_library("fmod")(builder, x, y)
    quotient = builder.fdiv(builder.fsub(x, rest), y)
    apart = builder.xor(builder.fcmp_ordered("<", rest, number(0.0)), builder.fcmp_ordered("<", y, number(0.0)))
    down = builder.and_(apart, builder.fcmp_ordered("!=", rest, number(0.0)))
    quotient = builder.select(down, builder.fsub(quotient, number(1.0)), quotient)
    whole = call(builder, "floor", quotient)
    up = builder.fcmp_ordered(">", builder.fsub(quotient, whole), number(0.5))
    return builder.select(up, builder.fadd(whole, number(1.0)), whole)


fmod = Guarded("fmod", _fmod, _is_far(0), of_library("fmod"))
floor_divide = Guarded("floor_divide", _floor_divide, _is_far(SPARE), _numpys_floor_divide)
