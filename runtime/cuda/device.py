"""CUDA devices: the GPU, and Numba's simulator of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numfuse.compiler.lower.program import KernelStep, LibraryStep, LoweredKernel, Program, ViewStep
from numfuse.compiler.ops import operator
from numfuse.runtime.library_call import library_call

DEFAULT_ARCH = "sm_90"


class CudaDevice:
    """Compiles for `arch` (default: the GPU's own, or sm_90 where there is none) and runs on the GPU."""

    name = "cuda"

    def __init__(self, arch: str | None = None) -> None:
        from numfuse.runtime.cuda.compile import capability
        from numfuse.runtime.cuda.driver import gpu_usable
        from numfuse.runtime.cuda.gpu import gpu

        if arch is None:
            arch = gpu().arch if gpu_usable() else DEFAULT_ARCH
        capability(arch)
        self.arch = arch

    @property
    def epilogues(self) -> bool:
        """Not on a GPU where cuBLASLt is missing."""
        from numfuse.runtime.cuda.blas_lt import is_here
        from numfuse.runtime.cuda.driver import gpu_usable

        return not gpu_usable() or is_here()

    def describe(self) -> str:
        return f"cuda {self.arch}"

    def identity(self) -> str | None:
        from numfuse.runtime.cuda.driver import gpu_usable
        from numfuse.runtime.cuda.gpu import gpu
        from numfuse.runtime.cuda.kernels import toolchain_key

        return f"{gpu().name} {self.arch} {toolchain_key()}" if gpu_usable() else None

    def compile(self, program: Program, options: dict[str, Any]) -> Any:
        from numfuse.runtime.cuda.executable import CudaExecutable
        from numfuse.runtime.cuda.gpu import gpu

        return CudaExecutable(program, self.arch, options, gpu)

    def ptx(self, kernel: LoweredKernel, options: dict[str, Any]) -> str:
        return "\n".join(compiled.ptx for compiled in self._compiled(kernel, options))

    assembly = ptx

    def resources(self, kernel: LoweredKernel, options: dict[str, Any]) -> dict[str, int]:
        (compiled,) = self._compiled(kernel, options)
        return dict(compiled.cubin.resources)

    def _compiled(self, kernel: LoweredKernel, options: dict[str, Any]) -> list[Any]:
        from numfuse.runtime.cuda.kernels import compiled_kernel

        fastmath = bool(options.get("fastmath"))
        return [compiled_kernel(phase.source, self.arch, phase.extents["block"], fastmath) for phase in kernel.phases]


class SimulatorDevice(CudaDevice):
    """The same kernels in Numba's simulator, which compiles nothing."""

    name = "cudasim"
    epilogues = True

    def __init__(self) -> None:
        super().__init__(DEFAULT_ARCH)

    def describe(self) -> str:
        return "cudasim"

    def identity(self) -> str | None:
        return None

    def compile(self, program: Program, options: dict[str, Any]) -> SimulatorExecutable:
        from numfuse.runtime.cuda.simulator import simulated_cuda

        simulated_cuda()
        return SimulatorExecutable(program)


class SimulatorExecutable:
    """Runs a program in the simulator, on NumPy arrays."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        from numfuse.runtime.cuda.simulator import run_phase

        program = self.program
        values: list[Any] = [None] * len(program.values)
        for number, value in enumerate(program.values):
            if value.place == "argument":
                values[number] = np.asarray(arguments[value.number], order="C")
            elif value.place == "constant":
                values[number] = value.node.params["value"]
            elif value.place != "view":
                values[number] = np.empty(value.shape, value.dtype)
        for step in program.steps:
            if isinstance(step, KernelStep):
                for phase in step.kernel.phases:
                    run_phase(phase, [values[number] for number in phase.values])
            elif isinstance(step, LibraryStep):
                with np.errstate(all="ignore"):
                    library_call(step)(values)
            elif isinstance(step, ViewStep):
                values[step.output] = operator(step.node.op).reference(values[step.input], **step.node.params)
        given = zip(program.results, program.copied, strict=True)
        return [values[number].copy() if copied else values[number] for number, copied in given]
