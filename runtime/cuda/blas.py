"""Matrix products on the GPU, by cuBLAS."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.types import size_of
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.cuda.compile import NoCudaError

R_16F, R_32F, R_64F, C_32F, C_64F = 2, 0, 1, 4, 5
COMPUTE_32F, COMPUTE_64F = 68, 70
KINDS: dict[np.dtype, tuple[int, int, np.dtype]] = {
    np.dtype("f2"): (R_16F, COMPUTE_32F, np.dtype("f4")),
    np.dtype("f4"): (R_32F, COMPUTE_32F, np.dtype("f4")),
    np.dtype("f8"): (R_64F, COMPUTE_64F, np.dtype("f8")),
    np.dtype("c8"): (C_32F, COMPUTE_32F, np.dtype("c8")),
    np.dtype("c16"): (C_64F, COMPUTE_64F, np.dtype("c16")),
}
"""For each dtype: cuBLAS's name for it, for the arithmetic, and the dtype of the factors."""


class Blas:
    def __init__(self, gpu: Any) -> None:
        self.gpu = gpu
        self.cublas = _load()
        self.handle = ctypes.c_void_p()
        self._check(self.cublas.cublasCreate_v2(ctypes.byref(self.handle)))
        self._check(self.cublas.cublasSetStream_v2(self.handle, ctypes.c_void_p(gpu.stream)))

    def matmul(self, a: DeviceArray, b: DeviceArray, out: DeviceArray) -> None:
        """`out = a @ b`, over leading axes too; `out` is C-contiguous. Transposed operands are read as they lie; arguments that BLAS cannot read so
        are copied."""
        if not out.size:
            return
        (a, a_op, a_lead), (b, b_op, b_lead) = _as_blas_reads(a), _as_blas_reads(b)
        rows, columns = out.shape[-2:]
        inner = a.shape[-1]
        kind, compute, factor_dtype = KINDS[out.dtype]
        one, zero = np.ones((), factor_dtype), np.zeros((), factor_dtype)
        batch = out.shape[:-2]
        places = zip(_batch_places(a, batch), _batch_places(b, batch), strict=True)
        for run, ((a_at, a_step), (b_at, b_step), count) in _runs(list(places)):
            # cuBLAS counts columns first: the transposed product has the transposed operands in the other order
            self._check(
                self.cublas.cublasGemmStridedBatchedEx(
                    self.handle,
                    b_op,
                    a_op,
                    columns,
                    rows,
                    inner,
                    ctypes.c_void_p(one.ctypes.data),
                    ctypes.c_void_p(b.address + b_at * b.dtype.itemsize),
                    kind,
                    b_lead,
                    ctypes.c_longlong(b_step),
                    ctypes.c_void_p(a.address + a_at * a.dtype.itemsize),
                    kind,
                    a_lead,
                    ctypes.c_longlong(a_step),
                    ctypes.c_void_p(zero.ctypes.data),
                    ctypes.c_void_p(out.address + run * rows * columns * out.dtype.itemsize),
                    kind,
                    columns,
                    ctypes.c_longlong(rows * columns),
                    count,
                    compute,
                    -1,
                )
            )

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            raise RuntimeError(f"cuBLAS failed with status {status}")


def _as_blas_reads(array: DeviceArray) -> tuple[DeviceArray, int, int]:
    """With cuBLAS's name for as it lies (0) or transposed (1), and its leading dimension."""
    order = blas_order(array.shape, array.element_strides)
    if order is None:
        array = array.copy()
        order = blas_order(array.shape, array.element_strides)
        assert order is not None
    transposed, lead = order
    return array, int(transposed), lead


def _batch_places(array: DeviceArray, batch: tuple[int, ...]) -> list[int]:
    """The first element of each matrix, with the leading axes broadcast to `batch`."""
    strides = [0] * (len(batch) - array.ndim + 2)
    strides += [0 if n == 1 else s for n, s in zip(array.shape[:-2], array.element_strides[:-2], strict=True)]
    places = np.zeros(batch, np.int64)
    for axis, (extent, stride) in enumerate(zip(batch, strides, strict=True)):
        along = np.arange(extent) * stride
        places += along.reshape([-1 if k == axis else 1 for k in range(len(batch))])
    return places.reshape(size_of(batch)).tolist()


def _runs(places: list[tuple[int, int]]) -> Iterator[tuple[int, tuple[tuple[int, int], tuple[int, int], int]]]:
    """The products that one call can do: those whose operands follow each other in equal steps. For each, the number of its first product, then
    where the operands start and their steps, and how many they are."""
    first = 0
    while first < len(places):
        a_at, b_at = places[first]
        a_step = b_step = 0
        count = 1
        if first + 1 < len(places):
            a_step, b_step = places[first + 1][0] - a_at, places[first + 1][1] - b_at
        while first + count < len(places) and places[first + count] == (a_at + count * a_step, b_at + count * b_step):
            count += 1
        if a_step < 0 or b_step < 0:  # cuBLAS steps forwards
            count, a_step, b_step = 1, 0, 0
        yield first, ((a_at, a_step), (b_at, b_step), count)
        first += count


def _load() -> ctypes.CDLL:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:
        raise NoCudaError(
            f"matrix products on the GPU need cuBLAS: pip install 'numfuse[cuda,cublas]' ({error})"
        ) from None
