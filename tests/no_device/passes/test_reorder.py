"""Results lie in memory as NumPy's do: kernels compute them in that order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.graph import Graph
from numfuse.passes.reorder import reorder

import numfuse as nf
from tests.plain_python import run_program

BY_COLUMNS = np.asfortranarray(np.arange(35.0).reshape(5, 7))
BY_ROWS = np.arange(35.0).reshape(5, 7) - 10
CUBE = np.arange(60.0).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda x: x * 2, (BY_COLUMNS,)),
        (lambda x: np.exp(x) / x.sum(1, keepdims=True), (BY_COLUMNS + 1,)),
        (lambda x, y: x + y, (BY_COLUMNS, BY_ROWS)),
        (lambda x, y: x + y, (BY_COLUMNS, BY_ROWS[:1])),
        (lambda x: (x * 2).T, (BY_ROWS,)),
        (lambda x: np.where(x > 3, x, 0), (BY_COLUMNS[:, ::-1],)),
        (lambda z: np.transpose(z, (2, 0, 1)) + 1, (CUBE,)),
        (lambda z: (z.swapaxes(0, 2) * 2).swapaxes(0, 1), (CUBE,)),
        (lambda x: x.astype("f4"), (BY_COLUMNS,)),
        (lambda x: np.asfortranarray(x + 1), (BY_ROWS,)),
        (lambda x: x[:, None] + 1, (BY_COLUMNS,)),
    ],
)
def test_strides_are_numpys(function: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> None:
    traced = nf.jit(function).trace(*arguments)
    lowered = traced.lower(target="cpu")
    assert len(lowered.kernels) <= 2 and not lowered.library_calls
    expected = function(*arguments)
    (result,) = run_program(lowered.program, [np.ascontiguousarray(a) if a is BY_ROWS else a for a in arguments])
    for op, params in traced.outputs[0].steps:
        assert op == "transpose"
        result = result.transpose(params["perm"])
    np.testing.assert_array_equal(result, expected)
    assert result.strides == expected.strides


def test_an_array_that_is_in_memory_anyway_stays_as_it_lies() -> None:
    text = """graph f(%x: f64[3,4]) -> (%3, %1) {
  %1: f64[3,4] = exp(%x)
  %2: f64[4,3] = transpose(%1, perm=(1, 0))
  %3: f64[4,3] = copy(%2)
}"""
    graph = Graph.parse(text)
    assert [node.op for node in reorder(graph).outputs] == ["transpose", "exp"]
    alone = Graph.parse(text.replace("(%3, %1)", "%3"))
    assert reorder(alone) is not graph and [node.op for node in reorder(alone).outputs] == ["copy"]


def test_a_sum_that_others_read_is_made_once() -> None:
    lowered = nf.jit(lambda x: (np.exp(x), np.exp(x).sum(0))).lower(BY_COLUMNS, target="cpu")
    assert sum(kernel.code.count("exp(") for kernel in lowered.kernels) == 1
