"""Whole calls in machine code: the second call of a kind goes that way, for programs of small kernels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf

X, Y = np.random.default_rng(0).standard_normal((2, 64))
TABLE = np.arange(64.0)


def product(a: Any, b: Any) -> Any:
    m, n = a[:9].reshape(3, 3), b[:9].reshape(3, 3)
    return m @ n @ m @ n


def swapped(a: Any, b: Any) -> Any:
    p, q = a + b, a - b
    return q, p, p


def same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys()
        got, wanted = list(got.values()), list(wanted.values())
    if isinstance(wanted, (tuple, list)):
        for one, other in zip(got, wanted, strict=True):
            same(one, other)
    else:
        assert (np.shape(got), np.result_type(got)) == (np.shape(wanted), np.result_type(wanted))
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (a + b, a - b),
        lambda a, b: [a + b, {"sum": (a * b).sum(), "rest": (a - 1,)}],
        lambda a, b: (a + b,),
        swapped,
        product,
        lambda a, b: (a / np.sqrt((a * a).sum()), np.outer(a, b) @ b),
        lambda a, b: a * TABLE + b,
        lambda a, b: a * 2,
        lambda a, b: (a + b, b),
        lambda a, b: ((a - a.mean()).cumsum() * b).sum(),
        lambda a, b: (a.reshape(8, 8).T + 1, b[:0]),
    ],
)
def test_results_of_many_kinds(function: Callable[..., Any]) -> None:
    jitted = nf.jit(function, target="cpu")
    for _ in range(3):
        for a, b in ((X, Y), (X, Y), (Y, X), (X[::-1], Y), (X.astype("f4"), Y), (X, Y)):
            same(jitted(a, b), function(a, b))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "f2", "c16", ">f8"])
@pytest.mark.parametrize("number", [0.5, -0.0, 1e300, float("inf"), 3, -7, 2**31 - 1, True, 2.5j])
def test_numbers(dtype: str, number: Any) -> None:
    def function(scale: Any, x: Any, unused: Any) -> Any:
        return x * scale + 1

    jitted, x = nf.jit(function, target="cpu"), (X * 9).astype(dtype)
    with np.errstate(all="ignore"):
        for _ in range(3):
            for scale, unused in ((number, 1), (number, 2), (1.5, 2.5), (2, 3)):
                same(jitted(scale, x, unused), function(scale, x, unused))


@pytest.mark.parametrize(("dtype", "number"), [("i8", 2**63), ("i8", -(2**70)), ("i4", 2**40), ("u1", -1)])
def test_numbers_out_of_range(dtype: str, number: int) -> None:
    jitted, x = nf.jit(lambda x, n: x * n, target="cpu"), X.astype(dtype)
    for _ in range(3):
        jitted(x, 3)
        with pytest.raises(OverflowError):
            jitted(x, number)


def test_large_integers_as_floats() -> None:
    jitted, x = nf.jit(lambda x, n: x * n, target="cpu"), np.ones(3)
    for n in (2**53 + 1, 2**62 + 1, 2**63, -(2**80), 3):
        for _ in range(3):
            same(jitted(x, n), x * n)


def test_results_are_the_callers_alone() -> None:
    several, one = nf.jit(lambda a, b: (a + b, a - b)), nf.jit(lambda a, b: np.outer(a, b) @ b)
    for _ in range(4):
        first, second = several(X, Y)
        assert (sys.getrefcount(first), sys.getrefcount(second)) == (2, 2)
        result = one(X, Y)
        assert sys.getrefcount(result) == 2


def test_a_captured_array_is_read_at_each_call() -> None:
    table = np.ones(64)
    jitted = nf.jit(lambda x: x * table)
    for k in range(4):
        table[:] = k
        np.testing.assert_array_equal(jitted(X), X * k)


def test_no_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was allocated before the failure is given back."""
    from numfuse.runtime.cpu.entry import check, entry

    made: list[Any] = []

    def allocate() -> Any:
        made.append(np.empty(3))
        return made[-1]

    def fails() -> Any:
        raise MemoryError("none left")

    call = entry([], [allocate, allocate, fails], None, [check([])])
    if call is None:
        pytest.skip("no machine code for calls here")
    with pytest.raises(MemoryError, match="none left"):
        call()
    assert [sys.getrefcount(made.pop()), sys.getrefcount(made.pop())] == [1, 1]


