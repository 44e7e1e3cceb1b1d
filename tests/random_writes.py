"""Random programs that write: rows, columns, overlapping slices, views, several names of one array, arguments in any layout.

A program is a list of statements over numbered arrays, run on NumPy arrays or traced ones alike. Which arrays share memory is NumPy's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

ROWS, COLUMNS = 6, 5

Statement = tuple[Any, ...]

REGIONS: dict[str, Callable[[Any, int, int], Any]] = {
    "whole": lambda x, i, j: x[...],
    "row": lambda x, i, j: x[i % len(x)],
    "column": lambda x, i, j: x[:, j % x.shape[1]],
    "element": lambda x, i, j: x[i % len(x), j % x.shape[1] : j % x.shape[1] + 1],
    "rows": lambda x, i, j: x[i % len(x) :],
    "first rows": lambda x, i, j: x[: 1 + i % len(x)],
    "inside": lambda x, i, j: x[1:-1, 1:-1],
    "up": lambda x, i, j: x[1:, :-1],
    "down": lambda x, i, j: x[:-1, 1:],
    "even": lambda x, i, j: x[::2],
    "odd": lambda x, i, j: x[1::2],
    "odd columns": lambda x, i, j: x[:, 1::2],
    "backwards": lambda x, i, j: x[::-1],
    "part of part": lambda x, i, j: x[1:][:, 1:][i % (len(x) - 1)],
    "of transpose": lambda x, i, j: x.T[j % x.shape[1]],
    "block of transpose": lambda x, i, j: x.T[1:, : 1 + i % len(x)],
}
VALUES: dict[str, Callable[[Any, Any], Any]] = {
    "itself": lambda x, y: x,
    "plus": lambda x, y: x + y,
    "minus": lambda x, y: y - 2 * x,
    "zero": lambda x, y: x * 0 + 1,
    "largest": lambda x, y: y - y.max(),
    "row sums": lambda x, y: x + y.sum(axis=0),
    "running": lambda x, y: x + np.concatenate([y[1:], y[:1]]),
    "larger": lambda x, y: np.maximum(x, y) + 1,
}


def run(statements: list[Statement], arrays: list[Any], results: list[int]) -> list[Any]:
    """Runs the statements; those whose shapes do not fit are left out, for NumPy and traced arrays alike."""
    values = list(arrays)
    temporary: list[Any] = []
    for kind, *rest in statements:
        x = values[rest[0] % len(values)]
        if kind == "name":
            values.append(x)
        elif kind == "copy":
            values.append(x.copy())
        elif kind == "new":
            values.append(x + 1)
        elif kind == "zeros":
            values.append(np.zeros_like(x))
        elif kind == "transpose":
            values.append(x.T)
        elif kind == "keep":
            temporary.append(REGIONS[rest[1]](x, *rest[2:]) * 3)
        else:
            to, i, j, other, source, k, m, how, sign = rest[1:]
            target, read = REGIONS[to](x, i, j), REGIONS[source](values[other % len(values)], k, m)
            if temporary and (k + m) % 3 == 0:
                read = temporary[k % len(temporary)]
            if target.shape != read.shape or not target.size:
                if 0 in read.shape or not target.size or read.ndim < 1:
                    continue
                read = read.sum()
                how = how if how in ("itself", "plus", "minus", "zero", "larger") else "plus"
            value = VALUES[how](read, target) if read.shape == target.shape else VALUES[how](target, read)
            if sign == "=":
                target[...] = value
            elif sign == "+=":
                target += value
            else:
                np.minimum(target, value, out=target)
            temporary.append(value)
    return [values[number % len(values)] * 1 for number in results] + [
        values[number % len(values)] for number in results
    ]


@st.composite
def writing_programs(draw: st.DrawFn, most: int = 10) -> tuple[list[np.ndarray], Callable[..., Any], list[Statement]]:
    """(arguments, program, its statements); every value is a small whole number, so that all results are exact."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    count = draw(st.integers(1, 3))
    dtype = np.dtype(draw(st.sampled_from(["f8", "i8", "f4"])))
    arguments = [_argument(draw, rng, dtype) for _ in range(count)]
    number, region = st.integers(0, 9), st.sampled_from(sorted(REGIONS))
    write = st.tuples(
        st.just("write"), number, region, number, number, number, region, number, number,
        st.sampled_from(sorted(VALUES)), st.sampled_from(["=", "=", "+=", "min"]),
    )  # fmt: skip
    simple = st.tuples(st.sampled_from(["name", "copy", "new", "zeros", "transpose"]), number)
    keep = st.tuples(st.just("keep"), number, region, number, number)
    statements = draw(st.lists(st.one_of(write, write, write, write, simple, keep), min_size=1, max_size=most))
    statements = [_write(statement) for statement in statements]
    results = draw(st.lists(number, max_size=3))
    return arguments, lambda *arrays: run(statements, list(arrays), results), statements


def _write(statement: Statement) -> Statement:
    """`write` names its operand twice, so that a program often reads what it writes to."""
    if statement[0] != "write":
        return statement
    kind, x, to, i, j, other, source, k, m, how, sign = statement
    return kind, x, to, i, j, x if other % 2 else other, source, k, m, how, sign


def _argument(draw: st.DrawFn, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    array = rng.integers(-4, 5, (ROWS, COLUMNS)).astype(dtype)
    layout = draw(st.sampled_from(["C", "C", "C", "F", "steps", "reversed"]))
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "steps":
        return np.repeat(np.repeat(array, 2, 0), 2, 1)[::2, ::2]
    return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1] if layout == "reversed" else array


def copied(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    memory = root.copy("A")
    first = array.ctypes.data - root.ctypes.data
    return np.ndarray(array.shape, array.dtype, memory.reshape(-1, order="A").view("u1").data, first, array.strides)
