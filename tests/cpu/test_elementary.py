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
    ("function", "limit"), [(np.exp, 1.05), (np.log, 1.05), (np.tanh, 1.15), (np.sin, 1.9), (np.cos, 1.9)]
)
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
@pytest.mark.parametrize("function", [np.exp, np.log, np.tanh, np.sin, np.cos])
def test_neighbours_do_not_matter(function: Callable[..., Any]) -> None:
    x = BITS[::41].view("f4")
    order = np.random.default_rng(0).permutation(len(x))
    compiled = nf.jit(lambda x: function(x))
    np.testing.assert_array_equal(compiled(x)[order], compiled(x[order]))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="no wider type here")
@pytest.mark.parametrize("function", [np.exp, np.log])
def test_units_in_the_last_place_of_float64(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    any_, subnormal = (rng.integers(0, top, 200_000, dtype=np.uint64).view("f8") for top in (2**64 - 1, 2**52))
    near = [
        rng.uniform(low, high, 200_000) for low, high in ((-1, 1), (0.5, 1.5), (-746, -708), (708, 710), (-746, 710))
    ]
    x = np.concatenate([any_, subnormal, *near, 1 + near[0] * 1e-9, SPECIAL.astype("f8")])
    with np.errstate(all="ignore"):
        got, exact = nf.jit(lambda x: function(x))(x), function(x.astype(np.longdouble))
        wanted = exact.astype("f8")
    finite = np.isfinite(wanted)
    off = np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(wanted[finite]))
    assert off.max() < 1.05
    np.testing.assert_array_equal(got[~finite], wanted[~finite])


def test_exact_where_numpy_is() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf], "f4")
    np.testing.assert_array_equal(nf.jit(lambda x: np.exp(x))(x), [1, 1, np.inf, 0])
    y = np.array([1.0, 0.0, -0.0, np.inf], "f4")
    np.testing.assert_array_equal(nf.jit(lambda y: np.log(y))(y), [0, -np.inf, -np.inf, np.inf])
    assert np.isnan(nf.jit(lambda y: np.log(-y))(y[:1]))
    z = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 20.0, -1e30], "f4")
    tanh, sin, cos = nf.jit(lambda z: (np.tanh(z), np.sin(z), np.cos(z)))(z)
    np.testing.assert_array_equal(tanh, np.tanh(z))
    np.testing.assert_array_equal(np.signbit(tanh), np.signbit(z))
    np.testing.assert_array_equal(np.signbit(sin[[0, 1, 4, 5]]), np.signbit(z[[0, 1, 4, 5]]))
    assert np.isnan(sin[2:4]).all() and np.isnan(cos[2:4]).all() and (cos[[0, 1, 4, 5]] == 1).all()
