"""LLVM's part of compiling a kernel: from its IR to object code. Needs llvmlite alone.

llvmlite has one lock around every function of LLVM's. What takes long is called here without it, and without Python's: a module has a context of
its own, and a thread a machine of its own, so that threads share nothing and kernels are compiled side by side.
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import Linkage, ffi
from numfuse.runtime.cpu.sheltered import sheltered
from numfuse.runtime.cpu.threads import thread_count


@dataclass(frozen=True)
class Module:
    """A kernel as LLVM IR. `parts`: LLVM bitcode of the functions that it calls. `short_loops`: as of `Source`."""

    symbol: str
    text: str
    parts: tuple[bytes, ...] = ()
    short_loops: str = ""


def _without_lock(name: str) -> Any:
    """A function of LLVM's that touches what its arguments belong to, and nothing else."""
    locked = getattr(ffi.lib, name)
    function = ctypes.CDLL(ffi.lib._name, handle=ffi.lib._handle)[name]
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


_run_on_module = _without_lock("LLVMPY_RunNewModulePassManager")
_run_on_function = _without_lock("LLVMPY_RunNewFunctionPassManager")
_emit = _without_lock("LLVMPY_TargetMachineEmitToMemory")


class Compiler:
    """This processor's machine, and the passes that Numba has for modules."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        triple = llvm.get_process_triple()
        self.machine = llvm.Target.from_triple(triple).create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=3,
            reloc="static" if triple.startswith(("x86", "i686")) else "default",
            codemodel="jitdefault",
            jit=True,
        )
        self.layout = str(self.machine.target_data)

    def _builder(self, level: int, short_loops: str = "") -> Any:
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        options.loop_vectorization, options.slp_vectorization = level > 0, short_loops == "written out"
        options.loop_unrolling = short_loops != "kept"
        return llvm.create_pass_builder(self.machine, options)

    def optimized(self, module: Module) -> Any:
        context = llvm.create_context()
        made = llvm.parse_assembly(module.text, context)
        made.verify()
        made.data_layout = self.layout
        builder = self._builder(3, module.short_loops)
        passes = builder.getFunctionPassManager()
        for function in made.functions:
            if not function.is_declaration:
                _run_on_function(passes, function, builder)
        for part in module.parts:
            made.link_in(llvm.parse_bitcode(part, context))
        builder = self._builder(0)
        passes = builder.getModulePassManager()
        passes.add_loop_rotate_pass()
        passes.add_instruction_combine_pass()
        passes.add_jump_threading_pass()
        _run_on_module(passes, made, builder)
        builder = self._builder(3, module.short_loops)
        _run_on_module(builder.getModulePassManager(), made, builder)
        if any(function.linkage == Linkage.weak_odr for function in made.functions):
            self._put_vector_functions_in_place(made)
        return made

    def _put_vector_functions_in_place(self, made: Any) -> None:
        """Inlines what the vectorised loop calls now (`trigonometry.py`), and removes what nothing calls."""
        for function in made.functions:
            if function.linkage in (Linkage.weak_odr, Linkage.linkonce_odr):
                function.linkage = Linkage.internal
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.add_global_dead_code_eliminate_pass()
        _run_on_module(passes, made, self._builder(0))

    def object_code(self, module: Module) -> bytes:
        with ffi.OutputString() as error:
            buffer = _emit(self.machine, self.optimized(module), 1, error)
            if not buffer:
                raise RuntimeError(str(error))
        try:
            return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
        finally:
            ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)

    def assembly(self, module: Module) -> str:
        return str(self.machine.emit_assembly(self.optimized(module)))


_of_thread = threading.local()


def compiler() -> Compiler:
    """The one of this thread."""
    if not hasattr(_of_thread, "compiler"):
        _of_thread.compiler = Compiler()
    made: Compiler = _of_thread.compiler
    return made


def object_codes(modules: Iterator[Module], count: int) -> list[bytes]:
    """The object code of `count` modules: one thread draws one after another, others compile those that are there already, and then it helps them.
    An error, or an interruption, is raised when they have finished what they are at."""
    made = [b""] * count
    waiting: queue.SimpleQueue[tuple[int, Module] | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def draw() -> None:
        try:
            for task in enumerate(modules):
                if stopped.is_set():
                    break
                waiting.put(task)
        finally:
            for _ in parts:
                waiting.put(None)
        work()

    def work() -> None:
        while (task := waiting.get()) is not None:
            if not stopped.is_set():
                place, module = task
                made[place] = compiler().object_code(module)

    parts = [draw, *[work] * (min(count, thread_count()) - 1)]
    sheltered(*parts, stopped=stopped)
    return made
