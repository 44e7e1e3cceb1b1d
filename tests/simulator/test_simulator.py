"""The very CUDA kernels, in Numba's simulator: the promised functions at small odd sizes, and random programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numfuse.compiler.schedule import CUDA_CHOICES
from numfuse.runtime.cuda.array import DeviceArray

import numfuse as nf
from tests import indexed
from tests.functions import CASES, close
from tests.indices import agree
from tests.no_device.passes.test_in_place import IN_PLACE
from tests.random_programs import compare, programs

pytestmark = pytest.mark.simulator

SIZES = (1, 2, 31, 33, 1000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_right_at_odd_sizes(name: str, size: int, rng: np.random.Generator) -> None:
    case = CASES[name]
    if name == "mlp":
        size = min(size, 33)
    if name == "standardise" and size == 1000:
        size = 131
    arguments = case.arguments(size, rng)
    function = nf.jit(case.function, target="cudasim")
    close(function(*arguments), case.function(*arguments))
    lowered = function.lower(*arguments, target="cudasim")
    assert len(lowered.kernels) + len(lowered.library_calls) <= case.cuda_kernels + case.matmuls


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rows])
def test_right_for_rows_of_1025(name: str, rng: np.random.Generator) -> None:
    arguments = CASES[name].arguments(1025, rng)
    close(nf.jit(CASES[name].function, target="cudasim")(*arguments), CASES[name].function(*arguments))


@pytest.mark.parametrize("name", ["saxpy", "gelu", "black_scholes", "squared_distance"])
def test_empty(name: str, rng: np.random.Generator) -> None:
    arguments = CASES[name].arguments(0, rng)
    close(nf.jit(CASES[name].function, target="cudasim")(*arguments), CASES[name].function(*arguments))


def test_a_split_reduction(rng: np.random.Generator) -> None:
    x = rng.random(40_000).astype("f4")
    function = nf.jit(lambda x: (x * x).sum(), target="cudasim")
    assert len(function.lower(x, target="cudasim").kernels) == 2
    close(function(x), np.float32((x.astype("f8") ** 2).sum()))


@pytest.mark.parametrize("shape", [(200, 40), (70, 33), (5, 64), (300, 3)])
def test_columns(shape: tuple[int, int], rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape)
    close(
        nf.jit(lambda x: (x.sum(0), x.max(0), x.argmin(0), x.std(0)), target="cudasim")(x),
        (x.sum(0), x.max(0), x.argmin(0), x.std(0)),
    )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "u8", "?", "c8", "c16"])
def test_reductions_of_all_kinds(dtype: str, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((6, 70)) * 3).astype(dtype)

    def f(x):
        if x.dtype.kind == "c":
            return x.sum(1), x.sum(), (x * x).sum(0)
        return x.max(1), x.min(), (x > 0).any(1), (x > 0).all(0), x.sum(1), x.argmax(1)

    close(nf.jit(f, target="cudasim")(x), f(x))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(programs(5), st.sampled_from([None, *CUDA_CHOICES]))
def test_random_programs(drawn: tuple[list[np.ndarray], Callable[..., Any], Any], schedule: nf.Schedule | None) -> None:
    arguments, program, steps = drawn
    wanted = program(*[array.copy() for array in arguments])
    compare(nf.jit(program, target="cudasim", schedule=schedule)(*arguments), wanted, steps, arguments)


@pytest.mark.parametrize("schedule", CUDA_CHOICES, ids=str)
def test_every_schedule(schedule: nf.Schedule) -> None:
    def function(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True), x.T + y, x.var(0), (x * x).sum(), x[:, ::-1] * 2

    rng = np.random.default_rng(0)
    large = (schedule.team or 0) > 256  # the simulator's threads take each other's time
    for rows, columns in ((1, 130), (2, 8)) if large else ((2, 70), (9, 8), (1, 130)):
        x, y = rng.random((rows, columns)).astype("f4"), rng.random((columns, rows)).astype("f4")
        got = nf.jit(function, target="cudasim", schedule=schedule)(x, y)
        for one, other in zip(got, function(x, y), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", indexed.CASES)
def test_indexing_with_arrays_and_masks(name: str) -> None:
    agree(*indexed.CASES[name], "cudasim")


@pytest.mark.parametrize("function", IN_PLACE, ids=lambda function: function.__name__)
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray], ids=["C", "Fortran"])
def test_writes_in_place(function: Callable[..., Any], layout: Callable[[np.ndarray], np.ndarray]) -> None:
    ours, theirs = [layout(np.arange(256.0).reshape(16, 16) % 7) for _ in range(2)]
    close(nf.jit(function, target="cudasim")(ours), function(theirs))
    np.testing.assert_array_equal(ours, theirs)


def test_writes_reach_the_caller() -> None:
    def f(x):
        x[1:] += x[:-1]
        return x.sum()

    x, y = np.arange(50.0), np.arange(50.0)
    close(nf.jit(f, target="cudasim")(x), f(y))
    close(x, y)


def test_an_index_outside_an_array_is_found() -> None:
    from numfuse.runtime.cuda.simulator import pointer_to

    pointer = pointer_to(np.arange(6.0)[::-1])
    assert pointer[0] == 5 and pointer[-5] == 0
    for index in (1, -6):
        with pytest.raises(IndexError):
            pointer[index]


def test_cuda_executable_on_a_stand_in_gpu(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Everything of the CUDA runtime but the driver: copies, workspace, views, launches, host in and host out."""
    from tests.simulator.fake_gpu import FakeGpu, stand_in

    gpu = FakeGpu()
    with stand_in(monkeypatch, gpu):
        x = rng.standard_normal((6, 40)).astype("f4")
        function = nf.jit(CASES["softmax"].function, target="cuda")
        close(function(x), CASES["softmax"].function(x))
        on_device = DeviceArray.from_host(gpu, x)
        result = function(on_device)
        assert isinstance(result, DeviceArray)
        close(result.numpy(), CASES["softmax"].function(x))
        close(np.asarray(result), CASES["softmax"].function(x))
        turned = nf.jit(lambda a: a.T, target="cuda")(on_device)
        assert turned.address == on_device.address
        close(turned.numpy(), x.T)
        close(function(turned).numpy(), CASES["softmax"].function(np.ascontiguousarray(x.T)))
        big = rng.random(40_000).astype("f4")
        assert abs(nf.jit(lambda v: (v * v).sum(), target="cuda")(big) - (big.astype("f8") ** 2).sum()) < 1e-2
        assert gpu.live_after_collection() <= 4


