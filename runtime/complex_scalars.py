"""NumPy's rules for complex numbers, in a few lines of Python that every target compiles (see `scalars.py`).

What is infinite, no number or zero gives what C has it give (C11, annex G). There are no branches, so that loops are vectorised: `choose(test, yes, no)`
is one of two numbers that are both computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from numfuse.runtime import complex_inverses

Compiled = Callable[[Any], Any]
LARGE = 88
"""From where on exponentials are computed by two factors, since they may be infinite where the result is not."""
EXP_LARGE = math.exp(LARGE)
INF, LOG_2, LOG2_E, LOG10_E = math.inf, math.log(2), 1 / math.log(2), 1 / math.log(10)


def define(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    """The functions, named as kernels call them."""
    made = [*_basic(compiled, primitives), *_exponentials(compiled, primitives), *_order(compiled, primitives)]
    for more in (_logarithms, _hyperbolic, _power, complex_inverses.define):
        made += more(compiled, primitives, {function.__name__: function for function in made})
    return made


# mypy: disable-error-code="no-untyped-def"


def _basic(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    absolute, like, complex_like = (primitives[name] for name in ("absolute", "like", "complex_like"))
    modulus, sqrt, copysign, rint, choose, maximum = (
        primitives[name] for name in ("modulus", "sqrt", "copysign", "rint", "choose", "maximum")
    )

    @compiled
    def conjugate(z):
        return complex_like(z, z.real, -z.imag)

    @compiled
    def set_real(z, part):
        return complex_like(z, part, z.imag)

    @compiled
    def set_imag(z, part):
        return complex_like(z, z.real, part)

    @compiled
    def complex_divide(a, b):
        """Smith's method, as NumPy has it (Smith, "Algorithm 116: Complex division", 1962)."""
        if absolute(b.real) >= absolute(b.imag):
            if b.real == like(b.real, 0) and b.imag == like(b.real, 0):
                return complex_like(a, a.real / absolute(b.real), a.imag / absolute(b.real))
            ratio = b.imag / b.real
            scale = like(b.real, 1) / (b.real + b.imag * ratio)
            return complex_like(a, (a.real + a.imag * ratio) * scale, (a.imag - a.real * ratio) * scale)
        ratio = b.real / b.imag
        scale = like(b.real, 1) / (b.imag + b.real * ratio)
        return complex_like(a, (a.real * ratio + a.imag) * scale, (a.imag * ratio - a.real) * scale)

    @compiled
    def complex_reciprocal(z):
        if absolute(z.imag) <= absolute(z.real):
            ratio = z.imag / z.real
            size = z.real + z.imag * ratio
            return complex_like(z, like(z.real, 1) / size, -ratio / size)
        ratio = z.real / z.imag
        size = z.real * ratio + z.imag
        return complex_like(z, ratio / size, like(z.real, -1) / size)

    @compiled
    def complex_scale(z, down, up):
        """`down` where the size of z may be infinite, `up` where it has few digits, else 1."""
        size = maximum(absolute(z.real), absolute(z.imag))
        is_large, is_small = size > like(size, 1e37), size < like(size, 1e-36)
        return choose(is_large, like(size, down), choose(is_small, like(size, up), like(size, 1)))

    @compiled
    def complex_sqrt(z):
        """sqrt((abs(x) + abs(z)) / 2), and y divided by twice that."""
        zero, size, scale = like(z.real, 0), absolute(z.imag), complex_scale(z, 2.0**-2, 2.0**54)
        x, y, grow = z.real * scale, z.imag * scale, complex_scale(z, 2.0, 2.0**-27)
        larger = sqrt((absolute(x) + modulus(complex_like(z, x, y))) * like(x, 0.5))
        smaller = choose(larger == zero, zero, absolute(y) / (larger + larger))
        larger = choose(size == like(size, INF), size, larger * grow)
        smaller = choose(size == like(size, INF), size, smaller * grow)
        real = choose(z.real < zero, smaller, larger)
        return complex_like(z, real, copysign(choose(z.real < zero, larger, smaller), y))

    @compiled
    def complex_sign(z):
        """z / abs(z); of an infinite part its sign, and NaN where both parts are infinite."""
        zero, one, size = like(z.real, 0), like(z.real, 1), modulus(z)
        is_infinite, is_end = size == like(size, INF), absolute(z.real) == like(size, INF)
        x = choose(is_end, copysign(one, z.real), zero)
        y = choose(is_end, choose(absolute(z.imag) == size, size - size, zero), copysign(one, z.imag))
        x = choose(is_infinite, x + (y - y), choose(size == zero, zero, z.real / size))
        y = choose(is_infinite, y, choose(size == zero, zero, z.imag / size))
        return complex_like(z, x, y)

    @compiled
    def complex_rint(z):
        return complex_like(z, rint(z.real), rint(z.imag))

    @compiled
    def complex_isinf(z):
        return (absolute(z.real) == like(z.real, INF)) | (absolute(z.imag) == like(z.real, INF))

    @compiled
    def complex_isfinite(z):
        return (absolute(z.real) < like(z.real, INF)) & (absolute(z.imag) < like(z.real, INF))

    return [
        conjugate, set_real, set_imag, complex_divide, complex_reciprocal, complex_scale, complex_sqrt, complex_sign, complex_rint, complex_isinf,
        complex_isfinite,
    ]  # fmt: skip


