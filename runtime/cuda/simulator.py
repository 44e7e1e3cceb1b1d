"""The functions that CUDA kernels call, for Numba's simulator, and running kernels there.

The simulator runs each thread of a block as a Python thread. Arrays are passed as `Pointer`s, which check every index.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.lower.program import Phase
from numfuse.compiler.types import memory_dtype
from numfuse.runtime.cuda.compile import PIP_LINE, NoCudaError
from numfuse.runtime.importing import importing
from numfuse.runtime.reference import NAMES as REFERENCE
from numfuse.runtime.reference import defined

WARP = 32


class Pointer:
    """An address in an array: `p[i]` is the i-th element from there on. An index outside the array is an IndexError."""

    def __init__(self, flat: np.ndarray, origin: int = 0) -> None:
        self.flat = flat
        self.origin = origin

    def __getitem__(self, index: Any) -> Any:
        return self.flat[self._place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.flat[self._place(index)] = value

    def _place(self, index: Any) -> int:
        place = self.origin + int(index)
        if not 0 <= place < len(self.flat):
            raise IndexError(f"a kernel reads or writes element {place} of {len(self.flat)}")
        return place


def pointer_to(array: np.ndarray, start: int = 0) -> Pointer:
    """A pointer to the first element of an array with any strides, or `start` elements further on."""
    stored = array.view(memory_dtype(array.dtype)) if array.dtype != memory_dtype(array.dtype) else array
    steps = [stride // array.itemsize for stride in array.strides]
    if not array.ndim:
        return Pointer(stored.reshape(1), start)
    if not array.size:
        return Pointer(np.empty(0, stored.dtype))
    low = sum(min(0, step * (n - 1)) for step, n in zip(steps, array.shape, strict=True))
    high = sum(max(0, step * (n - 1)) for step, n in zip(steps, array.shape, strict=True))
    first = stored[tuple(slice(None, None, -1) if step < 0 else slice(None) for step in steps)]
    flat = np.lib.stride_tricks.as_strided(first, (high - low + 1,), (array.itemsize,))
    return Pointer(flat, start - low)


# -- what kernels call ---------------------------------------------------------------------------------------------------


def _me() -> Any:
    return threading.current_thread()


def thread_in_block() -> int:
    return _me().threadIdx.x


def block() -> int:
    return _me().blockIdx.x


def thread() -> int:
    me = _me()
    return me.blockIdx.x * me._manager._block_dim[0] + me.threadIdx.x


def shared(length: int, dtype: Any) -> np.ndarray:
    """Memory of the block: the same for the first call of each of its threads, for the second, and so on."""
    me = _me()
    me.numfuse_shared = calls = getattr(me, "numfuse_shared", 0) + 1
    return me._manager.__dict__.setdefault("numfuse_memory", {}).setdefault(calls, np.empty(length, dtype.dtype))


def barrier() -> None:
    _me().syncthreads()


def _load(width: int) -> Callable[..., None]:
    def load(tile: np.ndarray, at: int, source: Pointer, offset: Any) -> None:
        if (source.origin + int(offset)) % width and source.origin % width == 0:
            raise IndexError(f"a load of {width} elements from element {offset} is not aligned")
        for v in range(width):
            tile[at + v] = source[offset + v]

    return load


def _store(width: int) -> Callable[..., None]:
    def store(target: Pointer, offset: Any, tile: np.ndarray, at: int) -> None:
        if (target.origin + int(offset)) % width and target.origin % width == 0:
            raise IndexError(f"a store of {width} elements to element {offset} is not aligned")
        for v in range(width):
            target[offset + v] = tile[at + v]

    return store


def _joined(combine: Callable[..., Any], members: Callable[[int, int], range]) -> Callable[..., Any]:
    """Joins the values of the threads that `members` names for a thread of a block, in order."""

    def join(value: Any, *shape: int) -> Any:
        me = _me()
        values = me._manager.__dict__.setdefault("numfuse_values", {})
        values[me.threadIdx.x] = value
        me.syncthreads()
        total = None
        for member in members(me.threadIdx.x, me._manager._block_dim[0]):
            total = values[member] if total is None else combine(total, values[member])
        me.syncthreads()
        return total

    return join


_COMBINE: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_xor": lambda a, b: a ^ b,
}


def _warp_of(thread: int, threads: int) -> range:
    return range(thread // WARP * WARP, min((thread // WARP + 1) * WARP, threads))


NAMES: dict[str, Any] = {
    **REFERENCE,
    "thread": thread,
    "wide_thread": thread,
    "thread_in_block": thread_in_block,
    "block": block,
    "shared": shared,
    "barrier": barrier,
    **{f"load_{n}": _load(n) for n in (2, 4, 8, 16)},
    **{f"store_{n}": _store(n) for n in (2, 4, 8, 16)},
    **{f"warp_{name}": _joined(combine, _warp_of) for name, combine in _COMBINE.items()},
    **{f"block_{name}": _joined(combine, lambda thread, threads: range(threads)) for name, combine in _COMBINE.items()},
    **{
        f"column_{name}": _joined(combine, lambda thread, threads: range(thread % WARP, threads, WARP))
        for name, combine in _COMBINE.items()
    },
}


# -- running -------------------------------------------------------------------------------------------------------------


def simulated_cuda() -> Any:
    """`numba.cuda` as the simulator. Chooses it where Numba is not imported yet; else raises NoCudaError, which says what to do."""
    with importing:
        if "numba" not in sys.modules:
            os.environ["NUMBA_ENABLE_CUDASIM"] = "1"
        from numba import config

    if not config.ENABLE_CUDASIM:
        raise NoCudaError(
            "Numba's CUDA simulator is chosen once a process, and this process has imported Numba without it; "
            "start it with NUMBA_ENABLE_CUDASIM=1 in the environment, or call the cudasim target before anything compiles"
        )
    try:
        with importing:
            from numba import cuda
    except ImportError as error:
        raise NoCudaError(f"the simulator comes with numba-cuda: {PIP_LINE} ({error})") from None
    return cuda


def run_phase(phase: Phase, arrays: list[np.ndarray]) -> None:
    """Runs one launch in the simulator, block after block."""
    cuda = simulated_cuda()
    function = defined(phase.source.code, phase.source.name, NAMES)

    def quietly(*arguments: Any) -> None:
        with np.errstate(all="ignore"):
            function(*arguments)

    extents = phase.extents
    given = [
        array.view(memory_dtype(array.dtype))[()] if parameter.number else pointer_to(array, start)
        for parameter, array, start in zip(phase.source.parameters[1:], arrays, phase.offsets, strict=True)
    ]
    cuda.jit(quietly)[extents["grid"], extents["block"]](extents["n"], *given)
