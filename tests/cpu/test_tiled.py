"""Kernels that read an array across their rows: tiles are turned round in vector registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numfuse.compiler.lower.program import Program

import numfuse as nf

SHAPES = [(8, 8), (9, 8), (8, 200), (64, 64), (65, 130), (300, 17), (1000, 700)]
DTYPES = ["?", "i1", "u2", "f2", "i4", "f4", "i8", "f8", "c8", "c16", ml_dtypes.bfloat16]


def array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 100, shape).astype(dtype)


def turns(program: Program) -> bool:
    return any("turn(" in kernel.code for kernel in program.kernels)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_and_dtype(shape: tuple[int, int], dtype: Any) -> None:
    x, y = array(shape, dtype), array(shape[::-1], dtype)
    jitted = nf.jit(lambda x, y: np.where(y == x.T, x.T, y))
    assert turns(jitted.lower(x, y).program)
    np.testing.assert_array_equal(jitted(x, y), np.where(y == x.T, x.T, y))


@pytest.mark.parametrize("schedule", [None, nf.Schedule(pieces=7), nf.Schedule(sweep=3)], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda z: np.ascontiguousarray(z.transpose(2, 0, 1)) * 2,
        lambda z: np.ascontiguousarray(z.transpose(0, 2, 1)) + 1,
        lambda z: z.transpose(2, 1, 0) + np.arange(12.0).reshape(12, 1, 1) + np.zeros((12, 30, 40)),
        lambda z: z[::2].T[1:] + z[1::2].transpose(2, 1, 0)[:-1] * np.ones((11, 30, 20)),
        lambda z: z[0].T + z[1].T[::-1] + np.ones((12, 30)),
        lambda z: (z + z.swapaxes(0, 1)[:, :, ::-1][:30, :30].sum() + np.ones((40, 30, 12))).T.copy(),
    ],
)
def test_more_axes(function: Callable[..., Any], schedule: nf.Schedule | None) -> None:
    z = np.random.default_rng(0).standard_normal((40, 30, 12))
    np.testing.assert_allclose(nf.jit(function, schedule=schedule)(z), function(z), rtol=1e-12)


def test_a_written_argument() -> None:
    def function(x: np.ndarray, y: np.ndarray) -> None:
        y[3:, 5:] += x.T[3:, 5:]

    x, y = array((130, 150), "f8"), array((150, 130), "f8")
    expected = y.copy()
    function(x, expected)
    jitted = nf.jit(function)
    assert turns(jitted.lower(x, y).program)
    jitted(x, y)
    np.testing.assert_array_equal(y, expected)


def test_an_array_plus_its_own_transpose_in_place() -> None:
    def function(x: np.ndarray) -> None:
        x += x.T

    x = array((100, 100), "f8")
    expected = x.copy()
    function(expected)
    nf.jit(function)(x)
    np.testing.assert_array_equal(x, expected)


def test_steps_with_turned_arrays_go_together() -> None:
    """A sweep gives kernels any range of rows, shorter ones than a tile too."""

    def function(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        for _ in range(4):
            y = np.tanh(y[1:-1] + y[2:] - y[:-2]) + x.T[: len(y) - 2]
        return y

    x, y = (array(shape, "f8") / 50 for shape in ((300, 500), (500, 300)))
    for schedule in (None, nf.Schedule(sweep=100), nf.Schedule(sweep=0)):
        jitted = nf.jit(function, schedule=schedule)
        assert turns(jitted.lower(x, y).program)
        np.testing.assert_allclose(jitted(x, y), function(x, y), rtol=1e-9, atol=1e-9)
