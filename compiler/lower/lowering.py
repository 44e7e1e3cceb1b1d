"""From a graph of fused nodes to a program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, results_of, structure_key
from numfuse.compiler.kernel import Buffer, Kernel, Touch
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.cpu_product import ProductKernel
from numfuse.compiler.lower.expressions import RESERVED, Names
from numfuse.compiler.lower.in_place import in_place_pairs
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.lower.program import (
    CheckedLate,
    CheckStep,
    KernelStep,
    Layout,
    LibraryStep,
    LoweredKernel,
    Phase,
    Place,
    Program,
    Step,
    Value,
    ViewStep,
    writes_in_place,
)
from numfuse.compiler.ops import operator
from numfuse.compiler.schedule import Schedule, Schedules
from numfuse.compiler.types import size_of


@dataclass(frozen=True)
class Launch:
    """A printed kernel. `parameters`: for each, the place of its array among the fused node's operands and results, and its first element."""

    source: Source
    extents: dict[str, int]
    parameters: list[tuple[int, int]]
    in_place: frozenset[tuple[int, int]]
    nbytes: int
    written: int
    touches: tuple[Touch, ...]
    numbers: tuple[int, ...]
    """What the kernel reads from an array behind its others."""

    def phase(self, places: Sequence[int], body: Graph) -> Phase:
        values = [places[place] for place, _ in self.parameters]
        offsets = [start for _, start in self.parameters]
        pairs = frozenset([(places[read], places[written]) for read, written in self.in_place])
        tiled = any(operator(node.op).kind == "product" for node in body.nodes)
        moved, flops = (self.nbytes, self.written), flops_of(body)
        return Phase(self.source, self.extents, values, offsets, *moved, flops, pairs, self.touches, tiled)


Printed = tuple[Kernel | ProductKernel, Source, dict[str, int]]
PrintKernel = Callable[[Node, str, list[Buffer], list[Buffer], Schedule], Printed]
"""A target's way from a fused node and its buffers to printed source and a launch shape."""


