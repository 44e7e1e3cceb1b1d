"""Distinct elements in an array of a declared size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numfuse as nf


def wanted(x: np.ndarray, size: int, fill: Any) -> tuple[np.ndarray, np.ndarray]:
    values, counts = np.unique(x, return_counts=True)
    filled = np.full(size, values[0] if fill is None else fill, x.dtype)
    filled[: len(values)] = values[:size]
    return filled, np.pad(counts[:size], (0, max(size - len(values), 0)))


@pytest.mark.parametrize("dtype", ["i4", "u1", "f4", "f8", "c16", "?"])
@pytest.mark.parametrize("size", [0, 1, 3, 7, 40])
@pytest.mark.parametrize("fill", [None, 1])
def test_unique(dtype: str, size: int, fill: Any) -> None:
    x = np.random.default_rng(0).integers(0, 7, (4, 5)).astype(dtype)
    if dtype in ("f4", "f8", "c16"):
        x[1, 2:4] = np.nan
    jitted = nf.jit(lambda x: nf.unique(x, size, fill, return_counts=True), target="cpu")
    lazy = nf.unique(nf.asarray(x), size, fill, return_counts=True)
    for results in (nf.unique(x, size, fill, return_counts=True), jitted(x), jitted(x), [one.numpy() for one in lazy]):
        for got, right in zip(results, wanted(x, size, fill), strict=True):
            assert got.dtype == right.dtype
            np.testing.assert_array_equal(got, right)
    np.testing.assert_array_equal(nf.jit(lambda x: nf.unique(x, size, fill))(x), wanted(x, size, fill)[0])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        nf.unique(np.ones(3), -1)
    with pytest.raises(ValueError, match="empty array"):
        nf.jit(lambda x: nf.unique(x, 3))(np.ones((0, 3)))
    with pytest.raises(nf.UnsupportedFunction, match=r"numfuse\.unique\(x, size\)"):
        nf.jit(lambda x: np.unique(x))(np.ones(3))
