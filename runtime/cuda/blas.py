"""Matrix products on the GPU, by cuBLAS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.types import Shape, size_of
from numfuse.runtime.cuda.foreign import Library, LibraryCall, Matrices, Pointer, load

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
    """cuBLAS on a GPU's stream."""

    def __init__(self, gpu: Any) -> None:
        self.routines = _load()
        self.handle = self.routines.made("cublasCreate_v2")
        self.routines.call("cublasSetStream_v2", self.handle, gpu.stream)

    def matmul(self, a: Matrices, b: Matrices, shape: Shape, dtype: np.dtype) -> list[LibraryCall] | None:
        """The calls for `out = a @ b`, over leading axes too; `out`, of that shape, is C-contiguous, and their arrays are a, b and out. Transposed
        operands are read as they lie. None where BLAS cannot read one."""
        left, right = blas_order(*a[:2]), blas_order(*b[:2])
        if left is None or right is None:
            return None
        (a_op, a_lead), (b_op, b_lead) = left, right
        rows, columns = shape[-2:]
        inner = a.shape[-1]
        kind, compute, factor_dtype = KINDS[dtype]
        factors = np.array([1, 0], factor_dtype)
        one, zero = factors[:1].ctypes.data, factors[1:].ctypes.data
        batch, size = shape[:-2], dtype.itemsize
        places = list(zip(_batch_places(a, batch), _batch_places(b, batch), strict=True)) if size_of(shape) else []
        return [
            # cuBLAS counts columns first: the transposed product has the transposed operands in the other order
            self.routines.planned(
                "cublasGemmStridedBatchedEx",
                *(self.handle, int(b_op), int(a_op), columns, rows, inner, one),
                *(Pointer(1, b_at * size), kind, b_lead, b_step),
                *(Pointer(0, a_at * size), kind, a_lead, a_step),
                *(zero, Pointer(2, run * rows * columns * size), kind, columns, rows * columns),
                *(count, compute, -1),
                kept=factors,
            )
            for run, ((a_at, a_step), (b_at, b_step), count) in _runs(places)
        ]


def _batch_places(array: Matrices, batch: tuple[int, ...]) -> list[int]:
    """The first element of each matrix, with the leading axes broadcast to `batch`."""
    strides = [0] * (len(batch) - len(array.shape) + 2)
    strides += [0 if n == 1 else s for n, s in zip(array.shape[:-2], array.strides[:-2], strict=True)]
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


def _load() -> Library:
    return load("cublas", "cublas")