class Lowering:
    def __init__(
        self,
        graph: Graph,
        layouts: Sequence[Layout | None],
        print_kernel: PrintKernel,
        takes_arrays: bool,
        schedules: Schedules,
        lent: Set[int],
        checks: int,
    ) -> None:
        self.schedules = schedules
        self.flags = graph.outputs[len(graph.outputs) - checks :]
        self.unknown = list(self.flags)
        """Those of the flags that the steps so far have not made."""
        self.lent = lent
        self.graph = graph
        self.takes_arrays = takes_arrays
        self.layouts = dict(zip(graph.inputs, layouts, strict=True))
        self.print_kernel = print_kernel
        self.values: list[Value] = []
        self.number: dict[Node, int] = {}
        self.steps: list[Step] = []
        self.names = Names(RESERVED)
        self.printed: dict[Hashable, Launch | None] = {}
        self.sources: dict[str, Source] = {}
        self.holds: dict[int, Node] = {}
        """For each value, whose contents its memory holds by now: writes in place change that."""
        self.users: defaultdict[Node, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            for operand in node.inputs:
                self.users[operand].append(node)
        self.gets = {(node.inputs[0], node.params["result"]): node for node in graph.nodes if node.op == "get"}

    def run(self) -> Program:
        for place, node in enumerate(self.graph.inputs):
            self._add(node, "argument", place)
        results = {_origin(node): place for place, node in reversed(list(enumerate(self.graph.outputs)))}
        for node in reversed(self.graph.nodes):
            base = overwritten(node)
            if base is not None and node in results:
                results.setdefault(_origin(base), results[node])
        for node in self.graph.nodes:
            if node.op == "get":
                continue
            if operator(node.op).kind != "view":
                self._check_contents(node.inputs)
            if node.op == "fused":
                self._kernel(node, results)
            elif node.op == "memory":  # that nobody has written to yet
                self._add(node, "result" if node in results else "workspace", results.get(node, 0))
            elif node.op == "constant":
                self._add(node, "constant")  # 0-d ones too: library calls take them
            elif self._is_shape_of_result(node):
                (source,) = node.inputs
                self.number[node] = self.number[source]
                self.values[self.number[node]].node = node
            elif operator(node.op).kind == "view":
                self._add(node, "view")
                self.steps.append(ViewStep(node, self.number[node.inputs[0]], self.number[node]))
            else:
                self._library(node, results)
            self._check()
        program = Program(self.graph, self.values, self.steps, [self.number[node] for node in self.graph.outputs])
        self._check_contents(self.graph.outputs)
        program.flags = [self.number[flag] for flag in self.flags]
        program.copied = _shared(program)
        program.layouts = {self.number[node]: layout for node, layout in self.layouts.items()}
        return program

    def _add(self, node: Node, place: Place, number: int = 0) -> int:
        self.number[node] = len(self.values)
        self.holds[self.number[node]] = node
        self.values.append(Value(node, place, number))
        return self.number[node]

    def _is_shape_of_result(self, node: Node) -> bool:
        """Whether it is a result that kernels make, in a shape that nobody else sees it in."""
        if node.op != "reshape" or node not in self.graph.outputs or node.inputs[0] in self.graph.outputs:
            return False
        (source,) = node.inputs
        made_by = source.inputs[0] if source.op == "get" else source
        ops = [made_by.op] + [user.op for user in self.users[source] if user is not node]
        seen_in_one = overwritten(made_by) is None and all(op == "fused" for op in ops)
        return seen_in_one and self.values[self.number[source]].place == "result"

    def _check_contents(self, nodes: Sequence[Node]) -> None:
        """That each array still is in the memory that it was put in. A failure would be a fault of fusion."""
        for node in nodes:
            while operator(node.op).kind == "view":
                (node,) = node.inputs
            if self.holds.get(self.number[node]) is not node:
                raise RuntimeError(
                    f"{self.graph.name}: {node!r} is read after it was overwritten in place. This is a fault of numfuse; please report it"
                )

    def _outputs(self, node: Node) -> list[Node | None]:
        """The nodes that stand for the results of `node`; None for one that nobody reads."""
        count = len(results_of(node))
        return [node] if count == 1 else [self.gets.get((node, place)) for place in range(count)]

    def _library(self, node: Node, results: dict[Node, int]) -> None:
        def place(output: Node) -> Place:
            if self.takes_arrays and not writes_in_place(node):
                return "library"
            return "result" if output in results else "workspace"

        numbers = [
            None if output is None else self._add(output, place(output), results.get(output, 0))
            for output in self._outputs(node)
        ]
        self.steps.append(LibraryStep(node, [self.number[source] for source in node.inputs], numbers, results_of(node)))

    def _kernel(self, node: Node, results: dict[Node, int]) -> None:
        body = node.params["body"]
        outputs = [output or node for output in self._outputs(node)]
        inputs = [
            self._buffer(inner, self.number[source]) for inner, source in zip(body.inputs, node.inputs, strict=True)
        ]
        written = []
        base = overwritten(node)
        for place, output in enumerate(outputs):
            if base is not None:
                self.number[output] = self.number[base]
                self.holds[self.number[base]] = output
                written.append(self._slice_of(base, body.outputs[0]))
                continue
            self._add(output, "result" if output in results else "workspace", results.get(output, 0))
            inner = body.outputs[place]
            name = "out" if len(outputs) == 1 else f"out_{place + 1}"
            apart = not any(self._may_hold(source, output) for source in node.inputs)
            written.append(Buffer(name, inner.dtype, inner.shape, strides_of(inner.shape), output=True, apart=apart))
        places = [self.number[source] for source in node.inputs] + [self.number[output] for output in outputs]
        launch = self._printed(node, inputs, written)
        if launch is None:
            return
        phase = launch.phase(places, body)
        if launch.numbers:
            phase.values.append(len(self.values))
            phase.offsets.append(0)
            self.values.append(Value(constant(np.array(launch.numbers, np.int64)), "constant"))
        kernel = LoweredKernel(launch.source.name, (node,), [phase], self.schedules.for_kernel(body))
        if base is not None and self.values[self.number[base]].place == "argument" and self.unknown:
            raise CheckedLate
        self.steps.append(KernelStep(kernel))

    def _check(self) -> None:
        """Looks at the flags as soon as the last of them is made."""
        while self.unknown and self.unknown[-1] in self.number:
            self.unknown.pop()
            if not self.unknown:
                self.steps.append(CheckStep([self.number[flag] for flag in self.flags]))

    def _may_hold(self, source: Node, output: Node) -> bool:
        """Whether the result of a kernel may get the memory of an operand, once `donate` has looked."""
        memory = _origin(source)
        value = self.values[self.number[memory]]
        given_away = value.place == "library" or (value.place == "argument" and value.number in self.lent)
        return given_away and (memory.shape, memory.dtype) == (output.shape, output.dtype)

    def _printed(self, node: Node, inputs: list[Buffer], outputs: list[Buffer]) -> Launch | None:
        """The fused node's source, under a name of its own, and its launch shape; None where there is nothing to do.

        What was printed before is found again: unrolled loops make the same kernel many times, and equal code is one kernel.
        """
        if all(0 in buffer.shape for buffer in outputs):
            return None
        layouts = tuple([(buffer.strides, buffer.aligned, buffer.number) for buffer in inputs])
        apart = tuple([buffer.apart for buffer in outputs])
        structure = (structure_key(node.params["body"]), node.params["rows"], layouts, apart)
        if structure not in self.printed:
            name, schedule = _identifier(node.params["body"].name), self.schedules.for_kernel(node.params["body"])
            kernel, source, extents = self.print_kernel(node, name, inputs, outputs, schedule)
            key = source.code + source.signature
            if key in self.sources:
                source = self.sources[key]
            else:
                source.rename(self.names.new(source.name))
                self.sources[key] = source
            pairs: frozenset[tuple[int, int]] = frozenset()  # a product reads its operands again and again
            if isinstance(kernel, Kernel):
                pairs = in_place_pairs(kernel)
            moved = kernel.nbytes, kernel.written
            launch = Launch(source, extents, kernel.parameters, pairs, *moved, kernel.touches, kernel.numbers)
            self.printed[structure] = None if kernel.empty else launch
        return self.printed[structure]

    def _buffer(self, inner: Node, number: int) -> Buffer:
        value = self.values[number]
        layout = self.layouts.get(value.node) if value.place == "argument" else None
        strides = layout.strides if layout is not None else strides_of(inner.shape)
        aligned = layout.aligned if layout is not None else True
        number = layout is not None and layout.number and self._is_passed_by_value(value.node)
        return Buffer(
            inner.name or "x", inner.dtype, inner.shape, strides, output=False, aligned=aligned, number=number
        )

    def _is_passed_by_value(self, node: Node) -> bool:
        """Whether a number fits the 64 bits of a kernel's argument, and only kernels read it."""
        only_kernels = all(user.op == "fused" for user in self.users[node]) and node not in self.graph.outputs
        return only_kernels and node.dtype.itemsize <= 8 and node.dtype.kind != "c"

    def _slice_of(self, base: Node, store: Node) -> Buffer:
        """The part of an array's memory that a write in place is for. Its first element is found by `Kernel.rebase`."""
        whole = self._buffer(store.inputs[0], self.number[base])
        if store.op in ("put", "scan"):
            return Buffer("out", whole.dtype, whole.shape, whole.strides, output=True, aligned=whole.aligned)
        start, step = store.params["start"], store.params["step"]
        strides = tuple([stride * by for stride, by in zip(whole.strides, step, strict=True)])
        first = sum(stride * at for stride, at in zip(whole.strides, start, strict=True))
        shape = store.inputs[1].shape
        return Buffer("out", whole.dtype, shape, strides, output=True, aligned=whole.aligned, first=first)


def _shared(program: Program) -> list[bool]:
    """Results are distinct memory, and none of it the arguments': what shares any is copied."""
    origin: dict[int, int] = {}
    for step in program.steps:
        if isinstance(step, ViewStep):
            origin[step.output] = origin.get(step.input, step.input)
    seen: set[int] = set()
    copied = []
    for number, node in zip(program.results, program.graph.outputs, strict=True):
        memory = origin.get(number, number)
        value = program.values[memory]
        lent = value.place == "constant" or (value.place == "argument" and overwritten(node) is None)
        copied.append(memory in seen or lent)
        seen.add(memory)
    return copied


def overwritten(node: Node) -> Node | None:
    """The operand into whose memory a fused node writes, if it does."""
    if node.op != "fused":
        return None
    body = node.params["body"]
    (*_, last) = body.outputs
    if operator(last.op).kind != "store":
        return None
    return node.inputs[body.inputs.index(last.inputs[0])]


def _origin(node: Node) -> Node:
    """The node whose memory `node` is a view of: its own, where it is none."""
    while operator(node.op).kind == "view":
        (node,) = node.inputs
    return node


def flops_of(body: Graph) -> int:
    """About how many additions' worth of work a kernel does: each operator's cost for each of its elements."""
    total = 0
    for node in body.nodes:
        row = operator(node.op)
        if row.kind in ("elementwise", "gather"):
            total += row.cost * size_of(node.shape)
        elif row.kind == "reduction":
            total += size_of(node.inputs[0].shape)
        elif row.kind == "product":
            total += row.cost * size_of(node.shape) * node.inputs[0].shape[-1]
    return total


def _identifier(name: str) -> str:
    return name if name.isidentifier() and not name.startswith("_") else "kernel"
