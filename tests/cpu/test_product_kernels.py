"""Matrix products that kernels compute in vector registers: any layout, any size, with what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler import targets
from numfuse.passes import panels

import numfuse as nf
from tests.cpu.test_blas import LAYOUTS, array


@pytest.fixture(autouse=True)
def products_by_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On processors with shorter vectors too, where they are cut."""
    monkeypatch.setattr(targets, "product_vector_bytes", lambda: 64)


def right(jitted: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> None:
    rtol = 2e-5 if a.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(jitted(a, b), a @ b, rtol=rtol, atol=rtol * (1 + a.shape[-1]) ** 0.5)


@settings(max_examples=60)
@given(
    st.tuples(*[st.sampled_from([2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 49, 64, 97, 130])] * 3),
    st.sampled_from(["f4", "f8"]),
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from(sorted(LAYOUTS)),
)
def test_any_size_and_layout(sizes: tuple[int, int, int], dtype: str, one: str, other: str) -> None:
    n, k, m = sizes
    a, b = LAYOUTS[one](array(n, k, dtype=dtype)), LAYOUTS[other](array(k, m, dtype=dtype))
    jitted = nf.jit(np.matmul)
    assert not jitted.lower(a, b).library_calls
    right(jitted, a, b)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((300, 1200), (1200, 250)),  # several stretches of the inner axis
        ((130, 1025), (1025, 40)),
        ((5, 700), (700, 3000)),  # few rows: threads share panels
        ((32, 64), (64, 4000)),
        ((200, 100), (100, 2100)),  # rows far apart
        ((40, 33, 20), (40, 20, 50)),
        ((6, 1, 70, 20), (5, 20, 90)),  # one operand for many
        ((6, 5, 70, 20), (6, 1, 20, 90)),
        ((3, 40, 50), (50, 60)),
    ],
)
def test_shapes(a: tuple[int, ...], b: tuple[int, ...], dtype: str) -> None:
    for schedule in (None, nf.Schedule(pieces=5), nf.Schedule(pieces=0), nf.Schedule(sweep=3)):
        jitted = nf.jit(np.matmul, schedule=schedule)
        assert not jitted.lower(array(*a, dtype=dtype), array(*b, dtype=dtype)).library_calls
        right(jitted, array(*a, dtype=dtype), array(*b, dtype=dtype))


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: np.maximum(a @ b + a[0], 0),
        lambda a, b: (a + 1) @ np.tanh(b),
        lambda a, b: (a @ b).T @ a,
        lambda a, b: a.T @ b.T + b @ a,
        lambda a, b: (a[1:, ::2] @ b[::2, 1:])[::3],
        lambda a, b: a.reshape(5, 20, 100) @ b.T.reshape(5, 100, 20),
        lambda a, b: np.stack([a, b]) @ b,
        lambda a, b: a @ b @ a @ b / 1000,
        lambda a, b: (a @ a.T).sum(0) + (b.T @ b).max(1),
        lambda a, b: np.einsum("ij,kj->ik", a, b) + np.einsum("ij,ik->jk", a, b),
        lambda a, b: np.linalg.multi_dot([a, b, a]) / 100,
        lambda a, b: np.where(a > 0, a, 0) @ b[:, ::-1],
    ],
)
def test_with_what_stands_around(function: Callable[..., Any]) -> None:
    a, b = array(100, 100), array(100, 100)
    jitted = nf.jit(function)
    assert not jitted.lower(a, b).library_calls
    np.testing.assert_allclose(jitted(a, b), function(a, b), rtol=1e-10, atol=1e-9)


def test_written_in_place() -> None:
    def function(a: np.ndarray, b: np.ndarray) -> None:
        a[2:, :50] += a[:-2, :] @ b
        b[:] = b.T @ b

    a, b = array(80, 50), array(50, 50)
    expected_a, expected_b = a.copy(), b.copy()
    function(expected_a, expected_b)
    nf.jit(function)(a, b)
    np.testing.assert_allclose(a, expected_a, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(b, expected_b, rtol=1e-12, atol=1e-12)


def test_layers_go_together() -> None:
    """Threads share the rows through all layers."""

    def layers(x: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.maximum(np.maximum(x @ u, 0) @ v + 1, 0)

    x, u, v = array(500, 200), array(200, 200), array(200, 200)
    lowered = nf.jit(layers).lower(x, u, v)
    assert [len(sweep.phases) for sweep in lowered.program.sweeps] == [len(lowered.kernels)]
    np.testing.assert_allclose(nf.jit(layers)(x, u, v), layers(x, u, v), rtol=1e-12, atol=1e-10)


def test_infinities_and_nan() -> None:
    a, b = array(40, 50, dtype="f4"), array(50, 60, dtype="f4")
    a[3, 4], b[5, 6], b[7] = np.inf, np.nan, -np.inf
    np.testing.assert_array_equal(np.isnan(nf.jit(np.matmul)(a, b)), np.isnan(a @ b))


def test_long_sums_are_as_exact_as_blas() -> None:
    a, b = np.full((16, 200_000), 0.1, "f4"), np.ones((200_000, 16), "f4")
    got, exact = nf.jit(np.matmul)(a, b), float(np.float32(0.1)) * 200_000
    assert abs(got - exact).max() <= max(abs((a @ b) - exact).max(), 1e-5 * exact)


def test_the_copy_of_an_operand_serves_several_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "FAR", 1)
    monkeypatch.setattr(panels, "MANY_ROWS", 1)
    a, b, c = array(64, 64), array(32, 64), array(64, 96)
    function = nf.jit(lambda a, b, c: (a @ c, b @ c, (a + 1) @ c))
    lowered = function.lower(a, b, c)
    assert sum(kernel.source.count("= copy(") for kernel in lowered.kernels) == 1
    for got, wanted in zip(function(a, b, c), (a @ c, b @ c, (a + 1) @ c), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
