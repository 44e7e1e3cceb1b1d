"""Arrays that a jitted function does not get as arguments: globals, what it closes over, what NumPy makes in it, random numbers."""

from __future__ import annotations

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

X = np.random.default_rng(0).standard_normal((7, 5))


def test_captured_arrays_are_read_at_each_call() -> None:
    weights = X.copy()
    f = nf.jit(lambda x: x + weights)
    close(f(X), X + weights)
    weights += 1
    close(f(X), X + weights)


def test_captured_arrays_are_returned_as_they_are() -> None:
    weights = X.copy()
    f = nf.jit(lambda x: (weights, weights[1:], x))
    for _ in range(2):
        same, part, given = f(X)
        assert same is weights and np.shares_memory(part, weights) and given is X


def test_arrays_made_in_the_function_are_made_anew_at_each_call() -> None:
    def f(x):
        made = np.arange(5.0)
        return made, made + x[0], {"also": [np.ones(2)]}

    g = nf.jit(f)
    for _ in range(3):
        got = g(X)
        close(got[0], np.arange(5.0))
        close(got[1], np.arange(5.0) + X[0])
        close(got[2]["also"][0], np.ones(2))
        got[0][:] = -1
        got[2]["also"][0][:] = -1


TOTAL = np.zeros(5)


def adds_to_a_global(x):
    np.add(TOTAL, x, out=TOTAL)


def test_writes_to_what_is_no_argument_are_refused() -> None:
    """Their order among what NumPy does by itself in the function cannot be kept."""
    with pytest.raises(nf.UnsupportedFunction, match="not an argument"):
        nf.jit(adds_to_a_global)(X[0])
    assert not TOTAL.any()


def test_windows_of_an_array_made_inside_do_not_keep_it() -> None:
    """NumPy puts an object between an array and its windows, which holds the array."""

    def function():
        x = np.arange(6, dtype="i2")
        x[1:] = 1
        return np.lib.stride_tricks.sliding_window_view(x, 2), x

    f = nf.jit(function)
    windows, array = f()
    assert np.shares_memory(windows, array)
    array[:] = 9
    np.testing.assert_array_equal(f()[1], function()[1])
