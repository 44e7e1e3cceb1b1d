"""The CUDA driver: whether there is one."""

from __future__ import annotations

import ctypes
import functools
import importlib.util


@functools.cache
def device_count() -> int:
    """GPUs that the driver sees; 0 where there is no driver. Imports nothing and makes no context."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def missing_packages() -> list[str]:
    """Packages of the `cuda` extra that are not installed."""
    needed = {"numba_cuda": "numba-cuda", "cuda.core": "cuda-core", "cuda.bindings": "cuda-bindings"}
    return [package for module, package in needed.items() if not _found(module)]


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def gpu_usable() -> bool:
    return device_count() > 0 and not missing_packages()
