"""Sums around a mean or a maximum in one reading: what is rewritten, and that it means the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.graph import Graph
from numfuse.compiler.pipeline import optimize
from numfuse.compiler.targets import CUDA
from numfuse.passes.online import online

import numfuse as nf


def before_and_after(function: Callable[..., Any], x: np.ndarray) -> tuple[Graph, Graph]:
    graph = optimize(nf.jit(function).trace(x).graph, CUDA, last="expand")
    return graph, online(graph, CUDA.few, CUDA.few_columns, CUDA.machine.row_bytes, CUDA.online)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("special", [None, np.inf, np.nan])
def test_softmax_of_long_rows(special: float | None, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 65536)) * 100
    x[0, :20_000] = -np.inf  # blocks of nothing else
    x[1] = -np.inf
    if special is not None:
        x[2, 40_000] = special
    before, after = before_and_after(softmax, x)
    after.check()
    assert [node.inputs[0].shape for node in after.nodes if node.op == "sum"] == [(3, 8, 8192, 1), (3, 8, 1)]
    np.testing.assert_allclose(after.evaluate(x)[0], before.evaluate(x)[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "axis"), [((65536,), 0), ((3, 40_000), 1), ((64, 512, 2), None), ((2, 70_000, 64), 1), ((140_000, 32), 0)]
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_variances(shape: tuple[int, ...], axis: int | None, dtype: str, rng: np.random.Generator) -> None:
    """As exact as two readings, far from 0 too."""
    x = (rng.standard_normal(shape) + 1000).astype(dtype)
    before, after = before_and_after(lambda x: (x - x.mean(axis, keepdims=True)) / x.std(axis, keepdims=True), x)
    after.check()
    large = x.nbytes > 2**25
    assert (after is before) == (axis != len(shape) - 1 and axis is not None and not large)
    exact = (x - x.mean(axis, "f8", keepdims=True)) / x.std(axis, "f8", keepdims=True)
    ours, twice = [np.abs(form.evaluate(x)[0] - exact).max() for form in (after, before)]
    assert ours <= max(1.5 * twice, 1e-9)


def test_three_kernels_read_the_data_twice() -> None:
    lowered = nf.jit(lambda x: (x - x.mean()) / x.std()).lower(nf.spec("f4", 2**22), target="cuda", arch="sm_90")
    assert len(lowered.kernels) == 3
    assert sum(kernel.cost["bytes"] > 2**23 for kernel in lowered.kernels) == 2


@pytest.mark.parametrize(
    ("function", "size"),
    [
        (lambda x: np.exp(x - x.max()).sum(), 1000),
        (lambda x: np.exp(x - x[0]).sum(), 65536),
        (lambda x: np.exp(x - (x * 2).max()).sum(), 65536),
        (lambda x: x.std(), 100_003),
    ],
    ids=["short", "waits for nothing", "a maximum of something else", "a prime length"],
)
def test_left_alone(function: Callable[..., Any], size: int) -> None:
    graph, after = before_and_after(function, np.zeros(size))
    assert after is graph


@pytest.mark.parametrize("function", [softmax, lambda x: (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)])
@pytest.mark.parametrize(("shape", "kernels"), [((1, 2_000_000), 3), ((12, 500_000), 3), ((400, 5000), 1)])
def test_on_the_cpu(function: Callable[..., Any], shape: tuple[int, int], kernels: int) -> None:
    """Rows that are too long for the cache are read twice; others were read once already."""
    x = np.random.default_rng(0).standard_normal(shape)
    jitted = nf.jit(function, target="cpu")
    assert len(jitted.lower(x).kernels) == kernels
    np.testing.assert_allclose(jitted(x), function(x), rtol=1e-9, atol=1e-12)
