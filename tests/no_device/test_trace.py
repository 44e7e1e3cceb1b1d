"""Tracing: what functions become as graphs, NEP 50, writes and views, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf


def text(function, *specs) -> list[str]:
    lines = nf.jit(function).trace(*specs).graph.as_text(locations=False).splitlines()
    return [line.strip() for line in lines[1:-1]]


F4, I4, F2 = nf.spec("f4", 3), nf.spec("i4", 3), nf.spec("f2", 3)


def test_a_function_as_a_graph() -> None:
    assert text(lambda x: np.tanh(x) * 2 + x, F4) == [
        "%1: f32[3] = tanh(%x)",
        "%2: f32[3] = multiply(%1, 2.0:f32)",
        "%3: f32[3] = add(%2, %x)",
    ]


@pytest.mark.parametrize("a", ["?", "i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize(
    "b", ["i1", "u1", "i8", "u8", "f2", "f4", "f8", "c8", 1, 1.5, 2j, True, np.float32(2), np.int8(1)]
)
@pytest.mark.parametrize("ufunc", [np.add, np.true_divide, np.maximum, np.less])
def test_promotion_is_numpys(a: str, b: object, ufunc: np.ufunc) -> None:
    x = np.ones(3, a)
    other = np.ones(3, b) if isinstance(b, str) else b
    graph = (
        nf.jit(lambda x, *rest: ufunc(x, *rest) if rest else ufunc(x, other))
        .trace(x, *([other] if isinstance(b, str) else []))
        .graph
    )
    want = ufunc(x, other)
    assert (graph.outputs[0].dtype, graph.outputs[0].shape) == (want.dtype, want.shape)


def test_no_float64_in_a_float32_function() -> None:
    def f(x):
        return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) / 3 - np.float32(2)

    graph = nf.jit(f).trace(F4).graph
    assert {node.dtype for node in graph.nodes} == {np.dtype("f4")}


def test_python_numbers_are_traced_and_stay_weak() -> None:
    traced = nf.jit(lambda x, s: x * s).trace(np.ones(3, "f4"), 2.5)
    assert [str(node.spec) for node in traced.graph.inputs] == ["f32[3]", "f32[]"]


def test_each_node_remembers_its_line() -> None:
    def f(x):
        y = np.exp(x)
        return y + 1

    first, second = [node.where for node in nf.jit(f).trace(F4).graph.nodes if node.op != "constant"]
    assert first is not None and second is not None
    assert first.file == __file__ and second.line == first.line + 1 and first.function == "f"


def test_views_share_and_copies_do_not() -> None:
    def f(x):
        y = x + 0
        view, copied = y[1:], y[1:].copy()
        y[1] = 7
        return view, copied

    view, copied = nf.jit(f).trace(F4).graph.evaluate(np.array([1, 2, 3], "f4"))
    np.testing.assert_array_equal(view, [1, 7, 3]) if view.shape == (3,) else np.testing.assert_array_equal(
        view, [7, 3]
    )
    np.testing.assert_array_equal(copied, [2, 3])


@pytest.mark.parametrize(
    ("function", "error", "told"),
    [
        (lambda x: np.unique(x), nf.UnsupportedFunction, "np.unique has a shape that depends on values; .*np.bincount"),
        (lambda x: np.union1d(x, x), nf.UnsupportedFunction, "the nearest that is supported: np.isin"),
        (lambda x: np.is_busday(x), nf.UnsupportedFunction, "np.is_busday is not supported; the nearest that is: "),
        (lambda x: np.linalg.eigvals(x), nf.UnsupportedFunction, "np.linalg.eigvals of a real matrix .* fallback=True"),
        (
            lambda x: np.add.reduceat(x, x),
            nf.UnsupportedFunction,
            "np.add.reduceat with computed indices is not supported",
        ),
        (lambda x: x.tobytes(), nf.UnsupportedFunction, "ndarray.tobytes is not supported"),
        (lambda x: np.sort(x[x > 0]), nf.UnsupportedFunction, "np.where(.|\\n)*known(.|\\n)*fallback=True"),
        (lambda x: x[[0, 5]], IndexError, "index 5 is out of bounds for axis 0 with size 3"),
        (lambda x: x if x[0] > 0 else -x, nf.TracedValueError, "np.where"),
        (lambda x: float(x.sum()), nf.TracedValueError, "float"),
        (lambda x: int(x[0]), nf.TracedValueError, "int"),
        (lambda x: range(x.astype("i4")[0]), nf.TracedValueError, "known when the function is traced"),
        (lambda x: np.fft.fft([x, x]), nf.TracedValueError, "join lists of arrays with np.stack"),
        (lambda x: x.tolist(), nf.TracedValueError, "outside the jitted function"),
        (lambda x: x.item(0), nf.TracedValueError, "x\\[i\\]"),
        (lambda x: list(x[0]), TypeError, "iteration over a 0-d array"),
        (
            lambda x: x + np.zeros(4),
            ValueError,
            "operands could not be broadcast together with shapes \\(3,\\) \\(4,\\)",
        ),
        (lambda x: x[5], IndexError, "index 5 is out of bounds for axis 0 with size 3"),
        (lambda x: x[0, 0], IndexError, "too many indices for array: array is 1-dimensional, but 2 were indexed"),
        (lambda x: x.reshape(2, 2), ValueError, "cannot reshape array of size 3 into shape \\(2,2\\)"),
        (lambda x: x.sum(axis=3), ValueError, "axis 3 is out of bounds for array of dimension 1"),
        (lambda x: x @ np.ones((4, 4)), ValueError, "mismatch in its core dimension 0"),
        (lambda x: x & x, TypeError, "bitwise_and"),
        (lambda x: x + np.array(["a"]), nf.UnsupportedDtype, "is not supported"),
        (lambda x: x.astype("M8[s]"), nf.UnsupportedDtype, "is not supported"),
        (lambda x: np.concatenate([x, x.reshape(3, 1)]), ValueError, "must match exactly"),
        (lambda x: x.transpose(0, 1), ValueError, "axes don't match array"),
    ],
)
def test_refusals_name_the_line_and_the_way_out(function, error, told) -> None:
    with pytest.raises(error, match=told) as raised:
        nf.jit(function).trace(F4)
    assert f"{__file__}:" in str(raised.value) and "in <lambda>" in str(raised.value)
    assert str(raised.value).count(f"{__file__}:") == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 300,
        lambda x: x - (-1),
        lambda x: np.power(x, -1),
        lambda x: x.__iadd__(1.5),
        lambda x: np.add(x, 1.5, out=x),
        lambda x: np.add(x, 1, out=np.zeros(2, "u1")),
    ],
)
def test_errors_are_of_numpys_types(function) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)) as wanted:
        function(np.ones(3, "u1"))
    with pytest.raises((ValueError, TypeError, OverflowError)) as got:
        nf.jit(function).trace(nf.spec("u1", 3))
    assert isinstance(got.value, type(wanted.value)) or issubclass(type(wanted.value), type(got.value))
    assert str(got.value).split("\n")[0][:30] == str(wanted.value)[:30]


def test_comparisons_with_numbers_out_of_range() -> None:
    x = np.array([0, 200, 255], "u1")
    for function in (lambda x: x < 300, lambda x: x == -1, lambda x: x < 1000, lambda x: x != 256):
        np.testing.assert_array_equal(nf.jit(function).trace(x).graph.evaluate(x)[0], function(x))


def test_an_array_that_outlives_its_trace_is_refused() -> None:
    kept = []
    nf.jit(lambda x: kept.append(x)).trace(F4)
    with pytest.raises(nf.TracedValueError, match="finished trace"):
        kept[0] + 1


def test_iteration_unrolls_up_to_a_limit() -> None:
    assert len(text(lambda x: sum(row for row in x), nf.spec("f4", 4, 3))) > 4
    with pytest.raises(nf.TracedValueError, match="over whole arrays"):
        nf.jit(lambda x: list(x)).trace(nf.spec("f4", 100_000))


def test_writing_to_a_broadcast_view_is_refused() -> None:
    def f(x):
        np.broadcast_to(x, (2, 3))[0] = 1

    with pytest.raises(ValueError, match="read-only"):
        nf.jit(f).trace(F4)


SCALARS = [True, 3, 2.5, 1 + 2j, np.bool_(True), np.int8(3), np.uint8(3), np.int64(3), np.float16(2.5), np.float32(2.5), np.float64(2.5),
           np.complex64(1 + 2j), np.complex128(1 + 2j)]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: f"{type(scalar).__module__}.{type(scalar).__name__}")
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i8", "f2", "f4", "f8", "c8"])
def test_scalars_promote_as_in_numpy(dtype: str, scalar: Any) -> None:
    """NEP 50: Python's numbers are weak, NumPy's are not, np.float64 being a Python float all the same."""
    x = np.array([1, 0, 1], dtype)

    def f(x, scalar):
        return (x + scalar, scalar * x, x / (scalar + 1), np.maximum(x, scalar), np.where(x > 0, x, scalar), x == scalar, x.sum(keepdims=True) * scalar,
                np.stack([x, x * scalar]), x + (scalar + scalar), np.add(x, [scalar] * 3))  # fmt: skip

    def of(x):  # numbers that the function has of its own
        return f(x, scalar)

    wanted = f(x, scalar)
    for got in (of_graph(of, x), of_graph(f, x, scalar)):
        assert [(part.dtype, part.shape) for part in got] == [(part.dtype, part.shape) for part in wanted]
        for part, value in zip(got, wanted, strict=True):
            np.testing.assert_allclose(part, value, rtol=1e-2)


def of_graph(function: Callable[..., Any], *arguments: Any) -> list[np.ndarray]:
    """What the traced graph means."""
    traced = nf.jit(function).trace(*arguments)
    fed = [node.dtype.type(arguments[feed.leaf]) if feed.converted else feed.captured if feed.leaf is None else arguments[feed.leaf]
           for feed, node in zip(traced.feeds, traced.graph.inputs, strict=True)]  # fmt: skip
    results = traced.graph.evaluate(*[np.asarray(one) for one in fed])
    return [results[output.result] for output in traced.outputs if output.result is not None]
