"""Numba's CPU target, cut down to what kernels need. Importing this imports Numba.

Kernels are loops over pointers and numbers. Numba's own target learns, at its first compile, of lists, strings, dates, arrays, random generators and SciPy's
linear algebra too, and its pipeline inlines closures, prunes branches, rewrites array expressions and makes functions that Python can call:
all of it costs time at each start or each kernel, and changes nothing in the code of a kernel. This is a target of its own, by Numba's interface
for them (`numba.core.target_extension`): what is registered here concerns no other function that Numba compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite.binding import Linkage
from llvmlite.binding.newpassmanagers import create_new_module_pass_manager
from numba.core import codegen, compiler, config, cpu, fastmathpass, target_extension, types, typing
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.descriptors import TargetDescriptor
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import IRLegalization, NativeLowering, NoPythonBackend, NopythonTypeInference
from numba.core.typing.templates import Registry
from numba.core.untyped_passes import FixupArgs, IRProcessing, TranslateByteCode
from numfuse.runtime.cpu.interleave import interleave

NAME = "numfuse"
PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    NopythonTypeInference,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)


class KernelPipeline(compiler.CompilerBase):
    """From bytecode to LLVM's code, without the passes that do nothing to kernels."""

    def define_pipelines(self) -> list[Any]:
        passes = PassManager("kernel")
        for each in PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


_numbers = Registry()
"""The types of numbers, which kernels call to convert: `float32(x)`."""
for _type in (*types.number_domain, types.boolean):
    _numbers.register_global(np.dtype(str(_type)).type, types.NumberClass(_type))


class KernelTyping(typing.BaseContext):
    """What the types of expressions are: Numba's rules for numbers and built-in functions."""

    def load_additional_registries(self) -> None:
        from numba.core.typing import cmathdecl, mathdecl

        for registry in (mathdecl.registry, cmathdecl.registry, _numbers):
            self.install_registry(registry)


class KernelContext(cpu.CPUContext):
    """What LLVM code expressions become."""

    def load_additional_registries(self) -> None:
        from numba.cpython import builtins, cmathimpl, mathimpl, numbers, rangeobj, tupleobj  # noqa: F401

        self.install_registry(cmathimpl.registry)
        self.install_registry(mathimpl.registry)

    def post_lowering(self, module: Any, library: Any) -> None:
        """As Numba's, but without its runtime library: kernels allocate nothing."""
        if self.fastmath:
            fastmathpass.rewrite_module(module, self.fastmath)
        for function in module.functions:
            interleave(function)


class _Target(target_extension.CPU):
    """The CPU, as far as other declarations are concerned."""


target_extension.target_registry[NAME] = _Target


class _Descriptor(TargetDescriptor):
    options = cpu.CPUTargetOptions
    typing_context = KernelTyping()
    target_context = KernelContext(typing_context, NAME)


class _Dispatcher(CPUDispatcher):
    targetdescr = _Descriptor(NAME)


def helper(function: Callable[..., Any], **options: Any) -> Any:
    """A Python function that kernels may call, compiled for their types."""
    return _Dispatcher(function, {}, {"nopython": True, "error_model": "numpy"}, KernelPipeline)


target_extension.dispatcher_registry[_Target] = _Dispatcher
target_extension.jit_registry[_Target] = lambda *args, **options: helper


class KernelLibrary(codegen.CPUCodeLibrary):
    """A kernel's module. It is optimised as Numba does it, but not loaded: `object_code` is for the cache, which loads it."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self.codegen._data_layout
        passes, builder = self.codegen._function_pass_manager()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)

    def _optimize_final_module(self) -> None:
        super()._optimize_final_module()
        if any(function.linkage == Linkage.weak_odr for function in self._final_module.functions):
            self._put_vector_functions_in_place()

    def _put_vector_functions_in_place(self) -> None:
        """Inlines what the vectorised loop calls now (`trigonometry.py`), and removes what nothing calls."""
        for function in self._final_module.functions:
            if function.linkage in (Linkage.weak_odr, Linkage.linkonce_odr):
                function.linkage = Linkage.internal
        passes = create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(self._final_module, self.codegen._pass_builder())

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def object_code(self) -> bytes:
        return bytes(self.codegen._tm.emit_object(self._final_module))

    def assembly(self) -> str:
        return str(self.codegen._tm.emit_assembly(self._final_module))


@contextmanager
def statement_vectors(wanted: bool) -> Iterator[None]:
    """Has LLVM look for vectors in straight code too, which Numba leaves out unless this setting of its says otherwise. To be held with the compiler's lock."""
    before = config.SLP_VECTORIZE
    config.SLP_VECTORIZE = int(wanted or before)
    try:
        yield
    finally:
        config.SLP_VECTORIZE = before


def compiled(
    function: Callable[..., Any], arguments: tuple[Any, ...], fastmath: bool, written_out: bool
) -> tuple[str, KernelLibrary]:
    """The symbol of a function of these types that returns nothing, and the module it is in. `written_out`: as of `Source`."""
    flags = compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    flags.enable_ssa = False
    flags.error_model = "numpy"
    flags.noalias = True  # no argument overlaps another: the runtime sees to it
    flags.fastmath = cpu.FastMathOptions(fastmath)
    target = _Dispatcher.targetdescr
    with global_compiler_lock, statement_vectors(written_out), target_extension.target_override(NAME):
        library = KernelLibrary(target.target_context.codegen(), function.__name__)
        result = compiler.compile_extra(
            target.typing_context,
            target.target_context,
            function,
            arguments,
            types.void,
            flags,
            {},
            library=library,
            pipeline_class=KernelPipeline,
        )
        library.finalize()
    return result.fndesc.llvm_func_name, library
