"""Matrix products on the CUDA runtime, with a stand-in for the GPU and for cuBLAS: how operands are read, and that none is read that was not written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numfuse.compiler import targets
from numfuse.passes import products
from numfuse.runtime.cuda import blas, blas_lt
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.cuda.device import CudaDevice

import numfuse as nf
from tests.functions import close
from tests.simulator.fake_blas import FakeCublas, FakeCublasLt
from tests.simulator.fake_gpu import FakeGpu, stand_in

pytestmark = pytest.mark.simulator


@pytest.fixture
def cublas(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCublas]:
    gpu = FakeGpu()
    made = FakeCublas(gpu)
    monkeypatch.setattr(blas, "_load", lambda: made.routines)
    for limit in ("SMALL", "OF_MANY"):  # small products are cuBLAS's here too: the simulator takes long for large ones
        monkeypatch.setattr(products, limit, -1)
    monkeypatch.setattr(targets, "CUDA", replace(targets.CUDA, product_call=-1))
    with stand_in(monkeypatch, gpu):
        yield made


AS_THEY_LIE = {
    "both": (lambda x, y: x @ y, (7, 5), (5, 6), (0, 0)),
    "left": (lambda x, y: x.T @ y, (5, 7), (5, 6), (1, 0)),
    "right": (lambda x, y: x @ y.T, (7, 5), (6, 5), (0, 1)),
    "none": (lambda x, y: x.T @ y.T, (5, 7), (6, 5), (1, 1)),
    "batch": (lambda x, y: np.swapaxes(x, 1, 2) @ y, (3, 9, 20), (3, 9, 4), (1, 0)),
    "einsum": (lambda x, y: np.einsum("ij,kj->ik", x, y), (7, 5), (6, 5), (0, 1)),
    "heads": (lambda x, y: np.einsum("bqhd,bkhd->bhqk", x, y), (2, 19, 3, 9), (2, 4, 3, 9), (0, 1)),
    "rows": (lambda x, y: x[2:] @ y, (9, 5), (5, 6), (0, 0)),
    "columns": (lambda x, y: x[:, 1:6] @ y, (7, 8), (5, 6), (0, 0)),
    "columns, transposed": (lambda x, y: x[:, 1:6].T @ y, (7, 8), (7, 6), (1, 0)),
    "spread batch": (lambda x, y: x[:, None] @ y, (2, 20, 9), (3, 9, 4), (0, 0)),
}


@pytest.mark.parametrize("name", AS_THEY_LIE)
def test_operands_are_read_as_they_lie(name: str, cublas: FakeCublas, rng: np.random.Generator) -> None:
    function, of_x, of_y, wanted = AS_THEY_LIE[name]
    x, y = rng.standard_normal(of_x), rng.standard_normal(of_y)
    jitted = nf.jit(function, target="cuda")
    assert not jitted.lower(x, y, target="cuda", arch="sm_90").kernels
    close(jitted(x, y), function(x, y))
    assert set(cublas.calls) == {wanted}


def test_a_computed_operand_stays_transposed(cublas: FakeCublas, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((5, 7)), rng.standard_normal((5, 6))

    def f(x, y):
        return (x * 2).T @ y

    jitted = nf.jit(f, target="cuda")
    assert len(jitted.lower(x, y, target="cuda", arch="sm_90").kernels) == 1
    close(jitted(x, y), f(x, y))
    assert cublas.calls == [(1, 0)]


COPIED: dict[str, tuple[Callable[..., np.ndarray], tuple[int, ...]]] = {
    "steps": (lambda x: x[:, ::2] @ x[:10], (20, 20)),
    "backwards": (lambda x: x[::-1] @ x, (20, 20)),
    "mirrored": (lambda x: x @ x[:, ::-1], (20, 20)),
    "spread": (lambda x: np.broadcast_to(x[0], (20, 20)) @ x, (20, 20)),
    "windows": (lambda x: np.lib.stride_tricks.sliding_window_view(x[0], 11) @ x[:11], (20, 21)),
    "axes": (lambda x: x.transpose(2, 0, 1) @ x[0], (9, 20, 20)),
    "reshaped": (lambda x: np.einsum("abc,cbd->ad", x, x.transpose(2, 1, 0)), (9, 10, 11)),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIED)
def test_what_blas_cannot_read_is_copied_by_a_kernel(name: str, cublas: FakeCublas, rng: np.random.Generator) -> None:
    function, shape = COPIED[name]
    x = rng.standard_normal(shape)
    close(nf.jit(function, target="cuda")(x), function(x))
    assert cublas.calls and cublas.gpu.launches


def test_an_argument_that_blas_cannot_read(cublas: FakeCublas, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((20, 20)), rng.standard_normal((10, 20))
    whole, other = DeviceArray.from_host(cublas.gpu, x), DeviceArray.from_host(cublas.gpu, y)
    every_second = whole.view_through("slice", {"start": (0, 0), "step": (1, 2), "shape": (20, 10)})
    function = nf.jit(lambda x, y: x @ y, target="cuda")
    for _ in range(3):
        close(function(every_second, other).numpy(), x[:, ::2] @ y)


def test_a_whole_call_with_products(cublas: FakeCublas, rng: np.random.Generator) -> None:
    def f(x, w, b):
        h = x @ w + b
        return np.tanh(h).T @ x, (h @ w.T) * 2

    arrays = [rng.standard_normal(shape) for shape in ((7, 5), (5, 6), (6,))]
    given = [DeviceArray.from_host(cublas.gpu, array) for array in arrays]
    function = nf.jit(f, target="cuda")
    for _ in range(2):
        function(*given)
    first = cublas.calls.copy()
    result = function._entry(*given)
    assert len(cublas.calls) == len(first) // 2 * 3
    close(tuple(part.numpy() for part in result), f(*arrays))


@pytest.mark.parametrize(
    ("x", "y", "calls"),
    [
        ((6, 9, 20), (6, 20, 9), 1),
        ((6, 9, 20), (20, 9), 1),
        ((2, 3, 9, 20), (2, 3, 20, 9), 1),
        ((2, 1, 9, 20), (3, 20, 9), 2),
        ((4, 9, 0), (4, 0, 9), 1),
    ],
)
def test_a_batch_is_one_call(x: tuple[int, ...], y: tuple[int, ...], calls: int, cublas: FakeCublas, rng: np.random.Generator) -> None:  # fmt: skip
    left, right = rng.standard_normal(x), rng.standard_normal(y)
    close(nf.jit(lambda x, y: x @ y, target="cuda")(left, right), left @ right)
    assert len(cublas.calls) == calls


def test_a_batch_backwards(cublas: FakeCublas, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 9, 9))
    close(nf.jit(lambda x: x[::-1] @ x, target="cuda")(x), x[::-1] @ x)


# -- products with an epilogue -------------------------------------------------------------------------------------------


@pytest.fixture
def cublas_lt(cublas: FakeCublas, monkeypatch: pytest.MonkeyPatch) -> FakeCublasLt:
    made = FakeCublasLt(cublas.gpu)
    monkeypatch.setattr(blas_lt, "_load", lambda: made.routines)
    return made


def gelu(h: np.ndarray) -> np.ndarray:
    return 0.5 * h * (1 + np.tanh(0.7978845608 * (h + 0.044715 * h**3)))


WITH_EPILOGUE: dict[str, tuple[Callable[..., np.ndarray], str]] = {
    "bias": (lambda x, w, b: x @ w + b, "bias"),
    "relu": (lambda x, w, b: np.maximum(x @ w, 0), "relu"),
    "relu_bias": (lambda x, w, b: np.maximum(x @ w + b, 0), "relu_bias"),
    "gelu": (lambda x, w, b: gelu(x @ w), "gelu"),
    "gelu_bias": (lambda x, w, b: gelu(x @ w + b), "gelu_bias"),
    "transposed": (lambda x, w, b: np.maximum(w.T @ x.T, 0), "relu"),
}


@pytest.mark.parametrize("name", WITH_EPILOGUE)
def test_a_product_does_what_follows_it(name: str, cublas_lt: FakeCublasLt, rng: np.random.Generator) -> None:
    function, epilogue = WITH_EPILOGUE[name]
    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((7, 5), (5, 6), (6,))]
    jitted = nf.jit(function, target="cuda", fastmath=True)
    close(jitted(*arrays), function(*arrays))
    given = [DeviceArray.from_host(cublas_lt.gpu, array) for array in arrays]
    for k in range(3):
        given[-1] = DeviceArray.from_host(cublas_lt.gpu, arrays[-1] + np.float32(k))
        close(jitted(*given).numpy(), function(*arrays[:2], arrays[-1] + np.float32(k)))
    assert isinstance(jitted._entry(*given), DeviceArray)
    assert set(cublas_lt.epilogues) == {epilogue} and len(cublas_lt.epilogues) == 5
    assert not cublas_lt.gpu.launches


def test_layers_between_kernels(cublas_lt: FakeCublasLt, rng: np.random.Generator) -> None:
    def f(x, w, b):
        h = np.maximum((x * 2) @ w + b, 0)
        return np.maximum(h @ w.T, 0).sum(1)

    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((7, 5), (5, 6), (6,))]
    given = [DeviceArray.from_host(cublas_lt.gpu, array) for array in arrays]
    function = nf.jit(f, target="cuda", fastmath=True)
    for _ in range(4):
        close(function(*given).numpy(), f(*arrays))
    assert cublas_lt.epilogues[:2] == ["relu_bias", "relu"]


def test_what_the_library_cannot_do_is_done_by_numpy(cublas_lt: FakeCublasLt, rng: np.random.Generator) -> None:
    cublas_lt.finds_nothing = True
    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((7, 5), (5, 6), (6,))]
    function = nf.jit(lambda x, w, b: np.maximum(x @ w + b, 0), target="cuda")
    for _ in range(3):
        given = [DeviceArray.from_host(cublas_lt.gpu, array) for array in arrays]
        close(function(*given).numpy(), np.maximum(arrays[0] @ arrays[1] + arrays[2], 0))
    assert not cublas_lt.epilogues


def test_without_the_library_a_kernel_follows_the_product(
    cublas: FakeCublas, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(CudaDevice, "epilogues", False)
    arrays = [rng.standard_normal(shape).astype("f4") for shape in ((7, 5), (5, 6), (6,))]
    function = nf.jit(lambda x, w, b: np.maximum(x @ w + b, 0), target="cuda")
    close(function(*arrays), np.maximum(arrays[0] @ arrays[1] + arrays[2], 0))
    assert len(cublas.calls) == cublas.gpu.launches == 1
