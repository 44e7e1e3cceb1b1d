"""Random numbers on the CPU: how they are distributed, and in what types and shapes they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.draws import DISTRIBUTIONS, distance, surprise


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_numbers_are_distributed_as_told(name: str) -> None:
    case = DISTRIBUTIONS[name]
    x = nf.jit(lambda r: case.call(r, 400_000))(np.random.default_rng(8))
    assert x.dtype == np.dtype(case.dtype)
    assert (distance(x, case.cdf) < 1.95) if case.cdf is not None else (surprise(x, case.mass) < 4)


def test_types_and_shapes_are_numpys(rng: np.random.Generator) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda r: r.random(), lambda r: r.random(()), lambda r: r.random(3), lambda r: r.random((2, 0)), lambda r: r.random(dtype="f4"),
        lambda r: r.normal(), lambda r: r.normal(np.zeros(())), lambda r: r.normal(np.zeros(3), np.ones((2, 1))), lambda r: r.normal(size=(2, 1)),
        lambda r: r.normal(np.float32(1), size=2), lambda r: r.integers(5), lambda r: r.integers(5, dtype=int), lambda r: r.integers(5, dtype="i4"),
        lambda r: r.integers(5, size=()), lambda r: r.integers(2, dtype=bool), lambda r: r.integers([1, 5], [[6], [9]]), lambda r: r.choice(5),
        lambda r: r.choice(5, 2), lambda r: r.geometric(0.5), lambda r: r.geometric(0.5, 3), lambda r: r.standard_exponential(),
        lambda r: np.float32(2) * r.random(3, dtype="f4"), lambda r: np.ones(2, "f4") * r.random(),
    ]  # fmt: skip
    for number, call in enumerate(calls):
        expected, result = call(rng), nf.jit(call)(rng)
        assert type(result) is type(expected), number
        assert np.shape(result) == np.shape(expected) and np.asarray(result).dtype == np.asarray(expected).dtype, number


def test_parameters_that_are_traced() -> None:
    f = nf.jit(lambda r, m, s: (r.normal(m, s), r.uniform(m, m + s), r.exponential(s)))
    mean, scale = np.array([[0.0], [1e6]]), np.array([1.0, 1e-3, 0.0], "f4")
    normal, uniform, exponential = f(np.random.default_rng(0), mean, scale)
    assert normal.shape == (2, 3) and normal.dtype == np.float64 and exponential.shape == (3,)
    assert np.all(np.abs(normal - mean) <= 8 * scale) and np.array_equal(normal[:, 2], mean[:, 0])
    assert np.all((uniform >= mean) & (uniform <= mean + scale))
    number = nf.jit(lambda r, m: r.normal(m, 0, size=2))
    assert number(np.random.default_rng(0), 3).tolist() == [3, 3] and number(
        np.random.default_rng(0), 2.5
    ).tolist() == [2.5, 2.5]
    with pytest.raises(TypeError, match="complex"):
        number(np.random.default_rng(0), 1j)


def test_integers_stay_in_their_bounds() -> None:
    f = nf.jit(
        lambda r, low, high: (
            r.integers(low, high),
            r.integers(low, high, endpoint=True),
            r.integers(low, high, dtype="i8", size=(5000, 4)),
        )
    )
    low = np.array([-5, 0, -(2**62), 2**62])
    high = low + np.array([1, 3, 2**63 - 1, 2])
    one, two, many = f(np.random.default_rng(0), low, high)
    assert np.all((one >= low) & (one < high)) and np.all((two >= low) & (two <= high))
    assert np.all((many >= low) & (many < high))
    assert set(many[:, 1]) == {0, 1, 2} and many[:, 2].max() > 2**61 and many[:, 2].min() < -(2**61)
    g = nf.jit(
        lambda r: (r.integers(-3, 4, 5000, dtype="i1"), r.integers(2**40, 2**40 + 3, 5000), r.integers(0, 2**33, 5000))
    )
    small, high_up, wide = g(np.random.default_rng(0))
    assert set(small) == set(range(-3, 4)) and set(high_up) == {2**40, 2**40 + 1, 2**40 + 2}
    assert distance(wide, lambda x: x / 2**33) < 1.95


def test_out() -> None:
    def f(r, given):
        made = np.empty(4)
        assert r.random(out=made) is made
        r.standard_normal(out=given)
        return made, r.random(out=given[:2])

    given = np.zeros(4)
    made, part = nf.jit(f)(np.random.default_rng(0), given)
    assert np.all(made > 0) and np.all(given != 0) and np.array_equal(part, given[:2])
    with pytest.raises(TypeError, match="wrong type"):
        nf.jit(lambda r, x: r.random(out=x))(np.random.default_rng(0), np.zeros(4, "f4"))
    with pytest.raises(ValueError, match=r"must match out\.shape"):
        nf.jit(lambda r, x: r.random(3, out=x))(np.random.default_rng(0), np.zeros(4))


def test_the_count_of_threads_does_not_matter() -> None:
    n = 3_000_000
    f = nf.jit(lambda r: r.standard_normal(n))
    whole, parts = f(np.random.default_rng(4)), nf.jit(lambda r: r.standard_normal(n)[-7:])(np.random.default_rng(4))
    np.testing.assert_allclose(whole[-7:], parts, rtol=1e-13)
    assert abs(nf.jit(lambda r: r.standard_normal(n).mean())(np.random.default_rng(4)) - whole.mean()) < 1e-9


def test_one_kernel_holds_all() -> None:
    """Nothing is put in memory on the way from the bits to the mean."""

    def price(rng, spot, volatility):
        paths = spot * np.exp(-0.5 * volatility**2 + volatility * rng.standard_normal(1_000_000))
        return np.maximum(paths - 1.0, 0.0).mean()

    lowered = nf.jit(price).lower(np.random.default_rng(0), 1.0, 0.2, target="cpu")
    assert lowered.program.workspace <= 1 << 16
    assert abs(nf.jit(price)(np.random.default_rng(0), 1.0, 0.2) - 0.0796557) < 5e-4  # Black and Scholes


def test_choices_and_orders() -> None:
    @nf.jit
    def f(r):
        p = [0.1, 0.0, 0.6, 0.3]
        return (
            r.choice(4, 20_000, p=p),
            r.choice(50, 10, replace=False),
            r.choice(4, 3, replace=False, p=p),
            r.permutation(100),
            r.choice(9, p=np.eye(9)[5]),
        )

    chosen, some, weighted, order, one = f(np.random.default_rng(0))
    assert surprise(chosen, np.array([0.1, 0.0, 0.6, 0.3])) < 4 and not np.any(chosen == 1)
    assert np.unique(some).size == 10 and some.max() < 50 and sorted(weighted) == [0, 2, 3]
    assert sorted(order) == list(range(100)) and not np.array_equal(order, np.arange(100))
    assert one == 5 and type(one) is int
    pair, rng = nf.jit(lambda r: r.choice(3, 2, replace=False, p=[0.5, 0.3, 0.2])), np.random.default_rng(4)
    pairs = np.stack([pair(rng) for _ in range(4000)])
    assert np.all(pairs[:, 0] != pairs[:, 1]) and surprise(pairs[:, 0], np.array([0.5, 0.3, 0.2])) < 4
    second = [sum(p * q / (1 - p) for p in (0.5, 0.3, 0.2) if p != q) for q in (0.5, 0.3, 0.2)]
    assert surprise(pairs[:, 1], np.array(second)) < 4


def test_correlated_normal_numbers() -> None:
    mean, covariance = np.array([1.0, -2.0, 0.5]), np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.5]])
    f = nf.jit(lambda r, mean, covariance: r.multivariate_normal(mean, covariance, 200_000))
    for x in (
        f(np.random.default_rng(0), mean, covariance),
        nf.jit(lambda r: r.multivariate_normal(mean, covariance, 200_000))(np.random.default_rng(1)),
    ):
        np.testing.assert_allclose(x.mean(0), mean, atol=0.02)
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03)


def test_choices_and_orders_of_arrays() -> None:
    table = np.arange(12.0).reshape(4, 3)

    @nf.jit
    def f(r, x):
        r.shuffle(x)
        return (
            r.choice(table, 5),
            r.choice([5, 7, 9], 4, replace=True),
            r.permutation(table, axis=1),
            r.permuted(table, axis=1),
            r.permuted(table),
            r.choice(table, axis=1),
        )

    x = np.arange(50)
    rows, picked, columns, within, all_of, column = f(np.random.default_rng(0), x)
    assert sorted(x) == list(range(50)) and not np.array_equal(x, np.arange(50))
    assert {tuple(row) for row in rows} <= {tuple(row) for row in table} and set(picked) <= {5, 7, 9}
    assert {tuple(line) for line in columns.T} == {tuple(line) for line in table.T}
    assert np.array_equal(np.sort(within, axis=1), table) and np.array_equal(np.sort(all_of, axis=None), table.ravel())
    assert tuple(column) in {tuple(line) for line in table.T}


def test_drawn_places_need_no_check() -> None:
    """They are known to lie within the axis, so a call has nothing to look at."""
    x = np.arange(20.0)
    for function in (
        lambda x, r: x[r.integers(0, 20, (5, 20))].mean(1),
        lambda x, r: r.choice(x, 30),
        lambda x, r: r.permutation(x),
    ):
        assert len(nf.jit(function).trace(x, np.random.default_rng(0)).graph.outputs) == 1
    outside = nf.jit(lambda x, r: x[r.integers(20, 23, 4)])
    with pytest.raises(IndexError, match="out of bounds"):
        outside(x, np.random.default_rng(0))
