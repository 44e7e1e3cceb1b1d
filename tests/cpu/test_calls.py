"""Kinds of calls: numbers, static values, defaults, nested arguments; each kind is traced once and known again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.lower.program import ViewStep

import numfuse as nf
from tests.functions import close

X = np.random.default_rng(0).standard_normal((7, 5))
F = X.astype("f4")


def test_numbers_do_not_compile_anew() -> None:
    traces = []

    @nf.jit
    def f(x, s):
        traces.append(s)
        return x * s

    for s in (1.0, 2.0, -3.5):
        close(f(F, s), F * s)
    assert len(traces) == 1
    f(F, 2)
    f(F[:3], 2.0)
    assert len(traces) == 3


def test_numbers_out_of_range_are_numpys_error() -> None:
    f = nf.jit(lambda x, n: x + n)
    x = np.zeros(3, "u1")
    close(f(x, 255), x + 255)
    with pytest.raises(OverflowError, match="256 out of bounds for uint8"):
        f(x, 256)


def test_static_arguments() -> None:
    @nf.jit(static_argnames=("n", "axis"))
    def f(x, n, axis=0):
        for _ in range(n):
            x = x.sum(axis, keepdims=True) + x
        return x

    close(f(X, 3), f.function(X, 3))
    close(f(X, n=1, axis=1), f.function(X, 1, 1))
    with pytest.raises(ValueError, match="has no argument 'k'; it has x, n"):
        nf.jit(lambda x, n: x, static_argnames="k")


def test_defaults_keywords_and_varargs() -> None:
    def f(x, y=2.0, *rest, scale=1.0, **more):
        return x * y * scale + sum(rest, 0.0) + sum(more.values(), 0.0)

    g = nf.jit(f)
    for args, kwargs in [((X,), {}), ((X, 3.0), {"scale": 2.0}), ((X, X, X, 1.0), {}), ((X,), {"a": X, "b": 2})]:
        close(g(*args, **kwargs), f(*args, **kwargs))
    with pytest.raises(TypeError):
        g()


def test_integers_that_are_needed_as_values_become_static(rng: np.random.Generator) -> None:
    x = rng.random((6, 8))
    traces = []

    def powers(x, axis, n, shape, scale):
        traces.append(n)
        total = x.sum(axis)
        for _ in range(n // 2):
            total = total * total
        return total.reshape(shape)[n - 1] * scale

    fused = nf.jit(powers)
    for axis, n, shape in ((0, 2, (2, 4)), (1, 2, (3, 2)), (-1, 3, (6, 1)), (0, 2, (2, 4))):
        np.testing.assert_allclose(fused(x, axis, n, shape, 0.5), powers(x, axis, n, shape, 0.5), rtol=1e-12)
        np.testing.assert_allclose(fused(x, axis, n, shape, 2.5), powers(x, axis, n, shape, 2.5), rtol=1e-12)
    assert "multiply" in fused.trace(x, 0, 2, (2, 4), 0.5).as_text()
    assert fused.lower(x, 1, 2, (3, 2), 0.5).compile()(x, 1, 2, (3, 2), 1.5).shape == (2,)


def test_integers_whose_error_numpy_takes_for_another_become_static() -> None:
    def grids(x, n):
        rows, columns = np.mgrid[0:n, 0 : n + 1]
        return x[:n, : n + 1] * rows + columns, np.ogrid[0:n, -n:n], np.mgrid[0:n]

    jitted, x = nf.jit(grids), np.arange(30.0).reshape(5, 6)
    for n in (3, 3, 5):
        got, wanted = jitted(x, n), grids(x, n)
        np.testing.assert_array_equal(got[0], wanted[0])
        np.testing.assert_array_equal(got[1][0] * got[1][1], wanted[1][0] * wanted[1][1])
        np.testing.assert_array_equal(got[2], wanted[2])


def test_floats_are_never_made_static() -> None:
    with pytest.raises(TypeError, match="static_argnames"):
        nf.jit(lambda x, dt: x if dt > 0.5 else -x)(np.ones(3), 0.25)


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_0d_arrays_stay_0d(dtype: str) -> None:
    x = np.array(1.5, dtype)
    given = nf.jit(lambda x: (np.maximum(x, x), x[()] + x, x.reshape(1)))(x)
    assert [part.shape for part in given] == [(), (), (1,)]
    assert nf.jit(lambda x: np.maximum(x, x) * np.ones(3))(x).shape == (3,)


def test_calls_of_every_kind_are_known_again() -> None:
    """The second call of a kind takes the fast way, and must not mistake one kind for another."""
    traces = []

    def f(x, more=None, flag=True, scale=1.0, name="a", **rest):
        traces.append(1)
        parts = list(more.values()) if isinstance(more, dict) else more or []
        total = sum(parts, x) * scale
        return -total if flag else (total, rest.get("y", 0))

    fused = nf.jit(f, static_argnames=("name",))
    x, y = X[0], X[1]
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x,), {}), ((x, [y]), {}), ((x, (y, y)), {}), ((x, {"a": y}), {}), ((x, {"b": y, "a": x}), {}), ((x,), {"flag": False}),
        ((x,), {"flag": 1}), ((x, None, True), {}), ((x, None, True, 2), {}), ((x, None, True, 2.0), {}), ((x, None, True, np.float32(2)), {}),
        ((x, None, False, 2.0), {"y": y}), ((x.astype("f4"),), {}), ((x[::2],), {}), ((x,), {"name": "b"}), ((x,), {"name": 0.0}),
        ((x,), {"name": -0.0}), ((x,), {"name": (1, True)}), ((x,), {"name": (1, 1)}), ((np.float64(2),), {}), ((np.array(2.0),), {}), ((3,), {}),
        ((x, [1, 2.0, np.int8(3)]), {}), ((x.astype(">f8"),), {}),
    ]  # fmt: skip
    for _ in range(2):
        for args, kwargs in calls:
            wanted = f(*args, **kwargs)
            close(fused(*args, **kwargs), wanted)
        traces.append(0)
    first = traces.index(0)
    assert traces.count(1) - 2 * len(calls) == first - len(calls), "the second round traces nothing"


def test_traced_arguments_are_instances_of_their_types() -> None:
    def kinds(x, number, count, scalar):
        x = x if isinstance(x, np.ndarray) else np.asarray(x)
        number = number * 2 if isinstance(number, float) else number
        count = count + 1 if isinstance(count, int) and not isinstance(count, np.ndarray) else count
        return x * number + count, scalar + 1 if isinstance(scalar, np.floating) else scalar

    given = X, 1.5, 3, np.float32(2)
    close(nf.jit(kinds)(*given), kinds(*given))


def test_static_zeros_are_told_apart() -> None:
    fused = nf.jit(lambda x, zero: np.copysign(x, zero), static_argnames="zero")
    x = np.ones(3)
    for zero in (0.0, -0.0, 0.0):
        close(fused(x, zero), np.copysign(x, zero))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x + 1).reshape(2, 3),
        lambda x: ((x + 1).reshape(2, 3), (x + 1)[::-1]),
        lambda x: np.broadcast_to(np.cumsum(x), (2, 6)),
        lambda x: (x * 2).reshape(3, 2).T[0],
    ],
)
def test_results_that_are_views_have_memory_of_their_own(function: Callable[..., Any]) -> None:
    """A second call leaves the results of the first one alone."""
    f = nf.jit(function)
    first, x = f(np.zeros(6)), np.ones(6)
    f(x)
    close(first, function(np.zeros(6)))
    close(f(x), function(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (x + y).sum(),
        lambda x, y: x.ravel() @ y.ravel(),
        lambda x, y: x[1, 1],
        lambda x, y: (x * y).max() > 3,
        lambda x, y: np.array((x - y).sum()),
    ],
)
def test_numbers_from_one_kernel(function: Callable[..., Any]) -> None:
    """Again and again, with other arguments between: the second call of a kind is made in machine code."""
    jitted = nf.jit(function)
    for k in range(4):
        x = np.arange(6.0).reshape(2, 3) + k
        for a, b in ((x, x + 1), (x.astype("f4"), x), (x, x[::-1] * 1)):
            got, wanted = jitted(a, b), function(a, b)
            assert (type(got), got.dtype, got) == (type(wanted), wanted.dtype, wanted)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (a @ b) * 2,
        lambda a, b: (a[:, :2] @ b[:2]) - 1,
        lambda a, b: np.tensordot(a, b, 1) + b,
    ],
)
def test_results_of_products_with_vectors_own_their_memory(function: Callable[..., Any]) -> None:
    a, b = np.arange(16.0).reshape(4, 4) / 9, np.arange(4.0)
    jitted = nf.jit(lambda a, b: [function(a, b)])
    assert not any(isinstance(step, ViewStep) for step in jitted.lower(a, b).program.steps[-1:])
    for _ in range(2):
        (got,) = jitted(a, b)
        np.testing.assert_array_equal(got, function(a, b))
        assert got.base is None
