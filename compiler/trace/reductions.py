"""Reductions of traced arrays: sum, mean, var, argmax and their kin, with NumPy's dtypes, axes and keepdims."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.layouts import kept_order, strides_of
from numfuse.compiler.ops import operator, same_axes
from numfuse.compiler.trace import library_calls
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import REDUCTIONS, as_array, broadcast_node, call_ufunc, cast, resolve, targets_of
from numfuse.compiler.types import NARROW, from_package, supported

NOT_GIVEN: Any = np._NoValue


def ufunc_reduce(
    recorder: Recorder,
    ufunc: np.ufunc,
    array: Array,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = NOT_GIVEN,
    where: Any = True,
) -> Array:
    """`ufunc.reduce`; the ufuncs that have a row in the table are the ones that join in any order."""
    if ufunc not in REDUCTIONS:
        if where is not True or initial is not NOT_GIVEN:
            raise UnsupportedFunction(f"np.{ufunc.__name__}.reduce with initial= or where= is not supported")
        return library_calls.reduce(recorder, ufunc, array, axis, dtype, targets_of(out, 1)[0], keepdims)
    if axis is None or (not array.ndim and axis in (0, -1)):  # NumPy lets a 0-d array have an axis here
        axes = same_axes(None, array.ndim)
    else:
        axes = same_axes(axis, array.ndim)
    array_dtype = supported(array.dtype)
    if dtype is not None:
        array_dtype = supported(dtype)
    elif out is not None:
        target = as_array(recorder, targets_of(out, 1)[0])
        array_dtype = resolve(ufunc, (supported(target.dtype), array_dtype), None)[0]
    elif (
        ufunc in (np.add, np.multiply) and array_dtype.kind in "biu"
    ):  # NumPy sums small integers in the default integer
        array_dtype = np.dtype("u8") if array_dtype.kind == "u" else np.dtype("i8")
    elif ufunc in (np.logical_or, np.logical_and):
        array_dtype = np.dtype(bool)
    name = REDUCTIONS[ufunc]
    if array_dtype.kind == "c" and ufunc not in (np.add, np.multiply):
        if where is not True or initial is not NOT_GIVEN:
            raise UnsupportedFunction(
                f"np.{ufunc.__name__}.reduce of complex arrays with initial= or where= is not supported; use np.where first"
            )
        return _by_library(recorder, "reduce", array, axes, keepdims, out, ufunc=ufunc.__name__, axis=-1, dtype=None)
    node = cast(recorder, array, array_dtype)
    if where is not True:
        node = _only_where(recorder, ufunc, name, node, where, initial)
    if initial is not NOT_GIVEN and name in ("max", "min", "fmax_reduce", "fmin_reduce"):
        node, axes_now = _nonempty(recorder, node, axes, initial)
        result = recorder.make(name, node, axis=axes_now)
    else:
        result = recorder.make(name, node, axis=axes)
    if initial is not NOT_GIVEN and initial is not None:
        start = cast(recorder, as_array(recorder, initial), array_dtype)
        result = recorder.make(operator(name).combine, start, result)
    return finish(recorder, result, array, axes, keepdims, out)


def _by_library(
    recorder: Recorder, op: str, array: Array, axes: tuple[int, ...], keepdims: Any, out: Any, **params: Any
) -> Array:
    """A reduction of rows that has no kernel: complex numbers are compared by their real parts, and then by their imaginary ones."""
    rows, _ = library_calls.as_rows(recorder, array, axes, False)
    return finish(recorder, library_calls.call(recorder, op, rows, **params).node, array, axes, keepdims, out)


def _only_where(recorder: Recorder, ufunc: np.ufunc, name: str, node: Node, where: Any, initial: Any) -> Node:
    """`node` with the operator's identity where `where` is false."""
    if ufunc.identity is None and initial is NOT_GIVEN:
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to specify 'initial'"
        )
    identity = operator(name).identity
    assert identity is not None
    mask = cast(recorder, as_array(recorder, where), np.dtype(bool))
    mask = broadcast_node(recorder, mask, np.broadcast_shapes(mask.shape, node.shape))
    return recorder.make("where", mask, node, recorder.constant(identity(node.dtype), node.dtype))


