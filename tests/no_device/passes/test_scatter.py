"""Values at places that are computed: what becomes of them, and that the meaning stays where places are met twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.plain_python import run_program

PLACES = np.array([5, 1, -1, 5, 5, 0, 1])
VALUES = np.arange(1.0, 8.0)


def added(x, i, v):
    y = np.zeros(x.shape)
    np.add.at(y, i, v)
    return y


def multiplied(x, i, v):
    np.multiply.at(x, i, v + 1)
    return x


def last_stays(x, i, v):
    x[i] = v
    return x


def once_each(x, i, v):
    x[i] += v
    return x


def swapped(x, i, v):
    x[i[:2]] = x[i[1::-1]]
    return x


def read_before_and_after(x, i, v):
    before = x[2:6] * 2
    x[i] = v
    return before, x[i] + v, x


def kept(x, i, v):
    y = x * 2
    before = y + 1
    y[i] = v
    return y, before, x.copy()


def at_itself(x, i, v):
    j = i % 7
    j[j] = j
    return j


def rows_and_columns(x, i, v):
    y = np.zeros((9, 4))
    y[i[:2, None] % 9, np.array([0, 2])] = v[:2]
    y[:, i[:3] % 4] += v[:3]
    return y


def one_row(x, i, v):
    y = np.zeros((20, 9))
    y[i[0]] = v.sum()
    y[i[1], i[2]] -= 1
    return y


def reversed_memory(x, i, v):
    z = x[::-2]
    z[i % 4] -= v
    return x


FUNCTIONS = [
    added,
    multiplied,
    last_stays,
    once_each,
    swapped,
    read_before_and_after,
    kept,
    at_itself,
    rows_and_columns,
    one_row,
    reversed_memory,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("dtype", ["f8", "i4", "f2"])
def test_meaning(function: Callable[..., Any], dtype: str) -> None:
    given = (np.arange(10.0).astype(dtype), PLACES, VALUES.astype(dtype))
    traced = nf.jit(function).trace(*[a.copy() for a in given])
    program = traced.lower(target="cpu").program
    assert program.library_calls == []
    results = run_program(program, [a.copy() for a in given])
    mine = [a.copy() for a in given]
    wanted = function(*mine)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for output, value in zip(traced.outputs, wanted, strict=True):
        place = output.result if output.leaf is None else traced.writes[0].result
        np.testing.assert_array_equal(results[place], value)
        assert results[place].dtype == value.dtype
    for write in traced.writes:
        np.testing.assert_array_equal(results[write.result], mine[write.leaf])


def test_arguments_are_written_to_after_the_checks() -> None:
    def written(a, i):
        a[3] = 0.0
        a[i] += 1.0

    text = str(nf.jit(written).lower(np.ones((50, 50)), PLACES, target="cpu"))
    steps = text.split("\n\n")[0].splitlines()[1:-1]
    (check,) = [place for place, step in enumerate(steps) if ". check" in step]
    writes = [place for place, step in enumerate(steps) if step.endswith("a: f64[50,50])")]
    assert len(writes) == 2 and min(writes) > check


def test_a_check_that_needs_what_is_written_leaves_the_arguments() -> None:
    def late(a, i):
        a[i] = 40
        a[a[0]] = 1

    a = np.zeros(300, "i8")
    program = nf.jit(late).lower(a, PLACES, target="cpu").program
    results = {program.values[number].place for number in program.results}
    assert "argument" not in results


def test_a_large_array_is_not_rewritten_for_one_row() -> None:
    def row(a, i, v):
        b = a * 2
        b[i] = v
        return b

    _, kernel = nf.jit(row).lower(np.ones((300, 200)), np.int64(4), np.ones(200), target="cpu").kernels[-2:]
    assert kernel.cost["bytes"] < 2 * 8 * 200 + 64


def test_many_elements_of_a_constant_mask_are_one_pass() -> None:
    mask = np.arange(600).reshape(20, 30) % 2 == 0

    def masked(a):
        b = a * 2
        b[mask] = 1
        return b

    (kernel,) = nf.jit(masked).lower(np.ones((20, 30)), target="cpu").kernels
    assert "put" not in kernel.source


def test_devices_without_order_keep_the_library_call() -> None:
    lowered = nf.jit(added).lower(np.arange(10.0), PLACES, VALUES, target="cuda")
    assert lowered.library_calls == ["scatter"]
    one = nf.jit(one_row).lower(np.arange(10.0), PLACES, VALUES, target="cuda")
    assert one.library_calls == []
