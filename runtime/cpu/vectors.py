"""The processor's vector registers."""

from __future__ import annotations

import functools


@functools.cache
def product_vector_bytes() -> int:
    """Bytes of the vectors in which kernels compute matrix products; 0 where the BLAS that NumPy brings does not leave any of the processor's unused.

    OpenBLAS has kernels with vectors of 64 bytes for some processors that have them, and takes others for older ones; its kernels of 32 bytes are as fast
    as these can be.
    """
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") and features.get("avx512vl") else 0
