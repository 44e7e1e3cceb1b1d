"""Matrix products that machine code calls NumPy's BLAS for."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.compiler import targets
from numfuse.runtime.cpu import blas
from numfuse.runtime.cpu.executable import Executable

import numfuse as nf

RNG = np.random.default_rng(0)


def array(*shape: int, dtype: str = "f8") -> np.ndarray:
    numbers = RNG.standard_normal(shape)
    return (numbers + 1j * RNG.standard_normal(shape)).astype(dtype) if dtype in "FD" else numbers.astype(dtype)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda a: a,
    "Fortran": np.asfortranarray,
    "part": lambda a: np.pad(a, ((0, 0),) * (a.ndim - 2) + ((1, 2), (3, 1)))[..., 1:-2, 3:-1],
    "part, Fortran": lambda a: np.pad(a.mT, ((0, 0),) * (a.ndim - 2) + ((1, 2), (3, 1)))[..., 1:-2, 3:-1].mT,
    "steps": lambda a: np.repeat(np.repeat(a, 2, -1), 3, -2)[..., ::3, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
}


@pytest.fixture(autouse=True)
def products_by_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors whose vectors BLAS makes use of."""
    monkeypatch.setattr(targets, "product_vector_bytes", lambda: 0)


def executable_of(jitted: Any, *arguments: Any) -> Executable:
    made = jitted.lower(*arguments).compile().executable
    assert isinstance(made, Executable)
    return made


@pytest.mark.parametrize("dtype", list("fdFD"))
@pytest.mark.parametrize(
    "shapes", [((60, 40), (40, 50)), ((300, 200), (200, 1)), ((1, 300), (300, 400)), ((70, 300), (300,))]
)
def test_layouts(shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> None:
    left, right = (array(*shape, dtype=dtype) for shape in shapes)
    jitted = nf.jit(np.matmul, target="cpu")
    for one in LAYOUTS.values():
        for other in LAYOUTS.values() if right.ndim > 1 else (lambda v: v, lambda v: np.repeat(v, 2)[::2]):
            a, b = one(left), other(right)
            for _ in range(3):
                np.testing.assert_allclose(jitted(a, b), left @ right, rtol=1e-3 if dtype in "fF" else 1e-10)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a @ b,
        lambda a, b: a.T @ b,
        lambda a, b: (b[:, 5] + 1) @ a,
        lambda a, b: np.tanh(a @ b) @ b[:7].T,
        lambda a, b: (a[3:150] @ b[:, 2:90] + a[3:150, :88]).T,
        lambda a, b: np.stack([a, b]) @ np.stack([b, b + 1]),
        lambda a, b: np.stack([a, b])[::-1] @ b,
        lambda a, b: (a @ b).reshape(-1)[::2],
    ],
)
def test_it_is_called_from_machine_code(function: Callable[..., Any]) -> None:
    if blas._routine("dgemm") is None:
        pytest.skip("NumPy has another BLAS here")
    a, b = array(400, 400), array(400, 400)
    jitted = nf.jit(function, target="cpu")
    executable = executable_of(jitted, a, b)
    assert executable.products.keys() == {id(s) for s in executable.program.steps if type(s).__name__ == "LibraryStep"}
    assert executable.products
    for _ in range(3):
        np.testing.assert_allclose(jitted(a, b), function(a, b), rtol=1e-9, atol=1e-9)
    lying, expected = np.ravel(executable([a, b])[0], "K"), np.ravel(function(a, b), "K")
    np.testing.assert_allclose(lying[:5], expected[:5], rtol=1e-9)


