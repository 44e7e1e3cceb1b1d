"""Lowered functions: what a program is made of, as a user may look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numfuse.compiler.compiled import Compiled
from numfuse.compiler.graph import Graph
from numfuse.compiler.lower.donation import donate
from numfuse.compiler.lower.plan import lower, most_alive
from numfuse.compiler.lower.program import CheckedLate, Layout, LoweredKernel, Program
from numfuse.compiler.pipeline import Trail, optimize, without_collector
from numfuse.compiler.program_text import explain_text, program_text
from numfuse.compiler.schedule import AS_MODELLED, MODEL, Schedules
from numfuse.compiler.staged import Traced
from numfuse.compiler.targets import Target, find_target
from numfuse.compiler.walks import with_layouts
from numfuse.runtime import log
from numfuse.runtime.devices import Device, default_target, device_for


class Kernel:
    """One kernel: its `name`, its `source` (readable Python), and for CUDA its `ptx` and `resources`."""

    def __init__(self, lowered: LoweredKernel, device: Device, options: dict[str, Any]) -> None:
        self._lowered = lowered
        self._device = device
        self._options = options
        self.name = lowered.name
        self.source = lowered.source

    @property
    def code(self) -> str:
        """The source without comments: what is compiled."""
        return self._lowered.code

    @property
    def ptx(self) -> str:
        """The kernel's PTX. Raises AttributeError for kernels of another target than CUDA."""
        return self._device.ptx(self._lowered, self._options)

    @property
    def assembly(self) -> str:
        """The machine code, as text: x86 or ARM on the CPU, PTX on CUDA."""
        return self._device.assembly(self._lowered, self._options)

    @property
    def resources(self) -> dict[str, int]:
        """`registers` a thread, `spill_bytes`, `shared_bytes`, and `threads` a block, of a CUDA kernel."""
        return self._device.resources(self._lowered, self._options)

    @property
    def cost(self) -> dict[str, int]:
        """`bytes` moved to and from memory, each array once, and `flops` (about; a library function counts about 20)."""
        return {"bytes": self._lowered.nbytes, "flops": self._lowered.flops}

    def __repr__(self) -> str:
        return f"<kernel {self.name} for {self._device.name}>"


@dataclass
class Lowered:
    """A function as a program of kernels for one target. `trail` has the graph after each pass, and the passes' times."""

    target: Target
    device: Device
    program: Program
    trail: Trail
    traced: Traced | None = None

    @property
    def options(self) -> dict[str, Any]:
        return self.traced.options if self.traced is not None else {}

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels in order of launching; one that is launched several times stands there as often."""
        return [Kernel(kernel, self.device, self.options) for kernel in self.program.kernels]

    @property
    def library_calls(self) -> list[str]:
        """The operators that are library calls (matmul, ...), in order."""
        return self.program.library_calls

    @property
    def graph(self) -> Graph:
        """The graph of fused nodes."""
        return self.program.graph

    def as_text(self) -> str:
        """The program's steps, and the source of each kernel once."""
        return program_text(self.program, self.device)

    def explain(self) -> str:
        """The kernels, chains of products that are multiplied in another order, and each place where fusion stopped with its reason and the user's line."""
        return explain_text(self)

    def memory_analysis(self) -> dict[str, int]:
        """Bytes of the `arguments`, `results` and `constants`, of the arrays that `library` calls make, as many as are there at once (on the CPU; results
        among them), of the `workspace` that other intermediates share, of results in `donated` arguments (which count once), and the `peak` of all."""
        program = self.program
        size = {
            place: sum(value.nbytes for value in program.values if value.place == kind)
            for place, kind in (
                ("arguments", "argument"),
                ("results", "result"),
                ("constants", "constant"),
                ("library", "library"),
            )
        }
        size["library"] = most_alive(program, "library")
        size["workspace"] = program.workspace
        size["donated"] = sum(program.values[result].nbytes for result in program.donated)
        size["peak"] = sum(size.values()) - 2 * size["donated"]
        return size

    def compile(self) -> Compiled:
        """Compiles every kernel. On a machine without the device it can be looked at, but not called."""
        if self.traced is None:
            raise TypeError("only traced functions compile to a callable; a graph is run by Graph.run")
        return Compiled(self, self.traced)

    def __str__(self) -> str:
        return self.as_text()


def lower_graph(
    graph: Graph,
    layouts: Sequence[Layout | None],
    target_name: str,
    arch: str | None,
    traced: Traced | None = None,
    given: Mapping[int, int] | None = None,
    schedules: Schedules = AS_MODELLED,
    fastmath: bool = False,
) -> Lowered:
    """Optimises a graph for a target and prints its kernels. `layouts`: how its inputs lie in memory (None: C order). `given`: inputs whose
    memory the program may write to, each with the output that it must hold at the end."""
    device = device_for(target_name, arch)
    target = find_target(device.name, fastmath)
    target = replace(target, epilogues=target.epilogues and device.epilogues)
    trail = Trail(check=log.wanted("check"))
    checks = len(traced.checks) if traced is not None else 0
    with without_collector():
        if checks and given:
            graph = graph.first(graph.outputs[-checks:])
        graph = with_layouts(graph, [layout.strides if layout else None for layout in layouts])
        written = {graph.inputs[place]: result for place, result in (given or {}).items()}
        graph = optimize(graph, target, trail=trail, given=written)
        lent = {*(given or ()), *(traced.donated() if traced is not None else ())}
        program = lower(graph, layouts, target.print_kernel, target.takes_arrays, schedules, lent, checks)
        own = {result: place for place, result in (given or {}).items()}
        donate(program, traced.donated() if traced is not None else set(), own)
        if target.finish is not None:
            target.finish(program)
    if log.wanted("passes"):
        log.message("passes", f"{graph.name}\n{trail.table()}")
    return Lowered(target, device, program, trail, traced)


def lower_traced(traced: Traced, target_name: str, arch: str | None, schedules: Schedules | None = None) -> Lowered:
    """Optimises a traced function for a target and prints its kernels, by its own schedule unless others are given."""
    on_device = target_name != "cpu" and (target_name != "auto" or default_target() != "cpu")
    layouts = traced.layouts(on_device)
    given = {} if on_device and traced.checks else traced.given(layouts)
    schedules = schedules or Schedules(traced.options.get("schedule") or MODEL)
    fastmath = bool(traced.options.get("fastmath"))
    try:
        return lower_graph(traced.graph, layouts, target_name, arch, traced, given, schedules, fastmath)
    except CheckedLate:
        return lower_graph(traced.graph, layouts, target_name, arch, traced, {}, schedules, fastmath)
