"""NumPy's functions, by the function object: what `__array_function__` is given and what takes its place."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.trace import (
    composed,
    decompositions,
    joining,
    library_calls,
    linalg,
    masks,
    nans,
    reductions,
    shapes,
    statistics,
    take,
)
from numfuse.compiler.trace.array import Array, fresh, weak
from numfuse.compiler.trace.einsum import einsum
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.indexing import reshaped_view
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.through import python_source, trace_through
from numfuse.compiler.trace.ufuncs import as_array, call_ufunc, cast, order_of, store
from numfuse.compiler.types import from_package, inexact, kind_of

Implementation = Callable[..., Any]


def call_function(recorder: Recorder, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """`function(*args, **kwargs)` for a function of NumPy; refuses one that is not known, naming the nearest that is."""
    implementation = FUNCTIONS.get(function) or decompositions.fourier(function)
    if implementation is not None:
        return implementation(recorder, *args, **kwargs)
    source = python_source(function)
    if function in WRITES_FILES:
        raise UnsupportedFunction(
            f"np.{function.__name__} would write while the function is traced, and not at each call; call it on the result, outside the jitted function"
        )
    if function in SHAPED_BY_VALUES:
        raise UnsupportedFunction(
            f"np.{function.__name__} has a shape that depends on values; the nearest that is supported: {SHAPED_BY_VALUES[function]}. Or compute it "
            "outside the jitted function, or pass fallback=True to jit, which runs it with NumPy"
        )
    if source is not None:
        return trace_through(recorder, source, args, kwargs)
    module = getattr(function, "__module__", "numpy").replace("numpy", "np", 1)
    name = f"{module}.{getattr(function, '__name__', function)}"
    near = difflib.get_close_matches(function.__name__, supported_names(), 1, 0.66) if module == "np" else []
    hint = f"; the nearest that is: np.{near[0]}" if near else ""
    raise UnsupportedFunction(f"{name} is not supported{hint}")


def supported_names() -> list[str]:
    return sorted({f.__name__ for f in FUNCTIONS})


def where(recorder: Recorder, condition: Any, *choices: Any) -> Any:
    if not choices:
        return masks.nonzero(recorder, condition)
    if len(choices) != 2:
        raise ValueError("either both or neither of x and y should be given")
    operands = [as_array(recorder, choice) for choice in choices]
    kinds = [operand.dtype if operand.weak in (None, bool) else operand.weak for operand in operands]
    if all(isinstance(kind, type) for kind in kinds):
        kinds = [operand.dtype for operand in operands]
    dtype = np.result_type(*[kind(0) if isinstance(kind, type) else kind for kind in kinds])
    test = cast(recorder, as_array(recorder, condition), np.dtype(bool))
    # a Python integer that does not fit is no error here, but wraps
    wide = [fresh(recorder, cast(recorder, one, one.dtype)) if one.weak is int else one for one in operands]
    node = recorder.make("where", test, *[cast(recorder, operand, dtype) for operand in wide])
    return fresh(recorder, node, strides=order_of(node.shape, [as_array(recorder, condition), *operands]))


def _zero_like(array: Array) -> Any:
    """A number that promotes as the array does."""
    return array.weak(0) if array.weak is not None else np.zeros((), array.dtype)


def clip(
    recorder: Recorder, a: Any, a_min: Any = np._NoValue, a_max: Any = np._NoValue, out: Any = None, *,
    min: Any = np._NoValue, max: Any = np._NoValue, dtype: Any = None, **kwargs: Any,
) -> Array:  # fmt: skip
    low = a_min if a_min is not np._NoValue else min
    high = a_max if a_max is not np._NoValue else max
    bounds = [
        (ufunc, as_array(recorder, bound))
        for ufunc, bound in ((np.maximum, low), (np.minimum, high))
        if bound is not None and bound is not np._NoValue
    ]
    result = as_array(recorder, a)
    if len(bounds) == 2 and dtype is None and from_package(result.dtype):  # np.clip has no loop for these types
        dtype = np.clip(np.zeros((), result.dtype), *[_zero_like(bound) for _, bound in bounds]).dtype
    for ufunc, bound in bounds:
        result = call_ufunc(recorder, ufunc, (result, bound), {} if dtype is None else {"dtype": dtype})
    if result is a:
        result = shapes.copy(recorder, result)
    return result if out is None else call_ufunc(recorder, np.positive, (result,), {"out": (out,)})


def round_(recorder: Recorder, a: Any, decimals: int = 0, out: Any = None) -> Array:
    array = as_array(recorder, a)
    kwargs = {} if out is None else {"out": (out,)}
    if array.dtype.kind in "iu" and decimals >= 0:
        made = shapes.copy(recorder, array)
        made.scalar = not made.shape
        return store(recorder, np.rint, made, out)
    if array.dtype.kind == "c":
        raise UnsupportedFunction("np.round of complex arrays is not supported; round the real and imaginary parts")
    if decimals == 0:
        return call_ufunc(recorder, np.rint, (array,), kwargs)
    first, last = (np.multiply, np.true_divide) if decimals > 0 else (np.true_divide, np.multiply)
    scaled = call_ufunc(recorder, first, (array, 10.0 ** abs(decimals)), {})
    if from_package(array.dtype):  # a Python float does not take their type
        scaled = scaled.astype(array.dtype)
    rounded = call_ufunc(recorder, last, (call_ufunc(recorder, np.rint, (scaled,), {}), 10.0 ** abs(decimals)), kwargs)
    return rounded if rounded.dtype == array.dtype or out is not None else rounded.astype(array.dtype)


def nan_to_num(
    recorder: Recorder, x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    array = as_array(recorder, x)
    if not copy:
        copyto(recorder, array, nan_to_num(recorder, array, True, nan, posinf, neginf))
        return array[()] if not array.ndim else array
    if array.dtype.kind == "c":
        result: Any = shapes.copy(recorder, array)
        for side in (result.real, result.imag):
            nan_to_num(recorder, side, False, nan, posinf, neginf)
        return result[()]
    if array.dtype.kind != "f" or not inexact(array.dtype):
        return shapes.copy(recorder, array)[()]
    limits = np.finfo(array.dtype)
    infinite = [(np.inf, limits.max if posinf is None else posinf), (-np.inf, limits.min if neginf is None else neginf)]
    result = where(recorder, call_ufunc(recorder, np.isnan, (array,), {}), nan, array)
    for infinity, finite in infinite:
        result = where(recorder, call_ufunc(recorder, np.equal, (array, infinity), {}), float(finite), result)
    return result[()]


def copyto(recorder: Recorder, dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    target, given = as_array(recorder, dst), as_array(recorder, src)
    fits = np.can_cast(given.dtype, target.dtype, casting)
    if given.weak not in (None, bool) and casting in (
        "same_kind",
        "safe",
    ):  # a Python number fits every dtype of its kind and above
        fits = kind_of(target.dtype) in {int: "iufc", float: "fc", complex: "c"}[given.weak]
    if not fits:
        raise TypeError(
            f"Cannot cast array data from {given.dtype!r} to {target.dtype!r} according to the rule '{casting}'"
        )
    target[...] = given if where is True else np.where(where, given, target)


def isclose(
    recorder: Recorder, a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Array:
    x, y = _number_or_array(recorder, a), _number_or_array(recorder, b)
    if isinstance(y, Array) and y.weak is None and y.dtype.kind in "biu":
        y = y.astype("f8")
    near: Any = abs(x - y) <= (atol + rtol * abs(y))
    result = (near & np.isfinite(y)) | (x == y)
    return result | (np.isnan(x) & np.isnan(y)) if equal_nan else result


def _number_or_array(recorder: Recorder, value: Any) -> Any:
    """Python's numbers stay weak."""
    plain = isinstance(value, (int, float, complex)) and not isinstance(value, (np.generic, Array))
    return value if plain else as_array(recorder, value)