def adds(x: Any, y: Any) -> None:
    x += y
    y[1:-1] = x[2:] * 2


def adds_and_returns(x: Any, y: Any) -> Any:
    x[1:-1] = x[1:-1] + y[1:-1]
    y[:] = np.cumsum(y)
    return x, x.sum(), y[::-1], x * y


def writes_from_a_table(x: Any, y: Any) -> Any:
    x[:] = TABLE + y
    return y - x


@pytest.mark.parametrize("function", [adds, adds_and_returns, writes_from_a_table])
def test_arguments_that_are_written_to(function: Callable[..., Any]) -> None:
    """In any layout, sharing memory or not: the arguments, the results, and what of these shares memory are NumPy's."""
    jitted = nf.jit(function, target="cpu")
    table, wide = TABLE.copy(), np.zeros((2, 200))
    pairs: list[Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = [
        lambda base: (base[0, :64], base[1, :64]),
        lambda base: (base[0, :64], base[0, 64:128]),
        lambda base: (base[0, :64], base[0, 32:96]),
        lambda base: (base[0, :64], base[0, :64]),
        lambda base: (base[0, 127::-2][:64], base[1, ::3][:64]),
        lambda base: (base[0, :128:2], base[0, 1:128:2]),
    ]
    try:
        for _ in range(3):
            for pair in pairs:
                for _ in range(3):
                    wide[:] = np.arange(400.0).reshape(2, 200) % 7
                    ours, theirs = wide.copy(), wide.copy()
                    mine, yours = pair(ours), pair(theirs)
                    got, wanted = jitted(*mine), function(*yours)
                    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
                    if wanted is not None:
                        got, wanted = [one if isinstance(one, tuple) else (one,) for one in (got, wanted)]
                        same(got, wanted)
                        shared = [
                            [np.may_share_memory(r, a) for r in rs for a in args]
                            for rs, args in ((got, mine), (wanted, yours))
                        ]
                        assert shared[0] == shared[1]
                    else:
                        assert got is None
        for _ in range(3):  # the captured array itself
            TABLE[:] = table
            mine, yours = TABLE.copy(), table.copy()
            jitted(TABLE, mine)
            got = TABLE.copy()
            TABLE[:] = table
            function(TABLE, yours)
            np.testing.assert_allclose(got, TABLE)
            np.testing.assert_allclose(mine, yours)
    finally:
        TABLE[:] = table


def test_read_only_arguments() -> None:
    jitted, x, y = nf.jit(adds, target="cpu"), np.ones(64), np.ones(64)
    for k in range(5):
        x.flags.writeable = k % 2 == 0
        before = x.copy()
        if k % 2:
            with pytest.raises(ValueError, match="read-only"):
                jitted(x, y)
            np.testing.assert_array_equal(x, before)
        else:
            jitted(x, y)
            assert (x != before).any()


def test_functions_with_library_calls_are_known_by_their_last_call() -> None:
    """What is not all machine code is checked by it."""

    def function(a: Any, b: Any, scale: Any) -> Any:
        return np.linalg.solve(a, b) * scale

    jitted, rng = nf.jit(function, target="cpu"), np.random.default_rng(1)
    for n in (5, 5, 5, 7, 5, 7):
        for dtype in ("f8", "f4", "f8"):
            for scale in (2.0, 3, 2.5):
                a, b = (rng.random((n, n)) + n * np.eye(n)).astype(dtype), rng.random(n).astype(dtype)
                np.testing.assert_allclose(jitted(a, b, scale), function(a, b, scale), rtol=1e-4)
    with pytest.raises(np.linalg.LinAlgError):
        jitted(np.zeros((5, 5)), np.zeros(5), 2.0)
