"""Kernels that go through memory together give what they give one after another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf

Function = Callable[..., Any]


def steps(u: np.ndarray) -> np.ndarray:
    for _ in range(6):
        u = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def in_place(u: np.ndarray) -> np.ndarray:
    """Two arrays in turn, as in most programs that solve for heat: each step overwrites what the one before has read."""
    v = u.copy()
    for _ in range(4):
        v[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + u[2:, 1:-1] + u[:-2, 1:-1])
        u[1:-1, 1:-1] = 0.2 * (v[1:-1, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] + v[2:, 1:-1] + v[:-2, 1:-1])
    return v


def waves(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each step needs the two before."""
    before, now = u, u * 1.01
    for _ in range(5):
        following = 2 * now - before
        following[1:-1] += 0.1 * (now[2:] - 2 * now[1:-1] + now[:-2])
        before, now = now, following
    return before, now


def rows_and_elements(u: np.ndarray) -> tuple[Any, ...]:
    """Kernels over elements, over rows and over blocks of 16384."""
    y = np.exp(-u * u)
    z = y / y.sum(1, keepdims=True)
    return y, z, z[::2] + 1, y.sum(), np.cumsum(z, axis=1)[:, 1:] - z[:, :-1]


def backwards(u: np.ndarray) -> np.ndarray:
    v = np.tanh(u)
    return v[::-1] + np.sin(v)


def places(u: np.ndarray) -> np.ndarray:
    """Rows at computed places, which are written and read in the same sweep."""
    order = np.argsort(u[:, 0]) // 2
    v = u * 2
    v[order] += 1
    return v[order] * u


FUNCTIONS = [steps, in_place, waves, rows_and_elements, backwards, places]


@pytest.mark.parametrize("bands", [None, 0, 1, 2, 5, 100])
@pytest.mark.parametrize("shape", [(40, 16), (257, 33), (16, 4099)])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_bands_change_nothing(function: Function, shape: tuple[int, int], bands: int | None) -> None:
    u = np.random.default_rng(0).standard_normal(shape)
    given, expected_given = u.copy(), u.copy()
    got, expected = nf.jit(function, schedule=nf.Schedule(sweep=bands))(given), function(expected_given)
    for one, other in zip(
        got if isinstance(got, tuple) else (got,), expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(given, expected_given, rtol=1e-12)


@pytest.mark.parametrize("function", [steps, in_place, waves], ids=lambda f: f.__name__)
def test_stencils_go_together(function: Function) -> None:
    u = np.random.default_rng(0).standard_normal((1200, 1000)).astype("f4")
    lowered = nf.jit(function).lower(u)
    assert sum(len(sweep.phases) for sweep in lowered.program.sweeps) >= len(lowered.kernels) - 2
    assert "go through memory together" in lowered.explain()
    alone = nf.jit(function, schedule=nf.Schedule(sweep=0))
    assert not alone.lower(u).program.sweeps
    given, other = u.copy(), u.copy()
    np.testing.assert_array_equal(nf.jit(function)(given), alone(other))
    np.testing.assert_array_equal(given, other)


def test_what_is_read_at_once_is_not_stored_past_the_caches() -> None:
    lowered = nf.jit(steps).lower(nf.spec("f4", 6000, 4000))
    assert sum(len(sweep.phases) for sweep in lowered.program.sweeps) == 6
    assert not any("stream(" in kernel.code for kernel in lowered.kernels)
    alone = nf.jit(steps, schedule=nf.Schedule(sweep=0)).lower(nf.spec("f4", 6000, 4000))
    assert any("stream(" in kernel.code for kernel in alone.kernels)


def test_a_sweep_with_library_calls_around() -> None:
    """Steps that run one by one, from Python."""

    def function(u: np.ndarray) -> np.ndarray:
        return np.sort(steps(np.sort(u, axis=0)), axis=1)

    u = np.random.default_rng(0).standard_normal((1000, 900))
    jitted = nf.jit(function)
    assert jitted.lower(u).program.sweeps
    np.testing.assert_allclose(jitted(u), function(u), rtol=1e-12)
    report = jitted.lower(u).compile().roofline(u)  # each kernel alone
    assert all(line.taken > 0 for line in report)


@pytest.mark.parametrize("threads", ["1", "3", "7"])
def test_with_other_numbers_of_threads(threads: str) -> None:
    program = """
import numpy as np, numfuse as nf
from tests.cpu.test_sweeps import FUNCTIONS, steps
u = np.random.default_rng(0).standard_normal((900, 700))
for function in FUNCTIONS:
    given, other = u.copy(), u.copy()
    for got, expected in zip(nf.jit(function)(given), function(other)):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(given, other, rtol=1e-12)
assert nf.jit(steps).lower(u).program.sweeps
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
