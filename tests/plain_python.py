"""Printed CPU kernels, run as plain Python: the compiler without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.lower.program import CheckStep, KernelStep, LibraryStep, Program
from numfuse.compiler.ops import operator
from numfuse.runtime.cuda.simulator import Pointer, pointer_to
from numfuse.runtime.library_call import library_call
from numfuse.runtime.reference import run_as_python


def run_program(program: Program, arguments: list[Any], rows: int | None = None) -> list[np.ndarray]:
    """The program's results, its kernels run as Python functions, all rows at once or so many; every index is checked."""
    values: list[Any] = []
    for value in program.values:
        if value.place == "argument":
            values.append(np.asarray(arguments[value.number]))
        elif value.place == "library":
            values.append(None)
        else:
            values.append(
                value.node.params["value"] if value.place == "constant" else np.empty(value.shape, value.dtype)
            )
    for step in program.steps:
        if isinstance(step, KernelStep):
            for phase in step.kernel.phases:
                pointers: list[Pointer] = [
                    pointer_to(values[number], start) for number, start in zip(phase.values, phase.offsets, strict=True)
                ]
                kernel, count = run_as_python(phase.source.code, phase.source.name), phase.extents["count"]
                for first in range(0, count, rows or max(count, 1)):
                    kernel(first, min(first + (rows or count), count), *pointers)
        elif isinstance(step, LibraryStep):
            with np.errstate(all="ignore"):
                library_call(step)(values)
        elif isinstance(step, CheckStep):
            if any(values[number] for number in step.flags):  # nothing is written to arguments; the flags are results
                break
        else:
            values[step.output] = operator(step.node.op).reference(values[step.input], **step.node.params)
    copied = program.copied or [False] * len(program.results)
    return [
        values[number].copy() if copy else values[number] for number, copy in zip(program.results, copied, strict=True)
    ]
