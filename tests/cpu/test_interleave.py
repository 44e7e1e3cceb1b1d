"""Kernels of one long loop, which take four vectors at a time."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
import numpy as np
import pytest
from numfuse.runtime.cpu import elementary
from numfuse.runtime.cpu.target import KernelContext

import numfuse as nf


def softplus(x: Any) -> Any:
    return np.log(1 + np.exp(x))


def rows(x: Any, y: Any) -> Any:
    return softplus(x + y)


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Numba gives LLVM, for each kernel that is compiled from now on."""
    texts: list[str] = []
    lowered = KernelContext.post_lowering

    def kept(self: Any, module: ir.Module, library: Any) -> None:
        lowered(self, module, library)
        texts.append(str(module))

    monkeypatch.setattr(KernelContext, "post_lowering", kept)
    return texts


@pytest.mark.skipif(not elementary.is_fast(), reason="no functions stand in the kernels here")
def test_only_a_long_loop_over_all_elements(modules: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    x = np.ones((64, 50), "f4")
    nf.jit(lambda x: softplus(x - 3))(x)
    nf.jit(lambda x: np.exp(x - 3))(x)
    nf.jit(lambda x, y: rows(x - 3, y))(x, x[0])
    assert ["llvm.loop.interleave.count" in text for text in modules] == [True, False, False]


@pytest.mark.parametrize("length", [1, 7, 15, 16, 17, 31, 63, 64, 65, 100, 129, 1000])
def test_every_length(length: int) -> None:
    x = np.linspace(0, 3, length, dtype="f4")
    np.testing.assert_allclose(nf.jit(softplus)(x), softplus(x.astype("f8")), 1e-6)
