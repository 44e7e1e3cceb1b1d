"""Functions that stand in the kernels, against the next wider type, over numbers of every size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.runtime.cpu import elementary

import numfuse as nf

BITS = np.concatenate([np.arange(k, 2**32, 4099, dtype=np.uint32) for k in (0, 2048)])
SPECIAL = np.array(
    [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e-45, 1.1754942e-38, 3.4028235e38, 88.72284, -103.97], "f4"
)


@pytest.mark.parametrize(
    ("function", "limit"),
    [
        (np.exp, 1.05), (np.exp2, 1.05), (np.log, 1.05), (np.log1p, 1.45), (np.tanh, 1.15), (np.sin, 1.9), (np.cos, 1.9),
    ],
)  # fmt: skip
def test_units_in_the_last_place(function: Callable[..., Any], limit: float) -> None:
    x = np.concatenate([BITS.view("f4"), SPECIAL])
    with np.errstate(all="ignore"):
        got, exact = nf.jit(lambda x: function(x))(x), function(x.astype("f8"))
        wanted = exact.astype("f4")
        finite = np.isfinite(wanted) & np.isfinite(got)
        off = np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(wanted[finite])).astype("f8")
    assert off.max() < limit
    odd = ~finite
    overflow = np.float32(3.4028235e38)  # the largest number and infinity are one unit apart
    np.testing.assert_array_equal(np.clip(got[odd], -overflow, overflow), np.clip(wanted[odd], -overflow, overflow))


@pytest.mark.skipif(not elementary.is_fast(), reason="the C library's vector functions are not those for one number")
@pytest.mark.parametrize("function", [np.exp, np.exp2, np.log, np.log1p, np.tanh, np.sin, np.cos])
def test_neighbours_do_not_matter(function: Callable[..., Any]) -> None:
    x = BITS[::41].view("f4")
    order = np.random.default_rng(0).permutation(len(x))
    compiled = nf.jit(lambda x: function(x))
    np.testing.assert_array_equal(compiled(x)[order], compiled(x[order]))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type here")
@pytest.mark.parametrize(
    ("function", "limit"), [(np.exp, 1.05), (np.exp2, 1.05), (np.log, 1.05), (np.log1p, 1.45), (np.tanh, 1.7)]
)
def test_units_in_the_last_place_of_float64(function: Callable[..., Any], limit: float) -> None:
    rng = np.random.default_rng(0)
    any_, subnormal = (rng.integers(0, top, 200_000, dtype=np.uint64).view("f8") for top in (2**64 - 1, 2**52))
    near = [
        rng.uniform(low, high, 200_000)
        for low, high in ((-1, 1), (0.5, 1.5), (-746, -708), (708, 710), (-746, 710), (-1080, 1030), (-25, 25))
    ]
    x = np.concatenate([any_, subnormal, *near, 1 + near[0] * 1e-9, near[0] * 1e-9, SPECIAL.astype("f8")])
    with np.errstate(all="ignore"):
        got, exact = nf.jit(lambda x: function(x))(x), function(x.astype(np.longdouble))
        wanted = exact.astype("f8")
    finite = np.isfinite(wanted)
    off = np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(wanted[finite]))
    assert off.max() < limit
    np.testing.assert_array_equal(got[~finite], wanted[~finite])
    np.testing.assert_array_equal(np.signbit(got[x == 0]), np.signbit(wanted[x == 0]))


def test_exact_where_numpy_is() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf], "f4")
    np.testing.assert_array_equal(nf.jit(lambda x: np.exp(x))(x), [1, 1, np.inf, 0])
    y = np.array([1.0, 0.0, -0.0, np.inf], "f4")
    np.testing.assert_array_equal(nf.jit(lambda y: np.log(y))(y), [0, -np.inf, -np.inf, np.inf])
    assert np.isnan(nf.jit(lambda y: np.log(-y))(y[:1]))
    z = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 20.0, -1e30], "f4")
    tanh, sin, cos = nf.jit(lambda z: (np.tanh(z), np.sin(z), np.cos(z)))(z)
    n = np.arange(-1080.0, 1030)
    np.testing.assert_array_equal(nf.jit(lambda n: np.exp2(n))(n), np.ldexp(1.0, n.astype("i4")))
    np.testing.assert_array_equal(tanh, np.tanh(z))
    np.testing.assert_array_equal(np.signbit(tanh), np.signbit(z))
    np.testing.assert_array_equal(np.signbit(sin[[0, 1, 4, 5]]), np.signbit(z[[0, 1, 4, 5]]))
    assert np.isnan(sin[2:4]).all() and np.isnan(cos[2:4]).all() and (cos[[0, 1, 4, 5]] == 1).all()


@pytest.mark.parametrize("function", [np.logaddexp, np.logaddexp2])
@pytest.mark.parametrize("char", "fd")
def test_sums_of_powers(function: Callable[..., Any], char: str) -> None:
    rng, info = np.random.default_rng(0), np.finfo(char)
    ends = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny], char)
    x, y = (
        np.concatenate([each.ravel(), rng.normal(0, scale, 20_000).astype(char)])
        for each, scale in zip(np.meshgrid(ends, ends), (3, 30), strict=True)
    )
    with np.errstate(all="ignore"):
        got, wanted = nf.jit(lambda x, y: function(x, y))(x, y), function(x, y)
    np.testing.assert_allclose(got, wanted, 4 * info.eps, 2 * info.eps)


@pytest.mark.parametrize("char", "efd")
def test_powers_of_special_numbers(char: str) -> None:
    info = np.finfo(char)
    ends = [
        0.0,
        0.5,
        1,
        1.5,
        2,
        3,
        4,
        0.1,
        7,
        np.inf,
        np.nan,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        1 / info.eps,
        1 + 1 / info.eps,
    ]
    numbers = np.array([*ends, *(-each for each in ends)], char)
    x, y = (each.ravel() for each in np.meshgrid(numbers, numbers))
    with np.errstate(all="ignore"):
        got, wanted = nf.jit(lambda x, y: np.power(x, y))(x, y), np.power(x, y)
    np.testing.assert_allclose(got, wanted, 2 * info.eps, info.smallest_subnormal)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(wanted[known]))
    exact = known & ((wanted == 0) | np.isinf(wanted) | (np.abs(wanted) == 1))
    np.testing.assert_array_equal(got[exact], wanted[exact])


@pytest.mark.skipif(not elementary.is_fast(), reason="the C library's power")
def test_units_in_the_last_place_of_power() -> None:
    """Of results of every size, subnormal ones too: y * log2(x) is up to 150."""
    rng = np.random.default_rng(0)
    any_, subnormal = (rng.integers(1, top, 200_000, dtype=np.uint32).view("f4") for top in (0x7F800000, 2**23))
    near = [(1 + rng.uniform(-1, 1, 200_000) * scale).astype("f4") for scale in (0.4, 1e-3, 1e-6)]
    x = np.concatenate([any_, subnormal, *near])
    with np.errstate(all="ignore"):
        y = (rng.uniform(-150, 128.5, len(x)) / np.log2(x.astype("f8"))).astype("f4")
        got, exact = nf.jit(lambda x, y: np.power(x, y))(x, y), x.astype("f8") ** y.astype("f8")
        wanted = exact.astype("f4")
    finite = np.isfinite(wanted)
    off = np.abs(got[finite] - exact[finite]) / np.spacing(wanted[finite]).astype("f8")
    assert off.max() < 1.4
    np.testing.assert_array_equal(got[~finite], wanted[~finite])


@pytest.mark.parametrize(
    "char", ["f", pytest.param("d", marks=pytest.mark.skipif(np.finfo("g").nmant < 60, reason="no wider type"))]
)
def test_sizes(char: str) -> None:
    """Of numbers of any sizes, and of like ones, whose squares may be infinite or subnormal."""
    rng, info = np.random.default_rng(0), np.finfo(char)
    size = (
        rng.uniform(1, 2, 200_000) * 2.0 ** rng.integers(info.minexp - info.nmant, info.maxexp - 1, 200_000)
    ).astype(char)
    x = np.concatenate([size, size, rng.integers(0, 256, (50_000, info.dtype.itemsize), np.uint8).view(char).ravel()])
    y = np.concatenate(
        [size * rng.standard_normal(len(size)).astype(char), rng.permutation(size), rng.permutation(x[-50_000:])]
    )
    ends = np.array([0.0, -0.0, 1, np.inf, -np.inf, np.nan, info.max, info.smallest_subnormal], char)
    first, second = (each.ravel() for each in np.meshgrid(ends, ends))
    x, y = np.append(x, first), np.append(y, second)
    with np.errstate(all="ignore"):
        exact = np.hypot(x.astype("d" if char == "f" else "g"), y.astype("d" if char == "f" else "g"))
        got, wanted = nf.jit(lambda x, y: np.hypot(x, y))(x, y), exact.astype(char)
        np.testing.assert_array_equal(nf.jit(lambda x, y: np.abs(x + 1j * y))(x[:1000], y[:1000]), got[:1000])
    finite = np.isfinite(wanted)
    off = np.abs(got[finite] - exact[finite]) / np.spacing(wanted[finite])
    assert off.max() < (1.05 if elementary.is_fast() else 2)
    np.testing.assert_array_equal(got[~finite], wanted[~finite])
