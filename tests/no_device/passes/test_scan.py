"""Scans: the two writes that they become, and what is left to the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numfuse.compiler.views import view_through
from numfuse.passes.scan import scan

import numfuse as nf
from tests.no_device.passes.test_passes import check, graph
from tests.plain_python import run_program


def test_the_first_element_and_the_rest() -> None:
    before = graph("%x: f64[4,5]", "%1", "%1: f64[4,5] = accumulate(%x, axis=-1, dtype=None, ufunc='add')")
    check(
        before,
        scan(before, True),
        """
        %1: f64[4,5] = memory(dtype=f64, shape=(4, 5))
        %2: f64[4,1] = slice(%x, shape=(4, 1), start=(0, 0), step=(1, 1))
        %3: f64[4,5] = put_slice(%1, %2, start=(0, 0), step=(1, 1))
        %4: f64[4,4] = slice(%x, shape=(4, 4), start=(0, 1), step=(1, 1))
        %5: f64[4,5] = scan(%3, %4, axis=1, combine='add')
        """,
    )
    assert scan(before, False) is before


@pytest.mark.parametrize(("function", "dtype"), [(np.logical_or, "?"), (np.logical_and, "i8")])
def test_what_no_kernel_joins_is_a_library_call(function: Any, dtype: str) -> None:
    lowered = nf.jit(lambda x: function.accumulate(x)).trace(nf.spec(dtype, 9)).lower(target="cpu")
    assert lowered.library_calls == ["accumulate"]


def test_what_is_computed_on_the_way_is_in_the_loop() -> None:
    lowered = (
        nf.jit(lambda x, y: np.cumsum(x * y, axis=1)).trace(nf.spec("f8", 6, 9), nf.spec("f8", 9)).lower(target="cpu")
    )
    assert not lowered.library_calls
    assert len(lowered.kernels) == 2
    assert "out[9 * i + j + 1] = out[9 * i + j] + x[9 * i + j] * y[j]" in lowered.kernels[1].code


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 1, 5), (3, 4, 5), (2, 7, 1), (0, 3, 2), (3, 0, 2)])
@pytest.mark.parametrize("dtype", ["i1", "u4", "f2", "f4", "f8", "c8", "?"])
def test_values(axis: int, shape: tuple[int, ...], dtype: str) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * 3).astype(dtype)
    for function in (
        lambda x: np.cumsum(x, axis),
        lambda x: np.cumprod(x * 2, axis, dtype="c16"),
        lambda x: np.maximum.accumulate(x[::-1, :, ::-1].T, axis),
        lambda x: np.cumsum(x * x.any(axis, keepdims=True), axis)[..., ::2] + 1,
        lambda x: np.subtract.accumulate(x.astype("f4"), axis, out=np.empty(x.shape, "f4")),
    ):
        with np.errstate(all="ignore"):
            wanted, traced = function(x.copy()), nf.jit(function).trace(x)
            (got,) = run_program(traced.lower(target="cpu").program, [x])
            got = view_through(got, traced.outputs[0].steps)
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(got, wanted)
