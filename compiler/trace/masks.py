"""Indexing with boolean arrays whose values only the run knows: `x[m]`, `a[m] = v`, and the places where a mask holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.ops.gather import INTP
from numfuse.compiler.trace import advanced
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.places import iota
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.selection import Selected, refused, same_value
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, size_of

SPARSE = 0.25
"""The share of an array that a constant mask has, up to which its places are written to one by one."""


def is_traced(part: Any) -> bool:
    """Whether an entry of an index is a mask that only the run knows, or a selection."""
    return isinstance(part, Selected) or (isinstance(part, Array) and part.dtype == np.bool_)


def _view(array: Array, parts: list[Any]) -> tuple[Array, Node, int]:
    """The array seen through the basic part of an index with one mask; the mask; and the axis of the view at which it starts."""
    from numfuse.compiler.trace.indexing import basic_view

    masks = [part for part in parts if advanced.is_places(part) or isinstance(part, Selected)]
    if len(masks) != 1 or isinstance(masks[0], Selected):
        raise refused("an index of several arrays")
    (mask,) = masks
    basic: list[Any] = []
    fancy: list[int] = []
    seen = before = 0
    for number, part in enumerate(parts):
        if part is mask:
            before = seen
            basic += [slice(None)] * mask.ndim
        else:
            basic.append(part)
        if part is mask or type(part) is int:
            fancy.append(number)
        seen += part is not Ellipsis and type(part) is not int
    view = basic_view(array, tuple(basic))
    if fancy[-1] - fancy[0] != len(fancy) - 1 and before:  # NumPy puts the selected axis first
        from numfuse.compiler.trace.shapes import moveaxis

        view = moveaxis(array.recorder, view, tuple(range(before, before + mask.ndim)), tuple(range(mask.ndim)))
        before = 0
    return view, mask.node, before


def select(array: Array, parts: list[Any]) -> Selected:
    """`array[...]` with a mask among the entries."""
    if array.recorder.lazy is not None:  # it can be had as it is
        raise refused("x[mask]")
    view, mask, at = _view(array, parts)
    return Selected(fresh(array.recorder, view.node), mask, at)


def assign(array: Array, parts: list[Any], value: Any) -> None:
    """`array[...] = value` with a mask among the entries."""
    recorder = array.recorder
    view, mask, at = _view(array, parts)
    chosen = Selected(view, mask, at)
    test = chosen.spread_mask()
    if isinstance(value, Selected):
        node = cast(recorder, chosen.fitted(value), view.dtype)
    else:
        given = as_array(recorder, value)
        while given.ndim > len(chosen.rest) + 1 and given.shape[0] == 1:
            given = fresh(recorder, recorder.make("reshape", given.node, shape=given.shape[1:]))
        many = given.ndim - len(chosen.rest) - 1
        if many == 0 and given.shape[0] != 1 and not at and mask.shape:
            _as_many(recorder, given.shape, mask, chosen.rest)
            node = in_turn(recorder, mask, cast(recorder, given, view.dtype))
        else:
            node = cast(recorder, chosen.fitted(given), view.dtype)
    if np.broadcast_shapes(node.shape, view.shape) != view.shape:
        raise ValueError(f"shape mismatch: value array of shape {node.shape} could not be broadcast to indexing result")
    view.write(recorder.make("where", test, broadcast_node(recorder, node, view.shape), view.node))


def _as_many(recorder: Recorder, given: Shape, mask: Node, rest: Shape) -> None:
    """Has the call check that the mask selects as many elements as are given."""
    axes = tuple(range(len(mask.shape)))
    count = recorder.make("sum", cast(recorder, fresh(recorder, mask), INTP), axis=axes)
    wrong = recorder.make("not_equal", count, recorder.constant(given[0], INTP))

    def error(selected: np.ndarray) -> Exception:
        if not rest and len(given) == 1:
            return ValueError(
                f"NumPy boolean array indexing assignment cannot assign {given[0]} input values to the {selected} output values where the mask is true"
            )
        told = str(given).replace(" ", ""), str((int(selected), *rest)).replace(" ", "")
        return ValueError(
            f"shape mismatch: value array of shape {told[0]} could not be broadcast to indexing result of shape {told[1]}"
        )

    check(recorder, wrong, count, error)


def in_turn(recorder: Recorder, mask: Node, values: Node) -> Node:
    """For each element that the mask selects, the next of `values`, which start again at their end; in the mask's shape."""
    size = size_of(mask.shape)
    if not values.shape[0] or not size:
        return recorder.make("broadcast_to", recorder.constant(0, values.dtype), shape=mask.shape + values.shape[1:])
    flat = recorder.make("reshape", cast(recorder, fresh(recorder, mask), INTP), shape=(size,))
    before = recorder.make(
        "subtract", recorder.make("accumulate", flat, ufunc="add", axis=-1, dtype=INTP), recorder.constant(1, INTP)
    )
    turn = recorder.make("remainder", before, recorder.constant(values.shape[0], INTP))
    return recorder.make("gather", values, recorder.make("reshape", turn, shape=mask.shape), axes=(0,), at=0)


