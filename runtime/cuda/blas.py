"""Matrix products on the GPU, by cuBLAS."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
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
        self._check(self.cublas.cublasSetStream_v2(self.handle, ctypes.c_void_p(int(gpu.stream.handle))))

    def matmul(self, a: DeviceArray, b: DeviceArray, out: DeviceArray) -> None:
        """`out = a @ b`, over leading axes too; `out` is C-contiguous. Transposed operands are read as they lie."""
        if not out.size:
            return
        rows, columns = out.shape[-2:]
        inner = a.shape[-1]
        kind, compute, factor_dtype = KINDS[out.dtype]
        one, zero = np.ones((), factor_dtype), np.zeros((), factor_dtype)
        batch = out.shape[:-2]
        a_places, b_places = _batch_offsets(a, batch), _batch_offsets(b, batch)
        for place, (a_at, b_at) in enumerate(zip(a_places, b_places, strict=True)):
            # cuBLAS counts columns first: the transposed product has the transposed operands in the other order
            b_op, b_lead = _orientation(b)
            a_op, a_lead = _orientation(a)
            self._check(
                self.cublas.cublasGemmEx(
                    self.handle,
                    b_op,
                    a_op,
                    columns,
                    rows,
                    inner,
                    ctypes.c_void_p(one.ctypes.data),
                    ctypes.c_void_p(b.address + b_at),
                    kind,
                    b_lead,
                    ctypes.c_void_p(a.address + a_at),
                    kind,
                    a_lead,
                    ctypes.c_void_p(zero.ctypes.data),
                    ctypes.c_void_p(out.address + place * rows * columns * out.dtype.itemsize),
                    kind,
                    columns,
                    compute,
                    -1,
                )
            )

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            raise RuntimeError(f"cuBLAS failed with status {status}")


def _orientation(array: DeviceArray) -> tuple[int, int]:
    """How cuBLAS is to read a row-major matrix: as it lies (0) or transposed (1), and its leading dimension."""
    (rows, columns), (row_step, column_step) = array.shape[-2:], array.element_strides[-2:]
    if column_step == 1 or columns == 1:
        return 0, max(row_step if rows > 1 else columns, columns, 1)
    if row_step == 1 or rows == 1:
        return 1, max(column_step if columns > 1 else rows, rows, 1)
    raise ValueError("cuBLAS reads matrices with neighbouring elements along one axis; copy the operand first")


def _batch_offsets(array: DeviceArray, batch: tuple[int, ...]) -> list[int]:
    """The offset in bytes of each matrix, with the leading axes broadcast to `batch`."""
    strides = [0] * (len(batch) - array.ndim + 2)
    strides += [0 if n == 1 else s for n, s in zip(array.shape[:-2], array.element_strides[:-2], strict=True)]
    offsets = np.zeros(batch, np.int64)
    for axis, (extent, stride) in enumerate(zip(batch, strides, strict=True)):
        along = np.arange(extent) * stride * array.dtype.itemsize
        offsets += along.reshape([-1 if k == axis else 1 for k in range(len(batch))])
    return offsets.reshape(size_of(batch)).tolist()


def _load() -> ctypes.CDLL:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:
        raise NoCudaError(
            f"matrix products on the GPU need cuBLAS: pip install 'numfuse[cuda,cublas]' ({error})"
        ) from None
