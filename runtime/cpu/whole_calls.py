"""What a program's call in machine code is told: where each of its arrays is, and what to run on which of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.lying import Lying
from numfuse.compiler.lower.program import CheckStep, KernelStep, LibraryStep, Program, ViewStep
from numfuse.compiler.types import size_of
from numfuse.runtime.cpu.entry import ArraySpec, Launch, NumberSpec, apart, check, entry, kernel, ready, shared_kernel
from numfuse.runtime.cpu.pieces import HELD_SECONDS, byte_offsets, pieces_of, seconds_of
from numfuse.runtime.cpu.results import LARGE, allocator, kept_bytes
from numfuse.runtime.cpu.sweep_code import Part, parts_of, sweep_call

if TYPE_CHECKING:
    from numfuse.runtime.cpu.executable import Executable

LONG_SECONDS = 20e-3
"""A program that takes longer runs step by step from Python, which looks for a Ctrl-C between them; there is little to gain by then."""

Call = Callable[..., Any] | None
Place = tuple[int, int]
"""The number of an array of the call, and the bytes from its start."""


def whole_call(
    executable: Executable,
    specs: Sequence[ArraySpec | NumberSpec],
    given: Sequence[int | np.ndarray],
    written: Sequence[int] = (),
) -> tuple[Call, Call]:
    """What checks a call's arguments, and the whole call in machine code, for a program without calls of NumPy. Both give NotImplemented for other
    arguments, and where these are right the one gives (), the other the result, or a tuple of several or none, without those in the memory of arguments.
    None in place of what there is not.

    `given`: for each argument of the program, which argument of the call it is, or the array that it always is; `written`: arguments of the call that
    are written to.
    """
    program = executable.program
    flags = program.flags
    distinct = apart(specs, written, [array for array in given if isinstance(array, np.ndarray)])
    checked = entry(specs, (), None, (), written, distinct)
    steps = [step for step in program.steps if isinstance(step, LibraryStep)]
    seconds = sum(seconds_of(phase) for kernel in program.kernels for phase in kernel.phases)
    seconds += sum(seconds_of(call) for call in executable.products.values())
    views = [step.output for step in program.steps if isinstance(step, ViewStep)]
    size = program.workspace + len(flags)
    if (
        len(steps) > len(executable.products)
        or seconds > LONG_SECONDS
        or (size > LARGE and size > kept_bytes() // 4)
        or not set(views) <= set(executable.lying)
        or any(program.copied[: len(program.results) - len(flags)])
    ):
        return checked, None
    results = dict(executable.fresh)
    if any(results.pop(flag, None) is None for flag in set(flags)):
        return checked, None
    wanted = [seen_whole(program, executable.lying, k) for k in program.results[: len(program.results) - len(flags)]]
    donors = {number: given[argument] for number, argument in executable.donated.items()}
    if sorted([*results, *donors]) != sorted(wanted) or any(not isinstance(d, int) for d in donors.values()):
        return checked, None
    order = [k for k in wanted if k in results]
    for k, number in zip(program.results, wanted, strict=False):
        if k != number:
            results[number] = allocator(program.values[k].shape, program.values[k].dtype)
    places: dict[int, Place] = {k: (1 + len(specs) + n, 0) for n, k in enumerate(order)}
    past = 1 + len(specs) + len(results)
    places |= {k: (past, value.number) for k, value in enumerate(program.values) if value.place == "workspace"}
    places |= {k: (past, program.workspace + n) for n, k in enumerate(flags)}
    fixed = executable.constants | {k: source for k, source in enumerate(given) if not isinstance(source, int)}
    places |= {k: (0, array.ctypes.data) for k, array in fixed.items()}
    sources = {k: source for k, source in [*enumerate(given), *donors.items()] if isinstance(source, int)}
    places |= {k: (1 + source, 0) for k, source in sources.items()}
    for k in views:
        base, start = executable.lying[k].base, executable.lying[k].start
        number, first = (past, 0) if base is None else places[base]
        places[k] = (number, first + start)
    workspace = allocator((size + 64,), np.dtype("u1")) if size else None
    launches, made = _launches(executable, program, places), [results[k] for k in order]
    return checked, entry(specs, made, workspace, launches, written, distinct, seconds > HELD_SECONDS)


def seen_whole(program: Program, places: Mapping[int, Lying], number: int) -> int:
    """The result that this one is all of, in order, in another shape; else itself."""
    values, lying = program.values, places.get(number)
    if values[number].place != "view" or lying is None or lying.base is None or lying.start:
        return number
    under, view = values[lying.base], values[number]
    plain = view.dtype == under.dtype and all(
        extent == 1 or step == wanted
        for extent, step, wanted in zip(view.shape, lying.strides, strides_of(view.shape), strict=True)
    )
    whole = plain and size_of(view.shape) == size_of(under.shape) and under.place == "result"
    return lying.base if whole else number


def _launches(executable: Executable, program: Program, places: dict[int, Place]) -> list[Launch]:
    launches: list[Launch] = []
    shares = False

    def pointers(values: Sequence[int], offsets: Sequence[int]) -> list[Place]:
        starts = [places[k] for k in values]
        return [(number, start + by) for (number, start), by in zip(starts, offsets, strict=True)]

    last = {id(sweep.phases[-1]): sweep for sweep in program.sweeps}
    swept = {id(phase) for sweep in program.sweeps for phase in sweep.phases}
    for step in program.steps:
        if isinstance(step, CheckStep):
            launches.append(check([places[k] for k in dict.fromkeys(step.flags)]))
        elif isinstance(step, KernelStep):
            for p in step.kernel.phases:
                if id(p) in last:
                    sweep = last[id(p)]
                    given = [place for phase in sweep.phases for place in pointers(phase.values, byte_offsets(phase))]
                    for part in parts_of(sweep, executable.addresses):
                        shares |= part.count > 1
                        launches.append(_sweep(part, given))
                if id(p) in swept:
                    continue
                address, count = executable.addresses[id(p.source)], p.extents["count"]
                given, pieces = pointers(p.values, byte_offsets(p)), pieces_of(step.kernel, p)
                shares |= pieces > 1
                launches.append(
                    kernel(address, count, given) if pieces == 1 else shared_kernel(address, count, given, pieces)
                )
        elif isinstance(step, LibraryStep):
            call = executable.products[id(step)]
            given = [(0, call.words.ctypes.data), *pointers(call.values, (0, 0, 0))]
            launches.append(kernel(call.address, call.count, given, call.words))
    return [ready(), *launches] if shares else launches


def _sweep(part: Part, pointers: Sequence[Place]) -> Launch:
    words, count = part.words, part.count
    if count == 1:
        return Launch(sweep_call(), words.ctypes.data, 1, pointers, words)
    return shared_kernel(words.ctypes.data, count, pointers, count, sweep_call(), words)
