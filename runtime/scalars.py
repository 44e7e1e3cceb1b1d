"""NumPy's rules for single numbers, in the few lines of Python that every target compiles.

`define(compiled, primitives)` returns the functions, compiled by the target's own decorator over the target's own
primitives. `like(x, number)` is a number in x's type: a bare literal would make Numba compute in 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from numfuse.runtime import complex_scalars

Compiled = Callable[[Any], Any]
INF, PI, LOG_2, LOG2_E = math.inf, math.pi, math.log(2), 1 / math.log(2)


def define(compiled: Compiled, primitives: Mapping[str, Any]) -> dict[str, Any]:
    """The functions by the names that kernels use."""
    made = [
        *_integers(compiled, primitives),
        *_floats(compiled, primitives),
        *_parts(compiled, primitives),
        *complex_scalars.define(compiled, primitives),
        *_random(compiled, primitives),
    ]
    return {function.__name__: function for function in made}


# mypy: disable-error-code="no-untyped-def"


def _integers(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    absolute, count_ones, like, width = (primitives[name] for name in ("absolute", "count_ones", "like", "width"))

    @compiled
    def int_floor_divide(a, b):
        if b == like(b, 0):
            return like(a, 0)
        if a < like(a, 0) and b == like(b, -1):  # the least integer divided by -1 is itself again
            return like(a, -a)
        return like(a, a // b)

    @compiled
    def int_remainder(a, b):
        if b == like(b, 0) or (a < like(a, 0) and b == like(b, -1)):
            return like(a, 0)
        return like(a, a % b)

    @compiled
    def int_fmod(a, b):
        zero = like(a, 0)
        if b == zero or (a < zero and b == like(b, -1)):
            return zero
        rest = like(a, a % b)
        return like(a, rest - b) if rest != zero and (a < zero) != (b < zero) else rest

    @compiled
    def int_power(x, exponent):
        result = like(x, 1)
        while exponent > like(exponent, 0):
            if exponent & like(exponent, 1):
                result = like(x, result * x)
            x = like(x, x * x)
            exponent = like(exponent, exponent >> like(exponent, 1))
        return result

    @compiled
    def int_sign(x):
        return like(x, 1) if x > like(x, 0) else like(x, -1) if x < like(x, 0) else like(x, 0)

    @compiled
    def int_reciprocal(x):
        if x == like(
            x, 0
        ):  # NumPy casts an infinity, which on x86 gives the least integer of 32 and 64 bits, and 0 else
            return like(x, like(x, 1) << like(x, width(x) - 1)) if width(x) >= 32 and like(x, -1) < like(x, 0) else x
        return x if x == like(x, 1) or (x < like(x, 0) and x == like(x, -1)) else like(x, 0)

    @compiled
    def int_gcd(a, b):
        while b != like(b, 0):
            a, b = b, int_remainder(a, b)
        return absolute(a)

    @compiled
    def int_lcm(a, b):
        divisor = int_gcd(a, b)
        return like(a, 0) if divisor == like(a, 0) else like(a, absolute(int_floor_divide(a, divisor)) * absolute(b))

    @compiled
    def int_left_shift(a, b):
        return like(a, a << b) if like(b, 0) <= b < like(b, width(a)) else like(a, 0)

    @compiled
    def int_right_shift(a, b):
        if like(b, 0) <= b < like(b, width(a)):
            return like(a, a >> b)
        return like(a, -1) if a < like(a, 0) else like(a, 0)

    @compiled
    def wrap_index(i, extent):
        place = i + extent if i < 0 else i
        return min(max(place, 0), extent - 1)

    @compiled
    def bitwise_count(x):
        return count_ones(absolute(x))

    return [
        int_floor_divide, int_remainder, int_fmod, int_power, int_sign, int_reciprocal, int_gcd, int_lcm, int_left_shift,
        int_right_shift, wrap_index, bitwise_count,
    ]  # fmt: skip


def _floats(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    fmod, copysign, floor, like = (primitives[name] for name in ("fmod", "copysign", "floor", "like"))
    exp, exp2, log1p, absolute = (primitives[name] for name in ("exp", "exp2", "log1p", "absolute"))

    @compiled
    def remainder(a, b):
        zero, rest = like(a, 0), fmod(a, b)
        if b == zero:
            return rest
        if rest == zero:
            return copysign(zero, b)
        return rest + b if (b < zero) != (rest < zero) else rest

    @compiled
    def floor_divide(a, b):
        zero = like(a, 0)
        if b == zero:
            return a / b
        rest = fmod(a, b)
        quotient = (a - rest) / b
        if rest != zero and (b < zero) != (rest < zero):
            quotient = quotient - like(a, 1)
        if quotient == zero:
            return copysign(zero, a * b)
        whole = floor(quotient)
        return whole + like(a, 1) if quotient - whole > like(a, 0.5) else whole

    @compiled
    def sign(x):
        return like(x, 1) if x > like(x, 0) else like(x, -1) if x < like(x, 0) else like(x, 0) if x == like(x, 0) else x

    @compiled
    def heaviside(x, at_zero):
        return like(x, 1) if x > like(x, 0) else like(x, 0) if x < like(x, 0) else at_zero if x == like(x, 0) else x

    @compiled
    def half_fmax(x, y):
        """LLVM would do its own instruction of this kind in float16, by one number at a time."""
        return x if y != y or x > y else y

    @compiled
    def half_fmin(x, y):
        return x if y != y or x < y else y

    @compiled
    def logaddexp(x, y):
        larger = x if x > y else y
        more = log1p(exp(-absolute(x - y)))
        return larger + (like(x, LOG_2) if x == y else more)  # x - y is no number where both are infinite

    @compiled
    def logaddexp2(x, y):
        larger = x if x > y else y
        more = like(x, LOG2_E) * log1p(exp2(-absolute(x - y)))
        return larger + (like(x, 1) if x == y else more)

    @compiled
    def deg2rad(x):
        return x * like(x, PI / 180)

    @compiled
    def rad2deg(x):
        return x * like(x, 180 / PI)

    @compiled
    def isinf(x):
        return absolute(x) == like(x, INF)

    @compiled
    def isfinite(x):
        return absolute(x) < like(x, INF)

    return [
        remainder,
        floor_divide,
        sign,
        heaviside,
        half_fmax,
        half_fmin,
        logaddexp,
        logaddexp2,
        deg2rad,
        rad2deg,
        isinf,
        isfinite,
    ]


def _parts(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    absolute, copysign, trunc, nextafter, ldexp_int, like, to_half, from_half = (
        primitives[name]
        for name in ("absolute", "copysign", "trunc", "nextafter", "ldexp_int", "like", "to_half", "from_half")
    )

    @compiled
    def modf_fraction(x):
        return copysign(like(x, 0) if absolute(x) == like(x, INF) else x - trunc(x), x)

    @compiled
    def spacing(x):
        size = nextafter(absolute(x), like(x, INF)) - absolute(x)
        return -size if x < like(x, 0) else size  # that of -0.0 is above zero

    @compiled
    def half_nextafter(x, y):
        bits = to_half(x)
        one = like(bits, 1)
        if x == like(x, 0):
            moved = copysign(from_half(one), y)
        else:
            moved = from_half(like(bits, bits + one) if (x < y) == (x > like(x, 0)) else like(bits, bits - one))
        return x + y if x != x or y != y else x if x == y else moved

    @compiled
    def half_spacing(x):
        """To the next number above, whatever the sign: NumPy has it so for float16 alone."""
        return absolute(half_nextafter(x, like(x, INF)) - x) if absolute(x) < like(x, INF) else x - x

    @compiled
    def ldexp(x, exponent):
        return ldexp_int(x, max(min(exponent, like(exponent, 10000)), like(exponent, -10000)))

    return [modf_fraction, spacing, half_nextafter, half_spacing, ldexp]


def _random(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    like = primitives["like"]

    @compiled
    def multiply_high(a, b):
        low, half = like(a, 0xFFFFFFFF), like(a, 32)
        cross = (a & low) * (b >> half) + ((a & low) * (b & low) >> half)
        other = (a >> half) * (b & low) + (cross & low)
        return (a >> half) * (b >> half) + (cross >> half) + (other >> half)

    return [multiply_high]
