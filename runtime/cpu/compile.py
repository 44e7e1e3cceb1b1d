"""Compiles printed kernels to object code with Numba, and loads object code with llvmlite alone.

The split lets a process with a warm cache run without importing Numba: an object is a few kilobytes of machine code.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import memory_dtype
from numfuse.runtime.cache import disk_cache, versions

_lock = threading.Lock()
_engine: Any = None
_machine: Any = None


def compile_source(source: Source, fastmath: bool = False) -> bytes:
    """The symbol and the object code of a kernel.

    The function has Numba's own calling convention, `int f(void **result, void **error, int64 lo, int64 hi, pointer, ...)`: kernels give
    no result and raise nothing, so the first two are memory that nobody reads.
    """
    symbol, library = _compiled(source, fastmath)
    return symbol.encode() + b"\0" + library.object_code()


def assembly(source: Source, fastmath: bool = False) -> str:
    """The kernel's machine code as text."""
    return str(_compiled(source, fastmath)[1].assembly())


def _compiled(source: Source, fastmath: bool) -> Any:
    """The kernel's symbol and module, by Numba, whose import takes a tenth of a second."""
    from numba.core import types
    from numfuse.runtime.cpu.functions import NAMES
    from numfuse.runtime.cpu.target import compiled

    scope: dict[str, Any] = dict(NAMES)
    exec(compile(source.code, f"<kernel {source.name}>", "exec"), scope)
    pointers = [types.CPointer(numba_type(parameter.dtype)) for parameter in source.parameters]  # type: ignore[attr-defined]
    return compiled(scope[source.name], (types.int64, types.int64, *pointers), fastmath, source.written_out)


def numba_type(dtype: np.dtype | None) -> Any:
    """The type of an element in memory."""
    from numba.np.numpy_support import from_dtype

    assert dtype is not None
    return from_dtype(memory_dtype(dtype))


def load(compiled: bytes) -> int:
    """The address of the kernel in object code that `compile_source` made. Raises OSError where it cannot be loaded."""
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
    import llvmlite.binding as llvm

    _execution_engine()
    code = _machine.emit_object(llvm.parse_assembly(text))
    cache.store(key, code, names[0], "cpu")
    return _load_object(code, *names)


def _load_object(code: bytes, *symbols: str) -> list[int]:
    import llvmlite.binding as llvm

    with _lock:
        engine = _execution_engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        addresses = [engine.get_function_address(symbol) for symbol in symbols]
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
