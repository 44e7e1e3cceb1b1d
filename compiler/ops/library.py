"""Rows that are calls of NumPy's own functions: sorting, scans, transforms, decompositions, statistics.

Their type rules ask NumPy: a batched function is called on an empty batch (a leading axis of 0 elements), which costs nothing and gives its shapes,
dtypes and errors; the others are called on arrays of one element a side, for their dtypes. Axes are counted from the end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator, infer_results, together
from numfuse.compiler.types import Shape, Spec, supported

Params = Mapping[str, Any]
Results = Callable[[Sequence[Spec], Params], list[Spec]]


def _tuple(made: Any) -> tuple[Any, ...]:
    return tuple(made) if isinstance(made, (tuple, list)) else (made,)


def row(name: str, function: Callable[..., Any], results: Results) -> Operator:
    """A library row; `function(*operands, **params)` returns an array, or a tuple of them."""

    def reference(*operands: Any, **params: Any) -> Any:
        made = function(*operands, **params)
        return made if type(made) is np.ndarray else together(_tuple(made))

    return Operator(
        name=name,
        kind="library",
        reference=reference,
        infer=infer_results(results),
        results=results,
        cost=20,
    )


def _asking(ask: Callable[..., list[Spec]]) -> Results:
    """A type rule that asks NumPy, once for each combination."""
    remembered = functools.lru_cache(maxsize=4096)(lambda specs, params: tuple(ask(specs, dict(params))))

    def results(operands: Sequence[Spec], params: Params) -> list[Spec]:
        key: tuple[tuple[str, Hashable], ...] = tuple(sorted(params.items()))
        with np.errstate(all="ignore"):
            return list(remembered(tuple(operands), key))

    return results


def _specs(made: Any, drop: int = 0) -> list[Spec]:
    """The specs of what NumPy made, without the first `drop` axes."""
    return [Spec(np.shape(part)[drop:], supported(np.asarray(part).dtype)) for part in _tuple(made)]


def batched(name: str, function: Callable[..., Any]) -> Operator:
    """A function that treats leading axes as a batch, by its axis argument or by its nature."""

    def ask(operands: Sequence[Spec], params: Params) -> list[Spec]:
        return _specs(function(*[np.empty((0, *one.shape), one.dtype) for one in operands], **params), 1)

    return row(name, function, _asking(ask))


def shaped(
    name: str,
    function: Callable[..., Any],
    shapes: Callable[[Sequence[Shape], Params], list[Shape]],
    sample: Callable[..., Any] | None = None,
) -> Operator:
    """A function whose shapes are told by `shapes`, and its dtypes by a call of `sample` (or the function itself) on arrays of one element a side."""

    def ask(operands: Sequence[Spec], params: Params) -> list[Spec]:
        made = (sample or function)(*[np.ones((1,) * len(one.shape), one.dtype) for one in operands], **params)
        told = shapes([one.shape for one in operands], params)
        return [Spec(shape, supported(np.asarray(part).dtype)) for shape, part in zip(told, _tuple(made), strict=True)]

    return row(name, function, _asking(ask))


def as_first(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    return [shapes[0]]


def accumulate(x: Any, ufunc: str, axis: int, dtype: np.dtype | None) -> Any:
    return getattr(np, ufunc).accumulate(x, axis=axis, dtype=dtype)


def reduce(x: Any, ufunc: str, axis: int, dtype: np.dtype | None) -> Any:
    return getattr(np, ufunc).reduce(x, axis=axis, dtype=dtype)


def reduceat(x: Any, ufunc: str, indices: tuple[int, ...], axis: int, dtype: np.dtype | None) -> Any:
    return getattr(np, ufunc).reduceat(x, np.asarray(indices, np.intp), axis=axis, dtype=dtype)


def of_fft(name: str) -> Callable[..., Any]:
    """numpy.fft is imported at the first call."""
    return lambda x, n, axis, norm: getattr(np.fft, name)(x, n, axis, norm)


def of_linalg(name: str) -> Callable[..., Any]:
    return lambda *operands, **params: getattr(np.linalg, name)(*operands, **params)


def quantile(name: str) -> Operator:
    """Of each row. `q`: a number or tuple, which is weak, or the second operand. The axes of q come first in the result."""
    function = getattr(np, name)

    def call(x: Any, *q_operand: Any, q: Any, method: str) -> Any:
        points = q_operand[0] if q_operand else list(q) if isinstance(q, tuple) else q
        return function(x, points, axis=-1, method=method)

    def ask(operands: Sequence[Spec], params: Params) -> list[Spec]:
        x, *q = operands
        leading = len(q[0].shape) if q else np.ndim(params["q"])
        made = call(np.empty((0, *x.shape), x.dtype), *[np.zeros(one.shape, one.dtype) for one in q], **params)
        return [Spec(made.shape[:leading] + made.shape[leading + 1 :], supported(made.dtype))]

    return row(name, call, _asking(ask))


def correlated(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    (first,), (second,) = shapes
    if not first or not second:
        raise ValueError(f"{'a' if not first else 'v'} cannot be empty")
    long, short = max(first, second), min(first, second)
    return [({"full": long + short - 1, "same": long, "valid": long - short + 1}[params["mode"]],)]


def bincount(x: Any, *weights: Any, length: int) -> Any:
    counts = np.bincount(x, weights[0] if weights else None, minlength=length)
    if len(counts) > length:
        raise ValueError(
            f"np.bincount met the value {len(counts) - 1}, but minlength={length} declares {length} bins: in a jitted function the "
            "number of bins must not depend on values"
        )
    return counts


def histogram(
    x: Any, *operands: Any, edges: bool, weighted: bool, bins: Any, range: tuple[float, float] | None, density: bool
) -> Any:
    """Operands after x: the edges of the bins where `edges`, then the weights where `weighted`."""
    given = list(operands)
    chosen = given.pop(0) if edges else bins
    return np.histogram(x, chosen, range, density=density, weights=given.pop(0) if weighted else None)


def histogram_shapes(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    bins = shapes[1][0] - 1 if params["edges"] else params["bins"]
    return [(bins,), (bins + 1,)]


def histogram_sample(x: Any, *operands: Any, edges: bool, **params: Any) -> Any:
    if edges:
        operands = (np.arange(2, dtype=operands[0].dtype), *operands[1:])
    return histogram(x, *operands, edges=edges, **params)


def histogram2d(
    x: Any, y: Any, *operands: Any, edges: tuple[bool, bool], weighted: bool, bins: Any, range: Any, density: bool
) -> Any:
    """Operands after x and y: edges for each axis where `edges` says so, then the weights where `weighted`."""
    given = list(operands)
    chosen = [given.pop(0) if edge else count for edge, count in zip(edges, bins, strict=True)]
    return np.histogram2d(x, y, chosen, range, density=density, weights=given.pop(0) if weighted else None)


def histogram2d_shapes(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    given = list(shapes[2:])
    counts = [given.pop(0)[0] - 1 if edge else n for edge, n in zip(params["edges"], params["bins"], strict=True)]
    return [tuple(counts), (counts[0] + 1,), (counts[1] + 1,)]


def histogram2d_sample(x: Any, y: Any, *operands: Any, edges: tuple[bool, bool], **params: Any) -> Any:
    operands = tuple([np.arange(2, dtype=o.dtype) if k < sum(edges) else o for k, o in enumerate(operands)])
    return histogram2d(x, y, *operands, edges=edges, **params)


def lstsq(a: Any, b: Any, rcond: float | None) -> Any:
    """With a column for each b; the residuals exist where a has full rank."""
    x, residuals, rank, singular = np.linalg.lstsq(a, b, rcond)
    if a.shape[0] > a.shape[1] and rank < a.shape[1]:
        raise np.linalg.LinAlgError(
            "the matrix has not full rank, and then np.linalg.lstsq gives no residuals: the shape of a result depends on values; "
            "call it outside the jitted function"
        )
    return x, residuals, np.asarray(rank), singular


def lstsq_shapes(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    (rows, columns), b = shapes
    if b[0] != rows:
        raise np.linalg.LinAlgError("Incompatible dimensions")
    return [(columns, b[1]), (b[1] if rows > columns else 0,), (), (min(rows, columns),)]


def polyfit_shapes(shapes: Sequence[Shape], params: Params) -> list[Shape]:
    return [(params["deg"] + 1, *shapes[1][1:])]


def polyfit_sample(x: Any, y: Any, *weights: Any, deg: int, rcond: float | None) -> Any:
    return np.polyfit(np.arange(3, dtype=x.dtype), np.ones((3, *y.shape[1:]), y.dtype), 1)


def an_index(*operands: Any, **params: Any) -> Any:
    return np.zeros((), np.intp)


TOTAL = [
    batched("sort", np.sort),
    batched("argsort", np.argsort),
    batched("partition", np.partition),
    batched("argpartition", np.argpartition),
    row("lexsort", lambda *keys, axis: np.lexsort(keys, axis), lambda keys, params: [Spec(keys[0].shape, np.dtype(np.intp))]),
    batched("accumulate", accumulate),
    batched("reduce", reduce),
    batched("reduceat", reduceat),
    batched("argmax_complex", lambda x: np.argmax(x, -1)),
    batched("argmin_complex", lambda x: np.argmin(x, -1)),
    batched("packbits", np.packbits),
    batched("unpackbits", np.unpackbits),
    *[batched(name, of_fft(name)) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")],
    batched("median", np.median),
    batched("nanmedian", np.nanmedian),
    shaped("searchsorted", np.searchsorted, lambda shapes, params: [shapes[1]]),
    shaped("interp", lambda x, xp, fp, *ends: np.interp(x, xp, fp, *ends), as_first),
    shaped("isin", np.isin, as_first),
    shaped("convolve", np.convolve, correlated),
    shaped("correlate", np.correlate, correlated),
]  # fmt: skip
ROWS = [
    *[replace(one, total=True) for one in TOTAL],
    *[
        batched(name, of_linalg(name))
        for name in ("inv", "solve", "det", "slogdet", "eig", "eigvals", "eigh", "eigvalsh", "svd", "qr", "cholesky", "pinv", "matrix_rank", "cond")
    ],
    shaped("lstsq", lstsq, lstsq_shapes),
    *[quantile(name) for name in ("quantile", "nanquantile", "percentile", "nanpercentile")],
    batched("nanargmax", np.nanargmax),
    batched("nanargmin", np.nanargmin),
    shaped("digitize", np.digitize, as_first),
    shaped("polyfit", np.polyfit, polyfit_shapes, polyfit_sample),
    shaped("ravel_multi_index", lambda *index, **params: np.ravel_multi_index(index, **params), as_first, an_index),
    shaped("bincount", bincount, lambda shapes, params: [(params["length"],)], lambda x, *w, length: np.bincount(x, *w)),
    shaped("histogram", histogram, histogram_shapes, histogram_sample),
    shaped("histogram2d", histogram2d, histogram2d_shapes, histogram2d_sample),
]  # fmt: skip
