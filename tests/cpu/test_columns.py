"""Reductions across rows that are wider than a block of columns: a few rows at once, and what is left over."""

import numpy as np
import pytest

import numfuse as nf

FUNCTIONS = {
    "sum": lambda x: x.sum(0),
    "max": lambda x: x.max(0),
    "var": lambda x: x.var(0, dtype="f8"),
    "several": lambda x: (x.min(0), (x * 2).sum(0)),
}


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i2"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(1003, 517), (24, 257), (17, 1000), (15, 300), (3000, 20)])
def test_columns(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    function = FUNCTIONS[name]
    x = np.random.default_rng(1).integers(-1, 2, shape).astype(dtype)
    for lanes in (None, 16, 64):
        got, want = nf.jit(function, target="cpu", schedule=nf.Schedule(lanes=lanes))(x), function(x)
        for one, other in zip(np.atleast_2d(got), np.atleast_2d(want), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_rows_of_memory_are_read_side_by_side_where_blocks_do_not_take_whole_ones() -> None:
    def source(*shape: int) -> str:
        return nf.jit(lambda x: x.sum(0), target="cpu").lower(nf.spec("f4", *shape)).kernels[0].source

    assert "range(k_0, k_0 + 8)" in source(5000, 1000)
    assert "k_0" not in source(5000, 200)


def test_infinities_and_nan_stay_in_their_columns() -> None:
    x = np.ones((40, 300))
    x[3, 7], x[39, 299], x[8, 0] = np.inf, np.nan, -np.inf
    np.testing.assert_array_equal(nf.jit(lambda x: x.sum(0), target="cpu")(x), x.sum(0))


@pytest.mark.parametrize(("rows", "dtype"), [(1024, "f4"), (1023, "f4"), (516, "f8"), (1028, "i4")])
def test_rows_that_all_read_another_one(rows: int, dtype: str) -> None:
    rng = np.random.default_rng(2)
    a, x = rng.integers(-9, 9, (rows, 1030)).astype(dtype), rng.integers(-9, 9, 1030).astype(dtype)
    function = nf.jit(lambda a, x: (a * x + 1).sum(1), target="cpu")
    np.testing.assert_array_equal(function(a, x), (a * x + 1).sum(1))
    assert ("range(4)" in function.lower(a, x).kernels[0].source) == (rows != 1023)


def test_columns_with_functions_are_shared_by_threads() -> None:
    lowered = nf.jit(lambda x: np.exp(x).sum(0), target="cpu").lower(nf.spec("f8", 500, 256))
    assert "[count=4]" in lowered.explain()
