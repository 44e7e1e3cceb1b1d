"""Functions that NumPy decides by values, or writes through masks, composed so that they can be traced."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.ops import same_axes
from numfuse.compiler.trace.array import Array, weak
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.joining import concatenate
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import normalize, ravel
from numfuse.compiler.trace.ufuncs import as_array

Implementation = Callable[..., Any]


def truth(recorder: Recorder, value: Any) -> Any:
    """A Python bool that has no value yet."""
    return weak(recorder, bool, value.node) if isinstance(value, Array) else bool(value)


def allclose(recorder: Recorder, a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    return truth(recorder, np.all(np.isclose(a, b, rtol, atol, equal_nan)))


def array_equal(recorder: Recorder, a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    first, second = as_array(recorder, a1), as_array(recorder, a2)
    if first.shape != second.shape:
        return False
    same: Any = first == second
    if equal_nan:
        same = same | (np.isnan(first) & np.isnan(second))
    return truth(recorder, np.all(same))


def array_equiv(recorder: Recorder, a1: Any, a2: Any) -> Any:
    try:
        np.broadcast_shapes(np.shape(a1), np.shape(a2))
    except ValueError:
        return False
    return truth(recorder, np.all(np.equal(a1, a2)))


def average(
    recorder: Recorder,
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = np._NoValue,
) -> Any:
    array = as_array(recorder, a)
    keep = keepdims is not np._NoValue and bool(keepdims)
    if weights is None:
        mean: Any = np.mean(array, axis, keepdims=keep)
        if not mean.size:
            raise ZeroDivisionError("division by zero")  # as NumPy's count of elements for each mean
        return (mean, np.full_like(mean, array.size / mean.size)[()]) if returned else mean
    given: Any = as_array(recorder, weights)
    axes = same_axes(axis, array.ndim)
    if given.shape != array.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if given.shape != tuple([array.shape[k] for k in axes]):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        order = [tuple(axis).index(k) for k in axes] if isinstance(axis, tuple) else [0]
        given = np.transpose(given, order).reshape([n if k in axes else 1 for k, n in enumerate(array.shape)])
    kind = np.result_type(array.dtype, given.dtype, *(["f8"] if array.dtype.kind in "biu" else []))
    scale = (
        np.sum(given, axis=axis, dtype=kind, keepdims=keep)
        if given.shape == array.shape
        else np.sum(given, axis=axes, dtype=kind, keepdims=True)
    )
    total = np.sum(np.multiply(array, given, dtype=kind), axis, keepdims=keep)
    if scale.shape != total.shape:
        scale = np.broadcast_to(scale if keep else np.squeeze(scale, axis=axes), total.shape).copy()
    zero = recorder.make("equal", scale.node, recorder.constant(0, scale.dtype))
    check(recorder, zero, scale.node, lambda _: ZeroDivisionError("Weights sum to zero, can't be normalized"))
    result = np.true_divide(total, scale)
    return (result, scale) if returned else result


def linspace(
    recorder: Recorder, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """numpy/_core/function_base.py, with both of its formulas: the one for steps that underflow, and the other."""
    count = operator.index(num)
    if count < 0:
        raise ValueError(f"Number of samples, {count}, must be non-negative.")
    division = count - 1 if endpoint else count
    first, last = as_array(recorder, start), as_array(recorder, stop)
    kind = (
        np.result_type(first.dtype, last.dtype, float(count))
        if first.weak is None or last.weak is None
        else np.dtype("f8")
    )
    integer = dtype is not None and np.issubdtype(dtype, np.integer)
    low, high = (
        first.astype(kind) if first.weak is None else first * 1.0,
        last.astype(kind) if last.weak is None else last * 1.0,
    )
    delta = np.subtract(high, low)
    places = np.arange(count, dtype=delta.dtype if delta.dtype.kind != "c" else None).reshape((-1,) + (1,) * delta.ndim)
    if division > 0:
        step = delta / division
        made = np.where(step == 0, places / division * delta, places * step)
    else:
        step = np.multiply(delta, np.nan)
        made = places * delta
    made = made + low
    if endpoint and count > 1:
        made = concatenate(recorder, [made[:-1], np.broadcast_to(high, made.shape[1:])[None]], 0)
    if axis != 0:
        made = np.moveaxis(made, 0, axis)
    if integer:
        made = np.floor(made)
    made = made.astype(kind if dtype is None else dtype)
    return (made, step) if retstep else made


def delete(recorder: Recorder, arr: Any, obj: Any, axis: Any = None) -> Any:
    array = as_array(recorder, arr)
    if axis is None:
        array, axis = ravel(recorder, array), 0
    axis = normalize(operator.index(axis), array.ndim)
    places = _static(obj, "obj")
    kept = np.delete(np.arange(array.shape[axis]), places)
    if isinstance(places, slice) or (np.size(places) == 1 and np.asarray(places).dtype != bool):
        return _ordered_as(array, np.take(array, kept, axis=axis))
    return array[(slice(None),) * axis + (np.isin(np.arange(array.shape[axis]), kept),)]


def _ordered_as(array: Array, made: Any) -> Any:
    """A new array, which lies in memory in Fortran's order where `array` does."""
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        made.element_strides = strides_of(made.shape[::-1])[::-1]
    return made


