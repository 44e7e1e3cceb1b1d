"""Where the arrays of a program are in memory: their own, the workspace, or that of the array that they are a view of."""

from __future__ import annotations

from dataclasses import dataclass

from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.program import Program, ViewStep
from numfuse.compiler.types import Shape
from numfuse.compiler.walks import walk


@dataclass(frozen=True)
class Lying:
    """Where an array's elements are: how many bytes they start from the start of an array of the program (or of the workspace, None), and their strides in
    elements."""

    base: int | None
    start: int
    strides: Shape


def lying(program: Program) -> dict[int, Lying]:
    """Where the values of a program are, but for views that have to be copied."""
    found: dict[int, Lying] = {}
    for number, value in enumerate(program.values):
        if value.place != "view":
            base = program.donated.get(number, number)
            layout, held = program.layouts.get(base), program.values[base]
            strides = strides_of(value.shape) if layout is None else layout.strides
            found[number] = Lying(None, held.number, strides) if held.place == "workspace" else Lying(base, 0, strides)
    for step in program.steps:
        if isinstance(step, ViewStep) and step.input in found:
            under = found[step.input]
            place = walk(step.node, step.node.inputs[0], under.strides)
            if place is not None:
                found[step.output] = Lying(under.base, under.start + place[0] * step.node.dtype.itemsize, place[1])
    return found
