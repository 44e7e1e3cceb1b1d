"""Rows that read and write at places that are computed: `x[i]` with integer arrays.

`scatter` is an array with values at such places, in their order: of those that are meant for one element the last stays, or each is combined with
what stands there. `put` means the same, and writes into the memory of its first operand.

`scan` writes too: along an axis, each element of the value is joined with what stands before its place, which is one further than its own.

`gather` takes an array and one array of places for each of its `axes`. Its places lie within the array: `wrap_index`, which the trace
puts before it, counts negative ones from the end and keeps the others inside (a check of its own raises IndexError). In a kernel
such a place is an `Element`, a part of an index like any other, so that views and cheap operators between the array and the reader fuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numfuse.compiler.index import ZERO, Element, Index
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.ops.views import broadcast_index
from numfuse.compiler.types import Shape, Spec, broadcast

if TYPE_CHECKING:
    from numfuse.compiler.graph import Node

Params = Mapping[str, Any]
Indices = tuple[Index, ...]
INTP = np.dtype("i8")


def gathered_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    """The shape of `gather`: the places' shape stands at axis `at`, before and after it the axes of the array that are not indexed."""
    source, *places = shapes
    axes, at = params["axes"], params["at"]
    if len(axes) != len(places) or sorted(set(axes)) != sorted(axes) or not all(0 <= a < len(source) for a in axes):
        raise ValueError("gather takes an array of places for each of its axes")
    kept = tuple([n for a, n in enumerate(source) if a not in axes])
    return (*kept[:at], *broadcast(*places), *kept[at:])


def infer_gather(operands: Sequence[Spec], params: Params) -> tuple[Shape, np.dtype]:
    source, *places = operands
    if any(place.dtype != INTP for place in places):
        raise TypeError("gather takes places of dtype int64")
    return gathered_shape([operand.shape for operand in operands], params), source.dtype


def numpy_index(ndim: int, places: Sequence[Any], axes: Shape) -> tuple[Any, ...]:
    """The index whose result has the places' axes first."""
    index: list[Any] = [slice(None)] * ndim
    for axis, place in zip(axes, places, strict=True):
        index[axis] = place
    return tuple(index)


def places_first(x: Any, axes: Shape) -> Any:
    """`x` with its indexed axes first."""
    return np.moveaxis(x, axes, range(len(axes)))


def reference_gather(x: Any, *places: Any, axes: Shape, at: int) -> Any:
    result = places_first(x, axes)[places]
    ndim = np.broadcast(*places).ndim
    return np.moveaxis(result, range(ndim), range(at, at + ndim))


def gathered(node: Node, index: Indices) -> tuple[list[Indices], Indices]:
    """For an element of a `gather` node: the index into each array of places, and the index into the array."""
    source, *places = node.inputs
    return _inside(source.shape, places, node.params, index)


def put_at(node: Node, index: Indices) -> tuple[list[Indices], Indices]:
    """For an element of the value of a `put` node: the index into each array of places, and where in the first operand it goes."""
    base, _, *places = node.inputs
    return _inside(base.shape, places, node.params, index)


def written_at(node: Node, index: Indices) -> Indices:
    """Where a write in place puts the element of its value at `index`, in its first operand."""
    if node.op == "put":
        return put_at(node, index)[1]
    if node.op == "scan":
        return tuple([part + (axis == node.params["axis"]) for axis, part in enumerate(index)])
    places = zip(index, node.params["start"], node.params["step"], strict=True)
    return tuple([part * step + start for part, start, step in places])


def _inside(shape: Shape, places: Sequence[Node], params: Params, index: Indices) -> tuple[list[Indices], Indices]:
    axes, at = params["axes"], params["at"]
    ndim = len(index) - len(shape) + len(axes)
    within = index[at : at + ndim]
    inside: list[Index] = [ZERO] * len(shape)
    for axis, part in zip(
        [a for a in range(len(shape)) if a not in axes], (*index[:at], *index[at + ndim :]), strict=True
    ):
        inside[axis] = part
    of_places = [broadcast_index(place.shape, within) for place in places]
    for axis, place, where in zip(axes, places, of_places, strict=True):
        inside[axis] = element(place, where, shape[axis])
    return of_places, tuple(inside)


def element(array: Node, index: Indices, extent: int) -> Index:
    """The element of an array of places as part of an index: a number or an axis where it is known to be one."""
    if extent == 1:
        return ZERO
    if array.op == "constant" and not array.shape:
        return Index(int(array.params["value"]))
    if array.op == "iota":
        return index[array.params["axis"]]
    return Index(0, ((Element(array, index, extent), 1),))


def infer_wrap_index(operands: Sequence[Spec], params: Params) -> tuple[Shape, np.dtype]:
    (operand,) = operands
    if operand.dtype != INTP or params["extent"] < 0:
        raise TypeError("wrap_index takes places of dtype int64 and the extent of an axis")
    return operand.shape, operand.dtype


def reference_wrap_index(i: Any, extent: int) -> Any:
    return np.clip(np.where(i < 0, i + extent, i), 0, max(extent - 1, 0))


def infer_scatter(operands: Sequence[Spec], params: Params) -> tuple[Shape, np.dtype]:
    base, value, *places = operands
    shape = gathered_shape([base.shape, *[place.shape for place in places]], params)
    if value.shape != shape or any(place.dtype != INTP for place in places):
        raise TypeError(f"scatter takes places of dtype int64 and a value of shape {shape}")
    if not params["combine"] and value.dtype != base.dtype:
        raise TypeError("scatter takes a base and a value of one dtype")
    return base.shape, base.dtype


def reference_scatter(base: Any, value: Any, *places: Any, axes: Shape, at: int, combine: str) -> Any:
    result = base.copy()
    ndim = np.broadcast(*places).ndim
    target, given = places_first(result, axes), np.moveaxis(value, range(at, at + ndim), range(ndim))
    if combine:
        ufunc = getattr(np, combine)
        ufunc.at(target, places[0] if len(places) == 1 else tuple(places), *([given] if ufunc.nin == 2 else []))
    else:
        target[tuple(places)] = given
    return result


def infer_scan(operands: Sequence[Spec], params: Params) -> tuple[Shape, np.dtype]:
    base, value = operands
    rest = tuple([n - (a == params["axis"]) for a, n in enumerate(base.shape)])
    if value.shape != rest or value.dtype != base.dtype:
        raise TypeError(f"scan takes a value of shape {rest} and dtype {base.dtype}")
    return base.shape, base.dtype


def reference_scan(base: Any, value: Any, axis: int, combine: str) -> Any:
    first = np.take(base, [0], axis)
    return getattr(np, combine).accumulate(np.concatenate([first, value], axis), axis=axis, dtype=base.dtype)


ROWS = [
    Operator(name="scatter", kind="library", reference=reference_scatter, infer=infer_scatter, cost=4),
    Operator(name="put", kind="store", reference=reference_scatter, infer=infer_scatter, cost=4),
    Operator(name="gather", kind="gather", reference=reference_gather, infer=infer_gather, cost=4),
    Operator(name="scan", kind="store", reference=reference_scan, infer=infer_scan, cost=4),
    Operator(
        name="wrap_index",
        kind="elementwise",
        reference=reference_wrap_index,
        infer=infer_wrap_index,
        code={"i": "wrap_index({0}, {extent})"},
        cost=3,
    ),
]