def _order(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    """By the real parts, and by the imaginary ones where those are equal."""
    choose, complex_like = primitives["choose"], primitives["complex_like"]

    @compiled
    def complex_less(a, b):
        return ((a.real < b.real) & (a.imag == a.imag) & (b.imag == b.imag)) | ((a.real == b.real) & (a.imag < b.imag))

    @compiled
    def complex_less_equal(a, b):
        return ((a.real < b.real) & (a.imag == a.imag) & (b.imag == b.imag)) | ((a.real == b.real) & (a.imag <= b.imag))

    @compiled
    def complex_maximum(a, b):
        takes_a = complex_less_equal(b, a) | (a != a)
        return complex_like(a, choose(takes_a, a.real, b.real), choose(takes_a, a.imag, b.imag))

    @compiled
    def complex_minimum(a, b):
        takes_a = complex_less_equal(a, b) | (a != a)
        return complex_like(a, choose(takes_a, a.real, b.real), choose(takes_a, a.imag, b.imag))

    @compiled
    def complex_fmax(a, b):
        takes_a = complex_less_equal(b, a) | (b != b)
        return complex_like(a, choose(takes_a, a.real, b.real), choose(takes_a, a.imag, b.imag))

    @compiled
    def complex_fmin(a, b):
        takes_a = complex_less_equal(a, b) | (b != b)
        return complex_like(a, choose(takes_a, a.real, b.real), choose(takes_a, a.imag, b.imag))

    return [complex_less, complex_less_equal, complex_maximum, complex_minimum, complex_fmax, complex_fmin]


def _exponentials(compiled: Compiled, primitives: Mapping[str, Any]) -> list[Any]:
    exp, expm1, sin, cos = (primitives[name] for name in ("exp", "expm1", "sin", "cos"))
    absolute, like, complex_like, choose = (primitives[name] for name in ("absolute", "like", "complex_like", "choose"))

    @compiled
    def complex_exp(z):
        x, y, zero, one = z.real, z.imag, like(z.real, 0), like(z.real, 1)
        at_end = (absolute(x) == like(x, INF)) & (absolute(y - y) != zero)  # and y is no finite number
        c = choose(at_end, one, cos(y))
        s = choose(at_end & (x < zero), zero, sin(y))
        is_large = x > like(x, LARGE)
        size, grow = exp(x - choose(is_large, like(x, LARGE), zero)), choose(is_large, like(x, EXP_LARGE), one)
        return complex_like(z, grow * c * size, choose(y == zero, y, grow * s * size))

    @compiled
    def complex_exp2(z):
        return complex_exp(complex_like(z, z.real * like(z.real, LOG_2), z.imag * like(z.real, LOG_2)))

    @compiled
    def complex_expm1(z):
        half = sin(z.imag * like(z.imag, 0.5))
        return complex_like(z, expm1(z.real) * cos(z.imag) - half * half - half * half, exp(z.real) * sin(z.imag))

    return [complex_exp, complex_exp2, complex_expm1]


def _logarithms(compiled: Compiled, primitives: Mapping[str, Any], named: Mapping[str, Any]) -> list[Any]:
    log, log1p, arctan2, modulus = (primitives[name] for name in ("log", "log1p", "arctan2", "modulus"))
    absolute, like, complex_like, fused, choose = (
        primitives[name] for name in ("absolute", "like", "complex_like", "fused", "choose")
    )
    complex_scale = named["complex_scale"]

    @compiled
    def complex_log(z):
        """Near the unit circle by log1p(x**2 + y**2 - 1), whose terms are added with what each product and sum lost."""
        zero, one, scale = like(z.real, 0), like(z.real, 1), complex_scale(z, 2.0**-2, 2.0**54)
        x, y = absolute(z.real), absolute(z.imag)
        size = modulus(complex_like(z, z.real * scale, z.imag * scale))
        larger, smaller = choose(x > y, x, y), choose(x > y, y, x)
        high, low = fused(larger, larger, zero), fused(smaller, smaller, zero)
        lost = fused(larger, larger, -high) + fused(smaller, smaller, -low)
        first = high - one
        lost = lost + (high - (first + one))
        total = first + low
        part = total - first
        lost = lost + ((first - (total - part)) + (low - part))
        turns = choose(scale == one, zero, complex_scale(z, 2.0, -54.0))
        near, far = log1p(total + lost) * like(one, 0.5), log(size) + turns * like(one, LOG_2)
        is_near = (like(one, 0.5) < size) & (size < like(one, 2))
        return complex_like(z, choose(is_near, near, far), arctan2(z.imag, z.real))

    @compiled
    def complex_log2(z):
        result = complex_log(z)
        return complex_like(z, result.real * like(z.real, LOG2_E), result.imag * like(z.real, LOG2_E))

    @compiled
    def complex_log10(z):
        result = complex_log(z)
        return complex_like(z, result.real * like(z.real, LOG10_E), result.imag * like(z.real, LOG10_E))

    @compiled
    def complex_log1p(z):
        """Where z is small by log1p((2 + x) * x + y**2)."""
        one, x, y = like(z.real, 1), z.real, z.imag
        near = log1p(fused(x + like(x, 2), x, y * y)) * like(x, 0.5)
        far = log(modulus(complex_like(z, x + one, y)))
        is_near = (absolute(x) < like(x, 0.5)) & (absolute(y) < like(x, 0.5))
        return complex_like(z, choose(is_near, near, far), arctan2(y, x + one))

    return [complex_log, complex_log2, complex_log10, complex_log1p]


def _hyperbolic(compiled: Compiled, primitives: Mapping[str, Any], named: Mapping[str, Any]) -> list[Any]:
    exp, sinh, sin, cos, tan, sqrt = (primitives[name] for name in ("exp", "sinh", "sin", "cos", "tan", "sqrt"))
    absolute, like, complex_like, copysign, choose = (
        primitives[name] for name in ("absolute", "like", "complex_like", "copysign", "choose")
    )

    @compiled
    def complex_sinh_cosh(z):
        """sinh and cosh of the real part, each to be multiplied by the same number where it is large."""
        x, zero, one = z.real, like(z.real, 0), like(z.real, 1)
        is_large = absolute(x) > like(x, LARGE)
        size = exp(absolute(x) - choose(is_large, like(x, LARGE), zero)) * like(x, 0.5)
        across = choose(is_large, copysign(size, x), sinh(choose(is_large, zero, x)))
        along = choose(is_large, size, size + like(x, 0.25) / size)
        return across, along, choose(is_large, like(x, EXP_LARGE), one)

    @compiled
    def complex_sinh(z):
        """sinh(x) * cos(y), cosh(x) * sin(y)"""
        x, y, zero, one = z.real, z.imag, like(z.real, 0), like(z.real, 1)
        across, along, grow = complex_sinh_cosh(z)
        is_end = (absolute(y - y) != zero) & ((x == zero) | (absolute(x) == like(x, INF)))
        c = choose(is_end, one, cos(y))
        return complex_like(z, grow * c * across, choose(y == zero, y, grow * sin(y) * along))

    @compiled
    def complex_cosh(z):
        """cosh(x) * cos(y), sinh(x) * sin(y)"""
        x, y, zero, one = z.real, z.imag, like(z.real, 0), like(z.real, 1)
        across, along, grow = complex_sinh_cosh(z)
        is_end = absolute(y - y) != zero
        c = choose(is_end & (absolute(x) == like(x, INF)), one, cos(y))
        s = choose(is_end & (x == zero), one, sin(y))
        imag = choose(y == zero, y * copysign(one, x), grow * s * across)
        return complex_like(z, grow * c * along, imag)

    @compiled
    def complex_tanh(z):
        """Kahan's formula ("Branch cuts for complex elementary functions", 1987); the limit where tanh(x) is one."""
        x, y, zero, one = z.real, z.imag, like(z.real, 0), like(z.real, 1)
        is_large, is_end = absolute(x) > like(x, 22), absolute(y - y) != zero
        t, s = tan(y), sinh(choose(is_large, zero, x))
        slope, root = one + t * t, sqrt(one + s * s)
        below, size = one + slope * s * s, exp(-absolute(x))
        none = choose(is_end & (absolute(x) < like(x, INF)), t, one)
        real = choose(is_large, copysign(none, x), choose(is_end & (x == zero), x, slope * root * s / below))
        imag = choose(is_large, like(x, 4) * t / slope * size * size, t / below)
        imag = choose(absolute(x) == like(x, INF), copysign(zero, choose(is_end, y, t)), imag)
        return complex_like(z, real, choose(y == zero, y, imag))

    @compiled
    def complex_sin(z):
        """-1j * sinh(1j * z)"""
        turned = complex_sinh(complex_like(z, -z.imag, z.real))
        return complex_like(z, turned.imag, -turned.real)

    @compiled
    def complex_cos(z):
        return complex_cosh(complex_like(z, -z.imag, z.real))

    @compiled
    def complex_tan(z):
        turned = complex_tanh(complex_like(z, -z.imag, z.real))
        return complex_like(z, turned.imag, -turned.real)

    return [complex_sinh_cosh, complex_sinh, complex_cosh, complex_tanh, complex_sin, complex_cos, complex_tan]


def _power(compiled: Compiled, primitives: Mapping[str, Any], named: Mapping[str, Any]) -> list[Any]:
    absolute, like, complex_like, floor, choose = (
        primitives[name] for name in ("absolute", "like", "complex_like", "floor", "choose")
    )
    complex_exp, complex_log, complex_divide = (
        named[name] for name in ("complex_exp", "complex_log", "complex_divide")
    )

    @compiled
    def complex_next_power(power, z, exponent):
        """z**exponent from z**(exponent // 2)."""
        square, half = power * power, floor(exponent * like(exponent, 0.5))
        more, is_odd, is_one = square * z, exponent > half + half, exponent == like(exponent, 1)
        real = choose(is_one, z.real, choose(is_odd, more.real, square.real))
        return complex_like(z, real, choose(is_one, z.imag, choose(is_odd, more.imag, square.imag)))

    @compiled
    def complex_whole_power(z, exponent):
        power = complex_like(z, like(exponent, 1), like(exponent, 0))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 64)))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 32)))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 16)))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 8)))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 4)))
        power = complex_next_power(power, z, floor(exponent * like(exponent, 1 / 2)))
        return complex_next_power(power, z, exponent)

    @compiled
    def complex_power(a, b):
        """exp(b * log(a)); as NumPy has it, a product where b is a whole number below 100, and NaN where 0 has no power."""
        zero, one, size = like(a.real, 0), like(a.real, 1), absolute(b.real)
        general, product = complex_exp(b * complex_log(a)), complex_whole_power(a, size)
        inverse = complex_divide(complex_like(a, one, zero), product)
        is_whole = (b.imag == zero) & (floor(size) == size) & (size < like(size, 100))
        real = choose(is_whole, choose(b.real < zero, inverse.real, product.real), general.real)
        imag = choose(is_whole, choose(b.real < zero, inverse.imag, product.imag), general.imag)
        is_none = (a.real == zero) & (a.imag == zero) & ((b.real != zero) | (b.imag != zero))
        none = choose(b.real > zero, zero, like(one, INF) - like(one, INF))
        return complex_like(a, choose(is_none, none, real), choose(is_none, none, imag))

    return [complex_power]