def part(name: str) -> Implementation:
    def function(recorder: Recorder, val: Any) -> Array:
        array = as_array(recorder, val)
        if array.weak is complex:
            return weak(recorder, float, recorder.make(name, array.node))
        if array.weak is not None:
            return array if name == "real" else weak(recorder, array.weak, recorder.constant(0, array.dtype))
        if array.dtype.kind == "c":
            return array.through(name, tuple([2 * stride for stride in array.element_strides]))
        if name == "real":
            return reshaped_view(array, array.shape)
        zero = fresh(recorder, recorder.constant(0, array.dtype))
        if array.scalar:
            return zero[()]
        turned = shapes.lies_in(array, "F") and not shapes.lies_in(array, "C")
        strides = strides_of(array.shape[::-1])[::-1] if turned else strides_of(array.shape)
        return zero.through("broadcast_to", strides, shape=array.shape)  # not to be written to

    return function


def angle(recorder: Recorder, z: Any, deg: bool = False) -> Array:
    array = as_array(recorder, z)
    parts = (part("imag")(recorder, array), part("real")(recorder, array)) if array.dtype.kind == "c" else (0, array)
    result = call_ufunc(recorder, np.arctan2, parts, {})
    if deg:
        result *= 180 / np.pi
    return result


def shape_of(recorder: Recorder, a: Any) -> tuple[int, ...]:
    return a.shape


def ndim_of(recorder: Recorder, a: Any) -> int:
    return a.ndim


