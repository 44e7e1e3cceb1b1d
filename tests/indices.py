"""Random index tuples for property tests: integers, slices, new axes, ellipses, arrays of integers and of bools, as NumPy allows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numfuse.compiler.staged import view_through
from numfuse.compiler.tree import unflatten

import numfuse as nf

SHAPES = ((5,), (1,), (0,), (3, 4), (4, 1), (2, 3, 4), (3, 0, 2), (2, 1, 3, 2))


@st.composite
def indexed(draw: st.DrawFn, wrong: bool = True) -> tuple[np.ndarray, tuple[Any, ...]]:
    """An array and an index of it: mostly lawful, now and then (`wrong`) out of bounds or of shapes that do not fit."""
    shape = draw(st.sampled_from(SHAPES))
    dtype = draw(st.sampled_from(["f8", "f4", "i4", "?"]))
    x = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 7 - 3).astype(dtype)
    if draw(st.booleans()):
        x = np.asfortranarray(x)
    places = draw(st.sampled_from([(), (1,), (3,), (2, 3), (1, 3), (0,), (2, 1)]))
    key: list[Any] = []
    axis, ellipsis = 0, False
    while True:
        kind = draw(
            st.sampled_from(["stop", "int", "slice", "array", "array", "none", "ellipsis", "mask", "bool", "scalar"])
        )
        if kind == "stop" or len(key) > 6:
            break
        if kind == "none":
            key.append(None)
        elif kind == "ellipsis" and not ellipsis:
            key.append(Ellipsis)
            ellipsis = True
            left = len(shape) - axis
            axis += draw(st.integers(0, left))
        elif kind == "bool":
            if draw(st.integers(0, 3)) == 0:
                key.append(draw(st.booleans()))
        elif axis < len(shape):
            taken = draw(_entry(kind, shape, axis, places, wrong))
            key.append(taken)
            axis += taken.ndim if isinstance(taken, np.ndarray) and taken.dtype == bool else 1
    if ellipsis:  # what stands behind it counts from the end
        at = next(k for k, part in enumerate(key) if part is Ellipsis)
        if any(part is not None and not isinstance(part, bool) for part in key[at + 1 :]) and axis != len(shape):
            key = key[: at + 1]
    return x, tuple(key)


@st.composite
def _entry(draw: st.DrawFn, kind: str, shape: tuple[int, ...], axis: int, places: tuple[int, ...], wrong: bool) -> Any:
    extent = shape[axis]
    least, most = (-extent, extent - 1) if extent else (0, 0)
    if wrong and draw(st.integers(0, 30)) == 0:
        least, most = -extent - 2, extent + 2
    if kind == "int" and extent:
        return draw(st.integers(least, most))
    if kind == "scalar" and extent:
        value = np.asarray(draw(st.integers(least, most)), draw(st.sampled_from(["i8", "i4"])))
        return value if draw(st.booleans()) else value[()]
    if kind == "array" and extent:
        given = places[draw(st.integers(0, len(places))) :] if draw(st.booleans()) else places
        numbers = draw(st.lists(st.integers(least, most), min_size=int(np.prod(given)), max_size=int(np.prod(given))))
        return np.array(numbers, draw(st.sampled_from(["i8", "i8", "i4", "i1"]))).reshape(given)
    if kind == "mask":
        count = draw(st.integers(1, len(shape) - axis))
        flags = draw(st.lists(st.booleans(), min_size=0, max_size=8))
        size = int(np.prod(shape[axis : axis + count]))
        if not size:  # NumPy looks at the wrong axis for what stands behind such a mask
            return slice(None)
        return np.resize(np.array([*flags, True], bool), size).reshape(shape[axis : axis + count])
    return slice(
        draw(st.none() | st.integers(-5, 5)),
        draw(st.none() | st.integers(-5, 5)),
        draw(st.sampled_from([None, 1, 2, -1, -2])),
    )


def told_apart(key: tuple[Any, ...], traced: bool) -> tuple[list[np.ndarray], list[Any]]:
    """The arrays of integers of an index, as arguments, and the index with their numbers (`Ref`) in place; without `traced`, lists."""
    arrays: list[np.ndarray] = []
    parts: list[Any] = []
    for part in key:
        if isinstance(part, np.ndarray) and part.dtype == bool:
            parts.append(part.tolist())
        elif isinstance(part, (np.ndarray, np.integer)) and traced:
            parts.append(Ref(len(arrays)))
            arrays.append(part)
        else:
            parts.append(part.tolist() if isinstance(part, np.ndarray) else part)
    return arrays, parts


class Ref:
    """An argument's place."""

    def __init__(self, number: int) -> None:
        self.number = number


