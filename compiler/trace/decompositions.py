"""numpy.linalg's decompositions and solvers and numpy.fft's transforms, as library calls."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.library_calls import along, call
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import reshape
from numfuse.compiler.trace.ufuncs import as_array, store

Implementation = Callable[..., Any]


def transform(op: str) -> Implementation:
    def function(recorder: Recorder, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
        array, place = along(recorder, a, axis)
        result = call(recorder, op, array, n=None if n is None else operator.index(n), axis=place, norm=norm)
        return store(recorder, np.positive, result, out)

    return function


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
        if op == "matrix_rank" and as_array(recorder, a).ndim < 2:
            raise UnsupportedFunction(
                "np.linalg.matrix_rank of a vector is not supported; np.any(x != 0) tells whether it has rank 1"
            )
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


FUNCTIONS = linear_algebra()
