"""Which processors' matrix products are kernels."""

from collections.abc import Iterator

import llvmlite.binding as llvm
import pytest
from numfuse.runtime.cpu import vectors


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    vectors.product_vector_bytes.cache_clear()
    yield
    vectors.product_vector_bytes.cache_clear()


@pytest.mark.parametrize(
    ("features", "core", "expected"),
    [
        ({"avx512f": True, "avx512vl": True}, "Haswell", 64),
        ({"avx512f": True, "avx512vl": True}, "Zen", 64),
        ({"avx512f": True, "avx512vl": True}, "SkylakeX", 0),
        ({"avx512f": True, "avx512vl": True}, None, 0),
        ({"avx512f": False}, "Haswell", 0),
        ({}, None, 0),
    ],
)
def test_products_are_kernels_where_blas_leaves_vectors_unused(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], core: str | None, expected: int
) -> None:
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(vectors, "openblas_core", lambda: core)
    assert vectors.product_vector_bytes() == expected


def test_another_blas_has_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "numpy_library", lambda: None)
    assert vectors.openblas_core() is None
