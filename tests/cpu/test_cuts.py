"""Kernels whose loops are cut, compiled: as NumPy, whatever the shape, the schedule and the threads."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.schedule import CPU_CHOICES

import numfuse as nf
from tests.guarded import FUNCTIONS, laplacian

SHAPES = [(1, 1), (2, 3), (0, 4), (5, 129), (70, 33)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name: str, dtype: str, rng: np.random.Generator) -> None:
    function = nf.jit(FUNCTIONS[name])
    for shape in SHAPES:
        u = (rng.random(shape) * 50).astype(dtype)
        try:
            wanted = FUNCTIONS[name](u)
        except (ValueError, IndexError):
            continue
        got = function(u)
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize("schedule", CPU_CHOICES, ids=str)
def test_any_schedule(schedule: nf.Schedule, rng: np.random.Generator) -> None:
    u = rng.random((301, 403)).astype("f4")

    def f(u: np.ndarray) -> tuple[np.ndarray, ...]:
        joined = np.concatenate([u, u[:, :200] * 2], 1)
        return (
            laplacian(u),
            joined * 2,
            joined.sum(0),
            np.repeat(u, 2) * 3,
            np.pad(u, 3, mode="reflect") + 1,
            np.pad(u.T, 1) + 1,
        )

    for got, wanted in zip(nf.jit(f, schedule=schedule)(u), f(u), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4)


def test_shared_by_threads(rng: np.random.Generator) -> None:
    """Ranges of threads end anywhere, among cuts too."""
    u = rng.random(300_007).astype("f4")

    def f(u: np.ndarray) -> tuple[np.ndarray, ...]:
        return (
            np.roll(u, 70_001) + np.roll(u, -100_000),
            np.pad(u, 5, mode="wrap") * 2,
            np.diff(u, prepend=u[:3], append=u[:9]),
        )

    for pieces in (1, 3, 16, 100):
        for got, wanted in zip(nf.jit(f, schedule=nf.Schedule(pieces=pieces))(u), f(u), strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("size", [1, 63, 130, 4099])
def test_stored_past_the_caches(size: int, rng: np.random.Generator) -> None:
    """A piece that is shorter than a tile is stored as it is."""
    x = rng.random(size).astype("f4")

    def f(x: np.ndarray) -> tuple[np.ndarray, ...]:
        return np.concatenate([x[:1], x, x[-1:]]) * 2, np.pad(x, 70) + 1, np.roll(x, size // 3) * 3

    for got, wanted in zip(nf.jit(f, schedule=nf.Schedule(stream=True))(x), f(x), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_single_element_beside_what_is_written() -> None:
    """Kernels without loops have guards too, which are all known."""

    def function(x: np.ndarray) -> np.ndarray:
        x[::2] *= 2
        return x[1:2] * x[None, 1:2]

    x = np.arange(10.0)
    np.testing.assert_array_equal(nf.jit(function, target="cpu")(x.copy()), function(x.copy()))
