"""Draws that take library calls besides the random bits: choices, permutations, correlated normal numbers.

An order is that of random 64-bit numbers: two of a million are equal once in 30 million times, and then their order is that of the sort. A choice
without replacement is the beginning of such an order, with weights by P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", 2006.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.random import Draw, Stream, integers, number_of, shape_of
from numfuse.compiler.trace.ufuncs import as_array
from numfuse.compiler.types import size_of


def choice(
    stream: Stream, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0, shuffle: bool = True
) -> Any:
    count, items = _population(stream, a, axis)
    shape = shape_of(size, [])
    wanted = size_of(shape)
    if count <= 0 and wanted:
        raise ValueError(
            "a must be a positive integer unless no samples are taken"
            if items is None
            else "a cannot be empty unless no samples are taken"
        )
    if not replace and wanted > count:
        raise ValueError("Cannot take a larger sample than population when replace is False")
    if p is None and (replace or wanted == 1):
        places = integers(stream, 0, max(count, 1), size)
    elif p is None:
        places = _order(stream, count)[:wanted].reshape(shape)
    else:
        places = _weighted(stream, count, p, shape, replace)
    if items is not None:
        return np.take(items, places, axis=axis)
    return places if size is not None else number_of(stream._recorder, as_array(stream._recorder, places), int)


def _population(stream: Stream, a: Any, axis: int) -> tuple[int, Array | None]:
    """How many there are to choose from, and what, where that is not the numbers from 0."""
    if not isinstance(a, (Array, np.ndarray, list, tuple)) or (isinstance(a, Array) and a.weak is not None):
        return operator.index(a), None
    items = as_array(stream._recorder, a)
    if not items.ndim:
        raise TypeError("a must be a sequence or an integer, not a 0-d array")
    return items.shape[axis], items


def _weighted(stream: Stream, count: int, p: Any, shape: tuple[int, ...], replace: bool) -> Any:
    if not isinstance(p, Array):
        p = np.asarray(p, "f8")
        np.random.default_rng(0).choice(count, shape, replace, p)  # NumPy's errors for probabilities
    if p.shape != (count,):
        raise ValueError("a and p must have same size" if p.ndim == 1 else "p must be 1-dimensional")
    if not replace:
        draw = Draw(stream, (count,))
        return np.argsort(draw.shaped(draw.exponential()) / p)[: size_of(shape)].reshape(shape)
    ends = np.cumsum(p)
    draw = Draw(stream, shape)
    return np.searchsorted(ends / ends[-1], draw.shaped(draw.uniform()), side="right")


def _order(stream: Stream, count: int) -> Any:
    draw = Draw(stream, (count,))
    return np.argsort(draw.shaped(draw.bits(0, 64)))


def permutation(stream: Stream, x: Any, axis: int = 0) -> Any:
    count, items = _population(stream, x, axis)
    order = _order(stream, count)
    return order if items is None else np.take(items, order, axis=axis)


def permuted(stream: Stream, x: Any, *, axis: int | None = None, out: Any = None) -> Any:
    items = as_array(stream._recorder, x)
    if axis is None:
        made = np.take(items.reshape(-1), _order(stream, items.size)).reshape(items.shape)
    else:
        draw = Draw(stream, items.shape)
        made = np.take_along_axis(items, np.argsort(draw.shaped(draw.bits(0, 64)), axis=axis), axis)
    if out is None:
        return made
    as_array(stream._recorder, out)[...] = made
    return out


def shuffle(stream: Stream, x: Any, axis: int = 0) -> None:
    if not isinstance(x, (Array, np.ndarray)):
        raise UnsupportedFunction(
            f"shuffle of a {type(x).__name__} is not supported in a jitted function; shuffle an array"
        )
    items = as_array(stream._recorder, x)
    if not items.ndim:
        raise TypeError("Argument must be a sequence, not a 0-d array")
    items[...] = np.take(items, _order(stream, items.shape[axis]), axis=axis)


def multivariate_normal(
    stream: Stream,
    mean: Any,
    cov: Any,
    size: Any = None,
    check_valid: Any = "warn",
    tol: float = 1e-8,
    *,
    method: Any = "svd",
) -> Any:
    if not isinstance(mean, Array) and not isinstance(cov, Array):
        np.random.default_rng(0).multivariate_normal(mean, cov, None, check_valid, tol, method=method)  # NumPy's errors
    mean, cov = (as_array(stream._recorder, given) for given in (mean, cov))
    if mean.ndim != 1 or cov.ndim != 2 or cov.shape != (mean.shape[0], mean.shape[0]):
        raise ValueError("mean must be 1 dimensional, and cov must be 2 dimensional and square, of the same length")
    _, singular, rows = np.linalg.svd(cov)
    draw = Draw(stream, (*shape_of(size, []), mean.shape[0]))
    return mean + draw.shaped(draw.normal()) @ (np.sqrt(singular)[:, None] * rows)
