"""Biases and activations that a matrix product does itself, and those that it must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numfuse.compiler.pipeline import optimize
from numfuse.compiler.targets import CPU, CUDA

import numfuse as nf
from tests.functions import close

X, W, B = ((40, 64), (64, 48), (48,))
LOOSE = replace(CUDA, fastmath=True)


def gelu(h):
    return 0.5 * h * (1 + np.tanh(0.7978845608 * (h + 0.044715 * h**3)))


def ops(
    function: Callable[..., object], *shapes: tuple[int, ...], dtype: str = "f4", target: object = LOOSE
) -> list[str]:
    """The operators of the optimised graph, with the epilogue of each product; checks that they compute the same."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes or (X, W, B)]
    traced = nf.jit(function).trace(*arrays)
    graph = optimize(traced.graph, target, last="epilogue")  # type: ignore[arg-type]
    graph.check()
    for got, wanted in zip(graph.evaluate(*arrays), traced.graph.evaluate(*arrays), strict=True):
        close(got, wanted)
    return [node.params.get("epilogue", node.op) for node in graph.nodes if node.op != "constant"]


TAKEN = {
    "bias": (lambda x, w, b: x @ w + b, "bias"),
    "bias before": (lambda x, w, b: b + x @ w, "bias"),
    "bias in a row": (lambda x, w, b: x @ w + b[None, :], "bias"),
    "relu": (lambda x, w, b: np.maximum(x @ w, 0), "relu"),
    "relu before": (lambda x, w, b: np.maximum(0.0, x @ w), "relu"),
    "relu and bias": (lambda x, w, b: np.maximum(x @ w + b, 0), "relu_bias"),
    "gelu": (lambda x, w, b: gelu(x @ w), "gelu"),
    "gelu and bias": (lambda x, w, b: gelu(x @ w + b), "gelu_bias"),
    "another gelu": (lambda x, w, b: another_gelu(x @ w + b), "gelu_bias"),
    "transposed operands": (lambda x, w, b: np.maximum(x.reshape(64, 40).T @ w.reshape(48, 64).T + b, 0), "relu_bias"),
    "a computed bias": (lambda x, w, b: np.maximum(x @ w + np.exp(b), 0), "relu_bias"),
}


def another_gelu(h):
    return (1.0 + np.tanh(h * 0.7978846 * (1 + 0.044715 * h * h))) * (h * 0.5)


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    function, wanted = TAKEN[name]
    assert ops(function)[-1] == wanted
    assert "maximum" not in ops(function) and "tanh" not in ops(function)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x, w, b: np.maximum(x @ w + b, 1), ["bias", "maximum"]),
        (lambda x, w, b: np.maximum(x @ w + b[0], 0), ["matmul", "slice", "add", "maximum"]),
        (lambda x, w, b: np.maximum(x @ w * 2, 0), ["matmul", "multiply", "maximum"]),
        (lambda x, w, b: (x @ w + b) * np.tanh(x @ w + b), ["bias", "tanh", "multiply"]),
        (lambda x, w, b: 0.5 * (x @ w) * (1 + np.tanh(0.8 * (x @ w))), None),
        (lambda x, w, b: np.maximum(x @ w + b.astype("f8"), 0), None),
    ],
)
def test_left(function: Callable[..., object], left: list[str] | None) -> None:
    found = ops(function)
    assert not [op for op in found if op.startswith(("relu", "gelu"))]
    assert left is None or [op for op in found if op != "reshape"] == left


def test_what_others_read_stays() -> None:
    def f(x, w, b):
        h = x @ w + b
        return np.maximum(h, 0), h.sum()

    assert ops(f)[:2] == ["bias", "maximum"]

    def g(x, w, b):
        h = x @ w
        return np.maximum(h + b, 0), h

    assert ops(g)[:3] == ["matmul", "add", "maximum"]

    def inner(x, w, b):
        h = x @ w + b
        wave = np.tanh(0.7978845608 * (h + 0.044715 * h**3))
        return 0.5 * h * (1 + wave), wave

    assert "gelu_bias" not in ops(inner)


def test_only_where_the_library_has_it() -> None:
    def f(x, w, b):
        return np.maximum(x @ w + b, 0)

    assert "matmul" in ops(f, dtype="f8")
    assert ops(f, dtype="f2")[-1] == "relu_bias"
    assert "linear" not in ops(f, target=CPU) and "relu_bias" not in ops(f, target=CPU)
    assert ops(f, (3, 40, 64), (3, 64, 48), (48,))[0] == "matmul"


def test_the_rows_of_many_matrices() -> None:
    assert ops(lambda x, w, b: np.maximum(x @ w + b, 0), (3, 40, 64), W, B)[-2:] == ["relu_bias", "reshape"]


def test_a_layer_is_one_call_and_no_kernel() -> None:
    given = [nf.spec("f4", *shape) for shape in (X, W, B)]
    lowered = nf.jit(lambda x, w, b: gelu(x @ w + b)).lower(*given, target="cuda", arch="sm_90")
    assert (lowered.kernels, lowered.library_calls) == ([], ["linear"])


def test_relu_keeps_nan_unless_told_otherwise() -> None:
    def f(x, w, b):
        return np.maximum(x @ w + b, 0)

    assert ops(f, target=CUDA) == ["bias", "maximum"]
    assert ops(f) == ["relu_bias"]
