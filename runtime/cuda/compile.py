"""Compiles printed kernels to PTX with numba-cuda and to cubins with nvJitLink. No GPU and no driver are needed."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.lower.printer import Parameter, Source
from numfuse.compiler.types import memory_dtype
from numfuse.runtime.importing import importing

PIP_LINE = "pip install 'numfuse[cuda]'"


class NoCudaError(RuntimeError):
    """CUDA was asked for where there are no packages, no driver or no GPU; says what to do."""


@dataclass(frozen=True)
class Cubin:
    """Machine code for one architecture. `resources`: registers, spill_bytes, shared_bytes, threads."""

    symbol: str
    code: bytes
    resources: dict[str, int]


def capability(arch: str) -> tuple[int, int]:
    """`sm_90` as (9, 0). Raises ValueError with an example."""
    match = re.fullmatch(r"sm_(\d+)(\d)[af]?", arch)
    if match is None:
        raise ValueError(f"{arch!r} is not a CUDA architecture; write it like sm_90")
    return int(match.group(1)), int(match.group(2))


def compile_ptx(source: Source, arch: str, threads: int, fastmath: bool = False) -> str:
    """The kernel's PTX for an architecture; `threads` a block are what it may count on."""
    functions, cuda, types = _toolchain()
    from numfuse.runtime.cuda.device_functions import for_capability

    scope: dict[str, Any] = dict(functions.NAMES)
    exec(compile(source.code, f"<kernel {source.name}>", "exec"), scope)
    arguments = [_argument_type(parameter, types) for parameter in source.parameters]
    with for_capability(capability(arch)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ptx, _ = cuda.compile(
            scope[source.name],
            types.void(*arguments),
            device=False,
            abi="numba",
            cc=capability(arch),
            fastmath=fastmath,
            launch_bounds=threads,
        )
    return _shortened(ptx, source.name)


def link(ptx: str, arch: str, threads: int) -> Cubin:
    """The PTX as machine code, by nvJitLink."""
    try:
        from cuda.bindings import nvjitlink
    except ImportError:
        raise NoCudaError(f"nvJitLink is not installed, which makes machine code of kernels: {PIP_LINE}") from None

    handle = nvjitlink.create(3, [f"-arch={arch}", "-verbose", "-Xptxas=-v"])
    try:
        text = ptx.encode()
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text, len(text), "kernel")
        try:
            nvjitlink.complete(handle)
        except nvjitlink.nvJitLinkError as error:
            log = bytearray(nvjitlink.get_error_log_size(handle))
            nvjitlink.get_error_log(handle, log)
            raise ValueError(f"cannot compile for {arch}: {log.decode(errors='replace').strip() or error}") from error
        code = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, code)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
    finally:
        nvjitlink.destroy(handle)
    symbol = re.search(r"\.visible \.entry (\w+)\(", ptx)
    assert symbol is not None
    return Cubin(symbol.group(1), bytes(code), _resources(log.decode(errors="replace"), threads))


def _resources(log: str, threads: int) -> dict[str, int]:
    """What ptxas tells: `Used 28 registers, ... 128 bytes smem`, `0 bytes spill stores, 0 bytes spill loads`."""
    registers = re.search(r"Used (\d+) registers", log)
    shared = re.search(r"(\d+) bytes smem", log)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", log)
    if registers is None:
        raise ValueError(f"cannot read the compiler's report: {log}")
    return {
        "registers": int(registers.group(1)),
        "spill_bytes": sum(map(int, spills)),
        "shared_bytes": int(shared.group(1)) if shared else 0,
        "threads": threads,
    }


def _argument_type(parameter: Parameter, types: Any) -> Any:
    if parameter.dtype is None:
        return types.int64
    element = element_type(parameter.dtype)
    return element if parameter.number else types.CPointer(element)


def element_type(dtype: np.dtype) -> Any:
    """The type of an element in memory."""
    from numba.np.numpy_support import from_dtype

    return from_dtype(memory_dtype(dtype))


def _shortened(ptx: str, name: str) -> str:
    """With the kernel's own name in place of the mangled one, which is longer than most of the code."""
    symbol = re.search(r"\.visible \.entry (\w+)\(", ptx)
    assert symbol is not None
    mangled = symbol.group(1)
    environment = mangled.replace("_ZN", "_ZN08NumbaEnv", 1)
    return ptx.replace(environment, f"{name}_env").replace(mangled, name)


def _toolchain() -> tuple[Any, Any, Any]:
    import sys

    try:
        with importing:
            if "numba" in sys.modules and _simulating():
                raise NoCudaError(
                    "this process runs Numba's CUDA simulator, which compiles nothing; compile in a process without NUMBA_ENABLE_CUDASIM=1"
                )
            import numba_cuda  # noqa: F401
            from numba import cuda
            from numba.core import types

            _import_array_functions()
            from numfuse.runtime.cuda import functions
    except ImportError as error:
        raise NoCudaError(f"target='cuda' needs numba-cuda and its toolkit packages: {PIP_LINE} ({error})") from None
    return functions, cuda, types


def _import_array_functions() -> None:
    """Imports the part of numba-cuda that asks for np.row_stack, up to 0.30, which NumPy 2.5 no longer has: it is lent the name."""
    if hasattr(np, "row_stack"):
        return
    np.row_stack = np.vstack
    try:
        import numba.cuda.np.arrayobj  # noqa: F401
    finally:
        del np.row_stack


def _simulating() -> bool:
    from numba import config

    return bool(config.ENABLE_CUDASIM)
