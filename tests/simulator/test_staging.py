"""Large arrays between host and device, with a stand-in for the driver on which nothing happens before it is waited for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numfuse.runtime.cuda import executable, gpu, staging
from numfuse.runtime.cuda.array import DeviceArray

import numfuse as nf
from tests.functions import close
from tests.simulator.fake_gpu import FakeGpu, stand_in

pytestmark = pytest.mark.simulator


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    """A GPU to which 64 bytes are a large array, sent in chunks of 24."""
    monkeypatch.setattr(staging, "CHUNK", 24)
    for module in (gpu, executable):
        monkeypatch.setattr(module, "LARGE", 64)
    made = FakeGpu()
    with stand_in(monkeypatch, made):
        yield made


@pytest.mark.parametrize("size", [64, 72, 73, 24 * staging.BUFFERS, 24 * staging.BUFFERS + 1, 2000])
def test_there_and_back(small: FakeGpu, size: int, rng: np.random.Generator) -> None:
    sent = [rng.integers(0, 256, size).astype("u1") for _ in range(3)]
    arrays = []
    for array in sent:
        given = array.copy()
        arrays.append(DeviceArray.from_host(small, given))
        given[:] = 0  # it has been read
    for array, made in zip(sent, arrays, strict=True):
        np.testing.assert_array_equal(made.numpy(), array)
    assert len(small.calls.pinned) == 2


def test_host_in_and_host_out(small: FakeGpu, rng: np.random.Generator) -> None:
    def f(x, y):
        first = np.exp(x) + 1
        return first, (first.sum(0) * y).T, y[0]

    function = nf.jit(f, target="cuda")
    for _ in range(4):
        x, y = rng.standard_normal((2, 9, 11)).astype("f4")
        close(function(x, y), f(x, y))
        close(function(x.T.copy().T, y[::-1]), f(x, y[::-1]))


def test_kernels_run_before_all_arguments_are_there(small: FakeGpu, rng: np.random.Generator) -> None:
    def f(x, y):
        return np.exp(x), np.exp(y)

    x, y = rng.standard_normal(300), rng.standard_normal(200)
    function = nf.jit(f, target="cuda")
    close(function(x, y), f(x, y))
    order: list[str] = []
    launch, copy = small.calls.cuLaunchKernel, small.calls.cuMemcpyHtoDAsync_v2
    small.calls.cuLaunchKernel = lambda *given: (order.append("kernel"), launch(*given))
    small.calls.cuMemcpyHtoDAsync_v2 = lambda *given: (order.append("copy"), copy(*given))
    close(function(x, y), f(x, y))
    assert order.index("kernel") < len(order) - 1 - order[::-1].index("copy")


def test_a_result_leaves_while_kernels_run(small: FakeGpu, rng: np.random.Generator) -> None:
    def f(x, y):
        return np.exp(x), np.sort(y).sum(), y - y.mean()

    x, y = rng.standard_normal((2, 50))
    function = nf.jit(f, target="cuda")
    for _ in range(3):
        close(function(x, y), f(x, y))


def test_writes_reach_the_caller(small: FakeGpu) -> None:
    def f(x):
        x[1:] += x[:-1]
        return x.sum()

    function = nf.jit(f, target="cuda")
    for _ in range(3):
        x, y = np.arange(50.0), np.arange(50.0)
        close(function(x), f(y))
        close(x, y)


def test_donated_host_arrays(small: FakeGpu) -> None:
    function = nf.jit(lambda x, y: y + 1, target="cuda", donate=("x", "y"))
    for _ in range(3):
        close(function(np.zeros(50), np.arange(50.0)), np.arange(50.0) + 1)


def test_threads(small: FakeGpu, rng: np.random.Generator) -> None:
    from concurrent.futures import ThreadPoolExecutor

    function = nf.jit(lambda x: x * 2, target="cuda")
    arrays = list(rng.standard_normal((8, 100)))
    function(arrays[0])
    with ThreadPoolExecutor(3) as threads:
        for array, result in zip(arrays, threads.map(function, arrays), strict=True):
            close(result, array * 2)
