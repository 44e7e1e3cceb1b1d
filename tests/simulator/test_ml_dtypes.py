"""The float types of ml_dtypes in CUDA kernels, in Numba's simulator."""

from __future__ import annotations

import numpy as np
import pytest

import numfuse as nf

pytest.importorskip("ml_dtypes")

from tests.narrow import NAMES, close, dtype_of, every_value

pytestmark = pytest.mark.simulator


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 33, 256])
def test_elements(name: str, size: int) -> None:
    x = every_value(dtype_of(name))[:: 1 if name != "bfloat16" else 251][:size]
    y = x[::-1].copy()
    for function in (
        lambda x, y: x * y + 1,
        lambda x, y: x.astype("f4") * 0.3,
        lambda x, y: (x.astype("f4") / 3).astype(x.dtype),
    ):
        close(nf.jit(function, target="cudasim")(x, y), function(x, y))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [0, 1])
def test_rows(name: str, axis: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 36)).astype(dtype_of(name))
    close(nf.jit(lambda x: x.max(axis), target="cudasim")(x), x.max(axis))
    close(nf.jit(lambda x: x.sum(axis), target="cudasim")(x), x.astype("f8").sum(axis).astype(x.dtype), 1)
    close(nf.jit(lambda x: x - x.min(axis, keepdims=True), target="cudasim")(x), x - x.min(axis, keepdims=True))
