"""Kernels that draw random numbers, compiled to machine code: no spills, products of 32-bit words, no stray float64."""

from __future__ import annotations

import re

import numpy as np
import pytest

import numfuse as nf
from tests.draws import DISTRIBUTIONS

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_kernels(name: str, arch: str) -> None:
    case = DISTRIBUTIONS[name]
    rng = np.random.default_rng(0)
    (kernel,) = nf.jit(lambda r: case.call(r, 1 << 20)).lower(rng, target="cuda", arch=arch).kernels
    assert (
        kernel.resources["spill_bytes"] == 0 and kernel.resources["registers"] <= 144
    )  # of 16 small integers a thread
    if case.dtype == "f4" and "normal" not in name:  # the cosine has both, for large angles
        assert not re.search(r"\.f64\b", kernel.ptx), "float64 in a float32 kernel"
        assert ".local" not in kernel.ptx
