"""A stand-in for a GPU: memory is host memory, and kernels run in the simulator. `Gpu` itself is the real one, on a driver that is Python functions."""

from __future__ import annotations

import ctypes
import functools
import gc
import itertools
import threading
import traceback
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.lower.printer import Source
from numfuse.runtime.cuda import executable, simulator
from numfuse.runtime.cuda.compile import Cubin
from numfuse.runtime.cuda.gpu import Gpu
from numfuse.runtime.cuda.launches import NodeParameters
from numfuse.runtime.cuda.libcuda import SIGNATURES, Libcuda

REFUSED = 999


class Memory:
    def __init__(self, nbytes: int) -> None:
        self.bytes = np.zeros(nbytes + 64, np.uint8)
        self.handle = self.bytes.ctypes.data + -self.bytes.ctypes.data % 64
        self.nbytes = nbytes


class FakeDevice:
    """What `Gpu` wants of cuda-core's device, which gives memory too."""

    arch = "90"
    name = "stand-in"
    default_stream = SimpleNamespace(handle=1)

    def __init__(self) -> None:
        self.memory: weakref.WeakSet[Memory] = weakref.WeakSet()
        self.memory_resource = self
        self.current: set[int] = set()
        """The threads in which it is the current device."""

    def set_current(self) -> None:
        self.current.add(threading.get_ident())

    def allocate(self, nbytes: int, stream: Any) -> Memory:
        assert threading.get_ident() in self.current
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


