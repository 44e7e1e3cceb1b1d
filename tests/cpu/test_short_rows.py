"""Kernels of many short rows."""

from __future__ import annotations

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "c8", "f2"])
@pytest.mark.parametrize("width", [9, 16, 37, 64])
def test_short_rows(dtype: str, width: int, rng: np.random.Generator) -> None:
    """LLVM writes these loops out, and looks for vectors in what a row has side by side."""
    x = (rng.standard_normal((101, width)) * 9).astype(dtype)

    def f(x):
        return x + x[0], x.sum(1, dtype=dtype), x[:, ::-1] * x[:, :1], np.concatenate([x, x * x], axis=1)

    function = nf.jit(f)
    assert "i = opaque(i)" in function.lower(x).as_text()
    close(function(x), f(x))
