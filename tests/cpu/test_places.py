"""Calls that write at places that only the run knows: again and again, with places outside in between."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import numfuse as nf


@nf.jit(target="cpu")
def deposited(grid, places, amounts):
    np.add.at(grid, places, amounts)
    return grid.sum(), grid[places]


def test_a_failed_check_in_machine_code() -> None:
    rng = np.random.default_rng(0)
    mine, theirs = np.zeros(40), np.zeros(40)
    for round in range(60):
        places, amounts = rng.integers(-40, 40, 25), rng.random(25)
        if round % 5 == 4:
            places[rng.integers(25)] = 40
            before = mine.copy()
            with pytest.raises(IndexError, match="index 40 is out of bounds for axis 0 with size 40"):
                deposited(mine, places, amounts)
            np.testing.assert_array_equal(mine, before)
            continue
        total, read = deposited(mine, places, amounts)
        wanted, seen = deposited.function(theirs, places, amounts)
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_allclose(total, wanted)
        np.testing.assert_array_equal(read, seen)


def test_nothing_leaks_where_a_check_fails() -> None:
    grid, places, amounts = np.zeros(10), np.array([1, 10]), np.ones(2)
    deposited(grid, places[:1].repeat(2), amounts)

    def fails() -> None:
        for _ in range(200):
            with pytest.raises(IndexError):
                deposited(grid, places, amounts)

    for _ in range(4):
        fails()
    gc.collect()
    before = sys.getallocatedblocks()
    fails()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
    assert sys.getrefcount(amounts) == 2


def test_a_mask_that_selects_a_wrong_number() -> None:
    @nf.jit(target="cpu")
    def put(a, v):
        a[a > 0] = v
        return a * 2

    a, v = np.array([1.0, -1.0, 2.0]), np.array([5.0, 6.0])
    for _ in range(3):
        np.testing.assert_array_equal(put(a, v), [10.0, -2.0, 12.0])
    for _ in range(3):
        with pytest.raises(ValueError, match="cannot assign 2 input values to the 3 output values"):
            put(np.ones(3), v)


def test_several_threads() -> None:
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        mine, theirs = np.zeros(40), np.zeros(40)
        for _ in range(200):
            places, amounts = rng.integers(0, 40, 25), rng.random(25)
            deposited(mine, places, amounts)
            np.add.at(theirs, places, amounts)
        wrong.append(not np.array_equal(mine, theirs))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 4


def test_overlapping_arguments() -> None:
    @nf.jit(target="cpu")
    def written(a, i, v):
        a[i] = v[::-1]
        return a

    memory, other = np.arange(20.0), np.arange(20.0)
    i = np.array([3, 1, 3, 0])
    for _ in range(3):
        written(memory[2:], i, memory[4:8])
        written.function(other[2:], i, other[4:8])
        np.testing.assert_array_equal(memory, other)


JOINING = {u.__name__: u for u in vars(np).values() if isinstance(u, np.ufunc) and u.nin == 2 and not u.signature}


@pytest.mark.parametrize("dtype", ["i4", "f8"])
@pytest.mark.parametrize("name", sorted(JOINING))
def test_every_ufunc_joins_as_numpys_does(name: str, dtype: str) -> None:
    """At places, and along an axis; what NumPy refuses is refused. Integers that a ufunc casts to floats go back into the array of integers."""
    ufunc, a, i = JOINING[name], np.arange(1, 6).astype(dtype), np.array([0, 1, 0, 4])
    v = np.array([2, 1, 3, 2]).astype(dtype)

    def at(a, i, v):
        ufunc.at(a, i, v)
        return a

    for function, arguments in ((at, (a, i, v)), (lambda a: ufunc.accumulate(a), (a,))):
        jitted = nf.jit(function, target="cpu")
        for _ in range(2):
            try:
                wanted = function(*[one.copy() for one in arguments])
            except (TypeError, ValueError):
                with pytest.raises((TypeError, ValueError)):
                    jitted(*[one.copy() for one in arguments])
                continue
            got = jitted(*[one.copy() for one in arguments])
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-12)
