"""Inverse sines, cosines and tangents of complex numbers, circular and hyperbolic (see `complex_scalars.py`).

The formulas are Kahan's ("Branch cuts for complex elementary functions", 1987): what is near a cut, or near 1, keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

INF = math.inf


# mypy: disable-error-code="no-untyped-def"


def define(compiled: Callable[[Any], Any], primitives: Mapping[str, Any], named: Mapping[str, Any]) -> list[Any]:
    absolute, like, choose, copysign, complex_like, maximum = (
        primitives[name] for name in ("absolute", "like", "choose", "copysign", "complex_like", "maximum")
    )
    arcsinh, arctan2, log1p = (primitives[name] for name in ("arcsinh", "arctan2", "log1p"))
    complex_sqrt = named["complex_sqrt"]

    @compiled
    def complex_roots(z):
        """The square roots of 1 - z and 1 + z, of a quarter of z where that is large, and that factor."""
        one, size = like(z.real, 1), maximum(absolute(z.real), absolute(z.imag))
        scale = choose(size > like(size, 1e37), like(size, 0.25), one)
        x, y = z.real * scale, z.imag * scale
        below, above = complex_sqrt(complex_like(z, one - x, -y)), complex_sqrt(complex_like(z, one + x, y))
        return below, above, scale

    @compiled
    def complex_along(z, product, scale):
        """The imaginary part's size: infinite where z is, and that of z where z is tiny."""
        x, y = absolute(z.real), absolute(z.imag)
        is_end = (x == like(x, INF)) | (y == like(y, INF))
        lost = choose(scale == like(x, 1), like(x, 0), like(x, 2 * math.log(2)))
        is_tiny = (x < like(x, 1e-36)) & (y < like(y, 1e-36))
        return choose(is_end, like(x, INF), choose(is_tiny, y, arcsinh(absolute(product)) + lost))

    @compiled
    def complex_arcsin(z):
        below, above, scale = complex_roots(z)
        size = absolute(z.imag)
        is_end = (absolute(z.real) == like(size, INF)) | (size == like(size, INF))
        across = choose(is_end, size, below.real * above.real - below.imag * above.imag)
        real = choose(z.real == like(size, 0), z.real, arctan2(z.real * scale, across))
        along = complex_along(z, above.imag * below.real - below.imag * above.real, scale)
        return complex_like(z, real, copysign(along, z.imag))

    @compiled
    def complex_arccos(z):
        below, above, scale = complex_roots(z)
        size = absolute(z.imag)
        is_end = (absolute(z.real) == like(size, INF)) | (size == like(size, INF))
        half = arctan2(choose(is_end, size, below.real), choose(is_end, z.real, above.real))
        real = choose(z.real == like(size, 0), like(size, math.pi / 2), choose(is_end, half, half + half))
        along = complex_along(z, above.real * below.imag - above.imag * below.real, scale)
        return complex_like(z, real, copysign(along, -z.imag))

    @compiled
    def complex_arctanh(z):
        """log1p(4 * x / ((1 - x)**2 + y**2)) / 4 is x / (x**2 + y**2) where z is large."""
        one, zero, x, y = like(z.real, 1), like(z.real, 0), absolute(z.real), absolute(z.imag)
        size = maximum(x, y)
        inverse = one / choose(size > like(x, 1e9), size, one)
        across, along, apart = x * inverse, y * inverse, one - x
        far = across / (across * across + along * along) * inverse
        is_next = (x == one) & (y < like(y, 1e-17))  # to 1, and y**2 may be zero
        ratio = choose(is_next, like(x, 2) / y, like(x, 4) * x / (apart * apart + y * y))
        near = log1p(ratio) * choose(is_next, like(x, 0.5), like(x, 0.25))
        angle = arctan2((along + along) * inverse, (inverse - across) * (inverse + across) - along * along)
        is_end = (x == like(x, INF)) | (y == like(y, INF))
        real = choose(is_end | (x == zero), zero, choose(inverse == one, near, far))
        imag = choose(is_end & (y == y), like(x, math.pi / 2), angle * like(x, 0.5))
        return complex_like(z, copysign(real, z.real), copysign(imag, z.imag))

    @compiled
    def complex_arcsinh(z):
        turned = complex_arcsin(complex_like(z, -z.imag, z.real))
        return complex_like(z, turned.imag, -turned.real)

    @compiled
    def complex_arccosh(z):
        turned = complex_arccos(z)
        return complex_like(z, absolute(turned.imag), copysign(turned.real, z.imag))

    @compiled
    def complex_arctan(z):
        turned = complex_arctanh(complex_like(z, -z.imag, z.real))
        return complex_like(z, turned.imag, -turned.real)

    return [
        complex_roots, complex_along, complex_arcsin, complex_arccos, complex_arctanh, complex_arcsinh, complex_arccosh, complex_arctan,
    ]  # fmt: skip
