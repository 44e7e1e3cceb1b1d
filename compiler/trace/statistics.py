"""Statistics by order, counting, searching and fitting, as library calls."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.layouts import kept_order
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.library_calls import along, as_rows, call
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import reshape
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, store
from numfuse.compiler.types import from_package

Implementation = Callable[..., Any]


def _plain(q: Any) -> Any:
    """Nested lists of numbers as tuples; None where there is an array in them."""
    if isinstance(q, (list, tuple)):
        parts = [_plain(part) for part in q]
        return None if any(part is None for part in parts) else tuple(parts)
    return q if isinstance(q, (int, float)) and not isinstance(q, np.generic) else None


def quantile(op: str) -> Implementation:
    def function(
        recorder: Recorder, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None, interpolation: Any = None,
    ) -> Array:  # fmt: skip
        if weights is not None or interpolation is not None:
            raise UnsupportedFunction(f"np.{op} with weights= or interpolation= is not supported; use method=")
        rows, shape = as_rows(recorder, a, axis, keepdims)
        points = _plain(q)
        operands = [rows] if points is not None else [rows, q]
        result = call(recorder, op, *operands, q=points, method=method)
        leading = result.shape[: result.ndim - rows.ndim + 1]
        return store(recorder, np.positive, reshape(recorder, result, (*leading, *shape)), out)

    return function


def median(op: str) -> Implementation:
    def function(
        recorder: Recorder,
        a: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        keepdims: Any = False,
    ) -> Array:
        rows, shape = as_rows(recorder, a, axis, keepdims)
        return store(recorder, np.positive, reshape(recorder, call(recorder, op, rows, axis=-1), shape), out)

    return function


def nan_arg(op: str) -> Implementation:
    def function(recorder: Recorder, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Array:
        array, place = along(recorder, a, axis)
        keep = bool(keepdims) and keepdims is not np._NoValue
        result = call(recorder, op, array, axis=place, keepdims=keep and axis is not None)
        if keep and axis is None:
            result = reshape(recorder, result, (1,) * as_array(recorder, a).ndim)
        return store(recorder, np.positive, result, out)

    return function


def searchsorted(recorder: Recorder, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Array:
    return call(recorder, "searchsorted", a, v, *([] if sorter is None else [sorter]), side=side)


def digitize(recorder: Recorder, x: Any, bins: Any, right: bool = False) -> Array:
    return call(recorder, "digitize", x, bins, right=bool(right))


def isin(
    recorder: Recorder,
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Array:
    result = call(recorder, "isin", element, test_elements, assume_unique=assume_unique, invert=invert, kind=kind)
    result.scalar = False
    return result


def interp(recorder: Recorder, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Array:
    """The C function behind `np.interp`, which sees to the period."""
    points, values = as_array(recorder, xp), as_array(recorder, fp)
    if points.ndim != 1 or values.ndim != 1:
        raise ValueError(
            "object too deep for desired array"
            if max(points.ndim, values.ndim) > 1
            else "object of too small depth for desired array"
        )
    if points.shape != values.shape:
        raise ValueError("fp and xp are not of the same length.")
    if not points.size:
        raise ValueError("array of sample points is empty")
    ends = [values[0] if left is None else left, values[-1] if right is None else right]
    return call(recorder, "interp", x, points, values, *([] if left is None and right is None else ends))


def polyfit(
    recorder: Recorder, x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Array:
    if full or cov or isinstance(deg, (list, tuple, np.ndarray)):
        raise UnsupportedFunction("np.polyfit with full=, cov= or a list of degrees is not supported")
    points, values = as_array(recorder, x), as_array(recorder, y)
    if points.ndim != 1 or not points.size or values.ndim not in (1, 2) or len(points) != len(values):
        raise TypeError("expected x and y to have same length, x a vector and y of one or two axes")
    weights = [] if w is None else [w]
    return call(recorder, "polyfit", points, values, *weights, deg=operator.index(deg), rcond=rcond)


def ravel_multi_index(recorder: Recorder, multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Array:
    parts = [as_array(recorder, part) for part in multi_index]
    shape = np.broadcast_shapes(*[part.shape for part in parts])
    spread = [broadcast_node(recorder, part.node, shape) for part in parts]
    modes = mode if isinstance(mode, str) else tuple(mode)
    made = call(recorder, "ravel_multi_index", *spread, dims=_extents(dims), mode=modes, order=order)
    made.element_strides = kept_order(shape, [(part.shape, part.element_strides) for part in parts])
    return made


def _extents(dims: Any) -> tuple[int, ...]:
    return tuple([operator.index(n) for n in (dims if isinstance(dims, (tuple, list)) else (dims,))])


def bincount(recorder: Recorder, x: Any, /, weights: Any = None, minlength: int = 0) -> Array:
    if not minlength:
        raise UnsupportedFunction(
            "np.bincount has a shape that depends on values; declare the number of bins with minlength=, or pass fallback=True to jit"
        )
    if weights is not None and np.ndim(x) == np.ndim(weights) == 1 and 0 != np.size(x) != np.size(weights):
        raise ValueError("The weights and list don't have the same length.")
    given = [] if weights is None or not np.size(x) else [weights]  # of no values NumPy counts, whatever their weights
    return call(recorder, "bincount", x, *given, length=operator.index(minlength))


def _range(given: Any) -> Any:
    if given is None:
        return None
    if any(isinstance(end, Array) for end in given):
        raise UnsupportedFunction("a range= of computed values is not supported; pass the edges as bins=")
    return tuple([_range(part) if isinstance(part, (tuple, list)) else part for part in given])


def _is_count(bins: Any) -> bool:
    return isinstance(bins, (int, np.integer))


def histogram(
    recorder: Recorder, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if weights is not None and np.shape(weights) != np.shape(a):
        raise ValueError("weights should have the same shape as a.")
    _no_rule(bins)
    if _is_count(bins) and from_package(as_array(recorder, a).dtype):
        raise UnsupportedFunction(
            "np.histogram of this dtype has edges whose dtype depends on the values; convert it first, x.astype('f4'), or pass the edges as bins="
        )
    operands = ([] if _is_count(bins) else [bins]) + ([] if weights is None else [weights])
    return call(
        recorder, "histogram", a, *operands, edges=not _is_count(bins), weighted=weights is not None, bins=int(bins) if _is_count(bins) else None,
        range=_range(range), density=bool(density),
    )  # fmt: skip


def histogram2d(
    recorder: Recorder, x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    _no_rule(bins)
    pair = list(bins) if isinstance(bins, (tuple, list)) and len(bins) == 2 else [bins, bins]
    operands = [one for one in pair if not _is_count(one)] + ([] if weights is None else [weights])
    return call(
        recorder, "histogram2d", x, y, *operands, edges=tuple([not _is_count(one) for one in pair]), weighted=weights is not None,
        bins=tuple([int(one) if _is_count(one) else None for one in pair]), range=_range(range), density=bool(density),
    )  # fmt: skip


def _no_rule(bins: Any) -> None:
    if isinstance(bins, str):
        raise UnsupportedFunction(
            f"a histogram with bins={bins!r} has a shape that depends on values; pass the number of bins or their edges"
        )


def correlation(op: str, default: str) -> Implementation:
    def function(recorder: Recorder, a: Any, v: Any, mode: str = default) -> Array:
        first, second = as_array(recorder, a), as_array(recorder, v)
        if op == "convolve":  # scalars are arrays of one element
            first, second = (reshape(recorder, x, (1,)) if not x.ndim else x for x in (first, second))
        if first.ndim != 1 or second.ndim != 1:
            raise ValueError(
                "object too deep for desired array"
                if max(first.ndim, second.ndim) > 1
                else "object of too small depth for desired array"
            )
        return call(recorder, op, first, second, mode=_mode(mode))

    return function


def _mode(mode: Any) -> str:
    known = {
        "full": "full",
        "same": "same",
        "valid": "valid",
        "f": "full",
        "s": "same",
        "v": "valid",
        0: "valid",
        1: "same",
        2: "full",
    }
    if mode not in known:
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got '{mode}')")
    return known[mode]


FUNCTIONS: dict[Any, Implementation] = {
    np.quantile: quantile("quantile"), np.nanquantile: quantile("nanquantile"), np.percentile: quantile("percentile"),
    np.nanpercentile: quantile("nanpercentile"), np.median: median("median"), np.nanmedian: median("nanmedian"),
    np.nanargmax: nan_arg("nanargmax"), np.nanargmin: nan_arg("nanargmin"),
    np.polyfit: polyfit, np.ravel_multi_index: ravel_multi_index,
    np.searchsorted: searchsorted, np.digitize: digitize, np.isin: isin, np.bincount: bincount,
    np.histogram: histogram, np.histogram2d: histogram2d,
    np.convolve: correlation("convolve", "full"), np.correlate: correlation("correlate", "valid"),
}  # fmt: skip