def test_another_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy's routines are not found, the product is NumPy's call."""
    monkeypatch.setattr(blas, "_routine", lambda name: None)
    a, b = array(200, 200), array(200, 200)
    jitted = nf.jit(lambda a, b: np.tanh(a @ b) @ b[:, 0], target="cpu")
    assert not executable_of(jitted, a, b).products
    for _ in range(3):
        np.testing.assert_array_equal(jitted(a, b), jitted(a.copy(), b))
        np.testing.assert_allclose(jitted(a, b), np.tanh(a @ b) @ b[:, 0], rtol=1e-9)


def test_the_same_sums_as_numpys() -> None:
    """The same routine gives the same bits."""
    if blas._routine("dgemm") is None:
        pytest.skip("NumPy has another BLAS here")
    a, b, v = array(300, 250), array(250, 270), array(250)
    jitted = nf.jit(lambda a, b, v: (a @ b, b.T @ a.T, a @ np.vstack([v] * 3).T), target="cpu")
    for _ in range(2):
        for got, wanted in zip(jitted(a, b, v), (a @ b, b.T @ a.T, a @ np.vstack([v] * 3).T), strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_a_matrix_and_its_own_transpose() -> None:
    """NumPy's result is symmetric to the last bit."""
    a = array(90, 300, dtype="f4")
    jitted = nf.jit(lambda a: (a @ a.T, a.T @ a), target="cpu")
    for _ in range(2):
        for got in jitted(a):
            np.testing.assert_array_equal(got, got.T)


def test_products_into_their_own_operand() -> None:
    def squared(a: Any) -> None:
        a[...] = a @ a

    def stepped(a: Any, v: Any) -> Any:
        for _ in range(3):
            v[:] = a @ v
        return v * 2

    a, v = array(120, 120), array(120)
    one, two = nf.jit(squared, target="cpu"), nf.jit(stepped, target="cpu")
    for _ in range(3):
        given, wanted = a.copy(), a.copy()
        one(given)
        squared(wanted)
        np.testing.assert_allclose(given, wanted, rtol=1e-9)
        given, wanted = v.copy(), v.copy()
        np.testing.assert_allclose(two(a, given), stepped(a, wanted), rtol=1e-9)
        np.testing.assert_allclose(given, wanted, rtol=1e-9)
        with pytest.raises(ValueError, match="read-only"):
            given.flags.writeable = False
            two(a, given)


@pytest.mark.parametrize(
    "shapes", [((0, 5), (5, 3)), ((4, 0), (0, 3)), ((4, 0), (0,)), ((3, 5), (5, 0)), ((0, 4, 5), (5, 6))]
)
def test_empty(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (np.ones(shape) for shape in shapes)
    jitted = nf.jit(np.matmul, target="cpu")
    for _ in range(2):
        np.testing.assert_array_equal(jitted(a, b), a @ b)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_many_matrices(dtype: str) -> None:
    many, other = array(6, 40, 30).astype(dtype), array(6, 30, 50).astype(dtype)
    cases = [
        (many, other),
        (many[::2], other[1::2]),
        (many[::-1], other[2]),
        (many.reshape(2, 3, 40, 30), other.reshape(2, 3, 30, 50)),
        (many.reshape(2, 3, 40, 30), other[:3]),
        (many.reshape(2, 3, 40, 30), other.reshape(2, 3, 30, 50)[:, :1]),
        (many.reshape(2, 3, 40, 30).swapaxes(0, 1), other.reshape(3, 2, 30, 50)),
        (many[:1], other),
        (many.mT, many),
    ]
    jitted = nf.jit(np.matmul, target="cpu")
    for a, b in cases:
        for _ in range(2):
            np.testing.assert_allclose(jitted(a, b), a @ b, rtol=1e-3, atol=1e-4)


def layers(x: Any, a: Any, b: Any) -> Any:
    return np.tanh(x @ a) @ b


def in_a_child(queue: Any, jitted: Any, arguments: Any) -> None:
    queue.put([jitted(*arguments) for _ in range(3)])


def test_kernels_that_threads_share_in_a_whole_call() -> None:
    x, a, b = array(512, 256), array(256, 1024), array(1024, 64)
    jitted = nf.jit(layers, target="cpu")
    for _ in range(3):
        np.testing.assert_allclose(jitted(x, a, b), layers(x, a, b), rtol=1e-9)
    if sys.platform != "linux":
        pytest.skip("forks")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_a_child, args=(queue, jitted, (x, a, b)))
    child.start()
    for result in queue.get(timeout=60):
        np.testing.assert_allclose(result, layers(x, a, b), rtol=1e-9)
    child.join(timeout=60)
    assert child.exitcode == 0
