"""Matrix products with a bias and an activation, by cuBLASLt: these are done to the product before it goes to memory."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.types import Shape
from numfuse.runtime.cuda.blas import KINDS
from numfuse.runtime.cuda.foreign import Library, LibraryCall, Matrices, Pointer, load

TRANSPOSED_A, TRANSPOSED_B, EPILOGUE, BIAS_POINTER = 3, 4, 7, 8
"""Attributes of a product."""
WORKSPACE_BYTES, ALIGNMENTS = 1, (5, 6, 7, 8)
"""Attributes of a preference: how much workspace there is, and how A, B, C and D are aligned."""
EPILOGUES = {"bias": 4, "relu": 2, "relu_bias": 6, "gelu": 32, "gelu_bias": 36}
WORKSPACE = 32 * 2**20
ALGORITHM_BYTES = 64


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = [
        ("algorithm", ctypes.c_uint64 * (ALGORITHM_BYTES // 8)),
        ("workspace_bytes", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    ]


class BlasLt:
    """cuBLASLt on a GPU's stream, with a workspace that stays."""

    def __init__(self, gpu: Any) -> None:
        self.routines = _load()
        self.handle = self.routines.made("cublasLtCreate")
        self.workspace = gpu.allocate(WORKSPACE)
        self.stream = gpu.stream

    def linear(
        self, a: Matrices, b: Matrices, shape: Shape, dtype: np.dtype, epilogue: str
    ) -> list[LibraryCall] | None:
        """The calls for `out = activation(a @ b + bias)` of two matrices; `out` is C-contiguous, the bias has an element a column. Their arrays are a, b,
        the bias where there is one, and out. None where cuBLASLt has no way to do it."""
        left, right = blas_order(*a[:2]), blas_order(*b[:2])
        if left is None or right is None:
            return None
        (a_op, a_lead), (b_op, b_lead) = left, right
        columns = shape[1]
        kind, compute, factor_dtype = KINDS[dtype]
        made, routines = self.routines.made, self.routines
        product = made("cublasLtMatmulDescCreate", compute, KINDS[factor_dtype][0])
        # columns first: the product and all of its operands are transposed, so a bias for each column is one for each of its rows
        for attribute, value in ((TRANSPOSED_A, b_op), (TRANSPOSED_B, a_op), (EPILOGUE, EPILOGUES[epilogue])):
            self._set("cublasLtMatmulDescSetAttribute", product, attribute, ctypes.c_int32(int(value)))
        layouts = [
            made("cublasLtMatrixLayoutCreate", kind, *((extents[1], extents[0]) if not op else extents), lead)
            for extents, op, lead in ((b.shape, b_op, b_lead), (a.shape, a_op, a_lead), (shape, False, columns))
        ]
        found = self._algorithm(product, layouts, (b.aligned, a.aligned, True), dtype)
        if found is None:
            return None
        calls: list[LibraryCall] = []
        slot = ctypes.c_uint64(0)
        if "bias" in epilogue:
            place = Pointer(2, slot=ctypes.addressof(slot))
            calls.append(routines.planned("cublasLtMatmulDescSetAttribute", product, BIAS_POINTER, place, 8, kept=slot))
        factors = np.array([1, 0], factor_dtype)
        one, zero = factors[:1].ctypes.data, factors[1:].ctypes.data
        out = Pointer(3 if "bias" in epilogue else 2)
        calls.append(
            routines.planned(
                "cublasLtMatmul",
                *(self.handle, product, one, Pointer(1), layouts[0], Pointer(0), layouts[1], zero),
                *(out, layouts[2], out, layouts[2], ctypes.addressof(found), self.workspace.handle),
                *(found.workspace_bytes, self.stream),
                kept=(factors, found),
            )
        )
        return calls

    def _algorithm(self, product: int, layouts: list[int], aligned: tuple[bool, ...], dtype: np.dtype) -> Any:
        """What cuBLASLt would do it by, None where it has nothing."""
        preference = self.routines.made("cublasLtMatmulPreferenceCreate")
        given = [16 if one else dtype.itemsize for one in (*aligned, aligned[-1])]
        self._set("cublasLtMatmulPreferenceSetAttribute", preference, WORKSPACE_BYTES, ctypes.c_size_t(WORKSPACE))
        for attribute, alignment in zip(ALIGNMENTS, given, strict=True):
            self._set("cublasLtMatmulPreferenceSetAttribute", preference, attribute, ctypes.c_uint32(alignment))
        found, count = Heuristic(), ctypes.c_int(0)
        places = ctypes.addressof(found), ctypes.addressof(count)
        b, a, out = layouts
        try:
            self.routines.call(
                "cublasLtMatmulAlgoGetHeuristic", self.handle, product, b, a, out, out, preference, 1, *places
            )
        except RuntimeError:
            return None
        finally:
            self.routines.call("cublasLtMatmulPreferenceDestroy", preference)
        return found if count.value and not found.state else None

    def _set(self, function: str, of: int, attribute: int, value: Any) -> None:
        self.routines.call(function, of, attribute, ctypes.addressof(value), ctypes.sizeof(value))


def _load() -> Library:
    return load("cublasLt", "cublas")


@functools.cache
def is_here() -> bool:
    """Whether the library can be loaded."""
    try:
        _load()
    except Exception:
        return False
    return True
