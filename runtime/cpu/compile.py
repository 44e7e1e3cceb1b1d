"""Compiles printed kernels to object code with Numba, and loads object code with llvmlite alone.

The split lets a process with a warm cache run without importing Numba: an object is a few kilobytes of machine code.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import memory_dtype
from numfuse.runtime.cache import disk_cache, versions
from numfuse.runtime.cpu.sheltered import sheltered
from numfuse.runtime.importing import importing

if TYPE_CHECKING:
    from numfuse.runtime.cpu.backend import Module

_lock = threading.Lock()
_engine: Any = None
_machine: Any = None


def compile_sources(sources: Sequence[Source], fastmath: bool = False) -> list[bytes]:
    """For each kernel its symbol and its object code. Numba has them one after another, LLVM side by side.

    The functions have Numba's own calling convention, `int f(void **result, void **error, int64 lo, int64 hi, pointer, ...)`: kernels give
    no result and raise nothing, so the first two are memory that nobody reads.
    """
    from numfuse.runtime.cpu.backend import object_codes

    symbols = []

    def modules() -> Iterator[Module]:
        for source in sources:
            module = _lowered(source, fastmath)
            symbols.append(module.symbol.encode())
            yield module

    collecting = gc.isenabled()
    gc.disable()  # what Numba makes is in many cycles, and would be scanned again and again while it is in use
    try:
        codes = object_codes(modules(), len(sources))
    finally:
        if collecting:
            gc.enable()
    return [symbol + b"\0" + code for symbol, code in zip(symbols, codes, strict=True)]


def assembly(source: Source, fastmath: bool = False) -> str:
    """The kernel's machine code as text."""
    from numfuse.runtime.cpu.backend import compiler

    return compiler().assembly(_lowered(source, fastmath))


def _lowered(source: Source, fastmath: bool) -> Module:
    """The kernel as LLVM IR, by Numba, whose import takes a tenth of a second."""
    with importing:
        from numba.core import types
        from numfuse.runtime.cpu.functions import NAMES
        from numfuse.runtime.cpu.target import lowered

    scope: dict[str, Any] = dict(NAMES)
    exec(compile(source.code, f"<kernel {source.name}>", "exec"), scope)
    pointers = [types.CPointer(numba_type(parameter.dtype)) for parameter in source.parameters]  # type: ignore[attr-defined]
    return lowered(scope[source.name], (types.int64, types.int64, *pointers), fastmath, source.short_loops)


def numba_type(dtype: np.dtype | None) -> Any:
    """The type of an element in memory."""
    from numba.np.numpy_support import from_dtype

    assert dtype is not None
    return from_dtype(memory_dtype(dtype))


def load(compiled: bytes) -> int:
    """The address of the kernel in object code that `compile_sources` made. Raises OSError where it cannot be loaded."""
    symbol, _, code = compiled.partition(b"\0")
    (address,) = _load_object(code, symbol.decode())
    return address


def load_ir(text: str, *names: str) -> list[int]:
    """The addresses of the functions `names` in LLVM IR. Their machine code is in the disk cache from then on."""
    key = hashlib.sha256(f"llvm|{text}|{machine_key()}".encode()).hexdigest()
    cache = disk_cache()
    code = cache.load(key)
    if code is not None:
        with contextlib.suppress(OSError, RuntimeError):
            return _load_object(code, *names)
    made: list[bytes] = []

    def emit() -> None:
        import llvmlite.binding as llvm

        with _lock:
            _execution_engine()
        made.append(_machine.emit_object(llvm.parse_assembly(text)))

    sheltered(emit)
    cache.store(key, made[0], names[0], "cpu")
    return _load_object(made[0], *names)


def _load_object(code: bytes, *symbols: str) -> list[int]:
    addresses: list[int] = []

    def load() -> None:
        import llvmlite.binding as llvm

        with _lock:
            engine = _execution_engine()
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            addresses.extend(engine.get_function_address(symbol) for symbol in symbols)

    sheltered(load)
    if not all(addresses):
        raise OSError("the object code has no kernel in it")
    return addresses


@functools.cache
def machine_key() -> str:
    """What compiled code depends on, beside its source: versions and the processor."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten() + ("" if vector_library() else "-libmvec")
    packages = versions(("numba", "llvmlite"), Path(__file__).parent)
    return "|".join([packages, llvm.get_process_triple(), llvm.get_host_cpu_name(), features])


@functools.cache
def vector_library() -> bool:
    """Whether glibc's vector mathematics (libmvec) is here; makes it known to LLVM."""
    import llvmlite.binding as llvm

    try:
        llvm.load_library_permanently("libmvec.so.1")
    except RuntimeError:
        return False
    return True


def _execution_engine() -> Any:
    global _engine, _machine
    if _engine is None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        vector_library()
        _machine = llvm.Target.from_default_triple().create_target_machine(codemodel="jitdefault", jit=True)
        _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine)
    return _engine
