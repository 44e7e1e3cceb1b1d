"""The devices by name: what compiles a program, and what it can tell of a kernel."""

from __future__ import annotations

import os
from typing import Any, Protocol

from numfuse.compiler.lower.program import LoweredKernel, Program

Options = dict[str, Any]


class Device(Protocol):
    """A target's machine."""

    name: str

    @property
    def epilogues(self) -> bool:
        """Whether the library of matrix products does a bias and an activation too."""

    def describe(self) -> str:
        """`cpu`, or `cuda sm_90`."""

    def identity(self) -> str | None:
        """What a kernel's speed depends on beside the kernel: the machine, its threads, the compilers. None where time means nothing."""

    def compile(self, program: Program, options: Options) -> Any:
        """Something to call with one array for each argument, which returns a list of results."""

    def ptx(self, kernel: LoweredKernel, options: Options) -> str: ...

    def assembly(self, kernel: LoweredKernel, options: Options) -> str: ...

    def resources(self, kernel: LoweredKernel, options: Options) -> dict[str, int]: ...


TARGETS = ("auto", "cpu", "cuda", "cudasim")


def default_target() -> str:
    """NUMFUSE_TARGET where it is set; else `cuda` where a GPU, its driver and the packages are; else `cpu`."""
    named = os.environ.get("NUMFUSE_TARGET", "auto")
    if named not in TARGETS:
        raise ValueError(f"NUMFUSE_TARGET={named!r} is not a target; the targets are {', '.join(TARGETS)}")
    if named != "auto":
        return named
    from numfuse.runtime.cuda.driver import gpu_usable

    return "cuda" if gpu_usable() else "cpu"


def device_for(target: str, arch: str | None = None) -> Device:
    """The device of a target. `arch` names a CUDA architecture to compile for (`sm_90`); by default the GPU's own."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; the targets are {', '.join(TARGETS)}")
    if target == "auto":
        target = default_target()
    if target == "cpu":
        if arch is not None:
            raise ValueError(f"arch={arch!r} is for target='cuda'; the CPU target compiles for this machine")
        from numfuse.runtime.cpu.device import CpuDevice

        return CpuDevice()
    from numfuse.runtime.cuda.device import CudaDevice, SimulatorDevice

    return SimulatorDevice() if target == "cudasim" else CudaDevice(arch)
