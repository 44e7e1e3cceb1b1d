"""Products and norms that are composed of matmul, multiply and sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.ops import same_axes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.reductions import extremum, reduction
from numfuse.compiler.trace.shapes import reshape, transpose
from numfuse.compiler.trace.through import python_source, trace_through
from numfuse.compiler.trace.ufuncs import as_array, call_ufunc, cast
from numfuse.compiler.types import from_package, inexact, size_of


def matmul(recorder: Recorder, a: Any, b: Any) -> Array:
    return call_ufunc(recorder, np.matmul, (a, b), {})


def dot(recorder: Recorder, a: Any, b: Any, out: Any = None) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    if not left.shape or not right.shape:
        result = call_ufunc(recorder, np.multiply, (_strong(left), _strong(right)), {})
    elif left.ndim == right.ndim == 1:
        if left.shape != right.shape:
            raise ValueError(
                f"shapes ({left.shape[0]},) and ({right.shape[0]},) not aligned: {left.shape[0]} (dim 0) != {right.shape[0]} (dim 0)"
            )
        narrow = _narrow_product(left, right)
        product = call_ufunc(recorder, np.multiply, (left, right), {} if narrow is None else {"dtype": np.dtype("f4")})
        result = reduction(np.add)(recorder, product, None, product.dtype)
        result = result if narrow is None else fresh(recorder, cast(recorder, result, narrow), scalar=True)
    else:
        result = tensordot(recorder, left, right, ((left.ndim - 1,), (max(right.ndim - 2, 0),)))
    if out is None:
        return result
    target = as_array(recorder, out)
    if (target.shape, target.dtype) != (result.shape, result.dtype):
        raise ValueError(
            "output array is not acceptable (must have the right datatype, number of dimensions, and be a C-Array)"
        )
    target.write(cast(recorder, result, target.dtype))
    return target


def _narrow_product(left: Array, right: Array) -> np.dtype | None:
    """The type of a product of ml_dtypes' floats that is no ufunc: these sum in float32 and round once."""
    if not (from_package(left.dtype) or from_package(right.dtype)):
        return None
    to = np.result_type(left.dtype, right.dtype)
    return to if from_package(to) else None


def _strong(array: Array) -> Array:
    """Products are no ufuncs: a Python number is an array of its own dtype to them."""
    return array if array.weak is None else fresh(array.recorder, array.node, scalar=True)


def vdot(recorder: Recorder, a: Any, b: Any) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    if left.dtype.kind == "c":
        left = call_ufunc(recorder, np.conjugate, (left,), {})
    return dot(recorder, reshape(recorder, left, (left.size,)), reshape(recorder, right, (right.size,)))


def inner(recorder: Recorder, a: Any, b: Any) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    if not left.shape or not right.shape:
        return call_ufunc(recorder, np.multiply, (_strong(left), _strong(right)), {})
    result = tensordot(recorder, left, right, ((left.ndim - 1,), (right.ndim - 1,)))
    result.scalar = not result.shape
    return result


def outer(recorder: Recorder, a: Any, b: Any, out: Any = None) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    column = reshape(recorder, left, (left.size, 1))
    return call_ufunc(
        recorder,
        np.multiply,
        (column, reshape(recorder, right, (1, right.size))),
        {} if out is None else {"out": (out,)},
    )


def tensordot(recorder: Recorder, a: Any, b: Any, axes: Any = 2) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    if isinstance(axes, (int, np.integer)):
        of_left: Any = tuple(range(left.ndim - int(axes), left.ndim))
        of_right: Any = tuple(range(int(axes)))
    else:
        of_left, of_right = (tuple(k) if isinstance(k, (tuple, list)) else (k,) for k in axes)
    of_left = [k % left.ndim for k in of_left]
    of_right = [k % right.ndim for k in of_right]
    if [left.shape[k] for k in of_left] != [right.shape[k] for k in of_right]:
        raise ValueError(f"shapes {left.shape} and {right.shape} not aligned: the summed axes differ")
    rows = [k for k in range(left.ndim) if k not in of_left]
    columns = [k for k in range(right.ndim) if k not in of_right]
    summed = size_of([left.shape[k] for k in of_left])
    first = reshape(
        recorder, transpose(recorder, left, rows + of_left), (size_of([left.shape[k] for k in rows]), summed)
    )
    second = reshape(
        recorder, transpose(recorder, right, of_right + columns), (summed, size_of([right.shape[k] for k in columns]))
    )
    product, narrow = matmul(recorder, first, second), _narrow_product(left, right)
    product = product if narrow is None else fresh(recorder, cast(recorder, product, narrow))
    result = reshape(recorder, product, tuple(left.shape[k] for k in rows) + tuple(right.shape[k] for k in columns))
    result.scalar = False  # a full contraction is a 0-d array
    return result


def norm(recorder: Recorder, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    array = as_array(recorder, x)
    if not inexact(array.dtype):
        array = fresh(recorder, cast(recorder, array, np.dtype("f8")))
    if isinstance(axis, tuple) and len(axis) == 1:
        (axis,) = axis
    if axis is not None:
        same_axes(axis, array.ndim)
    vector = array.ndim == 1 if axis is None else not isinstance(axis, tuple)
    size = call_ufunc(recorder, np.absolute, (array,), {})
    if ord is None or (ord == 2 and vector) or (ord == "fro" and not vector):
        return call_ufunc(
            recorder,
            np.sqrt,
            (reduction(np.add)(recorder, call_ufunc(recorder, np.square, (size,), {}), axis, None, None, keepdims),),
            {},
        )
    if vector and ord == np.inf:
        return extremum(np.maximum)(recorder, size, axis, None, keepdims)
    if vector and ord == -np.inf:
        return extremum(np.minimum)(recorder, size, axis, None, keepdims)
    if vector and ord == 1:
        return reduction(np.add)(recorder, size, axis, None, None, keepdims)
    source = python_source(np.linalg.norm)
    assert source is not None
    return trace_through(recorder, source, (array, ord, axis, keepdims), {})


def cross(recorder: Recorder, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """NumPy's source. Two vectors go as a row each: it computes with elements through `out=...`, which NumPy does not tell its protocols."""
    left, right = as_array(recorder, a), as_array(recorder, b)
    source = python_source(np.cross)
    assert source is not None
    if left.ndim == right.ndim == 1 and 3 in (left.size, right.size) and not args and not kwargs:
        return trace_through(recorder, source, (left[None], right[None]), {})[0]
    return trace_through(recorder, source, (a, b, *args), kwargs)
