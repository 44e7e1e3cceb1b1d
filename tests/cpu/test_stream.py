"""Results that are stored past the caches: the same values in the same places, and only where that pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler import targets
from numfuse.compiler.schedule import Schedule
from numfuse.runtime.cpu import streaming

import numfuse as nf

MIB = 2**20
STREAMED = Schedule(stream=True)


def chain(x: Any, y: Any) -> Any:
    return 2 * x + y * y - x


def row_means(x: Any) -> Any:
    return x - x.mean(1, keepdims=True)


def code(function: Callable[..., Any], *args: Any, **options: Any) -> str:
    return "\n".join(kernel.code for kernel in nf.jit(function, target="cpu", **options).lower(*args).kernels)


def test_the_loop_is_vectorised_and_its_stores_go_past_the_caches() -> None:
    specs = [nf.spec("f4", 10_000), nf.spec("f4", 10_000)]
    (kernel,) = nf.jit(chain, schedule=STREAMED).lower(*specs).kernels
    if not streaming.X86:
        pytest.skip("the names of x86's instructions")
    assert "movntps" in kernel.assembly or "movntdq" in kernel.assembly
    assert "sfence" in kernel.assembly
    assert any(packed in kernel.assembly for packed in ("mulps", "ps\t"))
    assert "mulss" not in kernel.assembly  # no elements are left over


DTYPES = ["?", "i1", "u2", "f2", "i4", "f4", "i8", "f8", "c8", "c16"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 63, 64, 513, 4099])
def test_every_dtype_at_every_place(dtype: str, size: int) -> None:
    x = (np.random.default_rng(size).random(size) * 100).astype(dtype)

    def into(x: Any, out: Any) -> None:
        out[...] = ~x if x.dtype == bool else x + x

    jitted = nf.jit(into, target="cpu", schedule=STREAMED)
    assert "stream(" in jitted.lower(x, x.copy()).kernels[0].code
    for away in range(0, 64, x.itemsize):  # from the start of a line
        memory = np.full(x.nbytes + 192, 171, np.uint8)
        first = -memory.ctypes.data % 64 + away
        out = memory[first : first + x.nbytes].view(x.dtype)
        jitted(x, out)
        np.testing.assert_array_equal(out, ~x if dtype == "?" else x + x)
        assert (memory[:first] == 171).all() and (memory[first + x.nbytes :] == 171).all()


def test_elements_at_odd_addresses() -> None:
    memory = np.zeros(4 * 1000 + 64, np.uint8)
    x = np.arange(1000, dtype="f4")

    def into(x: Any, out: Any) -> None:
        out[...] = x + 1

    for away in (1, 2, 3, 5):
        out = memory[away : away + 4000].view("f4")
        nf.jit(into, schedule=STREAMED)(x, out)
        np.testing.assert_array_equal(out, x + 1)


@pytest.mark.parametrize("pieces", [0, 1, 3, 100, 4096])
@pytest.mark.parametrize("shape", [(1000,), (37, 41), (5, 1022), (300, 7), (3, 40, 50)])
def test_rows_and_threads(shape: tuple[int, ...], pieces: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(shape), rng.random(shape)

    def function(x: Any, y: Any) -> Any:
        e = np.exp(x - x.max(-1, keepdims=True))
        inside = tuple([slice(1, -1)] * x.ndim)
        return e / e.sum(-1, keepdims=True), x[inside] * y[inside], x + y, x > y, (x * y).astype("f4"), x.T + y.T

    got = nf.jit(function, schedule=Schedule(stream=True, pieces=pieces))(x, y)
    for one, wanted in zip(got, function(x, y), strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_allclose(one, wanted, rtol=1e-12 if wanted.dtype == np.float64 else 1e-6)


def test_a_result_that_takes_an_arguments_memory_is_stored_as_usual() -> None:
    x, y = np.random.default_rng(0).random((2, 1000))
    wanted = chain(x, y)

    def in_place(x: Any, y: Any) -> None:
        x[...] = chain(x, y)

    def in_part(x: Any, y: Any) -> None:
        x[10:900] *= 3

    def both(x: Any, y: Any) -> Any:
        x += y
        return x * y

    for function in (in_place, in_part, both):
        assert "stream(" not in code(function, x, y, schedule=STREAMED)
    assert "stream(" not in code(chain, x, y, schedule=STREAMED, donate=("x",))
    taken = x.copy()
    result = nf.jit(chain, schedule=STREAMED, donate=("x",))(taken, y)
    assert np.shares_memory(result, taken)
    np.testing.assert_allclose(result, wanted)
    nf.jit(in_place, schedule=STREAMED)(x, y)
    np.testing.assert_allclose(x, wanted)
    np.testing.assert_allclose(nf.jit(both, schedule=STREAMED)(x, y), (wanted + y) * y)
    np.testing.assert_allclose(x, wanted + y)


def test_a_strided_argument_is_written_as_usual() -> None:
    x, memory = np.random.default_rng(0).random(1000), np.zeros(2000)

    def into(x: Any, out: Any) -> None:
        out[...] = x * 3

    nf.jit(into, schedule=STREAMED)(x, memory[::2])
    np.testing.assert_array_equal(memory[::2], x * 3)
    np.testing.assert_array_equal(memory[1::2], 0)


def test_sums_and_columns_are_stored_as_usual() -> None:
    x = nf.spec("f4", 1000, 300)
    for function in (lambda x: x.sum(1), lambda x: x.sum(0), lambda x: x.max(1, keepdims=True)):
        assert "stream(" not in code(function, x, schedule=STREAMED)


LARGE = {
    "a chain": (chain, 16 * MIB, True),
    "one that fits the cache": (chain, MIB, False),
    "arithmetic": (lambda x, y: np.exp(x) * np.sin(x) + np.cos(y) * np.log(y) + np.tanh(x), 16 * MIB, False),
    "rows": (lambda x, y: x.reshape(-1, 1024) * y[:1024], 16 * MIB, True),
    "short rows": (lambda x, y: x.reshape(-1, 50) * y[:50], 20_000_000, False),
    "rows with loops": (lambda x, y: row_means(x.reshape(-1, 1024)), 16 * MIB, False),
    "long rows with loops": (lambda x, y: row_means(x.reshape(-1, 8192)), 16 * MIB, True),
    "a sum": (lambda x, y: (x * y).sum(), 64 * MIB, False),
    "few results": (lambda x, y: (x * y).reshape(-1, 64).max(1), 64 * MIB, False),
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_worth_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "X86", True)
    monkeypatch.setattr(targets, "cache_bytes", lambda: 32 * MIB)
    function, size, streamed = LARGE[case]
    specs = [nf.spec("f4", size), nf.spec("f4", size)]
    assert ("stream(" in code(function, *specs)) is streamed
    assert "stream(" not in code(function, *specs, schedule=Schedule(stream=False))
    monkeypatch.setattr(targets, "X86", False)
    assert "stream(" not in code(function, *specs)


def test_the_caches_have_a_size() -> None:
    assert streaming.cache_bytes() >= 2**18


def test_a_large_result_is_right() -> None:
    x = np.arange(8 * MIB + 77, dtype="f4")
    y = x[::-1].copy()
    jitted = nf.jit(chain)
    for _ in range(3):
        np.testing.assert_array_equal(jitted(x, y)[::1001], chain(x, y)[::1001])
    total = nf.jit(lambda x, y: (np.sqrt(x) + y, x - y), schedule=STREAMED)
    for got, wanted in zip(total(x, y), (np.sqrt(x) + y, x - y), strict=True):
        np.testing.assert_array_equal(got, wanted)
