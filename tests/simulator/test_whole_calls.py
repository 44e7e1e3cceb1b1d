"""Whole calls on a GPU, in machine code, with a stand-in for the driver: what they launch, and when they leave a call to the slow way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numfuse.runtime.cuda.array import DeviceArray

import numfuse as nf
from tests.functions import CASES, close
from tests.simulator.fake_gpu import FakeGpu, stand_in

pytestmark = pytest.mark.simulator


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    made = FakeGpu()
    with stand_in(monkeypatch, made):
        yield made


def put(gpu: FakeGpu, array: np.ndarray) -> DeviceArray:
    return DeviceArray.from_host(gpu, array)


def test_one_kernel_is_one_launch(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 40)).astype("f4")
    function = nf.jit(CASES["softmax"].function, target="cuda")
    given = put(gpu, x)
    function(given)
    function(given)
    before = gpu.calls.calls.copy()
    result = function._entry(given)
    assert isinstance(result, DeviceArray)
    close(result.numpy(), CASES["softmax"].function(x))
    assert gpu.calls.calls - before == {"cuCtxGetCurrent": 1, "cuLaunchKernel": 1, "cuMemcpyDtoHAsync_v2": 1, "cuStreamSynchronize": 1}  # fmt: skip
    other = put(gpu, x[::-1].copy())
    close(function(other).numpy(), CASES["softmax"].function(x[::-1]))
    assert function._entry(put(gpu, x[:, :39].copy())) is NotImplemented
    assert function._entry(x) is NotImplemented and function._entry() is NotImplemented


def two_kernels(x):
    return np.exp(x) / np.exp(x).sum() - x.sum(0)


def test_several_kernels_are_one_graph(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.random((40, 70)).astype("f4")
    function = nf.jit(two_kernels, target="cuda")
    kernels = len(function.lower(put(gpu, x), target="cuda", arch="sm_90").kernels)
    assert kernels > 1
    given, other = put(gpu, x), put(gpu, x * 2)
    function(given)
    function(given)
    launched = gpu.launches
    for array, wanted in ((given, x), (given, x), (other, x * 2), (given, x)):
        close(function._entry(array).numpy(), two_kernels(wanted))
    assert gpu.launches == launched and gpu.calls.calls["cuGraphLaunch"] >= 4
    told = gpu.calls.calls["cuGraphExecKernelNodeSetParams_v2"]
    close(function._entry(given).numpy(), two_kernels(x))
    assert gpu.calls.calls["cuGraphExecKernelNodeSetParams_v2"] == told  # all is where it was


def test_results_take_the_memory_of_dead_ones(gpu: FakeGpu) -> None:
    function = nf.jit(lambda x: x + 1, target="cuda")
    given = put(gpu, np.zeros(1000, "f4"))
    first = function(given)
    second = function(given)
    assert second.address != first.address
    address = second.address
    del second
    assert function(given).address == address
    assert gpu.live_after_collection() == 2


def test_what_fails_goes_the_slow_way(gpu: FakeGpu) -> None:
    function = nf.jit(lambda x: x + 1, target="cuda")
    given = put(gpu, np.zeros(1000, "f4"))
    function(given)
    function(given)
    gpu.calls.context = 5  # as in a thread where the device is not current
    assert function._entry(given) is NotImplemented
    close(function(given).numpy(), np.ones(1000, "f4"))
    gpu.calls.context = gpu.context
    gpu.calls.refused = {"cuLaunchKernel"}
    with pytest.raises(RuntimeError, match="cuLaunchKernel failed with status 999"):
        function(given)
    gpu.calls.refused = set()
    close(function(given).numpy(), np.ones(1000, "f4"))


def test_a_graph_that_could_not_be_told_is_told_again(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.random((40, 70)).astype("f4")
    function = nf.jit(two_kernels, target="cuda")
    given, other = put(gpu, x), put(gpu, x * 2)
    for _ in range(3):
        function(given)
    gpu.calls.refused = {"cuGraphExecKernelNodeSetParams_v2"}
    assert function._entry(other) is NotImplemented
    gpu.calls.refused = set()
    close(function._entry(other).numpy(), two_kernels(x * 2))


def test_views_writes_and_several_results(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.random((8, 12)).astype("f4")

    def f(x):
        return x.T, {"a": x[1:] * 2, "b": (x + x.T.sum()).T}, 3

    function = nf.jit(f, target="cuda")
    for _ in range(3):
        view, parts, three = function(put(gpu, x))
        assert three == 3
        close((view.numpy(), parts["a"].numpy(), parts["b"].numpy()), (f(x)[0], *f(x)[1].values()))

    def g(x):
        x[1:] += x[:-1]
        return x.sum(1)

    writing = nf.jit(g, target="cuda")
    for _ in range(3):
        given, other = put(gpu, x), x.copy()
        close(writing(given).numpy(), g(other))
        close(given.numpy(), other)


def test_a_donated_argument(gpu: FakeGpu) -> None:
    function = nf.jit(lambda x: x + 1, target="cuda", donate="x")
    for _ in range(3):
        given = put(gpu, np.arange(10.0))
        result = function(given)
        assert result.address == given.address
        close(result.numpy(), np.arange(10.0) + 1)


def test_numbers_are_given_by_value(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.random(50).astype("f4")

    def f(x, a, k):
        return x * a + x[k], (x + k).sum()

    function = nf.jit(f, target="cuda")
    given = put(gpu, x)
    for a, k in ((2.5, 3), (-1.0, 0), (7.0, 49), (0.5, 1)):
        first, second = function(given, a, k)
        close((first.numpy(), second), f(x, a, k))
    copies = gpu.calls.calls["cuMemcpyHtoDAsync_v2"]
    function(given, 3.5, 4)
    assert gpu.calls.calls["cuMemcpyHtoDAsync_v2"] == copies
    single = nf.jit(lambda x, a: x * a, target="cuda")
    for a in (2.0, 3.0, 0.25):
        close(single(given, a).numpy(), x * np.float32(a))
    close(single._entry(given, 0.75).numpy(), x * np.float32(0.75))


@pytest.mark.parametrize("number", [True, 3, 2.5, 1 + 2j, np.float16(1.5), np.int8(-3), np.uint64(2**63 + 1), np.bool_(True)])  # fmt: skip
def test_numbers_of_all_kinds(gpu: FakeGpu, number: complex) -> None:
    x = np.arange(6)

    def f(x, number):
        return np.where(x > 2, x, number), x * number

    function = nf.jit(f, target="cuda")
    for array in (put(gpu, x), x, put(gpu, x)):
        got = function(array, number)
        close([np.asarray(part) for part in got], list(f(x, number)))


def test_keys_of_generators_are_numbers(gpu: FakeGpu) -> None:
    function = nf.jit(lambda x, generator: x + generator.random(len(x)), target="cuda")
    given = put(gpu, np.zeros(20))
    function(given, np.random.default_rng(0))
    copies = gpu.calls.calls["cuMemcpyHtoDAsync_v2"]
    first, second = (function(given, np.random.default_rng(seed)).numpy() for seed in (1, 2))
    assert gpu.calls.calls["cuMemcpyHtoDAsync_v2"] == copies
    assert not np.array_equal(first, second)


class Foreign:
    """An array of another library."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        return self.array.__cuda_array_interface__


