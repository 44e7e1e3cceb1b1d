"""NumPy's functions that become library calls: sorting, scans, statistics by order, searching, Fourier transforms, decompositions."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node, results_of
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import normalize, ravel, reshape
from numfuse.compiler.trace.ufuncs import as_array, store

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


def all_axes(array: Array, axis: Any) -> Any:
    """The axes of a reduction, counted from the end."""
    if axis is None:
        return tuple(range(-array.ndim, 0))
    if isinstance(axis, (tuple, list)):
        return tuple([normalize(operator.index(one), array.ndim) - array.ndim for one in axis])
    return normalize(operator.index(axis), array.ndim) - array.ndim


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
        array, place = along(recorder, a, axis)
        return call(recorder, op, array, axis=place, kind=_kind(op, kind, order, stable))

    return function


def partitioning(op: str) -> Implementation:
    def function(
        recorder: Recorder, a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> Array:
        array, place = along(recorder, a, axis)
        _kind(op, kind, order, None)
        at = (
            tuple([operator.index(k) for k in kth])
            if isinstance(kth, (tuple, list, np.ndarray))
            else operator.index(kth)
        )
        return call(recorder, op, array, kth=at, axis=place)

    return function


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
    if any(row.shape != rows[0].shape for row in rows):
        raise ValueError("all keys need to be the same shape")
    return call(recorder, "lexsort", *rows, axis=along(recorder, rows[0], axis)[1])


def _named(ufunc: np.ufunc) -> str:
    if getattr(np, ufunc.__name__, None) is not ufunc:
        raise UnsupportedFunction(f"{ufunc.__name__} is not a function of NumPy's main namespace")
    return ufunc.__name__


def accumulate(recorder: Recorder, ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Array:
    array = as_array(recorder, a)
    to = None if dtype is None else np.dtype(dtype)
    if not array.shape:
        raise TypeError("cannot accumulate on a scalar")
    result = call(recorder, "accumulate", array, ufunc=_named(ufunc), axis=along(recorder, array, axis)[1], dtype=to)
    return store(recorder, ufunc, result, out)


def scan(ufunc: np.ufunc) -> Implementation:
    """`np.cumsum` and `np.cumprod`: over the flattened array where there is no axis."""

    def function(recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
        array, place = along(recorder, a, axis)
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


# -- statistics by order, counting, searching ----------------------------------------------------------------------------


def quantile(op: str) -> Implementation:
    def function(
        recorder: Recorder, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None, interpolation: Any = None,
    ) -> Array:  # fmt: skip
        if weights is not None or interpolation is not None:
            raise UnsupportedFunction(f"np.{op} with weights= or interpolation= is not supported; use method=")
        array = as_array(recorder, a)
        static = isinstance(q, (int, float)) and not isinstance(q, np.generic)
        points = (
            q
            if static
            else tuple(q)
            if isinstance(q, (list, tuple)) and not any(isinstance(p, Array) for p in q)
            else None
        )
        keep = bool(keepdims) and keepdims is not np._NoValue
        operands = [array] if points is not None else [array, q]
        result = call(recorder, op, *operands, q=points, axis=all_axes(array, axis), method=method, keepdims=keep)
        return store(recorder, np.positive, result, out)

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
        array = as_array(recorder, a)
        keep = bool(keepdims) and keepdims is not np._NoValue
        return store(recorder, np.positive, call(recorder, op, array, axis=all_axes(array, axis), keepdims=keep), out)

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


def bincount(recorder: Recorder, x: Any, /, weights: Any = None, minlength: int = 0) -> Array:
    if not minlength:
        raise UnsupportedFunction(
            "np.bincount has a shape that depends on values; declare the number of bins with minlength=, or pass fallback=True to jit"
        )
    return call(recorder, "bincount", x, *([] if weights is None else [weights]), length=operator.index(minlength))


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
    _no_rule(bins)
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


# -- Fourier transforms --------------------------------------------------------------------------------------------------


def transform(op: str) -> Implementation:
    def function(recorder: Recorder, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
        array, place = along(recorder, a, axis)
        result = call(recorder, op, array, n=None if n is None else operator.index(n), axis=place, norm=norm)
        return store(recorder, np.positive, result, out)

    return function


# -- linear algebra ------------------------------------------------------------------------------------------------------


@functools.cache
def _result_type(name: str) -> Any:
    """The named tuple that `np.linalg.eigh` and the like return."""
    return type(getattr(np.linalg, name)(np.eye(1)))


def decomposition(op: str, *defaults: tuple[str, Any]) -> Implementation:
    """A function of stacks of matrices; `defaults`: its other arguments, all of them static."""

    def function(recorder: Recorder, a: Any, *args: Any, **kwargs: Any) -> Any:
        names = [name for name, _ in defaults]
        if len(args) > len(names) or not kwargs.keys() <= set(names[len(args) :]):
            raise TypeError(f"{op}() got an unexpected argument")
        given = {**dict(defaults), **dict(zip(names, args, strict=False)), **kwargs}
        traced = next((name for name, value in given.items() if isinstance(value, Array)), None)
        if traced is not None:
            raise UnsupportedFunction(f"np.linalg.{op} with a computed {traced}= is not supported; pass a plain number")
        results = call(recorder, op, a, **{name: value for name, value in given.items() if value is not np._NoValue})
        return _result_type(op)(*results) if isinstance(results, tuple) else results

    return function


def real_or_complex(op: str) -> Implementation:
    """Eigenvalues: real matrices give real or complex ones, by their values."""

    def function(recorder: Recorder, a: Any) -> Any:
        array = as_array(recorder, a)
        if array.dtype.kind != "c":
            raise UnsupportedFunction(
                f"np.linalg.{op} of a real matrix gives real or complex results, and that depends on values; use np.linalg.eigh for a "
                "symmetric matrix, pass a.astype(complex), or pass fallback=True to jit"
            )
        results = call(recorder, op, array)
        return _result_type(op)(*results) if isinstance(results, tuple) else results

    return function


def solve(recorder: Recorder, a: Any, b: Any) -> Array:
    left, right = as_array(recorder, a), as_array(recorder, b)
    if right.ndim != 1:
        return call(recorder, "solve", left, right)
    column = call(recorder, "solve", left, reshape(recorder, right, (right.size, 1)))
    return reshape(recorder, column, column.shape[:-1])


def lstsq(recorder: Recorder, a: Any, b: Any, rcond: Any = None) -> tuple[Array, ...]:
    left, right = as_array(recorder, a), as_array(recorder, b)
    for one in (left, right) if right.ndim != 1 else (left,):
        if one.ndim != 2:
            raise np.linalg.LinAlgError(f"{one.ndim}-dimensional array given. Array must be two-dimensional")
    columns = reshape(recorder, right, (right.size, 1)) if right.ndim == 1 else right
    x, residuals, rank, singular = call(recorder, "lstsq", left, columns, rcond=rcond)
    if right.ndim == 1:
        x = reshape(recorder, x, (x.size,))
    for one in (x, residuals, singular):
        one.scalar = False
    return x, residuals, rank, singular


def linear_algebra() -> dict[Any, Implementation]:
    none = np._NoValue
    linalg = np.linalg
    return {
        linalg.inv: decomposition("inv"), linalg.det: decomposition("det"), linalg.slogdet: decomposition("slogdet"),
        linalg.eig: real_or_complex("eig"), linalg.eigvals: real_or_complex("eigvals"),
        linalg.eigh: decomposition("eigh", ("UPLO", "L")), linalg.eigvalsh: decomposition("eigvalsh", ("UPLO", "L")),
        linalg.svd: decomposition("svd", ("full_matrices", True), ("compute_uv", True), ("hermitian", False)),
        linalg.qr: decomposition("qr", ("mode", "reduced")), linalg.cholesky: decomposition("cholesky", ("upper", none)),
        linalg.pinv: decomposition("pinv", ("rcond", none), ("hermitian", none), ("rtol", none)),
        linalg.matrix_rank: decomposition("matrix_rank", ("tol", none), ("hermitian", none), ("rtol", none)),
        linalg.cond: decomposition("cond", ("p", None)), linalg.solve: solve, linalg.lstsq: lstsq,
    }  # fmt: skip


@functools.cache
def fourier(function: Any) -> Implementation | None:
    """The implementation of a function of numpy.fft, which is not imported before the user's code does so."""
    name = getattr(function, "__name__", "")
    known = function.__module__ == "numpy.fft" and name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    return transform(name) if known else None


FUNCTIONS: dict[Any, Implementation] = {
    np.sort: sorting("sort"), np.argsort: sorting("argsort"), np.partition: partitioning("partition"),
    np.argpartition: partitioning("argpartition"), np.lexsort: lexsort, np.cumsum: scan(np.add), np.cumprod: scan(np.multiply),
    np.packbits: bits("packbits"), np.unpackbits: bits("unpackbits"),
    np.quantile: quantile("quantile"), np.nanquantile: quantile("nanquantile"), np.percentile: quantile("percentile"),
    np.nanpercentile: quantile("nanpercentile"), np.median: median("median"), np.nanmedian: median("nanmedian"),
    np.nanargmax: nan_arg("nanargmax"), np.nanargmin: nan_arg("nanargmin"),
    np.searchsorted: searchsorted, np.digitize: digitize, np.isin: isin, np.bincount: bincount,
    np.histogram: histogram, np.histogram2d: histogram2d,
    np.convolve: correlation("convolve", "full"), np.correlate: correlation("correlate", "valid"),
    **linear_algebra(),
}  # fmt: skip
