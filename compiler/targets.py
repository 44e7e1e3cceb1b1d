"""The targets: for each, what fusion may assume of the machine, and how a fused node becomes a printed kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.kernel import Buffer, Kernel, Store
from numfuse.compiler.lower import cpu, cpu_lanes, cpu_product, cpu_stream, cpu_tiled, cuda
from numfuse.compiler.lower.alike import share_alike
from numfuse.compiler.lower.build import build_kernel
from numfuse.compiler.lower.crossing import crossing
from numfuse.compiler.lower.cuda_rows import keep_on_cuda
from numfuse.compiler.lower.digits import in_digits
from numfuse.compiler.lower.lifetimes import touched
from numfuse.compiler.lower.lowering import Printed, PrintKernel, flops_of
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.lower.program import KernelStep, LoweredKernel, Phase, Program, Step
from numfuse.compiler.lower.shifts import shift_rows
from numfuse.compiler.lower.touches import touches
from numfuse.compiler.ops import operator
from numfuse.compiler.schedule import Schedule
from numfuse.passes.rows import Machine
from numfuse.runtime.cpu.streaming import X86, cache_bytes
from numfuse.runtime.cpu.sweeping import choose_sweeps
from numfuse.runtime.cpu.vectors import product_vector_bytes

CACHES = 1.5
"""A kernel that moves so many times what the last cache holds finds nothing of it there, nor does its reader: from here on stores past the caches
are faster even if the result is read at once."""
FLOPS_PER_BYTE = 5
"""A kernel that does more waits for its arithmetic: such stores gain a fifth where two functions of two float32 arrays are computed, and nothing
where it is four."""
ROW, LOOPED_ROW = 512, 16384
"""Bytes of a row, from which on such stores are faster: of rows of their own, and of those that loops go through several times."""


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
    """As `few`, for reductions of columns, which lie side by side."""
    takes_arrays: bool = False
    """Whether the arrays that library calls make are in memory that kernels read."""
    repeats: bool = True
    """Whether it costs little that neighbours in a kernel read one number in turn."""
    online: int = 0
    """Bytes of data from which on sums around a mean or a maximum are done in one reading of it."""
    strided_copies: bool = True
    """Whether it copies arrays whatever their strides; if not, kernels do."""
    in_order: bool = False
    """Whether the loops of one row run in order, so that values can be written at places that are computed, some of them twice."""
    product_call: int = 1 << 15
    """Multiplications that take a kernel about as long as a call of the library's matrix product takes to begin."""
    half_products: bool = True
    """Whether the library has a fast matrix product of float16."""
    epilogues: bool = False
    """Whether the library's matrix product can add a bias and compute an activation."""
    product_vector: Callable[[], int] = lambda: 0
    """Bytes of the vectors in which kernels compute matrix products; 0: the library does."""
    fastmath: bool = False
    """Whether the caller lets floating-point arithmetic be reordered."""


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


