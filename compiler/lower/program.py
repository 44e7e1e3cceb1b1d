"""Programs: kernels, library calls and views in order, and where each value lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.kernel import Touch
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.ops import operator
from numfuse.compiler.schedule import MODEL, Schedule
from numfuse.compiler.types import Shape, Spec, size_of

Place = Literal["argument", "result", "workspace", "constant", "view", "library"]


@dataclass(frozen=True)
class Layout:
    """How an argument lies in memory: strides in elements, and whether its start is a multiple of 16 bytes. `number`: it is a number of the host's,
    which a GPU's kernels take by value."""

    strides: Shape
    aligned: bool = True
    number: bool = False


@dataclass
class Value:
    """An array of the program. `place`: an argument, a result, a stretch of the workspace, a constant, a view, or an array that a library call
    makes, which may be a result or not."""

    node: Node
    place: Place
    number: int = 0
    """Which argument or result; for the workspace, the offset in bytes."""

    @property
    def shape(self) -> Shape:
        return self.node.shape

    @property
    def dtype(self) -> np.dtype:
        return self.node.dtype

    @property
    def nbytes(self) -> int:
        return size_of(self.shape) * self.dtype.itemsize


@dataclass
class Phase:
    """One launch: a printed function, its launch shape (`extents`, whose meaning is the target's), and its arguments."""

    source: Source
    extents: dict[str, int]
    values: list[int]
    offsets: list[int]
    """For each argument, the element at which the pointer starts."""
    nbytes: int
    """Bytes read and written, each array counted once."""
    written: int
    """Those of them that are written."""
    flops: int
    in_place: frozenset[tuple[int, int]] = frozenset()
    """Pairs of values (one read, one written) that may be the same memory."""
    touches: tuple[Touch, ...] = ()
    """What its rows read and write, where the target shares them among threads by their number (the CPU)."""
    tiled: bool = False
    """Whether it is a matrix product, which does several times as much in a second as other kernels."""


@dataclass
class LoweredKernel:
    """A kernel of one or more phases. Kernels with the same code are the same kernel."""

    name: str
    nodes: tuple[Node, ...]
    """The fused nodes that it computes, one a phase."""
    phases: list[Phase]
    schedule: Schedule = MODEL

    @property
    def nbytes(self) -> int:
        """Bytes read and written, each array counted once a phase."""
        return sum(phase.nbytes for phase in self.phases)

    @property
    def written(self) -> int:
        """Those of these bytes that are written, each element once."""
        return sum(phase.written for phase in self.phases)

    @property
    def flops(self) -> int:
        return sum(phase.flops for phase in self.phases)

    @property
    def node(self) -> Node:
        """The last of its nodes, whose results are the kernel's."""
        return self.nodes[-1]

    @property
    def source(self) -> str:
        return "\n\n".join(phase.source.text for phase in self.phases)

    @property
    def code(self) -> str:
        return "".join(phase.source.code for phase in self.phases)

    @property
    def extents(self) -> list[dict[str, int]]:
        """The launch shape of each phase."""
        return [phase.extents for phase in self.phases]


@dataclass
class Sweep:
    """Phases that run together, over ranges of rows (`sweeps.py`). A table has (phase, first row, last row + 1), in order; `tiles` run side by side, then
    `cuts` do."""

    phases: list[Phase]
    tiles: list[np.ndarray]
    cuts: list[np.ndarray]


@dataclass
class KernelStep:
    kernel: LoweredKernel


@dataclass
class LibraryStep:
    """A call of the operator's library function: NumPy's, or on a GPU cuBLAS's where it has it. `outputs`: None for a result
    that nobody reads; `specs`: of all results."""

    node: Node
    inputs: list[int]
    outputs: list[int | None]
    specs: list[Spec]


@dataclass
class ViewStep:
    """An array that is another one's memory, seen through a view operator."""

    node: Node
    input: int
    output: int


@dataclass
class CheckStep:
    """Stops the program where one of these flags is set: what follows writes to arguments, which a call that fails must leave as they are."""

    flags: list[int]


Step = KernelStep | LibraryStep | ViewStep | CheckStep


class CheckedLate(Exception):
    """A flag would be known only after an argument has been written to."""


class Stopped(Exception):
    """A check failed before anything was written to an argument. `flags`: the outcome of each check."""

    def __init__(self, flags: Sequence[Any]) -> None:
        super().__init__("a check failed")
        self.flags = flags


@dataclass
class Program:
    """Steps over numbered values. Arguments come first, in order; `results` lists the values to return."""

    graph: Graph
    values: list[Value]
    steps: list[Step]
    results: list[int]
    copied: list[bool] = field(default_factory=list)
    """For each result, whether it is a copy of its value: of an argument's memory (unless it was written to), or of another result's."""
    flags: list[int] = field(default_factory=list)
    """The last of the results, where they tell of a check each whether it failed."""
    workspace: int = 0
    """Bytes."""
    layouts: dict[int, Layout | None] = field(default_factory=dict)
    """How each argument lies in memory (None: in C order)."""
    sweeps: list[Sweep] = field(default_factory=list)
    donated: dict[int, int] = field(default_factory=dict)
    """For each result that is written into the memory of an argument, or of an array that a library call makes, that value."""

    @property
    def kernels(self) -> list[LoweredKernel]:
        """In order of launching; one that runs several times stands there as often."""
        return [step.kernel for step in self.steps if isinstance(step, KernelStep)]

    @property
    def library_calls(self) -> list[str]:
        return [step.node.op for step in self.steps if isinstance(step, LibraryStep)]


def writes_in_place(node: Node) -> bool:
    """Whether a library call can be told where to put its result, as ufuncs can."""
    return isinstance(operator(node.op).reference, np.ufunc) and not node.params
