"""Compiles printed kernels to object code with Numba, and loads object code with llvmlite alone.

The split lets a process with a warm cache run without importing Numba: an object is a few kilobytes of machine code.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import memory_dtype

_lock = threading.Lock()
_engine: Any = None
_machine: Any = None


def compile_source(source: Source, fastmath: bool = False) -> bytes:
    """The symbol and the object code of a kernel.

    The function has Numba's own calling convention, `int f(void **result, void **error, int64 lo, int64 hi, pointer, ...)`: kernels give
    no result and raise nothing, so the first two are memory that nobody reads.
    """
    compiled = _numba_function(source, fastmath)
    return compiled.fndesc.llvm_func_name.encode() + b"\0" + compiled.library._get_compiled_object()


def assembly(source: Source, fastmath: bool = False) -> str:
    """The kernel's machine code as text."""
    return _numba_function(source, fastmath).library.get_asm_str()


def _numba_function(source: Source, fastmath: bool) -> Any:
    """The kernel compiled by Numba, whose import takes a fifth of a second."""
    from numba.core import compiler, cpu, registry, types
    from numba.core.compiler_lock import global_compiler_lock
    from numfuse.runtime.cpu.functions import NAMES

    scope: dict[str, Any] = dict(NAMES)
    exec(compile(source.code, f"<kernel {source.name}>", "exec"), scope)
    pointers = [types.CPointer(numba_type(parameter.dtype)) for parameter in source.parameters]  # type: ignore[attr-defined]
    flags = compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    flags.noalias = True  # no argument overlaps another: the runtime sees to it
    flags.fastmath = cpu.FastMathOptions(fastmath)
    with global_compiler_lock:
        target = registry.cpu_target
        target.typing_context.refresh()
        target.target_context.refresh()
        arguments = (types.int64, types.int64, *pointers)
        return compiler.compile_extra(
            target.typing_context, target.target_context, scope[source.name], arguments, types.void, flags, {}
        )


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
    """The addresses of functions in LLVM IR."""
    import llvmlite.binding as llvm

    _execution_engine()
    module = llvm.parse_assembly(text)
    return _load_object(_machine.emit_object(module), *names)


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
