"""The GPU itself: memory, copies, launches. The one module that talks to a CUDA driver: through cuda-core, and for what each call does directly."""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any

import numpy as np
from numfuse.runtime.cuda.blas import Blas
from numfuse.runtime.cuda.blas_lt import BlasLt
from numfuse.runtime.cuda.compile import PIP_LINE, Cubin, NoCudaError
from numfuse.runtime.cuda.driver import device_count, missing_packages
from numfuse.runtime.cuda.libcuda import Libcuda, libcuda
from numfuse.runtime.cuda.pool import Block, Pool
from numfuse.runtime.cuda.staging import LARGE, Staging


class Gpu:
    """A device and its default stream. Addresses are ints; memory goes back to the pool when its `Block` is dropped.

    `device` is cuda-core's, or what stands in for it in a test, and `driver` the driver's functions.
    """

    def __init__(self, device: Any, driver: Libcuda) -> None:
        self.driver = driver
        self._here = threading.local()
        self.device = device
        self._enter()
        self.stream = int(device.default_stream.handle)
        self.context = driver.made("cuCtxGetCurrent")
        self.arch = f"sm_{device.arch}"
        self.name = device.name
        self._staging = Staging(driver, self.stream)
        self.pool = Pool(self._from_driver)

    @functools.cached_property
    def blas(self) -> Blas:
        """Raises NoCudaError where cuBLAS is not here."""
        self._enter()
        return Blas(self)

    @functools.cached_property
    def blas_lt(self) -> BlasLt:
        """The same for cuBLASLt."""
        self._enter()
        return BlasLt(self)

    def _enter(self) -> None:
        """Makes the device current in this thread, once a thread."""
        if not hasattr(self._here, "current"):
            self.device.set_current()
            self._here.current = True

    def _from_driver(self, nbytes: int) -> Any:
        self._enter()
        return self.device.memory_resource.allocate(nbytes, stream=self.device.default_stream)

    def allocate(self, nbytes: int) -> Block:
        """Device memory; `block.handle` is its address."""
        return self.pool.take(nbytes)

    def copy_in(self, address: int, source: np.ndarray, begun: bool = False) -> None:
        """Queues a copy of a C-contiguous array, which may be changed afterwards. `begun`: the memory has been free since `begin_copies`."""
        self._enter()
        if source.nbytes < LARGE:  # read before this returns, as it is in pageable memory
            self.driver.call("cuMemcpyHtoDAsync_v2", address, source.ctypes.data, source.nbytes, self.stream)
            return
        if not begun:
            self._staging.begin()
        self._staging.copy_in(address, source)

    def begin_copies(self) -> None:
        """Copies that have `begun` now need not wait for the work that is queued from now on."""
        self._enter()
        self._staging.begin()

    def mark(self, event: int | None = None) -> int:
        """An event at the work that is queued by now: a new one, or this one once more."""
        self._enter()
        return self._staging.mark(event)

    def copy_out(self, target: np.ndarray, address: int, made: int | None = None) -> None:
        """Waits until the copy is done, which starts after all work that is queued by now. `made`: a large one starts after that event."""
        self._enter()
        if target.nbytes >= LARGE:
            self._staging.copy_out(target, address, made)
            return
        self.driver.call("cuMemcpyDtoHAsync_v2", target.ctypes.data, address, target.nbytes, self.stream)
        self.synchronize()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._enter()
        self.driver.call("cuMemcpyDtoDAsync_v2", target, source, nbytes, self.stream)

    def load(self, cubin: Cubin) -> int:
        """The kernel's function, ready to launch. It stays loaded."""
        self._enter()
        module = self.driver.made("cuModuleLoadData", cubin.code)
        return self.driver.made("cuModuleGetFunction", module, cubin.symbol.encode())

    def launch(self, function: int, grid: int, block: int, arguments: list[int]) -> None:
        """Queues a kernel, whose arguments are 64 bits each."""
        self._enter()
        words = (ctypes.c_int64 * len(arguments))(*arguments)
        places = (ctypes.c_void_p * len(arguments))(*[ctypes.addressof(words) + 8 * k for k in range(len(arguments))])
        shape = (grid, 1, 1, block, 1, 1, 0)
        self.driver.call("cuLaunchKernel", function, *shape, self.stream, ctypes.addressof(places), None)

    def view(self, array: Any) -> Any:
        """An array of another library (DLPack or the CUDA array interface), ordered after the work that makes it."""
        self._enter()
        from cuda.core.utils import StridedMemoryView

        return StridedMemoryView.from_any_interface(array, stream_ptr=self.stream)

    def synchronize(self) -> None:
        self._enter()
        self.driver.call("cuStreamSynchronize", self.stream)


@functools.cache
def gpu() -> Gpu:
    """The GPU of this process. Raises NoCudaError, which says what is missing."""
    missing = missing_packages()
    if missing:
        raise NoCudaError(f"target='cuda' needs {' and '.join(missing)}: {PIP_LINE}")
    if device_count() == 0:
        raise NoCudaError(
            "target='cuda' runs on an NVIDIA GPU, and this machine has none, or no driver for it. Kernels can be compiled and looked at here "
            f"(f.lower(..., target='cuda', arch='sm_90')) and run in the simulator (target='cudasim'). On a machine with a GPU: {PIP_LINE}"
        )
    from cuda.core import Device

    return Gpu(Device(), libcuda())
