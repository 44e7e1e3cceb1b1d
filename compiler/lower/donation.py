"""Donated arguments: which results may be written into their memory."""

from __future__ import annotations

from collections.abc import Mapping

from numfuse.compiler.index import strides_of
from numfuse.compiler.lower.program import KernelStep, Phase, Program, touched


def donate(program: Program, donated: set[int], given: Mapping[int, int]) -> None:
    """Fills `program.donated`: for each result that takes an argument's memory, that argument.

    `donated`: the arguments that the caller gives away; `given`: for results that are put back into an argument, that argument.
    """
    taken: set[int] = set()
    own = {program.results[place]: argument for place, argument in given.items()}
    for number, value in enumerate(program.values):
        if value.place != "result":
            continue
        for candidate in [own[number]] if number in own else sorted(donated - taken):
            argument = program.values[candidate]
            same = (argument.shape, argument.dtype) == (value.shape, value.dtype)
            if same and candidate not in program.results and _safe(program, candidate, number):
                program.donated[number] = candidate
                taken.add(candidate)
                break


def _safe(program: Program, argument: int, result: int) -> bool:
    """Whether nothing reads the argument once the result is being written."""
    layout = program.layouts.get(argument)
    if layout is not None and layout.strides != strides_of(program.values[argument].shape):
        return False
    uses = [place for place, step in enumerate(program.steps) if argument in touched(step)]
    writes = [place for place, step in enumerate(program.steps) if result in touched(step)]
    if not writes or (uses and uses[-1] > writes[0]):
        return False
    if not uses or uses[-1] < writes[0]:
        return True
    step = program.steps[writes[0]]
    return isinstance(step, KernelStep) and all(
        _element_by_element(phase, argument, result) for phase in step.kernel.phases
    )


def _element_by_element(phase: Phase, argument: int, result: int) -> bool:
    """Whether the kernel reads the argument only at the element that it writes there next."""
    return not {argument, result} <= set(phase.values) or (argument, result) in phase.in_place
