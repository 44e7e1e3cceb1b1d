"""The last step of lowering: the order of a program's steps, and the place of its intermediates, are those that take little memory."""

from __future__ import annotations

from collections.abc import Sequence, Set

from numfuse.compiler.graph import Graph
from numfuse.compiler.lower import memory
from numfuse.compiler.lower.lifetimes import lifetimes
from numfuse.compiler.lower.lowering import Lowering, PrintKernel
from numfuse.compiler.lower.program import (
    CheckStep,
    Layout,
    LibraryStep,
    Place,
    Program,
    Step,
    ViewStep,
)
from numfuse.compiler.ops import operator
from numfuse.compiler.schedule import AS_MODELLED, Schedules

WORLD = -1
"""Stands for what the caller sees, among the memory that steps write: errors, and arguments that are written to, keep their order."""


def lower(
    graph: Graph,
    layouts: Sequence[Layout | None],
    print_kernel: PrintKernel,
    takes_arrays: bool = False,
    schedules: Schedules = AS_MODELLED,
    lent: Set[int] = frozenset(),
    checks: int = 0,
) -> Program:
    """The program of a fused graph. `layouts`: how each argument lies in memory (None: C order, aligned). `takes_arrays`: what a library call
    makes is taken as it is, and needs no place of its own. `lent`: the arguments whose memory results may be put into. `checks`: how many of
    the last results are flags that stop the program before it writes to an argument. Raises CheckedLate where one of them is not known by then."""
    program = Lowering(graph, layouts, print_kernel, takes_arrays, schedules, lent, checks).run()
    origin = _origins(program)
    passing = {n: value.nbytes for n, value in enumerate(program.values) if value.place in ("workspace", "library")}
    kept = {origin.get(number, number) for number in program.results}
    order = memory.order([_access(program, step, origin) for step in program.steps], passing, kept)
    program.steps = [program.steps[place] for place in order]
    program.workspace = _placed(program)
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
    if isinstance(step, CheckStep):
        flags = frozenset(step.flags)
        return memory.Access(flags | {origin.get(flag, flag) for flag in flags}, frozenset({WORLD}))
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


def _placed(program: Program) -> int:
    """Gives each intermediate its place in the workspace; returns the size of that, in bytes."""
    first, last = lifetimes(program)
    kept = [number for number, value in enumerate(program.values) if value.place == "workspace" and number in first]
    offsets, size = memory.plan([(program.values[n].nbytes, first[n], last[n]) for n in kept])
    for number, offset in zip(kept, offsets, strict=True):
        program.values[number].number = offset
    return size


def most_alive(program: Program, place: Place) -> int:
    """The most bytes of values in this place that are there at once."""
    first, last = lifetimes(program)
    values = [
        (number, value) for number, value in enumerate(program.values) if value.place == place and number in first
    ]
    return memory.needed([(value.nbytes, first[number], last[number]) for number, value in values])
