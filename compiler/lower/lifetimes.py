"""When the arrays of a program are in use."""

from __future__ import annotations

from numfuse.compiler.lower.program import CheckStep, KernelStep, LibraryStep, Program, Step, ViewStep


def lifetimes(program: Program) -> tuple[dict[int, int], dict[int, int]]:
    """For each value that is no view, the first and the last step that touches it or a view of it; for results the end."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    origin: dict[int, int] = {}
    for place, step in enumerate(program.steps):
        for number in touched(step):
            number = origin.get(number, number)
            first.setdefault(number, place)
            last[number] = place
        if isinstance(step, ViewStep):
            origin[step.output] = origin.get(step.input, step.input)
    for number in program.results:
        last[origin.get(number, number)] = len(program.steps)
    return first, last


def touched(step: Step) -> list[int]:
    """The values that a step reads or writes."""
    if isinstance(step, KernelStep):
        return [number for phase in step.kernel.phases for number in phase.values]
    if isinstance(step, LibraryStep):
        return [*step.inputs, *[number for number in step.outputs if number is not None]]
    return step.flags if isinstance(step, CheckStep) else [step.input, step.output]