class FakeDriver:
    """The driver's functions as methods. `calls` counts those of each; `sources` are the kernels that can be loaded, by their symbols."""

    CONTEXT = 77

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.calls: Counter[str] = Counter()
        self.sources: dict[str, Source] = {}
        self.context = self.CONTEXT
        self.refused: set[str] = set()
        """Functions that fail."""
        self.graphs: dict[int, list[tuple[Source, int, int, list[int]]]] = {}
        self._numbers = itertools.count(1000)
        self._streams: dict[int, deque[Callable[[], None]]] = {1: deque()}
        self._events: dict[int, tuple[int, Any]] = {}
        self._done: set[Any] = set()
        self.pinned: dict[int, np.ndarray] = {}
        self._functions: dict[int, Source] = {}
        self._nodes: dict[int, tuple[int, int]] = {}
        self._callbacks = [self._callback(name) for name in SIGNATURES]
        found = dict(zip(SIGNATURES, self._callbacks, strict=True))
        self.routines = Libcuda(lambda name: ctypes.cast(found[name], ctypes.c_void_p).value or 0)

    def _callback(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls[name] += 1
            if name in self.refused:
                return REFUSED
            try:
                getattr(self, name)(*[argument or 0 for argument in arguments])
            except Exception:
                traceback.print_exc()
                return REFUSED
            return 0

        return ctypes.CFUNCTYPE(ctypes.c_int, *SIGNATURES[name])(call)

    def _give(self, place: int) -> int:
        number = next(self._numbers)
        ctypes.c_void_p.from_address(place).value = number
        return number

    def cuCtxGetCurrent(self, place: int) -> None:
        current = threading.get_ident() in self.device.current
        ctypes.c_void_p.from_address(place).value = self.context if current else 0

    def cuModuleLoadData(self, place: int, code: int) -> None:
        self._functions[self._give(place)] = self.sources[(ctypes.c_char_p(code).value or b"").decode()]

    def cuModuleGetFunction(self, place: int, module: int, symbol: bytes) -> None:
        assert self._functions[module].name == symbol.decode()
        self._functions[self._give(place)] = self._functions[module]

    def _arguments(self, source: Source, places: int) -> list[int]:
        """The arguments of a kernel, 64 bits of each."""
        read = (ctypes.c_void_p * len(source.parameters)).from_address(places)
        return [ctypes.c_int64.from_address(place or 0).value for place in read]

    def cuLaunchKernel(self, function: int, *rest: int) -> None:
        grid, height, depth, block, *shape, stream, places, extra = rest
        assert (height, depth, *shape, extra) == (1, 1, 1, 1, 0, 0)
        source = self._functions[function]
        arguments = self._arguments(source, places)
        self._queue(stream, lambda: self._run(source, grid, block, arguments))

    def _run(self, source: Source, grid: int, block: int, arguments: Sequence[int]) -> None:
        cuda = simulator.simulated_cuda()
        function = simulator.defined(source.code, source.name, simulator.NAMES)

        def quietly(*given: Any) -> None:
            with np.errstate(all="ignore"):
                function(*given)

        given = map(self._given, source.parameters, arguments)
        cuda.jit(quietly)[grid, block](*given)

    def _given(self, parameter: Any, argument: int) -> Any:
        if parameter.dtype is None:
            return argument
        dtype = simulator.memory_dtype(parameter.dtype)
        if parameter.number:
            return np.frombuffer(argument.to_bytes(8, "little", signed=True), dtype)[0]
        memory, offset = self.device.at(argument)
        whole = self.device.view(memory.handle, memory.nbytes // dtype.itemsize * dtype.itemsize).view(dtype)
        return simulator.Pointer(whole, offset // dtype.itemsize)

    # -- streams: nothing runs before somebody waits for it, so that a wait that is missing shows

    def _queue(self, stream: int, work: Callable[[], None]) -> None:
        assert stream in self._streams
        self._streams[stream].append(work)

    def _finish(self, stream: int, last: Any = None) -> None:
        """Runs what a stream has been given, up to `last`."""
        queue = self._streams[stream]
        while queue:
            work = queue.popleft()
            work()
            if work is last:
                return

    def finish_all(self) -> None:
        for stream in self._streams:
            self._finish(stream)

    def _in_pinned_memory(self, address: int) -> bool:
        return any(start <= address < start + len(memory) for start, memory in self.pinned.items())

    def cuMemcpyHtoDAsync_v2(self, target: int, source: int, nbytes: int, stream: int) -> None:
        read = _host(source, nbytes) if self._in_pinned_memory(source) else _host(source, nbytes).copy()
        self._queue(stream, lambda: self.device.view(target, nbytes).__setitem__(slice(None), read))

    def cuMemcpyDtoHAsync_v2(self, target: int, source: int, nbytes: int, stream: int) -> None:
        written = _host(target, nbytes)
        self._queue(stream, lambda: written.__setitem__(slice(None), self.device.view(source, nbytes)))
        if not self._in_pinned_memory(target):
            self._finish(stream)

    def cuMemcpyDtoDAsync_v2(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._queue(
            stream,
            lambda: self.device.view(target, nbytes).__setitem__(slice(None), self.device.view(source, nbytes).copy()),
        )

    def cuMemHostAlloc(self, place: int, nbytes: int, flags: int) -> None:
        memory = np.zeros(nbytes, np.uint8)
        self.pinned[memory.ctypes.data] = memory
        ctypes.c_void_p.from_address(place).value = memory.ctypes.data

    def cuStreamCreate(self, place: int, flags: int) -> None:
        assert flags == 1  # else it waits for the default stream
        self._streams[self._give(place)] = deque()

    def cuStreamSynchronize(self, stream: int) -> None:
        self._finish(stream)

    def cuEventCreate(self, place: int, flags: int) -> None:
        self._events[self._give(place)] = (0, None)

    def cuEventRecord(self, event: int, stream: int) -> None:
        def mark() -> None:
            done.add(mark)

        done = self._done
        self._queue(stream, mark)
        self._events[event] = (stream, mark)

    def cuEventSynchronize(self, event: int) -> None:
        stream, mark = self._events[event]
        if mark is not None and mark not in self._done:
            self._finish(stream, mark)

    def cuStreamWaitEvent(self, stream: int, event: int, flags: int) -> None:
        other, mark = self._events[event]

        def wait() -> None:
            if mark is not None and mark not in self._done:
                self._finish(other, mark)

        self._queue(stream, wait)

    # -- graphs: each kernel is kept with its arguments, until these are told anew

    def _kept(self, parameters: int) -> tuple[Source, int, int, list[int]]:
        told = NodeParameters.from_address(parameters)
        source = self._functions[told.function]
        assert tuple(told.grid)[1:] == tuple(told.block)[1:] == (1, 1) and not (told.extra or told.kernel)
        return source, told.grid[0], told.block[0], self._arguments(source, told.arguments)

    def cuGraphCreate(self, place: int, flags: int) -> None:
        self.graphs[self._give(place)] = []

    def cuGraphAddKernelNode_v2(self, place: int, graph: int, before: int, count: int, parameters: int) -> None:
        kernels = self.graphs[graph]
        assert count == min(len(kernels), 1)
        if count:
            assert self._nodes[ctypes.c_void_p.from_address(before).value or 0] == (graph, len(kernels) - 1)
        self._nodes[self._give(place)] = graph, len(kernels)
        kernels.append(self._kept(parameters))

    def cuGraphInstantiateWithFlags(self, place: int, graph: int, flags: int) -> None:
        self.graphs[self._give(place)] = list(self.graphs[graph])

    def cuGraphExecKernelNodeSetParams_v2(self, made: int, node: int, parameters: int) -> None:
        self.graphs[made][self._nodes[node][1]] = self._kept(parameters)

    def cuGraphLaunch(self, made: int, stream: int) -> None:
        for kernel in self.graphs[made]:
            self._queue(stream, functools.partial(self._run, *kernel))


def _host(address: int, nbytes: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(address), np.uint8)


class FakeGpu(Gpu):
    """The real `Gpu` on the stand-in's memory and driver."""

    def __init__(self) -> None:
        self.fake = FakeDevice()
        self.calls = FakeDriver(self.fake)
        super().__init__(self.fake, self.calls.routines)

    def view(self, array: Any) -> Any:
        told = array.__cuda_array_interface__
        return SimpleNamespace(
            ptr=told["data"][0], shape=told["shape"], dtype=np.dtype(told["typestr"]), strides=told["strides"]
        )

    def memory_at(self, address: int, nbytes: int) -> np.ndarray:
        return self.fake.view(address, nbytes)

    @property
    def launches(self) -> int:
        return self.calls.calls["cuLaunchKernel"]

    def live_after_collection(self) -> int:
        """Blocks of memory that something uses."""
        self.calls.finish_all()
        gc.collect()
        self.pool.clear()
        gc.collect()
        return len(self.fake.memory)


@contextmanager
def stand_in(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> Iterator[None]:
    """Within, target='cuda' runs on the stand-in."""
    from numfuse.runtime.cuda import gpu as module

    def compiled(source: Source, arch: str, threads: int, fastmath: bool) -> Any:
        key = str(len(gpu.calls.sources))
        gpu.calls.sources[key] = source
        return SimpleNamespace(cubin=Cubin(source.name, key.encode() + b"\0", {}))

    monkeypatch.setattr(module, "gpu", lambda: gpu)
    monkeypatch.setattr(executable, "compiled_kernel", compiled)
    yield
