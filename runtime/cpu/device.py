"""The CPU as a device."""

from __future__ import annotations

from typing import Any

from numfuse.compiler.lower.program import LoweredKernel, Program
from numfuse.runtime.cpu.compile import machine_key
from numfuse.runtime.cpu.executable import Executable
from numfuse.runtime.cpu.threads import thread_count


class CpuDevice:
    name = "cpu"
    epilogues = False

    def describe(self) -> str:
        return "cpu"

    def identity(self) -> str | None:
        return f"{machine_key()}|{thread_count()} threads"

    def compile(self, program: Program, options: dict[str, Any]) -> Executable:
        return Executable(program, bool(options.get("fastmath")))

    def ptx(self, kernel: LoweredKernel, options: dict[str, Any]) -> str:
        raise AttributeError("a CPU kernel has no PTX; lower the function with target='cuda'")

    def assembly(self, kernel: LoweredKernel, options: dict[str, Any]) -> str:
        from numfuse.runtime.cpu.compile import assembly

        return "\n".join(assembly(phase.source, bool(options.get("fastmath"))) for phase in kernel.phases)

    def resources(self, kernel: LoweredKernel, options: dict[str, Any]) -> dict[str, int]:
        raise AttributeError(
            "a CPU kernel has no registers or shared memory to tell of; lower the function with target='cuda'"
        )
