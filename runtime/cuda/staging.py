"""Large arrays on their way between host and device: in chunks, through pinned memory.

The device copies from and to pinned memory by itself. While one chunk is on its way, threads copy the next ones between pinned memory and the
array; and since the copies have streams of their own, kernels run meanwhile that do not need them.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

CHUNK = 4 * 2**20
"""Bytes of a chunk."""
LARGE = 2**20
"""Bytes from which on an array is staged; the driver does smaller ones about as fast by itself."""
THREADS = max(1, min(4, os.cpu_count() or 1))
BUFFERS = 2 * THREADS
NON_BLOCKING, WITHOUT_TIME = 1, 2
"""A stream that the default stream does not wait for; an event that keeps no time."""


class Staging:
    """A way between host and device memory, beside the stream `main`. `driver`: the driver's functions."""

    def __init__(self, driver: Any, main: int) -> None:
        self._driver, self._main = driver, main
        self._lock = threading.Lock()
        self._events = functools.cache(lambda name: driver.made("cuEventCreate", WITHOUT_TIME))
        self._buffers = functools.cache(self._pinned)
        self._stream = functools.cache(lambda name: driver.made("cuStreamCreate", NON_BLOCKING))

    @functools.cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="numfuse-staging")

    def _pinned(self, way: str) -> list[np.ndarray]:
        """The pinned memory of one way, which stays."""
        address = self._driver.made("cuMemHostAlloc", BUFFERS * CHUNK, 0)
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * (BUFFERS * CHUNK)).from_address(address))
        return [memory[start : start + CHUNK] for start in range(0, BUFFERS * CHUNK, CHUNK)]

    def begin(self) -> None:
        """What is copied in from now on is written after the work that the main stream has by now."""
        with self._lock:
            self._after(self._stream("in"), self._main, "begin")

    def copy_in(self, address: int, source: np.ndarray) -> None:
        """Queues a copy of a C-contiguous array, which may be changed afterwards; what the main stream gets from now on waits for it."""
        elements, stream, driver = source.reshape(-1).view(np.uint8), self._stream("in"), self._driver
        under_way: deque[tuple[int, int, Future[None]]] = deque()

        def send() -> None:
            start, buffer, copied = under_way.popleft()
            copied.result()
            length = min(CHUNK, len(elements) - start)
            driver.call("cuMemcpyHtoDAsync_v2", address + start, buffers[buffer].ctypes.data, length, stream)
            driver.call("cuEventRecord", self._events(("in", buffer)), stream)

        with self._lock:
            buffers = self._buffers("in")
            for number, start in enumerate(range(0, len(elements), CHUNK)):
                if len(under_way) == THREADS:
                    send()
                buffer = number % BUFFERS
                driver.call("cuEventSynchronize", self._events(("in", buffer)))  # it has been read
                part = elements[start : start + CHUNK]
                under_way.append((start, buffer, self._threads.submit(np.copyto, buffers[buffer][: len(part)], part)))
            while under_way:
                send()
            self._after(self._main, stream, "copied in")

    def mark(self, event: int | None = None) -> int:
        """An event at what the main stream has been given so far: a new one, or this one once more."""
        event = event or self._driver.made("cuEventCreate", WITHOUT_TIME)
        self._driver.call("cuEventRecord", event, self._main)
        return event

    def copy_out(self, target: np.ndarray, address: int, made: int | None = None) -> None:
        """Copies to a C-contiguous array, and waits until it is there. `made`: the event after which it may start; None for all of the main stream's work
        so far."""
        elements, stream, driver = target.reshape(-1).view(np.uint8), self._stream("out"), self._driver
        under_way: deque[tuple[int, int]] = deque()
        read: dict[int, Future[None]] = {}

        def take() -> None:
            start, buffer = under_way.popleft()
            driver.call("cuEventSynchronize", self._events(("out", buffer)))
            part = elements[start : start + CHUNK]
            read[buffer] = self._threads.submit(np.copyto, part, buffers[buffer][: len(part)])

        with self._lock:
            buffers = self._buffers("out")
            if made is None:
                self._after(stream, self._main, "made")
            else:
                driver.call("cuStreamWaitEvent", stream, made, 0)
            for number, start in enumerate(range(0, len(elements), CHUNK)):
                if len(under_way) == THREADS:
                    take()
                buffer = number % BUFFERS
                if buffer in read:
                    read.pop(buffer).result()
                length = min(CHUNK, len(elements) - start)
                driver.call("cuMemcpyDtoHAsync_v2", buffers[buffer].ctypes.data, address + start, length, stream)
                driver.call("cuEventRecord", self._events(("out", buffer)), stream)
                under_way.append((start, buffer))
            while under_way:
                take()
            for copied in read.values():
                copied.result()

    def _after(self, stream: int, other: int, name: str) -> None:
        """Lets a stream wait for what another one has been given so far."""
        self._driver.call("cuEventRecord", self._events(name), other)
        self._driver.call("cuStreamWaitEvent", stream, self._events(name), 0)
