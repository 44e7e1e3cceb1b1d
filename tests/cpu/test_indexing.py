"""Indexing with arrays and masks, compiled on the CPU, against NumPy: values, shapes, types and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numfuse.compiler.trace.errors import TraceError

import numfuse as nf
from tests.indexed import CASES, REFUSED, m, x, y
from tests.indices import agree, filled, indexed, outcome, same, told_apart


@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str) -> None:
    function, arguments = CASES[name]
    agree(function, arguments, "cpu")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_ways_out(name: str) -> None:
    line = "" if name == "returned" else r"(.|\n)*tests/indexed.py"
    with pytest.raises(TraceError, match=r"np.where(.|\n)*known(.|\n)*fallback=True" + line):
        nf.jit(REFUSED[name], target="cpu")(x, y)


@settings(max_examples=40)
@given(indexed(), st.booleans())
@example((np.ones(1), (None, False, np.int64(1))), True)
@example((np.ones((2, 3)), (np.zeros(0, int), np.int64(3))), True)
@example((np.ones((2, 3)), (np.zeros(0, int), np.array([3]))), True)
def test_random_reads(drawn: tuple[np.ndarray, tuple[Any, ...]], traced: bool) -> None:
    array, key = drawn
    arrays, parts = told_apart(key, traced)

    def function(array: Any, *arrays: Any) -> Any:
        return array[filled(parts, arrays)]

    same(outcome(nf.jit(function, target="cpu"), array, *arrays), outcome(function, array, *arrays))


def test_masked_statistics_are_one_kernel() -> None:
    for function in (lambda x: x[x > 0].mean(), lambda x: (x[x > 0] * 2 + 1).sum(), lambda x: x[x > 0].size):
        lowered = nf.jit(function).lower(x, target="cpu")
        assert len(lowered.kernels) == 1 and not lowered.library_calls


def test_a_masked_assignment_is_one_kernel() -> None:
    def function(a: Any, b: Any) -> None:
        a[a > 0] = b[a > 0]

    lowered = nf.jit(function).lower(x, y, target="cpu")
    assert len(lowered.kernels) == 1 and not lowered.library_calls


def test_a_failed_call_writes_nothing() -> None:
    def function(a: Any, i: Any) -> Any:
        a[0] = 7
        return a[i]

    compiled, a = nf.jit(function, target="cpu"), np.zeros(4)
    compiled(a, np.array([1, -4]))
    assert a[0] == 7
    a[0] = 0
    with pytest.raises(IndexError, match=r"^index -5 is out of bounds for axis 0 with size 4\n(.|\n)*return a\[i\]"):
        compiled(a, np.array([1, -5]))
    assert a[0] == 0


def test_places_that_are_known_to_fit_are_not_checked() -> None:
    i = np.array([0, 3, 1])
    for function in (
        lambda a, i: a[i % 4],
        lambda a, i: a[np.minimum(abs(i.astype("i1").astype("i8")), 3)],
        lambda a, i: a[[0, 3, -1]],
        lambda a, i: a[np.arange(4)],
        lambda a, i: a[a.argmax()],
        lambda a, i: np.take(a, i, mode="clip"),
        lambda a, i: a[i & 3],
    ):
        assert not nf.jit(function).trace(np.zeros(4), i).checks


def test_places_that_are_known_to_be_wrong_fail_while_tracing() -> None:
    places = [0, 9]
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 4"):
        nf.jit(lambda a: a[places]).trace(np.zeros(4))
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 4"):
        nf.jit(lambda a: a[np.arange(2, 6)[::-1]]).trace(np.zeros(4))


def test_an_array_from_outside_is_read_at_each_call() -> None:
    places = np.array([0, 1])
    function = nf.jit(lambda a: a[places], target="cpu")
    a = np.arange(4.0)
    assert function(a).tolist() == [0, 1]
    places[1] = 3
    assert function(a).tolist() == [0, 3]
    places[1] = 4
    with pytest.raises(IndexError):
        function(a)


def test_a_mask_from_outside_is_read_at_each_call() -> None:
    chosen = m.copy()
    function = nf.jit(lambda a: a[chosen].sum(), target="cpu")
    assert np.isclose(function(x), x[chosen].sum())
    chosen[:] = ~chosen
    assert np.isclose(function(x), x[chosen].sum())


def test_an_array_from_outside_that_is_indexed_names_np_take() -> None:
    for function in (lambda i: x[i], lambda i: x[i[0]]):
        with pytest.raises(TraceError, match=r"np\.take\(a, i\)(.|\n)*test_indexing.py"):
            nf.jit(function, target="cpu")(np.array([1, 2]))
