"""Kernels that differ in whole numbers alone become one kernel, which reads the numbers from an array.

A loop that unrolls over ever shorter slices makes a kernel for each length, and each takes tens of milliseconds to compile. Few such kernels stay as they
are: a compiler does more with numbers that it knows.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numfuse.compiler.graph import constant
from numfuse.compiler.lower.expressions import RESERVED, Names
from numfuse.compiler.lower.printer import Parameter, Source
from numfuse.compiler.lower.program import Phase, Program, Value

MANY = 6
"""So many alike are worth it."""
NUMBER = re.compile(r"(?<![\w.])(?<!\de[-+])\d+(?![\w.])")
"""A whole number, and no part of a name or of a float."""
RUN_TIME = frozenset(
    {"", "range", "min", "max", "wrap_index", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
"""What may be called with numbers that are known only when the kernel runs."""


def share_alike(program: Program) -> None:
    phases: dict[int, list[Phase]] = defaultdict(list)
    for kernel in program.kernels:
        for phase in kernel.phases:
            phases[id(phase.source)].append(phase)
    if len(phases) < MANY:
        return
    groups: dict[tuple[str, str, str], list[Source]] = defaultdict(list)
    for phase, *_ in phases.values():
        source = phase.source
        groups[NUMBER.sub("#", source.nameless), source.signature, source.short_loops].append(source)
    for group in groups.values():
        if len(group) >= MANY:
            _share(program, group, phases)
    for kernel in program.kernels:
        kernel.name = kernel.phases[0].source.name


def _share(program: Program, group: Sequence[Source], phases: dict[int, list[Phase]]) -> None:
    """Makes the group's first source the source of all."""
    numbers = [[int(found) for found in NUMBER.findall(source.nameless)] for source in group]
    rows = list(zip(*numbers, strict=True))  # for each place in the code, the number that each source has there
    varying = list(dict.fromkeys(row for row in rows if len(set(row)) > 1))
    told = [called for line in group[0].nameless.splitlines() for called in _calls_around(line)]
    if any(len(set(row)) > 1 and called not in RUN_TIME for row, called in zip(rows, told, strict=True)):
        return
    names = Names({*RESERVED, *re.findall(r"[A-Za-z_]\w*", group[0].code)})
    array = names.new("numbers")
    name_of = {row: names.new("n", numbered=True) for row in varying}
    shared = _told(group[0], array, [name_of.get(row) for row in rows], list(name_of.values()))
    for place, source in enumerate(group):
        values = np.array([row[place] for row in varying], np.int64)
        number = len(program.values)
        program.values.append(Value(constant(values), "constant"))
        for phase in phases[id(source)]:
            phase.source = shared
            phase.values = [*phase.values, number]
            phase.offsets = [*phase.offsets, 0]


def _calls_around(line: str) -> Iterator[str]:
    """For each whole number of the line, the function that is called with it: nothing for brackets and plain parentheses."""
    for found in NUMBER.finditer(line):
        depth = 0
        for place in range(found.start() - 1, -1, -1):
            depth += (line[place] in ")]") - (line[place] in "([")
            if depth < 0:
                yield re.findall(r"\w*$", line[:place])[0] if line[place] == "(" else ""
                break
        else:
            yield ""


def _told(source: Source, array: str, names: Sequence[str | None], read: Sequence[str]) -> Source:
    """The source with these names in place of its numbers, and `array` as its last parameter."""
    left = iter(names)
    (head, comment), *body = source.lines
    lines = [(head.replace("):", f", {array}):"), comment)]
    lines += [(f"    {name} = {array}[{place}]", "") for place, name in enumerate(read)]
    lines += [(NUMBER.sub(lambda found: next(left) or found[0], line), where) for line, where in body]
    parameters = [*source.parameters, Parameter(array, np.dtype(np.int64))]
    return replace(source, parameters=parameters, lines=lines)
