"""The rows of the benchmarks: for each function its arguments, dtypes and sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import functions as f
import numpy

Arrays = tuple[numpy.ndarray, ...]
Size = tuple[int, ...]
MILLION = 2**20
Make = Callable[[numpy.random.Generator, Size, numpy.dtype], Arrays]


def normals(count: int) -> Make:
    """`count` arrays of normal deviates, all of the row's size."""

    def make(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
        return tuple(_normal(rng, size, dtype) for _ in range(count))

    return make


def _normal(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> numpy.ndarray:
    return rng.standard_normal(size, "f4" if dtype == "f4" else "f8").astype(dtype, copy=False)


def _options(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    ranges = ((10.0, 50.0), (10.0, 50.0), (0.25, 2.0))
    return tuple(rng.uniform(low, high, size).astype(dtype) for low, high in ranges)


def _positive(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    return tuple(rng.uniform(0.5, 2.0, size).astype(dtype) for _ in range(2))


def _positive_one(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    return (rng.uniform(0.5, 2.0, size).astype(dtype),)


def _matrix_and_columns(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    return (_normal(rng, size, dtype), *(_normal(rng, size[-1:], dtype) for _ in range(2)))


def _network(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    """`size`: the batch, then the width of each layer."""
    batch, *widths = size
    made = [_normal(rng, (batch, widths[0]), dtype)]
    for inner, outer in zip(widths, widths[1:], strict=False):
        made += [_normal(rng, (inner, outer), dtype) / inner**0.5, _normal(rng, (outer,), dtype)]
    return tuple(array.astype(dtype) for array in made)


def _bodies(rng: numpy.random.Generator, size: Size, dtype: numpy.dtype) -> Arrays:
    return _normal(rng, (*size, 3), dtype), rng.uniform(0.5, 1.5, size).astype(dtype)


@dataclass(frozen=True)
class Row:
    """What is measured: `function(np, *arrays)` for arguments of a size and dtype.

    `atol` goes with the relative tolerance of the dtype (`rtol`). `expressions`: the results as numexpr takes them.
    `large` is the shape that gives 256 MiB of data, for a GPU; its first axis is scaled for other amounts.
    """

    name: str
    title: str
    function: Callable[..., Any]
    make: Make
    size: Size
    atol: float
    dtype: str = "f4"
    expressions: tuple[str, ...] = ()
    pieces: Callable[..., dict[str, Any]] | None = field(default=None, repr=False)
    """The names in `expressions`, from the arguments; by default the function's own."""
    large: Size | None = None

    @property
    def rtol(self) -> float:
        return 1e-4 if self.dtype == "f4" else 1e-10

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the function's arrays."""
        return tuple(inspect.signature(self.function).parameters)[1:]

    def label(self, size: Size | None = None) -> str:
        """`softmax of rows, 4096x1024 f32`."""
        extents = [f"{n // MILLION}M" if n % MILLION == 0 else str(n) for n in size or self.size]
        return f"{self.title}, {'x'.join(extents)} {self.dtype[0]}{8 * int(self.dtype[1])}"

    def scaled(self, megabytes: float) -> Size | None:
        """`large` for another amount of data."""
        return self.large and (max(1, round(self.large[0] * megabytes / 256)), *self.large[1:])

    def arguments(self, size: Size | None = None) -> Arrays:
        """The same arrays at each call."""
        return self.make(numpy.random.default_rng(20240607), size or self.size, numpy.dtype(self.dtype))

    def bound(self, namespace: Any) -> Callable[..., Any]:
        """The function of the arrays alone, with their names."""
        function = self.function

        def bound(*arrays: Any) -> Any:
            return function(namespace, *arrays)

        signature = inspect.signature(function)
        bound.__name__ = bound.__qualname__ = function.__name__
        bound.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
        return bound


def _black_scholes_expressions() -> tuple[str, str]:
    d1 = "((log(price / strike) + 0.065 * years) / (0.3 * sqrt(years)))"
    d2 = f"({d1} - 0.3 * sqrt(years))"

    def cdf(d: str) -> str:
        k = f"(1.0 / (1.0 + 0.2316419 * abs({d})))"
        series = "1.330274429"
        for factor in (-1.821255978, 1.781477937, -0.356563782, 0.319381530):
            series = f"({factor} + {k} * {series})"
        tail = f"(0.3989422804014327 * exp(-0.5 * {d} * {d}) * {k} * {series})"
        return f"where({d} > 0.0, 1.0 - {tail}, {tail})"

    call = f"(price * {cdf(d1)} - strike * exp(-0.02 * years) * {cdf(d2)})"
    return call, f"{call} - price + strike * exp(-0.02 * years)"


def _neighbours(u: Any) -> dict[str, Any]:
    return {
        "north": u[:-2, 1:-1], "south": u[2:, 1:-1], "west": u[1:-1, :-2], "east": u[1:-1, 2:], "here": u[1:-1, 1:-1],
    }  # fmt: skip


_SAXPY = ("a * x + b * y - 0.5",)
_GELU = ("0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",)
_BLACK_SCHOLES = _black_scholes_expressions()
_JACOBI = ("0.2 * here + 0.2 * (north + south + west + east)",)

ROWS: tuple[Row, ...] = (
    Row("saxpy", "a*x + b*y - c", f.saxpy, normals(4), (8 * MILLION,), 1e-5,
        expressions=_SAXPY, large=(64 * MILLION,)),
    Row("saxpy-small", "a*x + b*y - c", f.saxpy, normals(4), (1000,), 1e-5, expressions=_SAXPY),
    Row("gelu", "GELU", f.gelu, normals(1), (8 * MILLION,), 1e-6, expressions=_GELU, large=(64 * MILLION,)),
    Row("black-scholes", "Black-Scholes call and put", f.black_scholes, _options, (4 * MILLION,), 1e-4,
        expressions=_BLACK_SCHOLES, large=(64 * MILLION,)),
    Row("black-scholes-f64", "Black-Scholes call and put", f.black_scholes, _options, (4 * MILLION,), 1e-10, "f8",
        expressions=_BLACK_SCHOLES, large=(32 * MILLION,)),
    Row("waves", "exp(x)*sin(y) + cos(x)*log(y)", f.waves, _positive, (4 * MILLION,), 1e-5,
        expressions=("exp(x) * sin(y) + cos(x) * log(y)",), large=(64 * MILLION,)),
    Row("softmax", "softmax of rows", f.softmax, normals(1), (4096, 1024), 1e-7, large=(65536, 1024)),
    Row("layer-norm", "layer norm of rows", f.layer_norm, _matrix_and_columns, (4096, 1024), 1e-5, large=(65536, 1024)),
    Row("squared-distance", "sum((x - y)**2)", f.squared_distance, normals(2), (8 * MILLION,), 0.0,
        large=(64 * MILLION,)),
    Row("sum", "sum(x)", f.total, normals(1), (8 * MILLION,), 1.0, large=(64 * MILLION,)),
    Row("standardise", "(x - x.mean(0)) / x.std(0)", f.standardise, normals(1), (65536, 64), 1e-4,
        large=(MILLION, 64)),
    Row("mlp", "MLP, 3 layers", f.mlp, _network, (256, 512, 512, 512, 10), 1e-6),
    Row("jacobi", "5-point stencil by slices", f.jacobi, normals(1), (1024, 1024), 1e-6,
        expressions=_JACOBI, pieces=_neighbours, large=(8192, 8192)),
    Row("jacobi-10", "10 steps of a 4-point stencil", f.jacobi_steps, normals(1), (1024, 1024), 1e-6, large=(8192, 8192)),
    Row("tanh-small", "20 tanh, one after another", f.tanh_chain, normals(1), (1000,), 1e-6),
    Row("tanh", "20 tanh, one after another", f.tanh_chain, normals(1), (4 * MILLION,), 1e-6, large=(64 * MILLION,)),
    Row("n-body", "N-body accelerations", f.accelerations, _bodies, (1000,), 1e-8, "f8"),
)  # fmt: skip

SMALL_ROWS: tuple[Row, ...] = (
    Row("one-kernel", "a*x + b*y - c (one kernel)", f.saxpy, normals(4), (1000,), 1e-5),
    Row(
        "several-kernels",
        "softmax of standardised columns (several kernels)",
        f.column_softmax,
        normals(1),
        (4096, 64),
        1e-6,
    ),
    Row("ten-kernels", "x / sum(x) + max(x, 0), nine times (ten kernels)", f.ten_steps, _positive_one, (64, 64), 1e-4),
)
"""For the time of a call on a GPU."""

SHAPES: tuple[Row, ...] = (
    Row("softmax-short", "softmax of short rows", f.softmax, normals(1), (MILLION, 64), 1e-7),
    Row("softmax-odd", "softmax of odd rows", f.softmax, normals(1), (65536, 1023), 1e-7),
    Row("softmax-long", "softmax of long rows", f.softmax, normals(1), (4096, 16384), 1e-7),
    Row("softmax-longest", "softmax of very long rows", f.softmax, normals(1), (64, MILLION), 1e-7),
    Row("layer-norm-wide", "layer norm of rows", f.layer_norm, _matrix_and_columns, (16384, 4096), 1e-5),
    Row("column-sums", "sums of columns", f.column_sums, normals(1), (8192, 8192), 1e-2),
    Row("column-sums-few", "sums of a few columns", f.column_sums, normals(1), (16 * MILLION, 4), 1e-2),
    Row("transposed-sum", "x.T + y", f.transposed_sum, normals(2), (8192, 8192), 1e-6),
    Row("transposed", "a transposed copy, doubled", f.transposed, normals(1), (16384, 4096), 1e-6),
    Row("misaligned", "tanh(x[1:]) + x[1:]", f.without_the_first, normals(1), (64 * MILLION,), 1e-6),
)  # fmt: skip
"""Shapes and layouts that ask for other schedules on a GPU."""


def rows_named(names: list[str] | None) -> tuple[Row, ...]:
    """The rows with these names, or all. Raises SystemExit for a name that is none."""
    known = {row.name: row for row in ROWS}
    for name in names or ():
        if name not in known:
            raise SystemExit(f"there is no row {name!r}; the rows are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else ROWS