def _nonempty(recorder: Recorder, node: Node, axes: tuple[int, ...], initial: Any) -> tuple[Node, tuple[int, ...]]:
    """For max and min of no elements, which `initial` makes lawful: an array of one element instead."""
    if 0 not in [node.shape[a] for a in axes]:
        return node, axes
    shape = tuple(1 if a in axes else n for a, n in enumerate(node.shape))
    return recorder.make("broadcast_to", cast(recorder, as_array(recorder, initial), node.dtype), shape=shape), axes


def finish(recorder: Recorder, node: Node, array: Array, axes: tuple[int, ...], keepdims: Any, out: Any) -> Array:
    """The result of a reduction, with `keepdims` and `out`."""
    if keepdims and keepdims is not NOT_GIVEN:
        node = recorder.make("reshape", node, shape=tuple(1 if a in axes else n for a, n in enumerate(array.shape)))
    result = fresh(recorder, node, scalar=True)
    if len(node.shape) > 1:
        kept = [k for k in range(array.ndim) if (keepdims and keepdims is not NOT_GIVEN) or k not in axes]
        strides = [0 if k in axes else array.element_strides[k] for k in kept]
        result.element_strides = kept_order(node.shape, [(node.shape, strides)])
    if out is None:
        return result
    target = as_array(recorder, out[0] if isinstance(out, tuple) else out)
    if target.shape != result.shape:
        raise ValueError(
            f"output parameter for reduction operation has wrong shape: {target.shape} instead of {result.shape}"
        )
    target.write(cast(recorder, result, target.dtype))
    return target


def reduction(ufunc: np.ufunc) -> Any:
    """A function with the signature of `np.sum`."""

    def reduce(
        recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = NOT_GIVEN, where: Any = True,
    ) -> Array:  # fmt: skip
        where = True if where is NOT_GIVEN else where
        return ufunc_reduce(recorder, ufunc, as_array(recorder, a), axis, dtype, out, keepdims, initial, where)

    return reduce


def extremum(ufunc: np.ufunc) -> Any:
    """A function with the signature of `np.max`, which has no dtype."""

    def reduce(
        recorder: Recorder,
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NOT_GIVEN,
        where: Any = True,
    ) -> Array:
        where = True if where is NOT_GIVEN else where
        return ufunc_reduce(recorder, ufunc, as_array(recorder, a), axis, None, out, keepdims, initial, where)

    return reduce


def _count(recorder: Recorder, array: Array, axis: Any, where: Any) -> Any:
    """How many elements go into each result: a Python int, or an array where a mask says which."""
    if where is True or where is NOT_GIVEN:
        count = 1
        for a in same_axes(axis, array.ndim):
            count *= array.shape[a]
        return count
    mask = cast(recorder, as_array(recorder, where), np.dtype(bool))
    mask = broadcast_node(recorder, mask, array.shape)
    return ufunc_reduce(recorder, np.add, fresh(recorder, mask), axis, keepdims=False)


def mean(
    recorder: Recorder,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    where: Any = True,
) -> Array:
    """As `np.mean`: integers in float64, narrow floats summed in float32."""
    array = as_array(recorder, a)
    narrow = dtype is None and array.dtype in NARROW
    if dtype is None:
        dtype = np.dtype("f8") if array.dtype.kind in "biu" else np.dtype("f4") if narrow else array.dtype
    where = True if where is NOT_GIVEN else where
    keepdims = keepdims is not NOT_GIVEN and bool(keepdims)
    total = ufunc_reduce(recorder, np.add, array, axis, dtype, out, keepdims, where=where)
    count = _count(recorder, array, axis, where)
    result = call_ufunc(recorder, np.true_divide, (total, _divisor(recorder, count, total)), {})
    if out is not None:  # the sum is put there, and divided in its type
        total.write(cast(recorder, result, total.dtype))
        return total
    return fresh(recorder, cast(recorder, result, array.dtype), scalar=True) if narrow else result


