"""Chains of matrix products in another order."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.passes.associate import associate, best_orders
from numfuse.passes.dead import dead

import numfuse as nf
from tests.no_device.passes.test_passes import check, graph


def test_a_vector_is_multiplied_first() -> None:
    before = graph(
        "%a: i64[8,7], %b: i64[7,6], %v: i64[6,1]",
        "%2",
        "%1: i64[8,6] = matmul(%a, %b)",
        "%2: i64[8,1] = matmul(%1, %v)",
    )
    check(
        before,
        associate(before, floats=False),
        """
        %1: i64[7,1] = matmul(%b, %v)
        %2: i64[8,1] = matmul(%a, %1)
        """,
    )


def test_floats_only_where_they_may_be_reordered() -> None:
    before = graph(
        "%a: f64[8,7], %b: f64[7,6], %v: f64[6,1]",
        "%2",
        "%1: f64[8,6] = matmul(%a, %b)",
        "%2: f64[8,1] = matmul(%1, %v)",
    )
    assert associate(before, floats=False) is before
    assert dead(associate(before, floats=True)).nodes[0].shape == (7, 1)


def test_transposed_products_are_opened() -> None:
    before = graph(
        "%a: i64[8,7], %b: i64[7,6], %v: i64[8,1]",
        "%3",
        "%1: i64[8,6] = matmul(%a, %b)",
        "%2: i64[6,8] = transpose(%1, perm=(1, 0))",
        "%3: i64[6,1] = matmul(%2, %v)",
    )
    check(
        before,
        associate(before, floats=False),
        """
        %1: i64[6,7] = transpose(%b, perm=(1, 0))
        %2: i64[7,8] = transpose(%a, perm=(1, 0))
        %3: i64[7,1] = matmul(%2, %v)
        %4: i64[6,1] = matmul(%1, %3)
        """,
    )


@pytest.mark.parametrize("result", ["%2, %1", "%2, %3"])
def test_a_product_that_is_read_elsewhere_is_kept(result: str) -> None:
    lines = ["%1: i64[8,6] = matmul(%a, %b)", "%2: i64[8,1] = matmul(%1, %v)"]
    lines += ["%3: i64[8,6] = negative(%1)"] if "%3" in result else []
    before = graph("%a: i64[8,7], %b: i64[7,6], %v: i64[6,1]", f"({result})", *lines)
    assert associate(before, floats=True).nodes == before.nodes


@pytest.mark.parametrize("sizes", [(30, 35, 15, 5, 10, 20, 25), (2, 90, 3, 80, 1), (5, 5, 5, 5)])
def test_the_fewest_multiplications(sizes: tuple[int, ...]) -> None:
    """As NumPy's own choice, by trying all orders."""

    def fewest(first: int, last: int) -> int:
        if first == last:
            return 0
        each = [
            fewest(first, cut) + fewest(cut + 1, last) + sizes[first] * sizes[cut + 1] * sizes[last + 1]
            for cut in range(first, last)
        ]
        return min(each)

    assert best_orders(list(sizes))[0, len(sizes) - 2][0] == fewest(0, len(sizes) - 2)


def test_values_and_explanation(rng: np.random.Generator) -> None:
    a, b, c, d = [rng.standard_normal(shape) for shape in ((30, 40), (40, 35), (35, 45), (45, 2))]

    def f(a, b, c, d):
        chain = a @ b @ c @ d
        return chain, (c @ d).T @ b.T, a @ b[:, :2] @ (b[:, :2].T @ b)

    lowered = nf.jit(f, fastmath=True).lower(a, b, c, d)
    assert "associate: test_associate.py" in lowered.explain() and "multiplications in place of" in lowered.explain()
    assert "associate:" not in nf.jit(f).lower(a, b, c, d).explain()
    for got, wanted in zip(nf.jit(f, fastmath=True)(a, b, c, d), f(a, b, c, d), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-9)


def test_long_chains_are_left(rng: np.random.Generator) -> None:
    """Powers by a loop: their order does not matter."""
    a, v = rng.standard_normal((90, 90)), rng.standard_normal((90, 50))

    def f(a, v):
        for _ in range(300):
            v = a @ v
        return v

    assert len(nf.jit(f, fastmath=True).lower(a, v).library_calls) == 300
