"""Kernels of many short rows, and of small matrix products."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "c8", "f2"])
@pytest.mark.parametrize("width", [9, 16, 37, 64])
def test_short_rows(dtype: str, width: int, rng: np.random.Generator) -> None:
    """LLVM writes these loops out, and looks for vectors in what a row has side by side."""
    x = (rng.standard_normal((101, width)) * 9).astype(dtype)

    def f(x):
        return x + x[0], x.sum(1, dtype=dtype), x[:, ::-1] * x[:, :1], np.concatenate([x, x * x], axis=1)

    function = nf.jit(f)
    assert "i = opaque(i)" in function.lower(x).as_text()
    close(function(x), f(x))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "f2"])
@pytest.mark.parametrize("width", [9, 16, 37, 64])
def test_sums_of_short_rows(dtype: str, width: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((101, width)).astype(dtype)

    def f(x):
        y = x - x.mean(1, keepdims=True)
        return y / np.sqrt((abs(y) ** 2).mean(1, keepdims=True)), np.exp(x).sum(1), (x * x[0]).sum(1)

    rtol = 1e-2 if dtype == "f2" else 1e-5
    for got, wanted in zip(nf.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86's instructions")
@pytest.mark.parametrize("width", [16, 48, 64, 100])
def test_sums_of_short_rows_are_in_vectors(width: int) -> None:
    """LLVM would write the loop out, and then add one number after another."""
    lowered = nf.jit(lambda x, y: (x * y).sum(1)).lower(nf.spec("f4", 1000, width), nf.spec("f4", width))
    assert "addps" in lowered.compile().as_text()


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "c16", "i4"])
@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 4, 1), (1, 8, 8), (2, 1, 5)])
def test_small_products(dtype: str, shape: tuple[int, int, int], rng: np.random.Generator) -> None:
    n, k, m = shape
    a, b = rng.standard_normal((70, n, k)) * 5, rng.standard_normal((70, k, m)) * 5
    a, b = a.astype(dtype), b.astype(dtype)

    def f(a, b):
        return a @ b, (a @ b - 1).sum(1), np.swapaxes(b, 1, 2) @ np.swapaxes(a, 1, 2)

    function = nf.jit(f)
    assert not function.lower(a, b).library_calls
    if dtype == "f2":  # one rounding of the product, one of the sum
        for got, wanted in zip(function(a, b), f(a, b), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=0.2)
    else:
        close(function(a, b), f(a, b))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(8, 50), (30, 1000), (9, 257), (200, 5000), (64, 4096)], ids=str)
def test_columns_that_are_read_again(shape: tuple[int, int], dtype: str) -> None:
    """What stores a value for each element of a column goes by blocks of columns too."""

    def standardised(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(0)) / x.std(0)

    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for schedule in (None, nf.Schedule(lanes=16), nf.Schedule(lanes=0)):
        jitted = nf.jit(standardised, schedule=schedule)
        np.testing.assert_allclose(jitted(x), standardised(x), rtol=2e-4 if dtype == "f4" else 1e-9, atol=1e-5)
    (kernel,) = nf.jit(standardised).lower(x).kernels
    assert ("for lane in range" in kernel.code) == (shape[0] > 8)
