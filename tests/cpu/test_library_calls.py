"""Library calls: what NumPy makes is taken as it is where it can be, and copied where it is somebody else's memory."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from numfuse.compiler.ops import operator

import numfuse as nf

X = np.random.default_rng(0).random(1000)


def test_what_numpy_makes_is_the_result() -> None:
    compiled = nf.jit(lambda x: np.sort(x)).lower(X, target="cpu").compile()
    assert compiled.memory_analysis() == {
        "arguments": X.nbytes,
        "results": 0,
        "constants": 0,
        "library": X.nbytes,
        "workspace": 0,
        "donated": 0,
        "peak": 2 * X.nbytes,
    }
    assert np.array_equal(compiled(X), np.sort(X))


def test_a_kernel_writes_into_what_numpy_made_for_it_alone() -> None:
    compiled = nf.jit(lambda x: np.sort(x) + 1).lower(X, target="cpu").compile()
    assert compiled.memory_analysis()["donated"] == X.nbytes
    first, second = compiled(X), compiled(X)
    assert np.array_equal(first, np.sort(X) + 1) and not np.shares_memory(first, second)

    def read_again(x):
        total = np.sort(x)
        return total + 1, total[::-1] * 2

    for got, wanted in zip(nf.jit(read_again, target="cpu")(X), read_again(X), strict=True):
        assert np.array_equal(got, wanted)


def test_what_is_an_operand_is_copied() -> None:
    edges = np.linspace(0, 1, 11)
    counts, got = nf.jit(lambda x, edges: np.histogram(x, edges), target="cpu")(X, edges)
    assert np.array_equal(got, edges) and not np.shares_memory(got, edges) and counts.sum() == 1000


def test_other_orders_are_copied() -> None:
    x = np.asfortranarray(X.reshape(20, 50))
    for function in (lambda x: np.sort(x, axis=0), lambda x: np.sort(x, axis=0)[1:] * 2, lambda x: np.sort(x, 0).T):
        got = nf.jit(function, target="cpu")(x)
        assert np.array_equal(got, function(x))
    assert nf.jit(lambda x: np.sort(x, axis=0), target="cpu")(x).flags.c_contiguous


def test_arrays_are_given_up_as_soon_as_nobody_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref] = []
    most = 0

    def counted(x, *args, **kwargs):
        nonlocal most
        made = cumsum(x, *args, **kwargs)
        alive.append(weakref.ref(made))
        most = max(most, sum(one() is not None for one in alive))
        return made

    def function(x):
        for _ in range(6):
            x = np.cumsum(x[::-1]) - x
        return x

    cumsum = operator("accumulate").reference
    compiled = nf.jit(function).lower(X, target="cpu").compile()
    monkeypatch.setitem(vars(operator("accumulate")), "reference", counted)
    got = compiled(X)
    assert np.allclose(got, function(X)) and most <= 2