def print_for_cpu(node: Node, name: str, inputs: list[Buffer], outputs: list[Buffer], schedule: Schedule) -> Printed:
    if any(operator(inner.op).kind == "product" for inner in node.params["body"].nodes):
        return cpu_product.print_product(node, name, inputs, outputs)
    work = work_of(node.params["body"])

    def kept(value: Node, length: int) -> bool:
        if schedule.kept is not None:
            return schedule.kept and cpu.fits_on_stack(length, value.dtype.itemsize)
        return cpu.keep_on_cpu(work[value], length, value.dtype.itemsize)

    kernel = in_digits(partial(build_kernel, node, name, inputs, outputs, kept))
    lanes = cpu_lanes.lanes_for(kernel)
    if schedule.lanes is not None and cpu_lanes.can_have_lanes(kernel):
        lanes = schedule.lanes
    if lanes:
        kernel = build_kernel(node, name, inputs, outputs, lambda n, length: False)
    across = None if lanes else crossing(kernel)
    if not lanes and not across:
        shift_rows(kernel)
    kernel.rebase()
    if lanes:
        source = cpu_lanes.print_lanes(kernel, lanes)
    elif across:
        source = cpu_tiled.print_tiled(kernel, *across)
    else:
        kernel.streamed = streamed(kernel, schedule)
        source = cpu_stream.print_streaming(kernel) if kernel.streamed else cpu.print_cpu(kernel)
        if kernel.streamed:
            source.plain = partial(cpu.print_cpu, kernel)
    shared = cpu.split_axis(kernel.loops_over(kernel.rows), lanes or 1)
    rows = cpu.rows_at_once(kernel, lanes)
    kernel.touches = touches(kernel, shared, rows)
    return kernel, source, {"count": -(-shared.extent // rows) if shared is not None else 1}


def streamed(kernel: Kernel, schedule: Schedule) -> frozenset[Store]:
    """The stores that go past the caches: those of a kernel that waits for memory, and whose results would not stay in a cache anyway."""
    if schedule.stream is not None:
        return cpu_stream.streamable(kernel) if schedule.stream else frozenset()
    moved = kernel.nbytes
    small = moved <= CACHES * cache_bytes() or 8 * kernel.written < moved
    if not X86 or small or flops_of(kernel.body) > FLOPS_PER_BYTE * moved:
        return frozenset()
    return cpu_stream.streamable(kernel, row_bytes=LOOPED_ROW if kernel.loops else ROW)


def print_for_cuda(
    node: Node, name: str, inputs: list[Buffer], outputs: list[Buffer], schedule: Schedule
) -> tuple[Kernel, Source, dict[str, int]]:
    work = work_of(node.params["body"])
    columns = cpu_lanes.wants_lanes(build_kernel(node, name, inputs, outputs, lambda n, length: False))

    def kept(value: Node, length: int) -> bool:
        counted = work[value] if schedule.kept is None else 1
        fits = keep_on_cuda(counted, length, value.dtype.itemsize, columns, schedule)
        return fits and schedule.kept is not False

    kernel = build_kernel(node, name, inputs, outputs, kept)
    kernel.rebase(grain=16)
    source, launch = cuda.print_cuda(kernel, schedule)
    return kernel, source, launch.extents()


def join_phases(program: Program) -> None:
    """On the CPU the two stages of a split reduction are one kernel of two phases: the second one is a few sums. So is a split reduction
    that needs another's result, as a variance needs the mean."""
    readers = Counter(number for step in program.steps for number in set(touched(step)))
    steps: list[Step] = []
    for step in program.steps:
        before = steps[-1] if steps else None
        if (
            isinstance(step, KernelStep)
            and isinstance(before, KernelStep)
            and (_finishes(before.kernel, step.kernel, readers) or _follows(before.kernel, step.kernel))
        ):
            first, second = before.kernel, step.kernel
            phases, nodes = [*first.phases, *second.phases], first.nodes + second.nodes
            steps[-1] = KernelStep(LoweredKernel(first.name, nodes, phases, first.schedule))
        else:
            steps.append(step)
    program.steps = steps


def finish_on_cpu(program: Program) -> None:
    choose_sweeps(program)
    share_alike(program)
    join_phases(program)


def _is_stage(node: Node) -> bool:
    """Whether the fused node makes partial results."""
    return any(inner.params.get("block") for inner in node.params["body"].nodes)


def _follows(first: LoweredKernel, second: LoweredKernel) -> bool:
    """Whether `second` makes partial results from what `first`, two such stages, has made."""
    stages = len(first.nodes) > 1 and _is_stage(first.nodes[0]) and _is_stage(second.node)
    return stages and not _made_by(first.phases[-1]).isdisjoint(second.phases[0].values)


def _finishes(first: LoweredKernel, second: LoweredKernel, readers: Counter[int]) -> bool:
    """Whether `second` reads the partial results of `first`, and nobody else does."""
    if not _is_stage(first.node):
        return False
    return all(readers[number] == 2 and number in second.phases[0].values for number in _made_by(first.phases[-1]))


def _made_by(phase: Phase) -> set[int]:
    """The values that a phase writes."""
    parameters = zip(phase.source.parameters, phase.values, strict=True)
    return {number for parameter, number in parameters if parameter.output}


CPU = Target(
    "cpu",
    Machine(few_rows=4, row_bytes=512 * 1024, many_columns=4096, guard=0.5),
    few=8,
    few_columns=32768,
    repeats=False,
    print_kernel=print_for_cpu,
    finish=finish_on_cpu,
    online=2**23,
    takes_arrays=True,
    in_order=True,
    product_call=1 << 10,
    half_products=False,
    product_vector=lambda: product_vector_bytes(),
)


CUDA = Target(
    "cuda",
    Machine(few_rows=64, row_bytes=512 * 1024),
    few=264,
    few_columns=8448,
    strided_copies=False,
    print_kernel=print_for_cuda,
    epilogues=True,
)


def find_target(name: str, fastmath: bool = False) -> Target:
    return replace({"cpu": CPU, "cuda": CUDA, "cudasim": CUDA}[name], fastmath=fastmath)
