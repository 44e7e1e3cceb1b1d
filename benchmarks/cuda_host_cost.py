"""What a call of a CUDA function costs the host, without a GPU: the driver's functions are ones that do nothing.

No figure here is a GPU's. To each launch comes what the driver takes itself: 2 to 3 us, and for a graph some 6.
"""

from __future__ import annotations

import ctypes
import sys
import timeit
from types import SimpleNamespace
from typing import Any

import numpy as np
from numfuse.runtime.cpu.compile import load_ir
from numfuse.runtime.cuda import gpu as module
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.cuda.gpu import Gpu
from numfuse.runtime.cuda.libcuda import SIGNATURES, Libcuda

import numfuse as nf

CONTEXT = 77
_DOES_NOTHING = f"""
define i32 @cuCtxGetCurrent(ptr %place) {{
  store i64 {CONTEXT}, ptr %place
  ret i32 0
}}
define i32 @nothing() {{
  ret i32 0
}}
"""


def idle_gpu() -> Gpu:
    """A GPU that takes every call and does none."""
    current, nothing = load_ir(_DOES_NOTHING, "cuCtxGetCurrent", "nothing")
    found = dict.fromkeys(SIGNATURES, nothing) | {"cuCtxGetCurrent": current}
    kept: list[Any] = []

    def allocate(nbytes: int, stream: Any) -> Any:
        kept.append(np.empty(nbytes + 256, np.uint8))
        return SimpleNamespace(handle=kept[-1].ctypes.data + -kept[-1].ctypes.data % 256)

    device = SimpleNamespace(default_stream=SimpleNamespace(handle=1), arch="90", name="idle")
    device.memory_resource, device.set_current = SimpleNamespace(allocate=allocate), lambda: None
    return Gpu(device, Libcuda(lambda name: found[name]))


def one(x: Any) -> Any:
    return np.exp(x) * 2 + x


def scaled(x: Any, by: Any) -> Any:
    return np.exp(x) * by + x


def ten(x: Any) -> Any:
    for _ in range(9):
        x = x / x.sum() + x.max(0)
    return x


def main() -> int:
    gpu = idle_gpu()
    module.gpu = lambda: gpu  # type: ignore[assignment]
    x = DeviceArray.from_host(gpu, np.ones((64, 64), "f4"))
    for name, function, arguments in (
        ("one kernel", one, (x,)),
        ("one kernel, with a number", scaled, (x, 0.5)),
        ("ten kernels", ten, (x,)),
    ):
        jitted = nf.jit(function, target="cuda")
        kernels = len(jitted.lower(*arguments, target="cuda", arch="sm_90").kernels)
        for _ in range(3):
            jitted(*arguments)
        times = timeit.repeat(lambda f=jitted, a=arguments: f(*a), number=10_000, repeat=7)
        entry = jitted._entry(*arguments) is not NotImplemented
        way = "in machine code" if entry else "step by step from Python"
        print(f"{name:<28} {kernels:>2} kernels  {min(times) / 10_000 * 1e6:6.2f} us a call, {way}")
    print(f"The driver did nothing: no GPU was used. {ctypes.sizeof(ctypes.c_void_p) * 8}-bit {sys.platform}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
