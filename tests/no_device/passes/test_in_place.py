"""Writes in place: which are chosen, that the meaning stays, and what was once wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numfuse.passes import in_place

import numfuse as nf
from tests.plain_python import run_program


def interior(x):
    x[1:-1, 1:-1] = x[1:-1, 1:-1] * 2
    return x


def stencil(x):
    x[1:-1, 1:-1] = x[2:, 1:-1] + x[:-2, 1:-1]
    return x


def rows(x):
    for i in range(1, len(x)):
        x[i] += x[i - 1]
    return x


def row_from_its_neighbours(x):
    x[3, 1:-1] = x[3, 2:] + x[3, :-2]
    return x


def every_other(x):
    x[1:-1:2] = x[:-2:2] + x[2::2]
    return x


def shifted(x):
    x[1:4] = x[:3]
    return x


def transposed(x):
    x[1:5, 1:4] = x.T[2:6, 2:5]
    return x


def kept(x):
    y = x + 1
    before = y * 2
    y[0] = 5
    return y, before


def read_afterwards(x):
    y = x + 1
    z = y.copy()
    y[0] = 5
    return y, z


def read_by_what_follows(x):
    """The sum needs the old contents and the new ones."""
    old = x[2] * 3
    x[2] = 0
    x[3] = x[2] + old
    return (x + old).sum()


def value_read_back(x):
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = 0.5 * y[i - 1] + x[i]
    return y


def value_that_is_written_to(x):
    y, z = x + 1, x * 2
    z[2] = 7
    y[:, ::-1] = z
    z[0] = 1
    y[1] = z[2]
    return y, z


def products(x):
    y = x * 1.0
    for i in range(3):
        y[i, : len(x)] = x @ y[i]
    return y


def large_slices_of_what_is_computed(x):
    """All of it is one kernel's work: no slice has a pass of its own, but a row has, and a slice of what is in memory."""
    y = 4 * x
    y[1:] -= x[:-1]
    y[:, :-1] = y[:, :-1] * 2 - x[:, 1:]
    y[0] = 0
    y[1:] += 1
    return y


def large_slice_of_what_is_needed(x):
    y = 4 * x
    total = y.sum()
    y[1:] -= x[:-1]
    return y, total


def large_slice_from_its_neighbours(x):
    y = 4 * x
    y[1:] -= y[:-1]
    return y


def chosen_nowhere(x):
    y = x[0, :3] * 2
    y[0] = 2
    return y


IN_PLACE = {
    interior: 1, stencil: 0, rows: 15, row_from_its_neighbours: 1, every_other: 1, shifted: 0, transposed: 0, kept: 1, read_afterwards: 0,
    read_by_what_follows: 2, value_read_back: 15, value_that_is_written_to: None, products: None, chosen_nowhere: 0,
    large_slices_of_what_is_computed: 2, large_slice_of_what_is_needed: 1, large_slice_from_its_neighbours: 0,
}  # fmt: skip


@pytest.mark.parametrize("function", IN_PLACE, ids=lambda function: function.__name__)
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray], ids=["C", "Fortran"])
def test_writes(function: Callable[..., Any], layout: Callable[[np.ndarray], np.ndarray]) -> None:
    x = layout(np.arange(16.0 * 16).reshape(16, 16) % 7)
    traced = nf.jit(function).trace(x)
    lowered = traced.lower(target="cpu")
    (graph,) = [stage.graph for stage in lowered.trail.stages if stage.name == "in_place"]
    wanted = IN_PLACE[function]
    if wanted is not None:
        assert sum(node.op == "put_slice" for node in graph.nodes) == wanted
    expected = traced.graph.evaluate(x)
    ours = x.copy("K")
    for got, value in zip(run_program(lowered.program, [ours]), expected, strict=True):
        np.testing.assert_array_equal(got, value)
    result = nf.jit(function, target="cpu")(x.copy("K"))
    theirs = function(x.copy("K"))
    for got, value in zip(*[one if isinstance(one, tuple) else (one,) for one in (result, theirs)], strict=True):
        np.testing.assert_array_equal(got, value)


def test_a_written_argument_is_computed_in_its_own_memory() -> None:
    for function in (rows, interior, lambda x: np.add(x, 1, out=x)):
        x = np.ones((16, 16))
        compiled = nf.jit(function).lower(x, target="cpu").compile()
        program = compiled.lowered.program
        places = {program.values[number].place for number in program.results}
        assert places == {"argument"} or program.donated


def test_arguments_that_are_not_written_to_keep_their_memory() -> None:
    x = np.ones((16, 16))

    def function(x, y):
        x[0] = y[0]
        y = y + 1
        y[1] = 4
        return y

    y = np.ones((16, 16))
    y.setflags(write=False)
    result = nf.jit(function, target="cpu")(x, y)
    assert (y == 1).all() and (x == 1).all() and result[1, 0] == 4 and result[0, 0] == 2


def test_read_only_arguments() -> None:
    x = np.ones((16, 16))
    x.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        nf.jit(rows, target="cpu")(x)
    assert (x == 1).all()


def test_an_argument_whose_elements_share_memory() -> None:
    def function(x):
        x[0] = 5
        x[1] = x[0] + 1
        return x.sum()

    base = np.zeros(40)
    ours = np.lib.stride_tricks.as_strided(base, (16, 20), (8, 8))
    traced = nf.jit(function).trace(ours)
    assert traced.given(traced.layouts()) == {}


def test_two_arguments_that_are_written_to_and_read_by_each_others_kernel() -> None:
    """Each kernel would have to run before the other one: one of them gets what it needs from memory."""

    def function(a, b):
        v = a[:5, 1:]
        w = np.maximum(v, b.T[1:5, :1].sum()) + 1
        a[:5, 1:] += w
        b[:5, 1:] = w

    a, b = np.arange(30.0).reshape(6, 5), -np.arange(30.0).reshape(6, 5)
    with mock.patch.object(in_place, "SMALL", 0):
        traced = nf.jit(function).trace(a, b)
        results = run_program(traced.lower(target="cpu").program, [a.copy(), b.copy()])
    function(a, b)
    for write in traced.writes:
        np.testing.assert_array_equal(results[write.result], (a, b)[write.leaf])
