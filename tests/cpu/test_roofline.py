"""What bounds kernels: bytes, work, and times that were measured."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler import roofline

import numfuse as nf

X = np.random.default_rng(0).random((500, 400)).astype("f4")


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "MOST_BYTES", 2**16)


def test_a_line_for_each_kernel() -> None:
    compiled = nf.jit(lambda x: (np.sin(x) @ x.T, x.sum(0))).lower(X).compile()
    lines = compiled.roofline(X)
    assert [line.name for line in lines] == [kernel.name for kernel in compiled.kernels]
    for line, kernel in zip(lines, compiled.kernels, strict=True):
        assert (line.nbytes, line.flops) == (kernel.cost["bytes"], kernel.cost["flops"])
        assert 0 < line.taken < 1 and line.least == max(line.memory, line.arithmetic) > 0
    table = str(lines).splitlines()
    assert len(table) == 1 + len(lines) and table[0].split()[0] == "kernel" and table[1].endswith("%")


def test_bytes_that_are_read_and_written() -> None:
    (kernel,) = nf.jit(lambda x: x.sum(1)).lower(X).program.kernels
    assert kernel.written == 500 * 4 and kernel.nbytes == X.nbytes + 500 * 4


def test_arguments_stay_as_they_are() -> None:
    def double(x: np.ndarray) -> None:
        x *= 2

    x = X.copy()
    nf.jit(double).lower(x).compile().roofline(x)
    np.testing.assert_array_equal(x, X)


def test_heavy_work_is_bound_by_arithmetic() -> None:
    def heavy(x: np.ndarray) -> np.ndarray:
        for _ in range(20):
            x = np.exp(np.sin(x))
        return x

    (line,) = nf.jit(heavy).lower(X).compile().roofline(X)
    assert line.bound == "arithmetic"


def test_other_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="compiled for"):
        nf.jit(np.sin).lower(X).compile().roofline(X[:7])


def test_a_device_that_is_not_here() -> None:
    with pytest.raises(TypeError, match="no such device"):
        roofline.measured(nf.jit(np.sin, target="cudasim").lower(X), [X])


def test_what_is_written_more_than_read() -> None:
    (line,) = nf.jit(lambda x: x[:, None] - x).lower(X[0]).compile().roofline(X[0])
    assert line.memory > 0 and line.nbytes == X[0].nbytes * (1 + len(X[0]))
