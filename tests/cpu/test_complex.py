"""Functions of complex numbers, compiled on the CPU, against NumPy's: in size, and where numbers are zero, infinite, huge, tiny or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf

UNARY = [
    getattr(np, name)
    for name in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos",
        "arctan", "arcsinh", "arccosh", "arctanh", "sign", "rint",
    )
]  # fmt: skip
BINARY = [np.less, np.less_equal, np.greater, np.greater_equal, np.maximum, np.minimum, np.fmax, np.fmin, np.power]


def pairs(char: str) -> np.ndarray:
    """Every two of these numbers as real and imaginary part."""
    info = np.finfo(char)
    ends = [0.0, 1, 0.5, 2, 3, 22.5, 100, 720, np.inf, np.nan, info.max, info.tiny, 1e-5, 1e-20, 1e30]
    each = np.array([*ends, *(-end for end in ends)], info.dtype)
    made = np.empty((len(each), len(each)), char)
    made.real, made.imag = np.meshgrid(each, each)
    return made.ravel()


def assert_like(got: np.ndarray, wanted: np.ndarray, z: np.ndarray) -> None:
    """Each part is NumPy's within a few units in the last place, with its sign. Which sign a part has beside NaN is not laid down."""
    eps, least = np.finfo(got.dtype).eps, np.finfo(got.dtype).smallest_subnormal
    for part, expected, other in ((got.real, wanted.real, wanted.imag), (got.imag, wanted.imag, wanted.real)):
        free = np.isnan(other)
        part, expected = np.where(free, np.abs(part), part), np.where(free, np.abs(expected), expected)
        wrong = ~np.isclose(part, expected, 12 * eps, 4 * least, equal_nan=True)
        lost = ~np.isnan(expected) & ~np.isinf(z) & (np.signbit(part) != np.signbit(expected))
        at = np.flatnonzero(wrong | lost)[:5]
        assert not len(at), [(z[k], got[k], wanted[k]) for k in at]


@pytest.mark.parametrize("char", "FD")
@pytest.mark.parametrize("function", UNARY)
def test_special_numbers(function: Callable[..., Any], char: str) -> None:
    z = pairs(char)
    with np.errstate(all="ignore"):
        got, wanted = nf.jit(lambda z: function(z))(z), function(z)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if function is np.log1p:  # NumPy's loses digits where z is small
        wanted = np.where(np.abs(z) < 0.5, got, wanted)
    assert_like(got, wanted, z)


@pytest.mark.parametrize("char", "FD")
@pytest.mark.parametrize("function", UNARY)
def test_size_of_errors(function: Callable[..., Any], char: str) -> None:
    rng, wide = np.random.default_rng(0), "D" if char == "F" else "G"
    if char == "D" and np.finfo("g").nmant < 60:
        pytest.skip("no wider type here")
    parts = [rng.standard_normal(20_000) * 10 ** rng.uniform(-3, 1, 20_000) for _ in range(2)]
    circle = np.exp(1j * rng.uniform(0, 2 * np.pi, 5000)) * (1 + rng.uniform(-1e-3, 1e-3, 5000))
    z = np.append(parts[0] + 1j * parts[1], circle).astype(char)
    with np.errstate(all="ignore"):
        got, numpys, exact = nf.jit(lambda z: function(z))(z), function(z), function(z.astype(wide))
        units = [float(np.nanmax(np.abs(each - exact) / np.abs(exact))) / np.finfo(char).eps for each in (got, numpys)]
    assert units[0] < max(4, 3 * units[1])


@pytest.mark.parametrize("char", "FD")
@pytest.mark.parametrize("function", BINARY)
def test_of_two(function: Callable[..., Any], char: str) -> None:
    rng = np.random.default_rng(0)
    small = pairs(char)[rng.permutation(900)[:200]]
    a, b = (each.ravel() for each in np.meshgrid(small, small))
    a, b = np.append(a, [1 + 2j, 2 - 1j, 0.5j, 3]).astype(char), np.append(b, [1 + 1j, 0.5, -2, 7]).astype(char)
    if function is np.power:
        finite = (np.abs(a) < 5) & (np.abs(a) > 1e-5) & (np.abs(b) < 5)
        a, b = a[finite], b[finite]
    with np.errstate(all="ignore"):
        got, wanted = nf.jit(lambda a, b: function(a, b))(a, b), function(a, b)
    if function is np.power:
        assert (np.abs(got - wanted) <= 40 * np.finfo(char).eps * np.abs(wanted)).all()
    else:
        np.testing.assert_array_equal(got, wanted, strict=True)


def test_whole_powers_are_products() -> None:
    z = np.array([1 + 2j, 2 - 1j, -3 + 0.5j, 0j])
    for n in (0, 1, 2, 3, 5, 12):
        np.testing.assert_array_equal(nf.jit(lambda z, n=n: np.power(z, complex(n)))(z), np.power(z, n))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(nf.jit(lambda z: z**-2)(z[:3]), z[:3] ** -2, 1e-15)


def test_roots_and_angles_fuse() -> None:
    z = np.arange(1, 9) * (0.5 + 1j)
    function = nf.jit(lambda z: np.abs(np.exp(1j * np.angle(z)) * np.sqrt(z)))
    np.testing.assert_allclose(function(z), np.sqrt(np.abs(z)), 1e-14)
    assert not function.lower(z).program.library_calls