def test_0d_arguments_that_are_results() -> None:
    x = np.array(0.5, "f4")
    assert nf.jit(lambda x: (np.maximum(x, x),), target="cudasim")(x)[0].shape == ()


@pytest.mark.parametrize("dtype", ["f2", "f4", "?", "c8"])
@pytest.mark.parametrize("length", [1, 36, 129, 520, 1023, 1032])
def test_rows_of_all_lengths(length: int, dtype: str, rng: np.random.Generator) -> None:
    """Rows that are whole vectors and rows that are not: reduced, kept, read beside a vector of their length, and from a place of their own on."""
    x = (rng.standard_normal((5, length)) * 3).astype(dtype)
    z = (rng.standard_normal(length) * 3).astype(dtype)

    def f(x, z):
        if x.dtype.kind == "b":
            return (x ^ x.any(1, keepdims=True)) & z, x.sum(1), x[1:].all(1)
        shifted = x - x.mean(1, keepdims=True).astype(x.dtype)
        return shifted * z, x.sum(1), x[1:, length // 4 :].sum(1), (x * z)[:, : length - length // 4].sum(1)

    close(nf.jit(f, target="cudasim")(x, z), f(x, z))


@pytest.mark.parametrize(("size", "dtype"), [(32_768, "i2"), (32_769, "f4"), (40_003, "f4"), (65_538, "i2")])
def test_a_split_reduction_that_ends_anywhere(size: int, dtype: str, rng: np.random.Generator) -> None:
    x = (rng.standard_normal(size) * 3).astype(dtype)
    result = nf.jit(lambda x: (x.sum(), x.max(), x[3:].min()), target="cudasim")(x)
    assert abs(result[0] - x.sum(dtype="f8")) < 1e-2
    assert result[1] == x.max() and result[2] == x[3:].min()


@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("size", [1, 6, 64, 67, 300])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1"])
def test_neighbours_share_what_they_read(dtype: str, size: int, start: int, rng: np.random.Generator) -> None:
    """Slices from any place on: whole vectors are read around them, and nothing beyond the array."""
    x = (rng.random(size + 8) * 50).astype(dtype)

    def f(x):
        return x[start : size + start] + x[start + 2 : size + start + 2] * x[:size]

    close(nf.jit(f, target="cudasim")(x), f(x))
    y = (rng.random((3, size + 8)) * 50).astype(dtype)

    def g(y):
        return y[1:, start : size + start] + y[:-1, 4 : size + 4]

    close(nf.jit(g, target="cudasim")(y), g(y))


@pytest.mark.parametrize(("shape", "dtype"), [((600, 33), "i2"), ((4112, 4), "i2"), ((2, 520, 34), "f4")])
def test_split_columns(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 3).astype(dtype)
    axis = len(shape) - 2 if shape[0] < 10 else 0
    function = nf.jit(
        lambda x: (x.sum(axis, dtype="f8"), x.max(axis), x - x.mean(axis, keepdims=True).astype(dtype)),
        target="cudasim",
    )
    assert len(function.lower(x, target="cudasim").kernels) > 2
    result, wanted = function(x), (x.sum(axis, dtype="f8"), x.max(axis), x - x.mean(axis, keepdims=True).astype(dtype))
    close(result, wanted)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "?", "c16"])
