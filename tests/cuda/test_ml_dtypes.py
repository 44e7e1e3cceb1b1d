"""The float types of ml_dtypes in CUDA kernels, compiled without a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf

pytest.importorskip("ml_dtypes")

from tests.narrow import NAMES, dtype_of

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x + 1,
        lambda x: np.exp(x - x.max(-1, keepdims=True)),
        lambda x: x.sum(0),
        lambda x: x.astype("f4").sum(),
    ],
)
def test_compiles(name: str, function: Callable[..., Any]) -> None:
    for kernel in nf.jit(function).lower(nf.spec(dtype_of(name), 64, 1024), target="cuda", arch="sm_90").kernels:
        assert kernel.resources["spill_bytes"] == 0 and ".local" not in kernel.ptx and ".f64" not in kernel.ptx


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name != "bfloat16"]
)  # that is loaded as four words of 16 bits
def test_loads_16_bytes(name: str) -> None:
    (kernel,) = nf.jit(lambda x: x + x).lower(nf.spec(dtype_of(name), 1 << 20), target="cuda", arch="sm_90").kernels
    assert re.search(r"ld\.global\.v4\.[ub]32", kernel.ptx)
