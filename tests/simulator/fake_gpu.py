"""A stand-in for `numfuse.runtime.cuda.gpu.Gpu`: memory is host memory, kernels run in the simulator."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.lower.printer import Source
from numfuse.runtime.cuda import blas, executable, simulator


class Memory:
    def __init__(self, nbytes: int) -> None:
        self.bytes = np.zeros(nbytes + 64, np.uint8)
        self.handle = self.bytes.ctypes.data + -self.bytes.ctypes.data % 64
        self.nbytes = nbytes


@dataclass
class Loaded:
    source: Source


class FakeGpu:
    arch = "sm_90"
    name = "stand-in"
    stream = SimpleNamespace(handle=0)

    def __init__(self) -> None:
        self.memory: weakref.WeakSet[Memory] = weakref.WeakSet()
        self.launches = 0

    def allocate(self, nbytes: int) -> Memory:
        memory = Memory(nbytes)
        self.memory.add(memory)
        return memory

    def at(self, address: int) -> tuple[Memory, int]:
        for memory in self.memory:
            if memory.handle <= address < memory.handle + max(memory.nbytes, 1):
                return memory, address - memory.handle
        raise AssertionError(f"{address:#x} is not memory of the device")

    def view(self, address: int, nbytes: int) -> np.ndarray:
        memory, offset = self.at(address)
        start = memory.handle - memory.bytes.ctypes.data
        assert offset + nbytes <= memory.nbytes
        return memory.bytes[start + offset : start + offset + nbytes]

    def copy_in(self, address: int, source: np.ndarray) -> None:
        self.view(address, source.nbytes)[:] = np.ascontiguousarray(source).reshape(-1).view(np.uint8)

    def copy_out(self, target: np.ndarray, address: int) -> None:
        target.reshape(-1).view(np.uint8)[:] = self.view(address, target.nbytes)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self.view(target, nbytes)[:] = self.view(source, nbytes).copy()

    def load(self, cubin: Any) -> Loaded:
        return Loaded(cubin)

    def launch(self, kernel: Loaded, grid: int, block: int, arguments: list[int]) -> None:
        self.launches += 1
        cuda = simulator.simulated_cuda()
        scope: dict[str, Any] = dict(simulator.NAMES)
        exec(kernel.source.code, scope)
        function = scope[kernel.source.name]
        n, *addresses = arguments
        pointers = []
        for parameter, address in zip(kernel.source.parameters[1:], addresses, strict=True):
            assert parameter.dtype is not None
            memory, offset = self.at(address)
            dtype = simulator.memory_dtype(parameter.dtype)
            whole = self.view(memory.handle, memory.nbytes // dtype.itemsize * dtype.itemsize).view(dtype)
            pointers.append(simulator.Pointer(whole, offset // dtype.itemsize))

        def quietly(*given: Any) -> None:
            with np.errstate(all="ignore"):
                function(*given)

        cuda.jit(quietly)[grid, block](n, *pointers)

    def synchronize(self) -> None:
        pass

    def live_after_collection(self) -> int:
        gc.collect()
        return len(self.memory)


class FakeCublas:
    """cuBLAS's functions on the stand-in's memory. Matrices lie by columns; nothing outside them is read."""

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu = gpu
        self.calls: list[tuple[int, int]] = []
        """For each product, how its two operands are read: as they lie (0) or transposed (1); in the order of the NumPy expression."""

    def cublasCreate_v2(self, handle: Any) -> int:
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        return 0

    def matrix(self, address: Any, kind: int, rows: int, columns: int, lead: int) -> np.ndarray:
        assert lead >= max(rows, 1)
        dtype = next(dtype for dtype, (code, *_) in blas.KINDS.items() if code == kind)
        if not rows or not columns:
            return np.empty((rows, columns), dtype)
        nbytes = ((columns - 1) * lead + rows) * dtype.itemsize
        memory = self.gpu.view(address, nbytes).view(dtype)
        return np.lib.stride_tricks.as_strided(memory, (rows, columns), (dtype.itemsize, lead * dtype.itemsize))

    def cublasGemmStridedBatchedEx(
        self, handle: Any, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any, a: Any, a_kind: int, lda: int, a_step: Any,
        b: Any, b_kind: int, ldb: int, b_step: Any, beta: Any, c: Any, c_kind: int, ldc: int, c_step: Any, count: int, compute: int, algo: int,
    ) -> int:  # fmt: skip
        assert a_step.value >= 0 and b_step.value >= 0
        self.calls.append((op_b, op_a))
        for place in range(count):
            item = [
                next(d.itemsize for d, (code, *_) in blas.KINDS.items() if code == kind)
                for kind in (a_kind, b_kind, c_kind)
            ]
            at = [
                address.value + place * step.value * size
                for address, step, size in zip((a, b, c), (a_step, b_step, c_step), item, strict=True)
            ]
            left = self.matrix(at[0], a_kind, *((k, m) if op_a else (m, k)), lda)
            right = self.matrix(at[1], b_kind, *((n, k) if op_b else (k, n)), ldb)
            self.matrix(at[2], c_kind, m, n, ldc)[...] = (left.T if op_a else left) @ (right.T if op_b else right)
        return 0


@contextmanager
def stand_in(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> Iterator[None]:
    """Within, target='cuda' runs on the stand-in."""
    from numfuse.runtime.cuda import gpu as module

    monkeypatch.setattr(module, "gpu", lambda: gpu)
    monkeypatch.setattr(
        executable, "compiled_kernel", lambda source, arch, threads, fastmath: SimpleNamespace(cubin=source)
    )
    yield
