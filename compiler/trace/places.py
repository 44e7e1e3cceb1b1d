"""Integer arrays as indices: known to lie within an axis, or checked when the function runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.layouts import copied_order
from numfuse.compiler.ops.gather import INTP
from numfuse.compiler.trace.array import Array, Storage
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import broadcast_node, cast
from numfuse.compiler.types import size_of

Range = tuple[int, int]
NOT_INTEGERS = "arrays used as indices must be of integer (or boolean) type"


def held(recorder: Recorder, value: Any) -> Array:
    """A constant array of the trace's own."""
    node = recorder.constant_array(value)
    return Array(recorder, Storage(node), node, (), copied_order(node.shape, value.strides))


def place_node(recorder: Recorder, array: Array, extent: int, axis: int, *, checked: bool = True) -> Node:
    """The node of `array` as places on an axis: negative ones count from its end; others outside are an IndexError, now or at the call."""
    if array.dtype.kind not in "iu":
        raise IndexError(NOT_INTEGERS)
    node = cast(recorder, array, INTP)
    if not checked or not array.size:
        return node
    if not extent:
        raise IndexError(out_of_bounds(first_of(node), axis, extent))
    low, high = range_of(node)
    if low >= 0 and high < extent:
        return node
    key = (node, extent, axis)
    if key in recorder.places:
        return recorder.places[key]
    known = recorder.known(node)
    if known is not None:
        low, high = int(known.min()), int(known.max())
    if known is not None and (low < -extent or high >= extent):
        raise IndexError(out_of_bounds(_first_wrong(known, extent), axis, extent))
    if known is None:
        _check(recorder, node, extent, axis, low < -extent, high >= extent)
    wrapped = node if low >= 0 and high < extent else recorder.make("wrap_index", node, extent=extent)
    if recorder.lazy is None:
        recorder.places[key] = wrapped
    return wrapped


def _check(recorder: Recorder, node: Node, extent: int, axis: int, low: bool, high: bool) -> None:
    """`low`, `high`: whether a place may lie before or behind the axis."""
    make = recorder.make
    bad = []
    if low:
        bad.append(make("less", node, recorder.constant(-extent, INTP)))
    if high:
        bad.append(make("greater_equal", node, recorder.constant(extent, INTP)))
    if bad:
        flags = bad[0] if len(bad) == 1 else make("logical_or", *bad)
        check(recorder, flags, node, lambda p: IndexError(out_of_bounds(_first_wrong(p, extent), axis, extent)))


def _first_wrong(places: np.ndarray, extent: int) -> Any:
    return places[(places < -extent) | (places >= extent)][0]


def out_of_bounds(place: Any, axis: int, extent: int) -> str:
    return f"index {place} is out of bounds for axis {axis} with size {extent}"


def first_of(node: Node) -> Any:
    return node.params["value"].flat[0] if node.op == "constant" else 0


def pick_mode(recorder: Recorder, array: Array, extent: int, mode: str, axis: int) -> Node:
    """Places by the `mode` of `np.take` and its kin."""
    if mode == "raise":
        return place_node(recorder, array, extent, axis)
    if mode not in ("wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")
    if array.dtype.kind not in "iu":
        raise TypeError(f"Cannot cast array data from {array.dtype!r} to {INTP!r} according to the rule 'safe'")
    node = cast(recorder, array, INTP)
    low, high = range_of(node)
    if low >= 0 and high < extent:
        return node
    if mode == "wrap":
        return recorder.make("remainder", node, recorder.constant(extent, INTP))
    above = recorder.make("maximum", node, recorder.constant(0, INTP))
    return recorder.make("minimum", above, recorder.constant(extent - 1, INTP))


# -- what is known of a node's values ------------------------------------------------------------------------------------


def range_of(node: Node, depth: int = 16) -> Range:
    """The least and the greatest value that an integer node may have."""
    widest = _widest(node.dtype)
    found = _range(node, depth) if depth and size_of(node.shape) else widest
    if found[0] < widest[0] or found[1] > widest[1]:  # it may wrap around
        return widest
    return found


def _widest(dtype: np.dtype) -> Range:
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind not in "iu":
        return -(2**64), 2**64
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _range(node: Node, depth: int) -> Range:
    op, inputs = node.op, node.inputs
    if op == "constant" and node.dtype.kind in "biu":
        value = node.params["value"]
        return int(value.min()), int(value.max())
    if op == "iota":
        return 0, node.shape[node.params["axis"]] - 1
    if op in ("argmax", "argmin"):
        return 0, int(np.prod([inputs[0].shape[a] for a in node.params["axis"]])) - 1
    if op == "wrap_index":
        return 0, node.params["extent"] - 1
    if op == "argsort":
        return 0, node.shape[node.params["axis"]] - 1
    if op == "multiply_high":
        return 0, max(range_of(inputs[1], depth - 1)[1] - 1, 0)
    if node.dtype.kind not in "biu" or any(source.dtype.kind not in "biu" for source in inputs):
        return _widest(node.dtype)
    if op in ("reshape", "broadcast_to", "transpose", "slice", "astype", "min", "max", "gather"):
        return range_of(inputs[0], depth - 1)
    ranges = [range_of(source, depth - 1) for source in inputs]
    if op in ("where", "concatenate", "set_slice"):
        chosen = ranges[1:] if op == "where" else ranges
        return min(low for low, _ in chosen), max(high for _, high in chosen)
    if op == "absolute":
        ((a, b),) = ranges
        return (0 if a <= 0 <= b else min(abs(a), abs(b))), max(abs(a), abs(b))
    if len(ranges) != 2:
        return _widest(node.dtype)
    (a, b), (c, d) = ranges
    if op == "remainder" and c > 0:
        return (a, b) if a >= 0 and b < c else (0, d - 1)
    if op == "floor_divide" and c > 0:
        ends = [x // y for x in (a, b) for y in (c, d)]
        return min(ends), max(ends)
    if op == "bitwise_and" and max(a, c) >= 0:
        return 0, min(high for low, high in ranges if low >= 0)
    return _arithmetic(op, (a, b), (c, d)) or _widest(node.dtype)


def _arithmetic(op: str, one: Range, other: Range) -> Range | None:
    (a, b), (c, d) = one, other
    if op == "add":
        return a + c, b + d
    if op == "subtract":
        return a - d, b - c
    if op == "multiply":
        ends = [x * y for x in one for y in other]
        return min(ends), max(ends)
    if op == "maximum":
        return max(a, c), max(b, d)
    if op == "minimum":
        return min(a, c), min(b, d)
    return None


def iota(recorder: Recorder, extent: int, axis: int, ndim: int) -> Node:
    """0 to extent - 1 along `axis` of an array of `ndim` axes, the others of one element."""
    shape = tuple([extent if a == axis else 1 for a in range(ndim)])
    return recorder.make("iota", shape=shape, axis=axis, dtype=INTP)


def spread(recorder: Recorder, node: Node, shape: tuple[int, ...]) -> Node:
    return broadcast_node(recorder, node, shape)