def size_of(recorder: Recorder, a: Any, axis: Any = None) -> int:
    return a.size if axis is None else a.shape[axis]


def result_type(recorder: Recorder, *arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*[a.dtype if isinstance(a, Array) else a for a in arrays_and_dtypes])


def may_share_memory(recorder: Recorder, a: Any, b: Any, max_work: Any = None) -> bool:
    return isinstance(a, Array) and isinstance(b, Array) and a.storage is b.storage


SHAPED_BY_VALUES = {
    **dict.fromkeys((np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values),
                    "numfuse.unique(x, size), or np.bincount with minlength="),
    **dict.fromkeys((np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d), "np.isin"),
    np.trim_zeros: "a slice", np.roots: "np.linalg.eigvals of the companion matrix", np.poly: "np.vander",
    np.polymul: "np.convolve", np.polydiv: "np.polyval",
}  # fmt: skip
"""Each with the nearest that has a static shape."""

WRITES_FILES = {np.save, np.savez, np.savez_compressed, np.savetxt}

FUNCTIONS: dict[Any, Implementation] = {
    **library_calls.FUNCTIONS, **statistics.FUNCTIONS, **decompositions.FUNCTIONS, **nans.FUNCTIONS, **composed.FUNCTIONS,
    **take.FUNCTIONS, np.einsum: einsum, np.nonzero: masks.nonzero, np.flatnonzero: masks.flatnonzero,
    # reductions
    np.sum: reductions.reduction(np.add), np.prod: reductions.reduction(np.multiply),
    np.max: reductions.extremum(np.maximum), np.min: reductions.extremum(np.minimum),
    np.amax: reductions.extremum(np.maximum), np.amin: reductions.extremum(np.minimum),
    np.any: reductions.extremum(np.logical_or), np.all: reductions.extremum(np.logical_and),
    np.mean: reductions.mean, np.var: reductions.variance, np.std: reductions.deviation,
    np.argmax: reductions.arg_extremum("argmax"), np.argmin: reductions.arg_extremum("argmin"),
    np.count_nonzero: reductions.count_nonzero, np.ptp: reductions.peak_to_peak,
    # shapes
    np.reshape: shapes.reshape, np.ravel: shapes.ravel, np.transpose: shapes.transpose, np.swapaxes: shapes.swapaxes,
    np.moveaxis: shapes.moveaxis, np.squeeze: shapes.squeeze, np.expand_dims: shapes.expand_dims,
    np.broadcast_to: shapes.broadcast_to, np.broadcast_arrays: shapes.broadcast_arrays,
    np.atleast_1d: shapes.at_least(1), np.atleast_2d: shapes.at_least(2), np.atleast_3d: shapes.at_least(3),
    np.flip: shapes.flip, np.fliplr: lambda r, m: shapes.flip(r, m, 1), np.flipud: lambda r, m: shapes.flip(r, m, 0),
    np.rot90: shapes.rot90, np.shape: shape_of, np.ndim: ndim_of, np.size: size_of, np.copy: shapes.copy,
    # joining, splitting, repeating, padding
    np.concatenate: joining.concatenate, np.stack: joining.stack, np.vstack: joining.stack_along(0, 2),
    np.hstack: joining.stack_along(1, 1), np.dstack: joining.stack_along(2, 3), np.column_stack: joining.column_stack,
    np.split: joining.split, np.array_split: joining.array_split, np.roll: joining.roll, np.tile: joining.tile,
    np.repeat: joining.repeat, np.diff: joining.diff, np.pad: joining.pad,
    # arrays like another
    np.zeros_like: shapes.like(0), np.ones_like: shapes.like(1), np.empty_like: shapes.like(0), np.full_like: shapes.full_like,
    np.astype: shapes.astype,
    # elementwise functions that are not ufuncs
    np.where: where, np.clip: clip, np.round: round_, np.around: round_, np.nan_to_num: nan_to_num, np.isclose: isclose,
    np.copyto: copyto, np.real: part("real"), np.imag: part("imag"), np.angle: angle,
    np.fix: lambda r, x, out=None: call_ufunc(r, np.trunc, (x,), {} if out is None else {"out": (out,)}),
    # products
    np.dot: linalg.dot, np.vdot: linalg.vdot, np.inner: linalg.inner, np.outer: linalg.outer, np.tensordot: linalg.tensordot,
    np.linalg.norm: linalg.norm, np.cross: linalg.cross,
    # questions about types
    np.result_type: result_type, np.may_share_memory: may_share_memory, np.shares_memory: may_share_memory,
    np.iscomplexobj: lambda r, x: x.dtype.kind == "c", np.isrealobj: lambda r, x: x.dtype.kind != "c",
}  # fmt: skip