def filled(parts: list[Any], arrays: Any) -> tuple[Any, ...]:
    return tuple([arrays[part.number] if isinstance(part, Ref) else part for part in parts])


def outcome(function: Any, *arguments: Any) -> Any:
    """What a call gives: its value, or the type and message of its error (the line that numfuse adds left out)."""
    try:
        return function(*arguments)
    except (IndexError, ValueError, TypeError) as error:
        told = str(error).partition("\n")[0].strip()
        return type(error).__name__, told


def same(got: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        # where several entries are wrong, NumPy and numfuse may name different ones
        several = got[0] == wanted[0] == "IndexError" and "out of bounds" in got[1] + wanted[1]
        several |= got[0] == wanted[0] == "ValueError" and wanted[1].startswith(
            got[1]
        )  # of out= NumPy tells the shape too
        assert got == wanted or several, (got, wanted)
        return
    assert not isinstance(got, tuple), (got, wanted)
    assert (np.shape(got), got.dtype, type(got)) == (wanted.shape, wanted.dtype, type(wanted))
    np.testing.assert_array_equal(got, wanted)


def agree(function: Any, arguments: tuple[np.ndarray, ...], target: str) -> None:
    """Compiled for `target`, `function` gives what NumPy gives: values up to rounding, dtypes, types, errors."""
    wanted = outcome_of(function, arguments)
    got = outcome_of(nf.jit(function, target=target), arguments)
    if isinstance(wanted, Exception) or isinstance(got, Exception):
        told = str(got).partition("\n")[0].strip()
        assert (type(got), told) == (type(wanted), str(wanted).strip()), (got, wanted)
        return
    several = isinstance(wanted, (tuple, list))
    for result, value in zip(got, wanted, strict=True) if several else [(got, wanted)]:
        assert (type(result), np.shape(result)) == (type(value), np.shape(value))
        assert np.asarray(result).dtype == np.asarray(value).dtype
        np.testing.assert_allclose(result, value, rtol=1e-12)


def outcome_of(function: Any, arguments: tuple[np.ndarray, ...]) -> Any:
    try:
        return function(*[argument.copy() for argument in arguments])
    except (IndexError, ValueError, TypeError) as error:
        return error


def evaluated(function: Any, *arguments: Any) -> Any:
    """The one result of `function`, by the traced graph evaluated with NumPy; the checks are looked at, as a call does."""
    traced = nf.jit(function).trace(*arguments)
    inputs = [feed.captured if feed.leaf is None else np.asarray(arguments[feed.leaf]) for feed in traced.feeds]
    results = traced.graph.evaluate(*inputs)
    for check, flag in zip(traced.checks, results[len(results) - len(traced.checks) :], strict=True):
        if flag:
            raise check.failure(traced.graph, dict(zip(traced.graph.inputs, inputs, strict=True)))
    if not traced.outputs:  # known while tracing
        return unflatten(traced.tree, iter(()))[0]
    (output,) = traced.outputs
    value = results[output.result] if output.result is not None else arguments[output.leaf]
    value = view_through(value, output.steps, results)
    return value[()] if output.unwrap == "scalar" else value.item() if output.unwrap else value


@st.composite
def masked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """An array, a mask of some of its axes, the axis at which it starts, and another array of the same shape."""
    shape = draw(st.sampled_from([(5,), (3, 4), (2, 3, 4), (4, 1), (1,), (0,), (3, 0)]))
    dtype = draw(st.sampled_from(["f8", "f8", "i4", "i8", "u1"]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    at = draw(st.integers(0, len(shape) - 1))
    of_mask = shape[at : at + draw(st.integers(1, len(shape) - at))]
    mask = rng.random(of_mask) < draw(st.sampled_from([0.0, 0.3, 0.6, 1.0]))
    x, y = (rng.integers(-4, 5, shape).astype(dtype) for _ in range(2))
    return x, mask, at, y
