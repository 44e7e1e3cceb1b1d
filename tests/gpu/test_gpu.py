"""On a GPU: the promised functions at odd and full sizes, dtypes, layouts, memory that is shared, and other libraries' arrays.

`make gpu-check` runs these. They need nothing but what it needs: the random programs are skipped where hypothesis is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numfuse.runtime.cuda.array import DeviceArray

import numfuse as nf
from tests.functions import CASES, close

pytestmark = pytest.mark.gpu


def on_device(array: np.ndarray) -> DeviceArray:
    from numfuse.runtime.cuda.gpu import gpu

    return DeviceArray.from_host(gpu(), array)


def on_host(result: Any) -> Any:
    """Device arrays of a result as NumPy arrays."""
    if isinstance(result, (tuple, list)):
        return type(result)([on_host(part) for part in result])
    return result.numpy() if isinstance(result, DeviceArray) else result


def has_blas() -> bool:
    from numfuse.runtime.cuda.blas import _load

    try:
        _load()
    except Exception:
        return False
    return True


def needs_blas(name: str) -> None:
    if CASES[name].matmuls and not has_blas():
        pytest.skip("cuBLAS is not here")


# -- the promised functions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 31, 33, 1000, 1025])
@pytest.mark.parametrize("name", CASES)
def test_odd_sizes(name: str, size: int, rng: np.random.Generator) -> None:
    needs_blas(name)
    arguments = CASES[name].arguments(size, rng)
    close(nf.jit(CASES[name].function, target="cuda")(*arguments), CASES[name].function(*arguments))


@pytest.mark.parametrize("name", CASES)
def test_full_size_on_the_device(name: str, rng: np.random.Generator) -> None:
    needs_blas(name)
    case = CASES[name]
    arguments = case.arguments(case.full_size, rng)
    function = nf.jit(case.function, target="cuda")
    given = [on_device(array) for array in arguments]
    for _ in range(2):
        close(on_host(function(*given)), case.function(*arguments))
    assert len(function.lower(*given, target="cuda").kernels) <= case.cuda_kernels


@pytest.mark.parametrize("name", ["saxpy", "gelu", "black_scholes", "squared_distance"])
def test_empty(name: str, rng: np.random.Generator) -> None:
    arguments = CASES[name].arguments(0, rng)
    close(nf.jit(CASES[name].function, target="cuda")(*arguments), CASES[name].function(*arguments))


# -- kinds of kernels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"])
@pytest.mark.parametrize("shape", [(7, 33), (64, 1000), (3, 5000), (1000, 64), (2, 3)])
def test_every_dtype(dtype: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 3).astype(dtype)

    def f(x):
        if x.dtype.kind == "c":
            return x * x + 1, x.sum(1), x.sum(0)
        return x + x, x.max(1), x.min(), (x > 0).any(1), (x > 0).all(0), x.sum(1), x.argmax(1)

    wide = x.astype("f4") if dtype == "f2" else x  # NumPy adds float16 in float16, more roughly than the kernel
    if dtype == "f2":
        for got, wanted in zip(nf.jit(f, target="cuda")(x), f(wide), strict=True):
            np.testing.assert_allclose(np.asarray(got, "f8"), np.asarray(wanted, "f8"), rtol=2e-2, atol=2e-2 * shape[1])
    else:
        close(nf.jit(f, target="cuda")(x), f(x))


@pytest.mark.parametrize("length", [1, 31, 128, 129, 1024, 4097, 40_000, 1_000_003])
def test_rows_and_all(length: int, rng: np.random.Generator) -> None:
    x = rng.random((3, length))
    close(nf.jit(lambda x: (x.sum(1), x.max(1), x.sum(), x / x.sum(1, keepdims=True)), target="cuda")(x),
          (x.sum(1), x.max(1), x.sum(), x / x.sum(1, keepdims=True)))  # fmt: skip


@pytest.mark.parametrize("shape", [(200, 40), (70, 33), (5, 64), (300, 3), (100_000, 16)])
def test_columns(shape: tuple[int, int], rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape)
    close(nf.jit(lambda x: (x.sum(0), x.max(0), x.argmin(0), x.std(0)), target="cuda")(x),
          (x.sum(0), x.max(0), x.argmin(0), x.std(0)))  # fmt: skip


def test_mathematical_functions(rng: np.random.Generator) -> None:
    x = rng.random(1001) * 0.9 + 0.05

    def f(x):
        return (np.exp(x), np.log(x), np.sin(x), np.cos(x), np.tan(x), np.arctan(x), np.tanh(x), np.sqrt(x), np.cbrt(x),
                np.expm1(x), np.log1p(x), np.arcsin(x), np.sinh(x), np.power(x, 1.5), np.hypot(x, 2), np.floor(x * 5))  # fmt: skip

    close(nf.jit(f, target="cuda")(x), f(x))
    close(nf.jit(f, target="cuda")(x.astype("f4")), f(x.astype("f4")))


# -- memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view", ["x.T", "x[::2, ::-3]", "x[1:, 1:]", "x[:, None, :]", "np.broadcast_to(x[0], x.shape)"]
)
def test_layouts(view: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((37, 53)).astype("f4")
    shown = eval(view, {"x": x, "np": np})
    function = nf.jit(lambda v: v * 2 + v.sum(-1, keepdims=True), target="cuda")
    close(function(shown), shown * 2 + shown.sum(-1, keepdims=True))
    given = nf.jit(lambda x: eval(view, {"x": x, "np": np}), target="cuda")(on_device(x))
    close(on_host(function(given)), shown * 2 + shown.sum(-1, keepdims=True))


def test_a_misaligned_array_on_the_device(rng: np.random.Generator) -> None:
    x = rng.standard_normal(4097).astype("f4")
    inner = nf.jit(lambda x: x[1:], target="cuda")(on_device(x))
    assert inner.address % 16 == 4
    close(on_host(nf.jit(lambda v: np.exp(v) + 1, target="cuda")(inner)), np.exp(x[1:]) + 1)


def test_views_are_no_copies_and_results_no_arguments(rng: np.random.Generator) -> None:
    x = on_device(rng.standard_normal((4, 6)))
    assert nf.jit(lambda x: x.T, target="cuda")(x).address == x.address
    assert nf.jit(lambda x: x + 0, target="cuda")(x).address != x.address
    donated = nf.jit(lambda x: x + 1, target="cuda", donate="x")
    before = x.numpy()
    result = donated(x)
    assert result.address == x.address
    close(result.numpy(), before + 1)


def test_writes_reach_the_caller() -> None:
    def f(x):
        x[1:] += x[:-1]
        return x.sum()

    x, y = np.arange(5000.0), np.arange(5000.0)
    close(nf.jit(f, target="cuda")(x), f(y))
    close(x, y)
    z = on_device(np.arange(5000.0))
    nf.jit(f, target="cuda")(z)
    close(z.numpy(), y)


def test_more_than_2_to_the_31_elements() -> None:
    count = 2**31 + 37
    from cuda.bindings import driver

    free, _ = driver.cuMemGetInfo()[1:]
    if free < 3 * count:
        pytest.skip(f"needs {3 * count / 2**30:.0f} GiB of device memory")
    made = nf.jit(lambda tail: np.concatenate([np.zeros(count - 37, "u1"), tail]) + np.uint8(1), target="cuda")
    tail = np.arange(37, dtype="u1")
    try:
        whole = made(on_device(tail))
    except (TypeError, MemoryError):
        whole = on_device(np.concatenate([np.zeros(count - 37, "u1"), tail]) + np.uint8(1))
    doubled = nf.jit(lambda x: x * np.uint8(2), target="cuda")(whole)
    end = nf.jit(lambda x: x[-40:], target="cuda")(doubled)
    close(end.numpy(), np.concatenate([np.full(3, 2, "u1"), (tail + 1) * np.uint8(2)]))
    assert nf.jit(lambda x: x.sum(dtype="i8"), target="cuda")(doubled) == 2 * (count - 37) + 2 * int((tail + 1).sum())


# -- other libraries -----------------------------------------------------------------------------------------------------


def test_cupy_without_a_copy(rng: np.random.Generator) -> None:
    cupy = pytest.importorskip("cupy")
    x = rng.standard_normal((30, 40))
    result = nf.jit(lambda x: np.tanh(x) * 2, target="cuda")(cupy.asarray(x))
    close(cupy.asnumpy(cupy.asarray(result)), np.tanh(x) * 2)
    assert cupy.asarray(result).data.ptr == result.address


def test_torch_without_a_copy(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch finds no GPU")
    x = rng.standard_normal((30, 40))
    result = nf.jit(lambda x: np.tanh(x) * 2, target="cuda")(torch.from_numpy(x).cuda().T)
    close(torch.from_dlpack(result).cpu().numpy(), np.tanh(x.T) * 2)
    assert torch.from_dlpack(result).data_ptr() == result.address


def test_random_programs() -> None:
    pytest.importorskip("hypothesis")
    from hypothesis import given, settings

    from tests.random_programs import compare, programs

    @settings(max_examples=150)
    @given(programs(8))
    def check(drawn: Any) -> None:
        arguments, program, steps = drawn
        wanted = program(*[array.copy() for array in arguments])
        compare(nf.jit(program, target="cuda")(*arguments), wanted, steps, arguments)

    check()


def test_the_simulator_cannot_be_had_any_more() -> None:
    """This process has Numba's CUDA target already; the simulator says what to do."""
    nf.jit(lambda x: x + 1, target="cuda")(np.ones(3))
    with pytest.raises(RuntimeError, match="NUMBA_ENABLE_CUDASIM"):
        nf.jit(lambda x: x + 2, target="cudasim")(np.ones(3))


def test_calls_from_other_threads(rng: np.random.Generator) -> None:
    from concurrent.futures import ThreadPoolExecutor

    x = rng.standard_normal((64, 1000))
    function = nf.jit(CASES["softmax"].function, target="cuda")
    with ThreadPoolExecutor(4) as threads:
        for result in threads.map(lambda k: function(x + k), range(12)):
            close(result, CASES["softmax"].function(x))
