"""On a GPU: calls again and again, in machine code and as graphs; numbers; large host arrays; products with an epilogue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numfuse.runtime.cuda.array import DeviceArray

import numfuse as nf
from tests.functions import close
from tests.gpu.test_gpu import has_blas, on_device, on_host

pytestmark = pytest.mark.gpu


def several(x):
    for _ in range(4):
        x = x / x.sum() + x.max(0)
    return x


@pytest.mark.parametrize("function", [lambda x: np.exp(x) * 2, several], ids=["kernel", "graph"])
def test_calls_again_and_again(function: Callable[..., np.ndarray], rng: np.random.Generator) -> None:
    jitted = nf.jit(function, target="cuda")
    arrays = [rng.random((40, 70)).astype("f4") for _ in range(3)]
    given = [on_device(array) for array in arrays]
    for _ in range(5):
        for array, one in zip(arrays, given, strict=True):
            close(jitted(one).numpy(), function(array))
    assert isinstance(jitted._entry(given[0]), DeviceArray)
    kept = [jitted(one) for one in given for _ in range(3)]  # each in memory of its own
    for k, one in enumerate(kept):
        close(one.numpy(), function(arrays[k // 3]))


def test_from_several_threads(rng: np.random.Generator) -> None:
    jitted = nf.jit(several, target="cuda")
    arrays = [rng.random((40, 70)).astype("f4") for _ in range(4)]
    given = [on_device(array) for array in arrays]
    jitted(given[0])
    with ThreadPoolExecutor(4) as threads:
        for k, result in enumerate(threads.map(lambda k: jitted(given[k % 4]).numpy(), range(40))):
            close(result, several(arrays[k % 4]))


def test_numbers(rng: np.random.Generator) -> None:
    x = rng.random(1000).astype("f4")
    jitted = nf.jit(lambda x, a, k: x * a + x[k], target="cuda")
    for a, k in ((2.5, 3), (-1.0, 0), (7.0, 999), (0.5, 1)):
        close(jitted(on_device(x), a, k).numpy(), x * np.float32(a) + x[k])


@pytest.mark.parametrize("size", [2**18 - 1, 2**18, 2**20 + 1, 5 * 2**20 + 3, 30 * 2**20])
def test_large_host_arrays(size: int, rng: np.random.Generator) -> None:
    x, y = rng.random(size, np.float32), rng.random(size, np.float32)
    jitted = nf.jit(lambda x, y: (x + 1, x * y, y - y[0]), target="cuda")
    for _ in range(3):
        close(jitted(x, y), (x + 1, x * y, y - y[0]))
        x, y = y[::-1].copy(), x


def gelu(h):
    return 0.5 * h * (1 + np.tanh(0.7978845608 * (h + 0.044715 * h**3)))


@pytest.mark.parametrize("dtype", ["f4", "f2"])
@pytest.mark.parametrize("rows", [33, 256, 1000])
def test_products_with_an_epilogue(rows: int, dtype: str, rng: np.random.Generator) -> None:
    if not has_blas():
        pytest.skip("cuBLAS is not here")
    x, w, b = [(rng.standard_normal(shape) / 10).astype(dtype) for shape in ((rows, 512), (512, 264), (264,))]

    def f(x, w, b):
        return x @ w + b, np.maximum(x @ w, 0), np.maximum(x @ w + b, 0), gelu(x @ w), gelu(x @ w + b)

    for place in range(5):
        jitted = nf.jit(lambda x, w, b, place=place: f(x, w, b)[place], target="cuda", fastmath=True)
        wanted = f(*[array.astype("f8") for array in (x, w, b)])[place]
        assert jitted.lower(x, w, b, target="cuda").library_calls == ["linear"]
        for _ in range(3):
            got = on_host(jitted(on_device(x), on_device(w), on_device(b)))
            assert got.dtype == dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-2 if dtype == "f2" else 1e-3, atol=1e-3)
