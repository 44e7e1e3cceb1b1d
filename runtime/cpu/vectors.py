"""The processor's vector registers, and what of them the BLAS that NumPy brings makes use of."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib

WIDEST_CORES = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""The processors for which OpenBLAS has products in vectors of 64 bytes, by its names."""


@functools.cache
def numpy_library() -> ctypes.CDLL | None:
    """NumPy's extension module, in which the functions of its BLAS are found."""
    try:
        return ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__ or "")
    except OSError:
        return None


def openblas_core() -> str | None:
    """The processor whose kernels OpenBLAS has chosen, by its name for it; None where NumPy's BLAS is another."""
    for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_"):
        with contextlib.suppress(AttributeError):
            function = getattr(numpy_library(), name)
            function.restype = ctypes.c_char_p
            return str(function().decode())
    return None


@functools.cache
def product_vector_bytes() -> int:
    """Bytes of the vectors in which kernels compute matrix products; 0 where that is left to BLAS.

    OpenBLAS has kernels with vectors of 64 bytes for some processors that have them, and they are as fast as these; others get its kernels for
    vectors of 32 bytes, and so half of what they can do.
    """
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    wide = features.get("avx512f") and features.get("avx512vl")
    return 64 if wide and openblas_core() not in (None, *WIDEST_CORES) else 0