def test_arrays_of_other_libraries(gpu: FakeGpu, rng: np.random.Generator) -> None:
    x = rng.random(50).astype("f4")

    def f(x, a):
        return x * a + 1

    function = nf.jit(f, target="cuda")
    for k in range(4):
        close(function(Foreign(put(gpu, x + k)), 2.5).numpy(), f(x + k, np.float32(2.5)))
    looked = gpu.calls.calls["cuCtxGetCurrent"]
    close(function(Foreign(put(gpu, x)), 0.5).numpy(), f(x, np.float32(0.5)))
    assert gpu.calls.calls["cuCtxGetCurrent"] == looked + 1  # in machine code
    close(function(put(gpu, x), 0.5).numpy(), f(x, np.float32(0.5)))

    def g(x):
        x[1:] += x[:-1]

    given, other = put(gpu, x), x.copy()
    writing = nf.jit(g, target="cuda")
    for _ in range(3):
        writing(Foreign(given))
        g(other)
        close(given.numpy(), other)


def test_a_thread_that_never_used_the_device(gpu: FakeGpu) -> None:
    from concurrent.futures import ThreadPoolExecutor

    function = nf.jit(lambda x: x + 1, target="cuda")
    given = put(gpu, np.zeros(1000, "f4"))
    function(given)
    kept = [function(given) for _ in range(3)]
    with ThreadPoolExecutor(1) as threads:
        for _ in range(3):
            kept.append(threads.submit(function, given).result())
    for result in kept:
        close(result.numpy(), np.ones(1000, "f4"))