def insert(recorder: Recorder, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Numbers of elements are inserted, and then the elements gathered."""
    array = as_array(recorder, arr)
    if axis is None:
        array, axis = ravel(recorder, array), 0
    axis = normalize(operator.index(axis), array.ndim)
    extent = array.shape[axis]
    places = _static(obj, "obj")
    if isinstance(places, slice):
        places = np.arange(extent)[places]
    elif np.asarray(places).dtype == bool:
        places = np.flatnonzero(places)
    new = as_array(recorder, values).astype(array.dtype)
    new = new.reshape((1,) * (array.ndim - new.ndim) + new.shape)
    if np.ndim(places) == 0:
        new = np.moveaxis(new, 0, axis)
    count = new.shape[axis] if np.size(places) == 1 else np.size(places)
    new = np.broadcast_to(new, (*array.shape[:axis], count, *array.shape[axis + 1 :]))
    numbers = np.insert(np.arange(extent), places, extent + np.arange(count))
    return _ordered_as(array, np.take(concatenate(recorder, [array, new], axis), numbers, axis=axis))


def piecewise(recorder: Recorder, x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """numpy/lib/_function_base_impl.py; each function is called with the selection of its elements."""
    array = as_array(recorder, x)
    functions = list(funclist)
    several = isinstance(condlist, (list, tuple)) or np.ndim(condlist) > 0
    single = not several or (array.ndim > 0 and not isinstance(condlist[0], (list, np.ndarray)))
    conditions = [condlist] if single else list(condlist)
    conditions = [as_array(recorder, one).astype(bool) for one in conditions]
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(np.stack([np.broadcast_to(one, array.shape) for one in conditions]), axis=0))
    elif len(functions) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    result: Any = np.zeros_like(array)
    for condition, function in zip(conditions, functions, strict=True):
        result[condition] = function(array[condition], *args, **kw) if callable(function) else function
    return result


def sliding_window_view(
    recorder: Recorder, x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Array:
    """A view, which sees later writes."""
    array = as_array(recorder, x)
    sizes = tuple(
        [operator.index(n) for n in (window_shape if isinstance(window_shape, (tuple, list)) else (window_shape,))]
    )
    if any(size < 0 for size in sizes):
        raise ValueError("`window_shape` cannot contain negative values")
    if axis is None:
        axes = tuple(range(array.ndim))
        if len(sizes) != array.ndim:
            raise ValueError(
                f"Since axis is None, must provide window_shape for all dimensions of `x`; got {len(sizes)} window_shape elements and "
                f"`x.ndim` is {array.ndim}."
            )
    else:
        axes = tuple(
            [
                normalize(operator.index(one), array.ndim)
                for one in (axis if isinstance(axis, (tuple, list)) else (axis,))
            ]
        )
        if len(sizes) != len(axes):
            raise ValueError(
                f"Must provide matching length window_shape and axis; got {len(sizes)} window_shape elements and {len(axes)} axes elements."
            )
    left = list(array.shape)
    for one, size in zip(axes, sizes, strict=True):
        if left[one] < size:
            raise ValueError("window shape cannot be larger than input array shape")
        left[one] -= size - 1
    if writeable:
        raise UnsupportedFunction("sliding_window_view with writeable=True is not supported; write to the array itself")
    return array.through(
        "windows", (*array.element_strides, *[array.element_strides[one] for one in axes]), axis=axes, size=sizes
    )


def _static(value: Any, name: str) -> Any:
    """`value` where it holds nothing traced."""
    if isinstance(value, Array):
        return operator.index(value)
    return value


FUNCTIONS: dict[Any, Implementation] = {
    np.average: average,
    np.piecewise: piecewise, np.lib.stride_tricks.sliding_window_view: sliding_window_view,
    np.allclose: allclose, np.array_equal: array_equal, np.array_equiv: array_equiv, np.linspace: linspace, np.delete: delete, np.insert: insert,
}  # fmt: skip
