"""The targets: for each, what fusion may assume of the machine, and how a fused node becomes a printed kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.kernel import Buffer, Kernel
from numfuse.compiler.lower import cpu, cuda
from numfuse.compiler.lower.build import build_kernel
from numfuse.compiler.lower.cuda_rows import keep_on_cuda
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.lower.program import KernelStep, LoweredKernel, PrintKernel, Program, Step, touched
from numfuse.compiler.ops import operator
from numfuse.passes.fuse import Machine


@dataclass(frozen=True)
class Target:
    """`few`: reductions with fewer results than this are split, when they are long."""

    name: str
    machine: Machine
    few: int
    print_kernel: PrintKernel
    finish: Callable[[Program], None] | None = None
    """A last look at the program."""
    few_columns: int = 0
    """The same for reductions of columns, which lie side by side."""
    online: bool = False
    """Whether sums around a mean or a maximum are done in one reading of what is not in a cache."""
    strided_copies: bool = True
    """Whether it copies arrays whatever their strides; if not, kernels do."""


def work_of(body: Graph) -> dict[Node, int]:
    """For each node, the additions that one element costs from what is in memory or reduced already."""
    work: dict[Node, int] = {}
    for node in (*body.inputs, *body.nodes):
        row = operator(node.op)
        if row.kind in ("elementwise", "view", "guarded", "gather"):
            work[node] = row.cost + sum(work[source] for source in node.inputs)
        else:
            work[node] = 0
    return work


def print_for_cpu(
    node: Node, name: str, inputs: list[Buffer], outputs: list[Buffer]
) -> tuple[Kernel, Source, dict[str, int]]:
    work = work_of(node.params["body"])
    kernel = build_kernel(
        node, name, inputs, outputs, lambda n, length: cpu.keep_on_cpu(work[n], length, n.dtype.itemsize)
    )
    lanes = cpu.wants_lanes(kernel)
    if lanes:
        kernel = build_kernel(node, name, inputs, outputs, lambda n, length: False)
    kernel.rebase()
    source = cpu.print_lanes(kernel) if lanes else cpu.print_cpu(kernel)
    return kernel, source, {"count": cpu.chunks(kernel, lanes)}


def print_for_cuda(
    node: Node, name: str, inputs: list[Buffer], outputs: list[Buffer]
) -> tuple[Kernel, Source, dict[str, int]]:
    work = work_of(node.params["body"])
    columns = cpu.wants_lanes(build_kernel(node, name, inputs, outputs, lambda n, length: False))
    kernel = build_kernel(
        node, name, inputs, outputs, lambda n, length: keep_on_cuda(work[n], length, n.dtype.itemsize, columns)
    )
    kernel.rebase(grain=16)
    source, launch = cuda.print_cuda(kernel)
    return kernel, source, launch.extents()


def join_phases(program: Program) -> None:
    """On the CPU the two stages of a split reduction are one kernel of two phases: the second one is a few sums."""
    readers = Counter(number for step in program.steps for number in set(touched(step)))
    steps: list[Step] = []
    for step in program.steps:
        before = steps[-1] if steps else None
        if (
            isinstance(step, KernelStep)
            and isinstance(before, KernelStep)
            and _finishes(before.kernel, step.kernel, readers)
        ):
            first, second = before.kernel, step.kernel
            phases = [*first.phases, *second.phases]
            steps[-1] = KernelStep(
                LoweredKernel(first.name, second.node, phases, first.nbytes + second.nbytes, first.flops + second.flops)
            )
        else:
            steps.append(step)
    program.steps = steps


def _finishes(first: LoweredKernel, second: LoweredKernel, readers: Counter[int]) -> bool:
    """Whether `second` reads the partial results of `first`, and nobody else does."""
    if not any(node.params.get("block") for node in first.node.params["body"].nodes):
        return False
    phase = first.phases[-1]
    partial = [
        number for parameter, number in zip(phase.source.parameters, phase.values, strict=True) if parameter.output
    ]
    return all(readers[number] == 2 and number in second.phases[0].values for number in partial)


CPU = Target("cpu", Machine(few_rows=4, row_bytes=512 * 1024), few=8, print_kernel=print_for_cpu, finish=join_phases)


CUDA = Target(
    "cuda",
    Machine(few_rows=64, row_bytes=512 * 1024),
    few=264,
    few_columns=8448,
    online=True,
    strided_copies=False,
    print_kernel=print_for_cuda,
)


def find_target(name: str) -> Target:
    return {"cpu": CPU, "cuda": CUDA, "cudasim": CUDA}[name]