@pytest.mark.parametrize("shape", [(33, 40), (8, 70), (1, 9), (64, 32)])
def test_across_the_rows(shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> None:
    x, z = [(rng.random(shape) * 50).astype(dtype) for _ in range(2)]
    y = (rng.random(shape[::-1]) * 50).astype(dtype)
    close(nf.jit(lambda x, y: x.T + y, target="cudasim")(x, y), x.T + y)

    def f(x, y, z):
        return x.T * z.T + y, (y.T + z) * x

    close(nf.jit(f, target="cudasim")(x, y, z), f(x, y, z))


@pytest.mark.parametrize("axes", [(0, 2, 1), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_across_the_rows_of_three_axes(axes: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.random((9, 35, 10)).astype("f4")
    y = rng.random(x.transpose(axes).shape).astype("f4")

    def f(x, y):
        return x.transpose(axes) + y, x[:, 1:, ::-1].transpose(axes) * 2

    close(nf.jit(f, target="cudasim")(x, y), f(x, y))


def test_arrays_may_be_called_as_the_functions_of_kernels(rng: np.random.Generator) -> None:
    def f(block, thread, load_4, block_add):
        return block.sum(1) + thread.max(1), load_4 * block_add

    x = rng.random((3, 600)).astype("f4")
    close(nf.jit(f, target="cudasim")(x, x, x, x), f(x, x, x, x))


def test_copies_of_views_are_kernels(rng: np.random.Generator) -> None:
    z = rng.random((40, 33)) + 1j * rng.random((40, 33))

    def f(z):
        return z.T.copy(), (z.T * 2).reshape(-1), z[::3, ::-1].copy(), z.imag.copy(), z.T.reshape(20, -1)

    function = nf.jit(f, target="cudasim")
    close(function(z), f(z))
    program = function.lower(z, target="cudasim").program
    assert not any(program.copied) and len(program.kernels) == 3


def test_long_rows_in_one_reading(rng: np.random.Generator) -> None:
    x = (rng.standard_normal(32_768) * 20).astype("f4")
    x[:20_000] = -np.inf

    def f(x):
        e = np.exp(x - x.max())
        return e / e.sum(), x[20_000:].std()

    function = nf.jit(f, target="cudasim")
    assert len(function.lower(x, target="cudasim").kernels) <= 4
    close(function(x), f(x))
