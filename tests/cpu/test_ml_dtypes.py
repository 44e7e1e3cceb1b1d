"""bfloat16 and float8 of ml_dtypes, against NumPy with ml_dtypes: values, dtypes and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.interchange import graph_as_dot, graph_as_json
from numfuse.compiler.trace.ufuncs import PARTS, ROW_OF

import numfuse as nf
from tests.plain_python import run_program

ml_dtypes = pytest.importorskip("ml_dtypes")

from tests.narrow import NAMES, bits, close, dtype_of, every_value  # noqa: E402

EITHER_ZERO = {np.maximum, np.minimum, np.fmax, np.fmin}
LIBRARY_FUNCTIONS = 1
"""Steps that exp and the like may differ by, where a float32 lies about halfway between two values."""


@pytest.fixture(params=NAMES)
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    return dtype_of(request.param)


def floats(dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """float32 at, beside and halfway between the values of `dtype`, and any others."""
    values = every_value(dtype).astype("f8")
    values = np.sort(values[np.isfinite(values)])
    beyond = np.concatenate([values, [values[-1] * 2 - values[-2], values[-1] * 1.0001, values[-1] * 3, 1e38]])
    middle = ((beyond[1:] + beyond[:-1]) / 2).astype("f4")
    exact = np.concatenate([middle, values.astype("f4")])
    near = [exact, np.nextafter(exact, np.float32(np.inf)), np.nextafter(exact, np.float32(-np.inf))]
    found = np.concatenate([*near, rng.integers(0, 2**32, 200_000, dtype="u4").view("f4")])
    return np.concatenate([found, -found, np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0], "f4")])


# -- values --------------------------------------------------------------------------------------------------------------


def test_every_value_is_read(dtype: np.dtype) -> None:
    x = every_value(dtype)
    for to in ("f4", "f8", "f2", "?"):
        np.testing.assert_array_equal(nf.jit(lambda x, to=to: x.astype(to))(x), x.astype(to))
    close(nf.jit(lambda x: x.copy()[::-1])(x), x[::-1])


def test_float32_is_rounded_as_ml_dtypes_does(dtype: np.dtype, rng: np.random.Generator) -> None:
    x = floats(dtype, rng)
    np.testing.assert_array_equal(bits(nf.jit(lambda x: x.astype(dtype))(x)), bits(x.astype(dtype)))


@pytest.mark.parametrize("source", ["f8", "f2", "i8", "i4", "u1", "i1", "?", "c16", *NAMES])
def test_other_types_are_rounded_as_ml_dtypes_does(dtype: np.dtype, source: str, rng: np.random.Generator) -> None:
    kind = dtype_of(source) if source in NAMES else np.dtype(source)
    if source in ("i8", "i4"):
        x = (rng.integers(-(2**62), 2**62, 50_000) >> rng.integers(0, 62, 50_000)).astype(kind)
    elif source == "f8":
        x = floats(dtype, rng).astype("f8") * rng.choice([1, 1 + 2.0**-45, 1 - 2.0**-45], 1)
    else:
        x = floats(dtype, rng).astype(kind)
    np.testing.assert_array_equal(bits(nf.jit(lambda x: x.astype(dtype))(x)), bits(x.astype(dtype)))


def test_integers_of_values(dtype: np.dtype) -> None:
    x = every_value(dtype)
    x = x[np.isfinite(x) & (np.abs(x.astype("f4")) < 2**31)]
    for to in ("i8", "i4"):
        np.testing.assert_array_equal(nf.jit(lambda x, to=to: x.astype(to))(x), x.astype(to))


UFUNCS = [*ROW_OF, *PARTS]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_ufuncs(ufunc: np.ufunc, dtype: np.dtype, rng: np.random.Generator) -> None:
    values = every_value(dtype)
    try:
        ufunc.resolve_dtypes((dtype,) * ufunc.nin + (None,) * ufunc.nout)
    except TypeError:
        arguments = [values[:3]] * ufunc.nin
        with pytest.raises(TypeError):
            nf.jit(lambda *a: ufunc(*a))(*arguments)
        return
    if ufunc.nin == 1:
        arguments = [values]
    elif dtype.itemsize == 1:
        arguments = [np.ascontiguousarray(a).ravel() for a in np.meshgrid(values, values)]
    else:
        ordinary = (rng.standard_normal(20_000) * 3).astype(dtype)
        arguments = [np.concatenate([rng.choice(values, 50_000), rng.permutation(ordinary)]) for _ in range(2)]
    exact = ufunc in EXACT
    if ufunc in EITHER_ZERO:
        arguments = [np.where(a == 0, np.zeros((), dtype), a) for a in arguments]
    got, wanted = nf.jit(lambda *a: ufunc(*a))(*arguments), ufunc(*arguments)
    for one, other in zip(*((r if ufunc.nout > 1 else (r,)) for r in (got, wanted)), strict=True):
        close(one, other, 0 if exact else LIBRARY_FUNCTIONS)


EXACT = {
    np.add, np.subtract, np.multiply, np.true_divide, np.negative, np.positive, np.absolute, np.fabs, np.sign, np.square, np.reciprocal,
    np.sqrt, np.maximum, np.minimum, np.fmax, np.fmin, np.floor, np.ceil, np.trunc, np.rint, np.copysign, np.nextafter, np.spacing,
    np.fmod, np.remainder, np.floor_divide, np.divmod, np.modf, np.frexp, np.heaviside, np.conjugate,
}  # fmt: skip


def test_zeros_keep_their_sign(dtype: np.dtype) -> None:
    x = np.array([0.0, -0.0, 1.0], dtype)
    for function in (
        lambda x: x + 0,
        lambda x: x - 0,
        lambda x: x * 1,
        lambda x: x + dtype.type(-0.0),
        lambda x: 0 + x,
    ):
        close(nf.jit(function)(x), function(x))


def test_a_cast_that_numpy_calls_safe_still_rounds(dtype: np.dtype) -> None:
    x = np.arange(-128, 128).astype("i1")
    np.testing.assert_array_equal(
        nf.jit(lambda x: x.astype(dtype).astype("i4"))(x), x.astype(dtype).astype("i4"), strict=True
    )


# -- types and errors ----------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "python numbers": lambda x, y, m: (x + 1, x + 1.5, 2.5 * x, x + True, 1 / x, x - 300, x > 1, x <= 0.5),
    "complex": lambda x, y, m: (x + 1j, x.astype("c8"), x.real, x.imag, np.isrealobj(x)),
    "numpy numbers": lambda x, y, m: (x + np.float32(1.5), x * np.float64(2), x + np.int8(3), x[0] + 1, x[0] * 1.5, x[1] * y),
    "powers": lambda x, y, m: (x**2, x**2.0, x**0.5, x**3, np.square(x), np.sqrt(np.abs(x))),
    "where": lambda x, y, m: (np.where(x > 0, x, y), np.where(x > 0, x, 1), np.where(x > 0, x, 1.5)),
    "where float32": lambda x, y, m: np.where(x > 0, x, np.float32(1)),
    "clip": lambda x, y, m: (np.clip(x, 0, 1), x.clip(-0.5, 0.5), np.clip(x, y, None), np.clip(x, y, y)),
    "round": lambda x, y, m: (np.round(x), np.round(x, 1), np.round(x, -1)),
    "chain": lambda x, y, m: (x * y + x) / (y * y + 1) - x,
    "max": lambda x, y, m: (m.max(), m.min(0), m.max(1), m.argmax(), m.argmin(1), np.max(m, initial=3), np.ptp(x)),
    "truth": lambda x, y, m: (np.any(x), np.all(m, axis=0), np.count_nonzero(m, axis=1), x.astype(bool)),
    "float32 sums": lambda x, y, m: (m.sum(dtype="f4"), m.mean(dtype="f4"), m.astype("f4").sum(0)),
    "products": lambda x, y, m: (x @ y, m @ m.T, np.outer(x, y), m @ m[0], np.matmul(m.T, m)),
    "norms": lambda x, y, m: (np.linalg.norm(x), np.linalg.norm(m, axis=1)),
    "views": lambda x, y, m: (x[::2] + y[1::2], x[::-1], m.T + 1, m.reshape(-1)[3:], m[1], m[:, 1:2], m.ravel()),
    "gathers": lambda x, y, m: (x[[1, 2, 0]], np.take(m, [1, 0], axis=1), m[np.arange(3), np.arange(3)] * 2),
    "joins": lambda x, y, m: (np.concatenate([x, y]), np.stack([x, y]), np.pad(x, 2), np.tile(x, 2), np.roll(x, 3)),
    "joins float32": lambda x, y, m: (np.concatenate([x, np.ones(2, "f4")]), np.concatenate([x, np.ones(2, "f8")])),
    "makers": lambda x, y, m: (
        np.zeros_like(x), np.ones(8, x.dtype) * x, np.full(8, 2.5, x.dtype) + x, np.arange(8, dtype=x.dtype) * x, np.eye(3, dtype=x.dtype),
        np.full_like(x, 0.1),
    ),
    "library": lambda x, y, m: (np.sort(m, axis=1), np.argsort(x), np.cumsum(x), np.median(x), np.maximum.accumulate(m)),
    "nan": lambda x, y, m: (np.nan_to_num(x / 0), np.nanmax(x), np.isnan(x / 0), np.isinf(x / 0), np.isfinite(x)),
    "out": lambda x, y, m: np.add(x, y, dtype="f4"),
    "types": lambda x, y, m: (x.astype(y.dtype), x.astype("i4"), x.astype("f2"), x.astype(ml_dtypes.bfloat16)),
    "constants": lambda x, y, m: (x + np.array([1.5], x.dtype), x * y.dtype.type(0.3)),
}  # fmt: skip


def writes(x: np.ndarray, y: np.ndarray, m: np.ndarray) -> Any:
    a, b, c = x.copy(), m.copy(), y.copy()
    a[1:3] = 0.1
    a[0] = y[1]
    a += 1.5
    a *= np.ones(a.shape, "f8") * 0.7
    b[1] = 7
    b[b > 0] = 0.3
    b[:, 0] = np.arange(b.shape[0])
    c[[0, 1]] = 300
    c.fill(2.5)
    np.add.at(c, np.array([0, 1, 2]), 1)
    return a, b, c


FUNCTIONS["writes"] = writes


def operands(dtype: np.dtype, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.standard_normal(shape).astype(dtype) for shape in (8, 8, (4, 6))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy(name: str, dtype: np.dtype, rng: np.random.Generator) -> None:
    function, arguments = FUNCTIONS[name], operands(dtype, rng)
    got, wanted = nf.jit(function)(*arguments), function(*arguments)
    together = wanted if isinstance(wanted, tuple) else (wanted,)
    for one, other in zip(got if isinstance(got, tuple) else (got,), together, strict=True):
        close(one, other)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y, m: x & y,
        lambda x, y, m: ~x,
        lambda x, y, m: np.einsum("ij,kj->ik", m, m),
        lambda x, y, m: np.gcd(x, y),
        lambda x, y, m: x + 2**63,
        lambda x, y, m: np.finfo(x.dtype),
    ],
)
def test_errors_as_numpy(function: Callable[..., Any], dtype: np.dtype, rng: np.random.Generator) -> None:
    arguments = operands(dtype, rng)
    with pytest.raises((TypeError, ValueError)) as wanted:
        function(*arguments)
    with pytest.raises(wanted.type):
        nf.jit(function)(*arguments)


def test_two_of_the_types_do_not_meet(dtype: np.dtype, rng: np.random.Generator) -> None:
    x, _, _ = operands(dtype, rng)
    for other in NAMES:
        for function in (np.add, np.maximum, lambda a, b: np.concatenate([a, b]), lambda a, b: np.where(a > 0, a, b)):
            y = x.astype(dtype_of(other))
            try:
                wanted = function(x, y)
            except TypeError as error:
                with pytest.raises(type(error)):
                    nf.jit(lambda a, b, function=function: function(a, b))(x, y)
            else:
                close(nf.jit(lambda a, b, function=function: function(a, b))(x, y), wanted)


@pytest.mark.parametrize("name", ["int4", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float8_e3m4"])
def test_other_types_of_the_package_are_refused(name: str) -> None:
    x = np.ones(3).astype(getattr(ml_dtypes, name))
    with pytest.raises(nf.UnsupportedDtype, match="bfloat16"):
        nf.jit(lambda x: x + x)(x)
    with pytest.raises(nf.UnsupportedDtype, match="bfloat16"):
        nf.jit(lambda x: x.astype(getattr(ml_dtypes, name)))(np.ones(3))


# -- reductions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(10,), (257,), (5000,), (100_000,), (33, 70), (300, 1000), (2, 40_000)])
def test_sums_are_rounded_once(dtype: np.dtype, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """NumPy rounds after each addition, and stands still at 256 ones; here it is a float32 sum, rounded."""
    x = (rng.standard_normal(shape) / 8).astype(dtype)
    function = nf.jit(lambda x: (x.sum(), x.sum(0), x.sum(-1), x.mean(), x.mean(0), x.mean(-1, keepdims=True)))
    wide = x.astype("f8")
    exact = (wide.sum(), wide.sum(0), wide.sum(-1), wide.mean(), wide.mean(0), wide.mean(-1, keepdims=True))
    for got, wanted, numpys in zip(
        function(x), exact, (x.sum(), x.sum(0), x.sum(-1), x.mean(), x.mean(0), 0), strict=True
    ):
        assert got.dtype == dtype
        rounded, size = np.asarray(wanted).astype(dtype).astype("f8"), np.abs(wide).sum() * 1e-6
        step = np.abs(rounded) * {"bfloat16": 2.0**-7, "float8_e4m3fn": 2.0**-3, "float8_e5m2": 2.0**-2}[dtype.name]
        assert (np.abs(np.asarray(got, "f8") - rounded) <= np.where(np.abs(wanted - rounded) > 0, step, 0) + size).all()
        assert isinstance(got, type(numpys)) or np.ndim(numpys) == 0


def test_many_ones(dtype: np.dtype) -> None:
    x = np.ones(400, dtype)
    assert float(nf.jit(np.sum)(x)) == float(dtype.type(400))
    assert float(nf.jit(np.mean)(np.ones(5000, dtype))) == 1
    assert float(nf.jit(np.var)(np.ones(5000, dtype))) == 0
    alternating = np.where(np.arange(100_000) < 50_000, dtype.type(1), dtype.type(-1))
    assert float(nf.jit(np.sum)(alternating)) == 0, "no partial sum may overflow"


def test_spread(dtype: np.dtype, rng: np.random.Generator) -> None:
    x = rng.standard_normal((40, 300)).astype(dtype)
    for axis in (None, 0, 1):
        got = nf.jit(lambda x, axis=axis: (np.var(x, axis), np.std(x, axis, ddof=1)))(x)
        exact = x.astype("f8").var(axis), x.astype("f8").std(axis, ddof=1)
        for one, other in zip(got, exact, strict=True):
            close(one, other.astype(dtype), 1)


def test_products_are_summed_in_float32(dtype: np.dtype, rng: np.random.Generator) -> None:
    m = rng.standard_normal((5, 300)).astype(dtype)
    for function in (
        lambda m: np.dot(m, m.T),
        lambda m: np.dot(m[0], m[1]),
        lambda m: np.inner(m, m),
        lambda m: np.tensordot(m, m.T, 1),
    ):
        wide = function(m.astype("f8"))
        close(nf.jit(function)(m), np.asarray(wide).astype(dtype), 1)
        assert function(m).dtype == dtype


# -- arguments, graphs, targets ------------------------------------------------------------------------------------------


def test_arguments_of_every_kind(dtype: np.dtype, rng: np.random.Generator) -> None:
    x = rng.standard_normal(10).astype(dtype)
    captured = rng.standard_normal(10).astype(dtype)

    def function(x: Any, scalar: Any, whole: int, part: float) -> Any:
        return x * scalar + captured, x * whole, x * part, scalar + whole

    got, wanted = nf.jit(function)(x, dtype.type(1.5), 3, 0.7), function(x, dtype.type(1.5), 3, 0.7)
    for one, other in zip(got, wanted, strict=True):
        close(one, other)
    with pytest.raises(TypeError):
        nf.jit(function)(x, dtype.type(1.5), 10**30, 0.7)

    def written(x: Any) -> None:
        x[2:5] *= 3

    one, other = x.copy(), x.copy()
    nf.jit(written)(one)
    written(other)
    close(one, other)
    strided = rng.standard_normal((6, 20)).astype(dtype)[::2, ::-3]
    close(nf.jit(lambda x: x + x)(strided), strided + strided)
    close(nf.jit(lambda x: x + x)(strided[:0]), strided[:0])


def test_as_text(dtype: np.dtype, rng: np.random.Generator) -> None:
    def function(x: Any) -> Any:
        return np.where(x > 0, x * dtype.type(0.1), np.array([1.5, -np.inf, np.nan], dtype)).astype("f4").astype(dtype)

    x = rng.standard_normal(3).astype(dtype)
    traced = nf.jit(function).trace(x)
    graph, given = traced.graph, [x if feed.captured is None else feed.captured for feed in traced.feeds]
    again = nf.Graph.parse(graph.as_text())
    assert again.as_text(locations=False) == graph.as_text(locations=False)
    close(again.evaluate(*given)[0], function(x))
    json.dumps(graph_as_json(graph))
    assert graph_as_dot(graph) and nf.jit(function).lower(x).as_text()


def test_specs_by_name() -> None:
    for name, short in zip(NAMES, ("bf16", "f8e4m3fn", "f8e5m2"), strict=True):
        assert repr(nf.spec(short, 3)) == f"{short}[3]" == repr(nf.spec(dtype_of(name), 3))
        assert nf.jit(lambda x: x + 1).trace(nf.spec(short, 3)).graph.outputs[0].dtype == dtype_of(name)


def test_constants_of_two_types_stay_two() -> None:
    """Equal bytes, of equal `dtype.str`."""
    one, other = (np.array([0x38, 0x3C], "u1").view(dtype_of(name)) for name in NAMES[1:])
    got = nf.jit(lambda x: (x + one.astype("f4"), x + other.astype("f4"), one + one, other + other))(np.zeros(2, "f4"))
    for value, wanted in zip(got, (one.astype("f4"), other.astype("f4"), one + one, other + other), strict=True):
        close(value, wanted)


@pytest.mark.parametrize("name", ["chain", "max", "where", "clip", "gathers", "joins", "makers"])
def test_kernels_as_plain_python(name: str, dtype: np.dtype, rng: np.random.Generator) -> None:
    arguments = operands(dtype, rng)
    traced = nf.jit(FUNCTIONS[name]).trace(*arguments)
    given = [arguments[feed.leaf] if feed.captured is None else feed.captured for feed in traced.feeds]
    results = run_program(traced.lower(target="cpu").program, given)
    for got, wanted in zip(results, traced.graph.evaluate(*given), strict=True):
        close(got, wanted)


def test_the_package_is_imported_by_those_who_use_it() -> None:
    script = """
import sys, numfuse as nf, numpy as np
nf.jit(lambda x: (x + x.astype("f2")).sum())(np.ones(3, "f4"))
assert "ml_dtypes" not in sys.modules
assert nf.parse_spec("bfloat16[3]") == nf.spec("bf16", 3)
assert "ml_dtypes" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