# -- where a mask holds --------------------------------------------------------------------------------------------------


def nonzero(recorder: Recorder, a: Any) -> tuple[Selected, ...]:
    array = as_array(recorder, a)
    if recorder.lazy is not None:
        raise refused("np.nonzero")
    if not array.shape:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.")
    mask = cast(recorder, array, np.dtype(bool))
    places = [
        broadcast_node(recorder, iota(recorder, n, k, array.ndim), array.shape) for k, n in enumerate(array.shape)
    ]
    return tuple([Selected(fresh(recorder, place), mask, 0, k) for k, place in enumerate(places)])


def flatnonzero(recorder: Recorder, a: Any) -> Selected:
    array = as_array(recorder, a)
    return nonzero(recorder, fresh(recorder, recorder.make("reshape", array.node, shape=(array.size,))))[0]


def read_at(array: Array, places: Selected) -> Selected:
    """`array[places]` of a selection of integers."""
    recorder = array.recorder
    if places.dtype.kind not in "iu" or places.at:
        raise refused("as an index")
    inside = recorder.make("where", places.spread_mask(), places.array.node, recorder.constant(0, places.dtype))
    return Selected(fresh(recorder, array[fresh(recorder, inside)].node), places.mask)


def check_values(array: Array, keys: tuple[Any, ...], value: Any) -> None:
    """NumPy's error where a mask of all axes, and nothing else, is the index of an assignment of an array of several axes."""
    if len(keys) != 1 or isinstance(keys[0], Selected) or isinstance(value, Selected):
        return
    mask, ndim = advanced.understood(array.recorder, keys[0]), as_array(array.recorder, value).ndim
    if advanced.is_mask(mask) and mask.ndim == array.ndim and ndim > 1:
        raise TypeError(
            f"NumPy boolean array indexing assignment requires a 0 or 1-dimensional input, input has {ndim} dimensions"
        )


def many(recorder: Recorder, keys: tuple[Any, ...], value: Any) -> Array | None:
    """The constant mask that is the whole index of an assignment of one number to many elements: one pass over them, and no list of places."""
    if len(keys) != 1 or isinstance(value, Selected) or not isinstance(keys[0], (Array, np.ndarray)):
        return None
    mask = advanced.understood(recorder, keys[0])
    if type(mask) is not np.ndarray or not mask.ndim or np.count_nonzero(mask) <= SPARSE * mask.size:
        return None
    return None if as_array(recorder, value).ndim else advanced.held(recorder, mask)


def from_places(key: Any) -> Any:
    """The mask behind an index that is what `np.nonzero(mask)` gives; else the index."""
    keys = key if isinstance(key, tuple) else (key,)
    if not keys or not all(isinstance(part, Selected) for part in keys):
        return key
    first = keys[0].mask
    as_found = [part.axis == k and same_value(part.mask, first) for k, part in enumerate(keys)]
    return fresh(keys[0].recorder, first) if all(as_found) and len(keys) == len(first.shape) else key
