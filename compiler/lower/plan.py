"""The last step of lowering: the order of a program's steps, and the place of its intermediates, are those that take little memory."""

from __future__ import annotations

from collections.abc import Sequence

from numfuse.compiler.graph import Graph
from numfuse.compiler.lower import memory
from numfuse.compiler.lower.program import (
    Layout,
    LibraryStep,
    Lowering,
    PrintKernel,
    Program,
    Step,
    ViewStep,
    touched,
)
from numfuse.compiler.ops import operator

WORLD = -1
"""Stands for what the caller sees, among the memory that steps write: errors, and arguments that are written to, keep their order."""


def lower(graph: Graph, layouts: Sequence[Layout | None], print_kernel: PrintKernel) -> Program:
    """The program of a fused graph. `layouts`: how each argument lies in memory (None: C order, aligned)."""
    program = Lowering(graph, layouts, print_kernel).run()
    sizes = {number: value.nbytes for number, value in enumerate(program.values) if value.place == "workspace"}
    origin = _origins(program)
    kept = {origin.get(number, number) for number in program.results}
    order = memory.order([_access(program, step, origin) for step in program.steps], sizes, kept)
    program.steps = [program.steps[place] for place in order]
    program.workspace = _placed(program, sizes, origin, kept)
    return program


def _origins(program: Program) -> dict[int, int]:
    """For each view, the value whose memory it is."""
    origin: dict[int, int] = {}
    for step in program.steps:
        if isinstance(step, ViewStep):
            origin[step.output] = origin.get(step.input, step.input)
    return origin


def _access(program: Program, step: Step, origin: dict[int, int]) -> memory.Access:
    """What a step reads and writes: values, and of views the memory too."""
    if isinstance(step, ViewStep):
        return memory.Access(frozenset({step.input}), frozenset({step.output}))
    reads: set[int] = set()
    writes: set[int] = set()
    if isinstance(step, LibraryStep):
        reads.update(step.inputs)
        writes.update(number for number in step.outputs if number is not None)
        seen = not operator(step.node.op).total
    else:
        for phase in step.kernel.phases:
            pointers = [parameter for parameter in phase.source.parameters if parameter.dtype is not None]
            for parameter, number in zip(pointers, phase.values, strict=True):
                (writes if parameter.output else reads).add(number)
        seen = any(program.values[origin.get(number, number)].place == "argument" for number in writes)
    reads |= {origin.get(number, number) for number in reads}
    writes |= {origin.get(number, number) for number in writes}
    return memory.Access(frozenset(reads), frozenset({*writes, WORLD} if seen else writes))


def _placed(program: Program, sizes: dict[int, int], origin: dict[int, int], kept: set[int]) -> int:
    """Gives each intermediate its place in the workspace; returns the size of that, in bytes."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, step in enumerate(program.steps):
        for number in touched(step):
            number = origin.get(number, number)
            first.setdefault(number, place)
            last[number] = place
    for number in kept:
        last[number] = len(program.steps)
    used = [number for number in sizes if number in first]
    offsets, size = memory.plan([(sizes[number], first[number], last[number]) for number in used])
    for number, offset in zip(used, offsets, strict=True):
        program.values[number].number = offset
    return size
