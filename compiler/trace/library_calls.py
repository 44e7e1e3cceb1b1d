"""NumPy's functions that become library calls: how they are recorded, and sorting and scans."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node, results_of
from numfuse.compiler.layouts import copied_order
from numfuse.compiler.ops import same_axes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import normalize, one_axis, ravel, reshape, transpose
from numfuse.compiler.trace.ufuncs import NUMPYS, as_array, store
from numfuse.compiler.types import Shape, size_of

Implementation = Callable[..., Any]


def call(recorder: Recorder, op: str, *operands: Any, **params: Any) -> Any:
    """The library operator `op` of these operands; several results come as a tuple."""
    node = recorder.make(
        op, *[one if isinstance(one, Node) else as_array(recorder, one).node for one in operands], **params
    )
    specs = results_of(node)
    if len(specs) == 1:
        return fresh(recorder, node, scalar=True)
    return tuple(
        [
            fresh(recorder, recorder.make("get", node, result=k, shape=one.shape, dtype=one.dtype), scalar=True)
            for k, one in enumerate(specs)
        ]
    )


def along(recorder: Recorder, a: Any, axis: Any) -> tuple[Array, int]:
    """`a` and its axis, counted from the end; without an axis, `a` as one row."""
    array = as_array(recorder, a)
    if axis is None:
        return ravel(recorder, array), -1
    return array, normalize(operator.index(axis), array.ndim) - array.ndim


def as_rows(recorder: Recorder, a: Any, axis: Any, keepdims: Any) -> tuple[Array, Shape]:
    """`a` with the reduced axes as its last one, and the shape of the result."""
    array = as_array(recorder, a)
    axes = same_axes(tuple(axis) if isinstance(axis, list) else axis, array.ndim)
    kept = [k for k in range(array.ndim) if k not in axes]
    shape = tuple([array.shape[k] for k in kept])
    rows = reshape(
        recorder, transpose(recorder, array, [*kept, *axes]), (*shape, size_of([array.shape[k] for k in axes]))
    )
    if keepdims and keepdims is not np._NoValue:
        shape = tuple([1 if k in axes else n for k, n in enumerate(array.shape)])
    return rows, shape


# -- sorting and scans ---------------------------------------------------------------------------------------------------


def _kind(function: str, kind: Any, order: Any, stable: Any) -> str | None:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    if stable is not None and kind is not None:
        raise ValueError("`kind` and `stable` parameters can't be provided at the same time. Use only one of them.")
    return "stable" if stable else kind


def sorting(op: str) -> Implementation:
    def function(
        recorder: Recorder, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> Array:
        array, place = along(recorder, one_axis(recorder, a, axis) if op == "argsort" else a, axis)
        result = call(recorder, op, array, axis=place, kind=_kind(op, kind, order, stable))
        return _as_copied(result, array) if op == "sort" else result

    return function


def partitioning(op: str) -> Implementation:
    def function(
        recorder: Recorder, a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> Array:
        array, place = along(recorder, one_axis(recorder, a, axis) if op == "argpartition" else a, axis)
        _kind(op, kind, order, None)
        at = (
            tuple([operator.index(k) for k in kth])
            if isinstance(kth, (tuple, list, np.ndarray))
            else operator.index(kth)
        )
        count = array.shape[place] if array.shape else 1
        for k in at if isinstance(at, tuple) else (at,):
            if array.size and not -count <= k < count:
                raise ValueError(f"kth(={k if k >= 0 else k + count}) out of bounds ({count})")
        result = call(recorder, op, array, kth=at, axis=place)
        return _as_copied(result, array) if op == "partition" else result

    return function


def _as_copied(result: Array, array: Array) -> Array:
    """`result`, which NumPy makes in a copy of `array`, or in its order."""
    result.element_strides = copied_order(array.shape, array.element_strides)
    return result


def in_place(op: str) -> Callable[..., None]:
    """The method that does to the array what the function does to a copy."""
    function = sorting(op) if op == "sort" else partitioning(op)

    def method(self: Array, *args: Any, **kwargs: Any) -> None:
        made = function(self.recorder, self, *args, **kwargs)
        if made.shape != self.shape:
            raise TypeError("'NoneType' object cannot be interpreted as an integer")
        self.write(made.node)

    return method


def lexsort(recorder: Recorder, keys: Any, axis: int = -1) -> Array:
    rows = [as_array(recorder, key) for key in keys]
    if rows and not rows[0].shape:
        raise UnsupportedFunction("np.lexsort of one key is not supported; pass a list of keys, np.lexsort([key])")
    if any(row.shape != rows[0].shape for row in rows):
        raise ValueError("all keys need to be the same shape")
    return call(recorder, "lexsort", *rows, axis=along(recorder, rows[0], axis)[1])


def _named(ufunc: np.ufunc) -> str:
    if NUMPYS.get(ufunc.__name__) is not ufunc:
        raise UnsupportedFunction(f"{ufunc.__name__} is not a function of NumPy's main namespace")
    return ufunc.__name__


def accumulate(recorder: Recorder, ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Array:
    array = as_array(recorder, a)
    to = None if dtype is None else np.dtype(dtype)
    if not array.shape:
        raise TypeError("cannot accumulate on a scalar")
    result = call(recorder, "accumulate", array, ufunc=_named(ufunc), axis=along(recorder, array, axis)[1], dtype=to)
    return store(recorder, ufunc, _as_copied(result, array), out)


def scan(ufunc: np.ufunc) -> Implementation:
    """`np.cumsum` and `np.cumprod`: over the flattened array where there is no axis."""

    def function(recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
        array, place = along(recorder, one_axis(recorder, a, axis), axis)
        return accumulate(recorder, ufunc, array, place, dtype, out)

    return function


def reduce(recorder: Recorder, ufunc: np.ufunc, a: Array, axis: Any, dtype: Any, out: Any, keepdims: bool) -> Array:
    """`ufunc.reduce` where the order of the elements matters: one axis."""
    if isinstance(axis, tuple) and len(axis) == 1:
        (axis,) = axis
    if isinstance(axis, tuple) or (axis is None and a.ndim > 1):
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
        )
    place = along(recorder, a, 0 if axis is None else axis)[1]
    made = call(
        recorder, "reduce", a, ufunc=_named(ufunc), axis=place, dtype=None if dtype is None else np.dtype(dtype)
    )
    if keepdims:
        made = reshape(recorder, made, tuple([1 if k == a.ndim + place else n for k, n in enumerate(a.shape)]))
    return store(recorder, ufunc, made, out)


def reduceat(
    recorder: Recorder, ufunc: np.ufunc, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Array:
    if isinstance(indices, Array):
        raise UnsupportedFunction(
            f"np.{ufunc.__name__}.reduceat with computed indices is not supported; pass a list of integers"
        )
    at = tuple([operator.index(k) for k in indices])
    array, place = along(recorder, a, axis)
    bad = next((k for k in at if not 0 <= k < array.shape[place]), None)
    if bad is not None:
        raise IndexError(f"index {bad} out-of-bounds in {ufunc.__name__}.reduceat [0, {array.shape[place]})")
    to = None if dtype is None else np.dtype(dtype)
    result = call(recorder, "reduceat", array, ufunc=_named(ufunc), indices=at, axis=place, dtype=to)
    return store(recorder, ufunc, result, out)


def bits(op: str) -> Implementation:
    def function(recorder: Recorder, a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big") -> Array:
        array, place = along(recorder, a, axis)
        counted = {} if op == "packbits" else {"count": count}
        return call(recorder, op, array, axis=place, bitorder=bitorder, **counted)

    return function


FUNCTIONS: dict[Any, Implementation] = {
    np.sort: sorting("sort"), np.argsort: sorting("argsort"), np.partition: partitioning("partition"),
    np.argpartition: partitioning("argpartition"), np.lexsort: lexsort, np.cumsum: scan(np.add), np.cumprod: scan(np.multiply),
    np.packbits: bits("packbits"), np.unpackbits: bits("unpackbits"),
}  # fmt: skip
