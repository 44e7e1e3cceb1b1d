"""These tests see the same compiler on every processor."""

from __future__ import annotations

import pytest
from numfuse.compiler import targets


@pytest.fixture(autouse=True)
def products_by_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "product_vector_bytes", lambda: 0)


@pytest.fixture
def products_by_kernels(monkeypatch: pytest.MonkeyPatch, products_by_blas: None) -> None:
    """As on processors with vectors of 64 bytes."""
    monkeypatch.setattr(targets, "product_vector_bytes", lambda: 64)
