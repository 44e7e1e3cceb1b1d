"""cuBLAS and cuBLASLt on the stand-in's memory. Matrices lie by columns; nothing outside them is read."""

from __future__ import annotations

import ctypes
import itertools
import traceback
from typing import Any, ClassVar

import numpy as np
from numfuse.compiler.ops.products import reference_linear
from numfuse.runtime.cuda import blas, blas_lt
from numfuse.runtime.cuda.foreign import Library

from tests.simulator.fake_gpu import REFUSED, FakeGpu

STREAM = 1


class FakeLibrary:
    """Functions that are methods, each with so many arguments of 64 bits."""

    COUNTS: ClassVar[dict[str, int]] = {}

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu = gpu
        self.numbers = itertools.count(5000)
        self.callbacks = {name: self._callback(name, count) for name, count in self.COUNTS.items()}
        self.routines = Library(lambda name: ctypes.cast(self.callbacks[name], ctypes.c_void_p).value or 0)

    def _callback(self, name: str, count: int) -> Any:
        def call(*arguments: int) -> int:
            try:
                return getattr(self, name)(*arguments) or 0
            except Exception:
                traceback.print_exc()
                return REFUSED

        return ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int64] * count)(call)

    def give(self, place: int) -> int:
        number = next(self.numbers)
        ctypes.c_void_p.from_address(place).value = number
        return number

    def matrix(self, address: int, kind: int, rows: int, columns: int, lead: int) -> np.ndarray:
        assert lead >= max(rows, 1)
        dtype = next(dtype for dtype, (code, *_) in blas.KINDS.items() if code == kind)
        if not rows or not columns:
            return np.empty((rows, columns), dtype)
        nbytes = ((columns - 1) * lead + rows) * dtype.itemsize
        memory = self.gpu.memory_at(address, nbytes).view(dtype)
        return np.lib.stride_tricks.as_strided(memory, (rows, columns), (dtype.itemsize, lead * dtype.itemsize))


class FakeCublas(FakeLibrary):
    COUNTS: ClassVar[dict[str, int]] = {"cublasCreate_v2": 1, "cublasSetStream_v2": 2, "cublasGemmStridedBatchedEx": 23}

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__(gpu)
        self.calls: list[tuple[int, int]] = []
        """For each product, how its two operands are read: as they lie (0) or transposed (1); in the order of the NumPy expression."""

    def cublasCreate_v2(self, place: int) -> None:
        self.give(place)

    def cublasSetStream_v2(self, handle: int, stream: int) -> None:
        assert stream == STREAM

    def cublasGemmStridedBatchedEx(
        self, handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: int, a: int, a_kind: int, lda: int, a_step: int,
        b: int, b_kind: int, ldb: int, b_step: int, beta: int, c: int, c_kind: int, ldc: int, c_step: int, count: int, compute: int, algo: int,
    ) -> None:  # fmt: skip
        assert a_step >= 0 and b_step >= 0 and a_kind == b_kind == c_kind
        self.calls.append((op_b, op_a))
        size = next(d.itemsize for d, (code, *_) in blas.KINDS.items() if code == c_kind)

        def run() -> None:
            for place in range(count):
                at = [one + place * step * size for one, step in ((a, a_step), (b, b_step), (c, c_step))]
                left = self.matrix(at[0], a_kind, *((k, m) if op_a else (m, k)), lda)
                right = self.matrix(at[1], b_kind, *((n, k) if op_b else (k, n)), ldb)
                self.matrix(at[2], c_kind, m, n, ldc)[...] = (left.T if op_a else left) @ (right.T if op_b else right)

        self.gpu.calls._queue(STREAM, run)


class FakeCublasLt(FakeLibrary):
    COUNTS: ClassVar[dict[str, int]] = {
        "cublasLtCreate": 1,
        "cublasLtMatmulDescCreate": 3,
        "cublasLtMatmulDescSetAttribute": 4,
        "cublasLtMatrixLayoutCreate": 5,
        "cublasLtMatmulPreferenceCreate": 1,
        "cublasLtMatmulPreferenceSetAttribute": 4,
        "cublasLtMatmulPreferenceDestroy": 1,
        "cublasLtMatmulAlgoGetHeuristic": 10,
        "cublasLtMatmul": 16,
    }

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__(gpu)
        self.epilogues: list[str] = []
        """Those of the products so far."""
        self.finds_nothing = False
        self.attributes: dict[int, dict[int, int]] = {}
        self.layouts: dict[int, tuple[int, ...]] = {}

    def cublasLtCreate(self, place: int) -> None:
        self.give(place)

    def cublasLtMatmulDescCreate(self, place: int, compute: int, scale: int) -> None:
        assert (compute, scale) == (blas.COMPUTE_32F, blas.R_32F)
        self.attributes[self.give(place)] = {}

    def cublasLtMatmulPreferenceCreate(self, place: int) -> None:
        self.attributes[self.give(place)] = {}

    def cublasLtMatmulDescSetAttribute(self, of: int, attribute: int, place: int, size: int) -> None:
        kind = {4: ctypes.c_int32, 8: ctypes.c_uint64}[size]
        self.attributes[of][attribute] = kind.from_address(place).value

    cublasLtMatmulPreferenceSetAttribute = cublasLtMatmulDescSetAttribute

    def cublasLtMatmulPreferenceDestroy(self, preference: int) -> None:
        del self.attributes[preference]

    def cublasLtMatrixLayoutCreate(self, place: int, kind: int, rows: int, columns: int, lead: int) -> None:
        self.layouts[self.give(place)] = (kind, rows, columns, lead)

    def cublasLtMatmulAlgoGetHeuristic(
        self, handle: int, product: int, a: int, b: int, c: int, d: int, preference: int, wanted: int, found: int, count: int
    ) -> None:  # fmt: skip
        assert set(self.attributes[preference]) == {1, 5, 6, 7, 8} and wanted == 1
        if self.finds_nothing:
            return
        blas_lt.Heuristic.from_address(found).algorithm[0] = 123
        blas_lt.Heuristic.from_address(found).workspace_bytes = 1000
        ctypes.c_int.from_address(count).value = 1

    def cublasLtMatmul(
        self, handle: int, product: int, alpha: int, a: int, a_layout: int, b: int, b_layout: int, beta: int,
        c: int, c_layout: int, d: int, d_layout: int, algorithm: int, workspace: int, workspace_bytes: int, stream: int,
    ) -> None:  # fmt: skip
        factors = [ctypes.c_float.from_address(place).value for place in (alpha, beta)]
        assert factors == [1, 0] and (c, c_layout) == (d, d_layout) and stream == STREAM
        assert blas_lt.Heuristic.from_address(algorithm).algorithm[0] == 123
        self.gpu.memory_at(workspace, workspace_bytes)
        told = dict(self.attributes[product])
        names = {number: name for name, number in blas_lt.EPILOGUES.items()}
        epilogue = names[told[blas_lt.EPILOGUE]]
        self.epilogues.append(epilogue)

        def run() -> None:
            left, right, out = [
                self.matrix(at, *self.layouts[lay]) for at, lay in ((a, a_layout), (b, b_layout), (d, d_layout))
            ]
            left = left.T if told[blas_lt.TRANSPOSED_A] else left
            right = right.T if told[blas_lt.TRANSPOSED_B] else right
            bias = []
            if "bias" in epilogue:
                at = told[blas_lt.BIAS_POINTER]
                bias = [self.gpu.memory_at(at, len(out) * out.itemsize).view(out.dtype)]
            out.T[...] = reference_linear(right.T, left.T, *bias, epilogue=epilogue)

        self.gpu.calls._queue(STREAM, run)
