"""Sweeps on the CPU: which kernels go through memory together, and the code that runs their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numfuse.compiler.lower.expressions import RESERVED, Names
from numfuse.compiler.lower.lying import Lying, lying
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.lower.program import KernelStep, LoweredKernel, Phase, Program, Sweep, ViewStep
from numfuse.compiler.lower.sweeps import Link, Stage, footprint, lag, links_between, stage_of, tables
from numfuse.runtime.cpu.pieces import SHARED_SECONDS, seconds_of
from numfuse.runtime.cpu.threads import thread_count

MOST = 24
"""Phases in a sweep."""
BAND = 2**18
"""Bytes of memory that a band goes through: what all its kernels touch is then in a core's own cache."""
WINDOW = 2**21
"""Bytes by which the kernels of a sweep may lie apart: from row to row, a band needs what earlier bands made."""
BEHIND = 8
"""A kernel that has to be an eighth of all rows ahead of another one gains nothing from going along with it."""
AGAIN = 0.1
"""The part of the work that may be left for the cuts between tiles."""


@dataclass
class Group:
    """Phases that may go together, their kernels, and how their rows are linked."""

    kernels: list[LoweredKernel] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    links: dict[tuple[int, int], tuple[Link, ...]] = field(default_factory=dict)
    depth: list[float] = field(default_factory=list)
    """By which part of all rows each stage is behind the first."""

    @property
    def bands(self) -> int | None:
        """In how many bands it is to go; None where a model decides."""
        return self.kernels[0].schedule.sweep if self.kernels else None

    def take(self, kernel: LoweredKernel, phase: Phase, stage: Stage) -> bool:
        """Adds a phase, if it goes along with those that are there."""
        links, depth, number = {}, 0.0, len(self.phases)
        if number == MOST or (number and kernel.schedule.sweep != self.bands):
            return False
        for k, earlier in enumerate(self.stages):
            found = links_between(earlier, stage)
            if found is None:
                return False
            links[k, number] = found
            rows = lag(found, earlier, stage)
            if self.bands is None and rows > max(earlier.count // BEHIND, min(2, earlier.count // 4)):
                return False
            depth = max(depth, self.depth[k] + rows / max(earlier.count, 1) if found else 0.0)
        if number and self.bands is None and depth * footprint([*self.stages, stage]) > WINDOW:
            return False
        self.kernels.append(kernel)
        self.phases.append(phase)
        self.stages.append(stage)
        self.links.update(links)
        self.depth.append(depth)
        return True

    def meets(self, number: int) -> bool:
        """Whether a stage writes what another one touches, or reads what another one writes."""
        stage, others = self.stages[number], [one for k, one in enumerate(self.stages) if k != number]
        written = {memory for memory, parts in stage.touched.items() if any(part.written for part in parts)}
        made = {
            memory for one in others for memory, parts in one.touched.items() if any(part.written for part in parts)
        }
        touched = {memory for one in others for memory in one.touched}
        return bool(written & touched) or bool(set(stage.touched) & made)

    def halves(self) -> Iterator[Group]:
        middle = len(self.phases) // 2
        for first, last in ((0, middle), (middle, len(self.phases))):
            half = Group()
            for place in range(first, last):
                half.take(self.kernels[place], self.phases[place], self.stages[place])
            yield half


def choose_sweeps(program: Program) -> None:
    """Fills `program.sweeps`. What the kernels of one read of one another is stored into the caches, and not past them."""
    plain: dict[int, tuple[Source, Source]] = {}
    for group in _groups(program, lying(program)):
        for part, sweep in _planned(group):
            program.sweeps.append(sweep)
            for number, phase in enumerate(part.phases):
                if phase.source.plain is not None and part.meets(number):
                    if id(phase.source) not in plain:
                        plain[id(phase.source)] = phase.source, phase.source.plain()
                    phase.source = plain[id(phase.source)][1]
    if plain:
        _name(program, plain.values())


def _name(program: Program, plain: Iterable[tuple[Source, Source]]) -> None:
    """Gives the new sources the names of those that they stand for, where these are not needed any more."""
    used = {id(phase.source): phase.source.name for kernel in program.kernels for phase in kernel.phases}
    for _, new in plain:
        del used[id(new)]
    names = Names({*RESERVED, *used.values()})
    for source, new in plain:
        new.rename(names.new(source.name))
    for kernel in program.kernels:
        kernel.name = kernel.phases[0].source.name


def _groups(program: Program, places: Mapping[int, Lying]) -> Iterator[Group]:
    group = Group()
    for step in program.steps:
        if isinstance(step, KernelStep):
            for phase in step.kernel.phases:
                stage = stage_of(phase, places) if step.kernel.schedule.sweep != 0 else None
                if stage is None or not group.take(step.kernel, phase, stage):
                    yield group
                    group = Group()
                    if stage is not None:
                        group.take(step.kernel, phase, stage)
        elif not isinstance(step, ViewStep) or step.output not in places:
            yield group
            group = Group()
    yield group


def _planned(group: Group) -> Iterator[tuple[Group, Sweep]]:
    """The group as a sweep, or parts of it as sweeps, as far as that pays."""
    if len(group.phases) < 2:
        return
    seconds = sum(seconds_of(phase) for phase in group.phases)
    shared = thread_count() > 1 and (seconds >= SHARED_SECONDS or group.bands is not None)
    size = footprint(group.stages)
    if group.bands is None and not shared and (size <= 2 * BAND or seconds < SHARED_SECONDS):
        return
    for tiles, most in ((2 * thread_count(), AGAIN / 4), (thread_count(), AGAIN)) if shared else ((1, 0.0),):
        found = tables(group.stages, group.links, tiles, group.bands or max(1, -(-size // (tiles * BAND))))
        if found is not None and (group.bands is not None or _left(group, found[1]) <= most):
            yield group, Sweep(group.phases, *found)
            return
    for half in group.halves():
        yield from _planned(half)


def _left(group: Group, cuts: list[np.ndarray]) -> float:
    """Which part of the work is left for the cuts."""
    each = [seconds_of(phase) / max(stage.count, 1) for phase, stage in zip(group.phases, group.stages, strict=True)]
    left = sum(each[stage] * (last - first) for table in cuts for stage, first, last in table.tolist())
    return left / sum(seconds_of(phase) for phase in group.phases)
