"""The functions of the CUDA driver's library: called from Python through ctypes, and by their addresses from machine code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

POINTER, SIZE, WORD = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint
ADDRESS = ctypes.c_uint64
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuCtxGetCurrent": (POINTER,),
    "cuModuleLoadData": (POINTER, POINTER),
    "cuModuleGetFunction": (POINTER, POINTER, ctypes.c_char_p),
    "cuLaunchKernel": (POINTER, *[WORD] * 7, POINTER, POINTER, POINTER),
    "cuMemcpyHtoDAsync_v2": (ADDRESS, POINTER, SIZE, POINTER),
    "cuMemcpyDtoHAsync_v2": (POINTER, ADDRESS, SIZE, POINTER),
    "cuMemcpyDtoDAsync_v2": (ADDRESS, ADDRESS, SIZE, POINTER),
    "cuMemHostAlloc": (POINTER, SIZE, WORD),
    "cuStreamCreate": (POINTER, WORD),
    "cuStreamSynchronize": (POINTER,),
    "cuStreamWaitEvent": (POINTER, POINTER, WORD),
    "cuEventCreate": (POINTER, WORD),
    "cuEventRecord": (POINTER, POINTER),
    "cuEventSynchronize": (POINTER,),
    "cuGraphCreate": (POINTER, WORD),
    "cuGraphAddKernelNode_v2": (POINTER, POINTER, POINTER, SIZE, POINTER),
    "cuGraphInstantiateWithFlags": (POINTER, POINTER, ctypes.c_uint64),
    "cuGraphExecKernelNodeSetParams_v2": (POINTER, POINTER, POINTER),
    "cuGraphLaunch": (POINTER, POINTER),
}
"""The parameters of each function that is used. All return a status, 0 where all is well."""


class CudaError(RuntimeError):
    """The CUDA driver refused a call. `status` is its number for the reason."""

    def __init__(self, function: str, status: int, reason: str = "") -> None:
        super().__init__(f"{function} failed with status {status}{f': {reason}' if reason else ''}")
        self.status = status


class Libcuda:
    """The driver's functions. `find` gives the address of one by its name."""

    def __init__(self, find: Callable[[str], int]) -> None:
        self.addresses = {name: find(name) for name in SIGNATURES}
        self._functions = {
            name: ctypes.CFUNCTYPE(ctypes.c_int, *parameters)(self.addresses[name])
            for name, parameters in SIGNATURES.items()
        }

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function. Raises CudaError where it fails."""
        status = self._functions[name](*arguments)
        if status != 0:
            raise CudaError(name, status, _reason(status))

    def made(self, name: str, *arguments: Any) -> int:
        """Calls a function that gives a handle through its first parameter, and returns that."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.addressof(handle), *arguments)
        return handle.value or 0


def libcuda() -> Libcuda:
    """The driver of this machine. Raises OSError where there is none, AttributeError where it is too old."""
    library = ctypes.CDLL("libcuda.so.1")
    return Libcuda(lambda name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)


def _reason(status: int) -> str:
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ""
    text = ctypes.c_char_p()
    library.cuGetErrorString(status, ctypes.byref(text))
    return (text.value or b"").decode()
