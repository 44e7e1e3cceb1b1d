"""The GPU itself: memory, copies, launches. The one module that talks to a CUDA driver (through cuda-core)."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numfuse.runtime.cuda.compile import PIP_LINE, Cubin, NoCudaError
from numfuse.runtime.cuda.driver import device_count, missing_packages


class Gpu:
    """The current device and its default stream. Addresses are ints; memory is freed when its `Buffer` is dropped."""

    def __init__(self) -> None:
        from cuda.bindings import driver
        from cuda.core import Device

        self._driver = driver
        self._here = threading.local()
        self.device = Device()
        self._enter()
        self.stream = self.device.default_stream
        self.arch = f"sm_{self.device.arch}"
        self.name = self.device.name

    def _enter(self) -> None:
        """Makes the device current in this thread, once a thread."""
        if not hasattr(self._here, "current"):
            self.device.set_current()
            self._here.current = True

    def allocate(self, nbytes: int) -> Any:
        """Device memory from the driver's stream-ordered pool; `int(buffer.handle)` is its address."""
        self._enter()
        return self.device.memory_resource.allocate(max(nbytes, 1), stream=self.stream)

    def copy_in(self, address: int, source: np.ndarray) -> None:
        self._enter()
        self._check(self._driver.cuMemcpyHtoDAsync(address, source.ctypes.data, source.nbytes, self.stream.handle))

    def copy_out(self, target: np.ndarray, address: int) -> None:
        """Waits until the copy, and all work before it, is done."""
        self._enter()
        self._check(self._driver.cuMemcpyDtoHAsync(target.ctypes.data, address, target.nbytes, self.stream.handle))
        self.synchronize()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._enter()
        self._check(self._driver.cuMemcpyDtoDAsync(target, source, nbytes, self.stream.handle))

    def load(self, cubin: Cubin) -> Any:
        self._enter()
        from cuda.core import ObjectCode

        return ObjectCode.from_cubin(cubin.code).get_kernel(cubin.symbol)

    def launch(self, kernel: Any, grid: int, block: int, arguments: list[int]) -> None:
        self._enter()
        from cuda.core import LaunchConfig, launch

        launch(self.stream, LaunchConfig(grid=grid, block=block), kernel, *arguments)

    def view(self, array: Any) -> Any:
        """An array of another library (DLPack or the CUDA array interface), ordered after the work that makes it."""
        self._enter()
        from cuda.core.utils import StridedMemoryView

        return StridedMemoryView.from_any_interface(array, stream_ptr=int(self.stream.handle))

    def synchronize(self) -> None:
        self._enter()
        self.stream.sync()

    @staticmethod
    def _check(result: tuple[Any, ...]) -> None:
        if int(result[0]) != 0:
            raise RuntimeError(f"the CUDA driver refused a copy: {result[0]!r}")


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
    return Gpu()