def _divisor(recorder: Recorder, count: Any, total: Array) -> Any:
    """A count to divide a sum by: in its dtype and, where the sum has kept the reduced axes, in its shape."""
    if not isinstance(count, Array):
        return count
    node = cast(recorder, count, total.dtype)
    return fresh(
        recorder, node if node.shape == total.shape else recorder.make("reshape", node, shape=total.shape), scalar=True
    )


def variance(
    recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False,
    where: Any = True, mean: Any = NOT_GIVEN, correction: Any = NOT_GIVEN,
) -> Array:  # fmt: skip
    """As `np.var`: the mean of the squared distances from the mean, in two passes; of ml_dtypes' floats, in float32."""
    array = as_array(recorder, a)
    narrow = array.dtype if dtype is None and from_package(array.dtype) else None
    if narrow is not None:
        array = fresh(recorder, cast(recorder, array, np.dtype("f4")))
    if correction is not NOT_GIVEN:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    where = True if where is NOT_GIVEN else where
    if dtype is None and array.dtype.kind in "biu":
        dtype = np.dtype("f8")
    count = _count(recorder, array, axis, where)
    if mean is NOT_GIVEN:
        total = ufunc_reduce(recorder, np.add, array, axis, dtype, None, True, where=where)
        mean = call_ufunc(recorder, np.true_divide, (total, _divisor(recorder, count, total)), {})
    distance = call_ufunc(recorder, np.subtract, (array, mean), {})
    if distance.dtype.kind == "c":
        squares = [
            call_ufunc(recorder, np.square, (fresh(recorder, recorder.make(part, distance.node)),), {})
            for part in ("real", "imag")
        ]
        square = call_ufunc(recorder, np.add, squares, {})
        dtype = None
    else:
        square = call_ufunc(recorder, np.multiply, (distance, distance), {})
    keepdims = keepdims is not NOT_GIVEN and bool(keepdims)
    total = ufunc_reduce(recorder, np.add, square, axis, dtype, None, keepdims, where=where)
    free = np.maximum(count - ddof, 0) if isinstance(count, Array) else max(count - ddof, 0)
    result = call_ufunc(recorder, np.true_divide, (total, _divisor(recorder, free, total)), {})
    if narrow is not None:
        result = fresh(recorder, cast(recorder, result, narrow), scalar=True)
    if out is None:
        return result
    target = as_array(recorder, out)
    target.write(cast(recorder, result, target.dtype))
    return target


def deviation(recorder: Recorder, a: Any, *args: Any, out: Any = None, **kwargs: Any) -> Array:
    """As `np.std`."""
    return call_ufunc(
        recorder, np.sqrt, (variance(recorder, a, *args, **kwargs),), {} if out is None else {"out": (out,)}
    )


def arg_extremum(name: str) -> Any:
    """A function with the signature of `np.argmax`."""

    def reduce(recorder: Recorder, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Array:
        array = as_array(recorder, a)
        axis = None if not array.ndim and axis in (0, -1) else axis
        if array.dtype.kind == "c":
            return _by_library(recorder, f"{name}_complex", array, same_axes(axis, array.ndim), keepdims, out)
        node = array.node
        if axis is None:
            flat = recorder.make("reshape", node, shape=(array.size,))
            result = recorder.make(name, flat, axis=(0,))
            return finish(recorder, result, array, same_axes(None, array.ndim), keepdims, out)
        axes = same_axes(axis, array.ndim)
        made = finish(recorder, recorder.make(name, node, axis=axes), array, axes, keepdims, out)
        if out is None:
            made.element_strides = strides_of(made.shape)
        return made

    return reduce


def count_nonzero(recorder: Recorder, a: Any, axis: Any = None, *, keepdims: Any = False) -> Array:
    array = as_array(recorder, a)
    flags = fresh(recorder, cast(recorder, array, np.dtype(bool)))
    return ufunc_reduce(recorder, np.add, flags, axis, np.dtype("i8"), None, keepdims)


def peak_to_peak(recorder: Recorder, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Array:
    high = extremum(np.maximum)(recorder, a, axis, None, keepdims)
    low = extremum(np.minimum)(recorder, a, axis, None, keepdims)
    return call_ufunc(recorder, np.subtract, (high, low), {} if out is None else {"out": (out,)})
