"""The functions that leave NaN out: np.nanmax, np.nanmean, np.nanvar and their kin, as numpy/lib/_nanfunctions_impl.py defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.trace import reductions
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import as_array, call_ufunc, store
from numfuse.compiler.types import inexact

Implementation = Callable[..., Any]
NOT_GIVEN: Any = np._NoValue


def without_nan(fill: Any, reduce: Implementation) -> Implementation:
    """NaN counts as `fill`."""

    def function(recorder: Recorder, a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Array:
        array: Any = as_array(recorder, a)
        if inexact(array.dtype):
            array = np.where(np.isnan(array), array.dtype.type(fill), array)
        return reduce(recorder, array, axis, *args, **kwargs)

    return function


def extremum(ufunc: np.ufunc) -> Implementation:
    """np.nanmax by np.fmax, np.nanmin by np.fmin."""
    return reductions.extremum(ufunc)


def _counts(array: Any, axis: Any, where: Any) -> Any:
    """How many elements are not NaN, on axes of one element."""
    return np.sum(
        ~np.isnan(array), axis=axis, dtype=np.intp, keepdims=True, where=True if where is NOT_GIVEN else where
    )


def _shaped(recorder: Recorder, kept: Any, axis: Any, keepdims: Any, like: Any) -> Any:
    if keepdims and keepdims is not NOT_GIVEN:
        return kept
    result = np.squeeze(kept, axis=tuple(range(kept.ndim)) if axis is None else axis)
    result.scalar = not result.shape
    return result


def mean(
    recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NOT_GIVEN, *, where: Any = NOT_GIVEN
) -> Any:  # fmt: skip
    array = as_array(recorder, a)
    chosen = {} if where is NOT_GIVEN else {"where": where}
    if not inexact(array.dtype):
        return np.mean(
            array, axis=axis, dtype=dtype, out=out, keepdims=bool(keepdims) and keepdims is not NOT_GIVEN, **chosen
        )
    total = np.sum(_zeroed(array), axis=axis, dtype=dtype, keepdims=True, **chosen)
    kept = _divided(recorder, total, _counts(array, axis, where))
    return store(recorder, np.positive, _shaped(recorder, kept, axis, keepdims, array), out, casting="unsafe")


def _zeroed(array: Any) -> Any:
    return np.where(np.isnan(array), array.dtype.type(0), array)


def _divided(recorder: Recorder, total: Any, count: Any) -> Any:
    """In the total's dtype, as NumPy divides in place."""
    return np.true_divide(total, count).astype(total.dtype)


def variance(
    recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = NOT_GIVEN, *,
    where: Any = NOT_GIVEN, mean: Any = NOT_GIVEN, correction: Any = NOT_GIVEN,
) -> Any:  # fmt: skip
    array = as_array(recorder, a)
    ddof = ddof if correction is NOT_GIVEN else correction
    chosen = {} if where is NOT_GIVEN else {"where": where}
    if not inexact(array.dtype):
        keep = bool(keepdims) and keepdims is not NOT_GIVEN
        return np.var(array, axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keep, **chosen)
    count = _counts(array, axis, where)
    if mean is NOT_GIVEN:
        mean = _divided(recorder, np.sum(_zeroed(array), axis=axis, dtype=dtype, keepdims=True, **chosen), count)
    apart = np.where(np.isnan(array), array.dtype.type(0), np.subtract(array, mean).astype(array.dtype))
    squares = np.multiply(apart, np.conj(apart)).real if apart.dtype.kind == "c" else np.multiply(apart, apart)
    total = np.sum(squares, axis=axis, dtype=dtype, keepdims=True, **chosen)
    freedom = count - ddof
    kept = np.where(freedom <= 0, total.dtype.type(np.nan), _divided(recorder, total, freedom))
    return store(recorder, np.positive, _shaped(recorder, kept, axis, keepdims, array), out, casting="unsafe")


def deviation(
    recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any
) -> Any:
    spread = variance(recorder, a, axis, dtype, None, *args, **kwargs)
    return call_ufunc(recorder, np.sqrt, (spread,), {} if out is None else {"out": (out,)})


FUNCTIONS: dict[Any, Implementation] = {
    np.nansum: without_nan(0, reductions.reduction(np.add)), np.nanprod: without_nan(1, reductions.reduction(np.multiply)),
    np.nanmax: extremum(np.fmax), np.nanmin: extremum(np.fmin),
    np.nanmean: mean, np.nanvar: variance, np.nanstd: deviation,
}  # fmt: skip
