"""Results that are written into memory that is there already: of donated arguments, and of arrays that library calls made and nobody else reads."""

from __future__ import annotations

from collections.abc import Mapping

from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.lifetimes import lifetimes
from numfuse.compiler.lower.program import CheckStep, KernelStep, Phase, Program


def donate(program: Program, donated: set[int], given: Mapping[int, int]) -> None:
    """Fills `program.donated`: for each result that takes another value's memory, that value.

    `donated`: the arguments that the caller gives away; `given`: for results that are put back into an argument, that argument.
    """
    taken: set[int] = set()
    first, last = lifetimes(program)
    made = [number for number, value in enumerate(program.values) if value.place == "library" and number in first]
    checked = next((place for place, step in enumerate(program.steps) if isinstance(step, CheckStep)), -1)
    own = {program.results[place]: argument for place, argument in given.items()}
    for number, value in enumerate(program.values):
        if value.place != "result" or first.get(number, -1) <= checked:  # not before all is known to be right
            continue
        for candidate in [own[number]] if number in own else [*sorted(donated), *made]:
            given_away = program.values[candidate]
            same = (given_away.shape, given_away.dtype) == (value.shape, value.dtype)
            if (
                same
                and candidate not in taken
                and _safe(program, candidate, last.get(candidate, -1), number, first[number])
            ):
                program.donated[number] = candidate
                taken.add(candidate)
                break


def _safe(program: Program, argument: int, read: int, result: int, written: int) -> bool:
    """Whether nothing reads the argument (for the last time in step `read`) once the result is being written (from step `written` on)."""
    layout = program.layouts.get(argument)
    if layout is not None and layout.strides != strides_of(program.values[argument].shape):
        return False
    if read != written:
        return read < written
    step = program.steps[written]
    return isinstance(step, KernelStep) and all(
        _element_by_element(phase, argument, result) for phase in step.kernel.phases
    )


def _element_by_element(phase: Phase, argument: int, result: int) -> bool:
    """Whether the kernel reads the argument only at the element that it writes there next."""
    return not {argument, result} <= set(phase.values) or (argument, result) in phase.in_place
