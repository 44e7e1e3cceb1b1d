"""Numba's CPU target, cut down to what kernels need. Importing this imports Numba.

Kernels are loops over pointers and numbers. Numba's own target learns, at its first compile, of lists, strings, dates, arrays, random generators and SciPy's
linear algebra too, and its pipeline inlines closures, prunes branches, rewrites array expressions and makes functions that Python can call:
all of it costs time at each start or each kernel, and changes nothing in the code of a kernel. This is a target of its own, by Numba's interface
for them (`numba.core.target_extension`): what is registered here concerns no other function that Numba compiles.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import cgutils, codegen, compiler, cpu, fastmathpass, target_extension, types, typing
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.descriptors import TargetDescriptor
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NoPythonBackend, NopythonTypeInference
from numba.core.typing.templates import Registry
from numba.core.untyped_passes import FixupArgs, IRProcessing, TranslateByteCode
from numfuse.runtime.cpu import lowering
from numfuse.runtime.cpu.backend import Module
from numfuse.runtime.cpu.interleave import interleave

NAME = "numfuse"
PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    NopythonTypeInference,
    lowering.KernelLowering,
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

        for registry in (mathdecl.registry, cmathdecl.registry, _numbers, lowering.typing):
            self.install_registry(registry)

    @functools.lru_cache(maxsize=4096)  # noqa: B019
    def _resolved(self, function: Any, declared: Any, args: Any) -> Any:
        """There is one such object, so that the cache keeps none alive."""
        return super().resolve_function_type(function, args, {})

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """As Numba's, which at each call tries all that the function is declared for. What that is may grow at any time."""
        if kws:
            return super().resolve_function_type(function, args, kws)
        return self._resolved(function, self._lookup_global(function), args)


class KernelContext(cpu.CPUContext):
    """What LLVM code expressions become."""

    def load_additional_registries(self) -> None:
        from numba.cpython import builtins, cmathimpl, mathimpl, numbers, tupleobj  # noqa: F401

        self.install_registry(cmathimpl.registry)
        self.install_registry(mathimpl.registry)
        self.install_registry(lowering.implementations)

    def pair_first(self, builder: Any, pair: Any, kind: Any) -> Any:
        return builder.extract_value(pair, 0)

    def pair_second(self, builder: Any, pair: Any, kind: Any) -> Any:
        return builder.extract_value(pair, 1)

    def create_cpython_wrapper(self, *args: Any, **options: Any) -> None:
        """None: Python calls neither kernels nor what kernels call."""

    create_cfunc_wrapper = create_cpython_wrapper

    def get_executable(self, library: Any, description: Any, environment: Any) -> str:
        """What stands for the function in place of a Python object: only its name."""
        return str(description.llvm_func_name)

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
    """A function that is compiled for the kernels that call it, and not for Python."""

    targetdescr = _Descriptor(NAME)

    def add_overload(self, made: Any) -> None:
        self.overloads[tuple(made.signature.args)] = made


def helper(function: Callable[..., Any], **options: Any) -> Any:
    """A Python function that kernels may call, compiled for their types."""
    return _Dispatcher(function, {}, {"nopython": True, "error_model": "numpy", "forceinline": True}, KernelPipeline)


target_extension.dispatcher_registry[_Target] = _Dispatcher
target_extension.jit_registry[_Target] = lambda *args, **options: helper


class KernelLibrary(codegen.CodeLibrary):
    """A kernel's code as Numba makes it, without a part of LLVM's in it: `backend` does that."""

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__(owner, name)
        self.text = ""
        self.parts: dict[Any, None] = {}

    def add_ir_module(self, module: Any) -> None:
        self.text = cgutils.normalize_ir_text(str(module))

    def add_linking_library(self, library: Any) -> None:
        self.parts[library] = None

    def module(self, symbol: str, short_loops: str) -> Module:
        return Module(symbol, self.text, tuple([_bitcode(part) for part in self.parts]), short_loops)

    def finalize(self) -> None:
        raise NotImplementedError

    get_function = get_llvm_str = get_asm_str = finalize


@functools.cache
def _bitcode(library: Any) -> bytes:
    """The functions of a helper, which outlives all kernels, for linking into kernels."""
    return bytes(library._get_module_for_linking().as_bitcode())


def lowered(function: Callable[..., Any], arguments: tuple[Any, ...], fastmath: bool, short_loops: str) -> Module:
    """A function of these types that returns nothing, as LLVM IR. `short_loops`: as of `Source`."""
    flags = compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    flags.enable_ssa = False
    flags.error_model = "numpy"
    flags.noalias = True  # no argument overlaps another: the runtime sees to it
    flags.fastmath = cpu.FastMathOptions(fastmath)
    target = _Dispatcher.targetdescr
    named = ["kernel_range" if name == "range" else name for name in function.__code__.co_names]
    function.__code__ = function.__code__.replace(co_names=tuple(named))
    function.__globals__["kernel_range"] = lowering.kernel_range
    with global_compiler_lock, target_extension.target_override(NAME):
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
        return library.module(result.fndesc.llvm_func_name, short_loops)
