"""Devices to measure on: how arrays get there and back, and how long work takes there. `StandIn` is a device for trying the scripts."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Call = Callable[[], Any]


class Meter(Protocol):
    """A device and its clock. `target` is numfuse's name for it; `clock` says how time is taken."""

    target: str
    clock: str

    def about(self) -> dict[str, str]:
        """The device's name and its driver's version."""

    def put(self, array: np.ndarray) -> Any:
        """A copy on the device."""

    def synchronize(self) -> None:
        """Waits for all work on the device."""

    def seconds(self, call: Call, count: int) -> float:
        """How long so many calls take on the device, one after another."""

    def copy_bandwidth(self) -> dict[str, float]:
        """Of a copy within the device's memory: `bytes` read and written, `seconds`, `bytes_per_second`."""

    def transfers(self, nbytes: int) -> dict[str, dict[str, float]]:
        """Bytes a second of an array of the host's on its way "in" and "out": as numfuse sends it ("staged"), as the driver copies it from pageable memory
        ("driver"), and from pinned memory ("pinned")."""


class Cuda:
    """The GPU that numfuse uses. Work is timed by CUDA events on the default stream, or by the host's clock where they fail."""

    target = "cuda"

    def __init__(self) -> None:
        from numfuse.runtime.cuda.array import DeviceArray
        from numfuse.runtime.cuda.gpu import gpu

        self._array = DeviceArray
        self._gpu = gpu()
        self.clock = "CUDA events"
        try:
            from cuda.bindings import driver

            self._driver = driver
            self._events = [self._done(driver.cuEventCreate(0)) for _ in range(2)]
        except Exception as error:
            self.clock = f"the host's clock, since CUDA events fail ({type(error).__name__}: {error})"

    def about(self) -> dict[str, str]:
        return {"device": f"{self._gpu.name} ({self._gpu.arch})", "driver": driver_version()}

    def put(self, array: np.ndarray) -> Any:
        return self._array.from_host(self._gpu, array)

    def synchronize(self) -> None:
        self._gpu.synchronize()

    def seconds(self, call: Call, count: int) -> float:
        if self.clock != "CUDA events":
            return synchronized_seconds(call, count, lambda result: self.synchronize())
        first, last = self._events
        stream = self._gpu.stream
        self.synchronize()
        self._done(self._driver.cuEventRecord(first, stream))
        for _ in range(count):
            call()
        self._done(self._driver.cuEventRecord(last, stream))
        self._done(self._driver.cuEventSynchronize(last))
        return float(self._done(self._driver.cuEventElapsedTime(first, last))) / 1e3

    def copy_bandwidth(self) -> dict[str, float]:
        nbytes = 2**30
        source, target = (self._gpu.allocate(nbytes) for _ in range(2))
        places = int(target.handle), int(source.handle)
        return bandwidth_of(self, lambda: self._gpu.copy(*places, nbytes), nbytes)

    def transfers(self, nbytes: int) -> dict[str, dict[str, float]]:
        array, there = np.zeros(nbytes, np.uint8), self.put(np.zeros(nbytes, np.uint8))
        pinned = int(self._done(self._driver.cuMemHostAlloc(nbytes, 0)))
        stream, target = self._gpu.stream, there.address

        def sends(source: int) -> Call:
            return lambda: self._done(self._driver.cuMemcpyHtoDAsync(target, source, nbytes, stream))

        def takes(place: int) -> Call:
            return lambda: self._done(self._driver.cuMemcpyDtoHAsync(place, target, nbytes, stream))

        ways: dict[str, dict[str, Call]] = {
            "in": {
                "staged": lambda: self._gpu.copy_in(target, array),
                "driver": sends(array.ctypes.data),
                "pinned": sends(pinned),
            },
            "out": {
                "staged": lambda: self._gpu.copy_out(array, target),
                "driver": takes(array.ctypes.data),
                "pinned": takes(pinned),
            },
        }
        told = {
            way: {name: nbytes / self._transfer_seconds(call) for name, call in calls.items()}
            for way, calls in ways.items()
        }
        self._done(self._driver.cuMemFreeHost(pinned))
        return told

    def _transfer_seconds(self, call: Call) -> float:
        call()
        return min(synchronized_seconds(call, 1, lambda result: self.synchronize()) for _ in range(7))

    @staticmethod
    def _done(result: tuple[Any, ...]) -> Any:
        if int(result[0]) != 0:
            raise RuntimeError(f"the CUDA driver said {result[0]!r}")
        return result[1] if len(result) > 1 else None


class StandIn:
    """The CPU in a GPU's place. Its figures say nothing about any GPU."""

    target = "cpu"
    clock = "the host's clock"

    def about(self) -> dict[str, str]:
        return {"device": "STAND-IN: the CPU in a GPU's place; no figure here is a GPU's", "driver": "none"}

    def put(self, array: np.ndarray) -> Any:
        return array.copy()

    def synchronize(self) -> None:
        pass

    def seconds(self, call: Call, count: int) -> float:
        return synchronized_seconds(call, count, lambda result: None)

    def copy_bandwidth(self) -> dict[str, float]:
        source = np.zeros(2**24, np.uint8)
        target = np.zeros_like(source)
        return bandwidth_of(self, lambda: np.copyto(target, source), source.nbytes)

    def transfers(self, nbytes: int) -> dict[str, dict[str, float]]:
        source, target = np.zeros(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
        rate = nbytes / self.seconds(lambda: np.copyto(target, source), 1)
        return {way: dict.fromkeys(("staged", "driver", "pinned"), rate) for way in ("in", "out")}


def bandwidth_of(meter: Meter, copy: Call, nbytes: int) -> dict[str, float]:
    """The median of 7 times 10 copies. A copy reads and writes each byte."""
    meter.seconds(copy, 3)
    seconds = statistics.median(meter.seconds(copy, 10) / 10 for _ in range(7))
    return {"bytes": 2.0 * nbytes, "seconds": seconds, "bytes_per_second": 2.0 * nbytes / seconds}


def synchronized_seconds(call: Call, count: int, wait: Callable[[Any], None]) -> float:
    """Seconds for `count` calls by the host's clock. `wait` is given the last result, and returns when it is there."""
    start = time.perf_counter()
    for _ in range(count - 1):
        call()
    wait(call())
    return time.perf_counter() - start


def device_count() -> int:
    """GPUs that the driver sees; 0 without a driver. Needs no package."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def driver_version() -> str:
    """Of the kernel driver, and the CUDA version that it supports."""
    version = ctypes.c_int(0)
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    cuda = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    try:
        words = Path("/proc/driver/nvidia/version").read_text().split()
    except OSError:
        return cuda
    number = next((word for word in words if word.count(".") >= 1 and word.replace(".", "").isdigit()), "")
    return f"{number} ({cuda})".strip()
