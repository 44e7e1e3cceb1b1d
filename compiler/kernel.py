"""The kernel IR: the loops of one kernel, before a target prints them.

A kernel has `rows`, the axes that run in parallel, and within a row a tree of statements:

    stmt  = Value (a name for its result) | Store | Loop | Choose
    Value = load | constant | place (of an element) | apply (an operator) | result (of a loop or a choice) | kept

Loops carry their accumulators, so that a target may share a loop among threads. Every index is an `Index` over the axes
of the loops around it; two adjacent axes that every access walks as one are collapsed when printed (`Kernel.collapsed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Union

import numpy as np
from numfuse.compiler.graph import Location, Node
from numfuse.compiler.index import Atom, Axis, Floor, Index, Mod, Test
from numfuse.compiler.types import Shape, size_of


@dataclass(eq=False)
class Buffer:
    """An array in memory that a kernel reads or writes; strides are in elements."""

    name: str
    dtype: np.dtype
    shape: Shape
    strides: Shape
    output: bool
    aligned: bool = True
    """Whether its first element stands at a multiple of 16 bytes."""
    first: int = 0
    """Where its first element stands in the memory that the kernel is given."""
    number: bool = False
    """Whether it is one number, which kernels may be given by value."""
    apart: bool = False
    """Whether it is written and surely no memory that the kernel reads, so that an element may be computed twice."""


ValueKind = Literal["load", "constant", "place", "apply", "result", "kept"]


@dataclass(eq=False)
class Value:
    """A scalar. `uses` counts the statements that read it in the scope where it is made; `outer_uses` those deeper in."""

    kind: ValueKind
    dtype: np.dtype
    scope: Scope
    args: tuple[Value, ...] = ()
    """The operands; of a load or a place, the elements of arrays that its index names, in order."""
    node: Node | None = None
    """The graph node it computes, for its operator, params and the user's line."""
    buffer: Buffer | None = None
    index: Index | None = None
    """For a load, the offset into the buffer; for a place, the place itself."""
    constant: Any = None
    source: Value | None = None
    """For a kept value, the value of an earlier loop that it is."""
    hint: str = ""
    uses: int = 0
    outer_uses: int = 0
    keep: bool = False
    """Whether a later loop wants it: it is put in the row's memory."""

    def used_in(self, scope: Scope) -> Value:
        if scope is self.scope:
            self.uses += 1
        else:
            self.outer_uses += 1
        return self


@dataclass(eq=False)
class Store:
    buffer: Buffer
    offset: Index
    value: Value
    where: Location | None = None
    args: tuple[Value, ...] = ()
    """The elements of arrays that the offset names, in order."""


@dataclass(eq=False)
class Accumulator:
    """A value that a loop gathers: `result = combine(result, value)` from `identity`."""

    combine: str
    identity: Any
    value: Value
    result: Value


@dataclass(eq=False)
class Loop:
    """A walk over `axes` within a row. `limit`: where it is not None, the first axis ends there if that comes earlier."""

    axes: tuple[Axis, ...]
    body: Scope
    accumulators: list[Accumulator] = field(default_factory=list)
    limit: Index | None = None

    @property
    def length(self) -> int:
        return size_of([axis.extent for axis in self.axes])


@dataclass(eq=False)
class Choose:
    """`result` is `yes_value` where all tests hold, else `no_value`; only the branch that is taken runs."""

    tests: tuple[Test, ...]
    yes: Scope
    yes_value: Value
    no: Scope
    no_value: Value
    result: Value
    args: tuple[Value, ...] = ()
    """The elements of arrays that the tests name, in order."""


Statement = Union[Value, Store, Loop, Choose]


@dataclass(eq=False)
class Scope:
    """Statements that run one after another. `axes` are those of the loops around, the scope's own last."""

    parent: Scope | None
    axes: frozenset[Axis]
    statements: list[Statement] = field(default_factory=list)
    known: dict[tuple[Node, tuple[Index, ...]], Value] = field(default_factory=dict)

    def inside(self, other: Scope) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            scope = scope.parent
        return False

    def walk(self) -> Iterator[Statement]:
        """All statements, those of inner scopes too."""
        for statement in self.statements:
            yield statement
            if isinstance(statement, Loop):
                yield from statement.body.walk()
            elif isinstance(statement, Choose):
                yield from statement.yes.walk()
                yield from statement.no.walk()


@dataclass(frozen=True)
class Touch:
    """What row r of a kernel's shared loop reads or writes through its pointer number `pointer`: bytes from `step * r + low` up to `step * r + high`.
    It may be less."""

    pointer: int
    step: int
    low: int
    high: int
    written: bool


@dataclass(eq=False)
class Kernel:
    """One kernel: its parameters, its rows, and for each row axis, outermost first, the scope inside that loop."""

    name: str
    buffers: list[Buffer]
    rows: tuple[Axis, ...]
    scopes: list[Scope]
    """`scopes[0]` is outside all loops; `scopes[k]` inside the first k row loops."""
    body: Any
    """The graph it computes (a `Graph`)."""
    parameters: list[tuple[int, int]] = field(default_factory=list)
    """For each of `buffers`, which array it points into (by its place among the operands and results), and how many elements from its start."""
    streamed: frozenset[Store] = frozenset()
    """The stores that go past the caches, a tile at a time. Tiles overlap: some elements are computed twice."""
    touches: tuple[Touch, ...] = ()
    """What its rows read and write, once a target has decided what a row is."""
    numbers: tuple[int, ...] = ()
    """Whole numbers that it reads from an array behind its others."""
    collapsed: dict[Axis, Axis] = field(default_factory=dict)
    """For each axis, the loop that walks it: one of its own, or one that walks its neighbours too, named after the last."""

    @property
    def scope(self) -> Scope:
        """The scope of one row."""
        return self.scopes[-1]

    @cached_property
    def statements(self) -> list[Statement]:
        """All statements, once the kernel is built."""
        return [statement for scope in self.scopes for statement in scope.walk()]

    @cached_property
    def loops(self) -> list[Loop]:
        return [statement for statement in self.statements if isinstance(statement, Loop)]

    @cached_property
    def accesses(self) -> list[tuple[Buffer, Index]]:
        """What is read and written, and where."""
        found = []
        for statement in self.statements:
            if isinstance(statement, Store):
                found.append((statement.buffer, statement.offset))
            elif isinstance(statement, Value) and statement.kind == "load":
                assert statement.buffer is not None and statement.index is not None
                found.append((statement.buffer, statement.index))
        return found

    def indices(self) -> Iterator[Index]:
        """Every index in the kernel."""
        for _, offset in self.accesses:
            yield offset
        for statement in self.statements:
            if isinstance(statement, Value) and statement.kind == "place":
                assert statement.index is not None
                yield statement.index
            elif isinstance(statement, Choose):
                for test in statement.tests:
                    yield test.index
            elif isinstance(statement, Loop) and statement.limit is not None:
                yield statement.limit

    @property
    def empty(self) -> bool:
        """Whether there are no rows, and so nothing to do."""
        return any(axis.extent == 0 for axis in self.rows)

    def rebase(self, grain: int = 1) -> None:
        """Lets each pointer start at the first element that it reads or writes: then kernels for different rows are the same code.

        Accesses that move differently with the loops (`x[n * i + j]` and `x[n * i + 5]`) get pointers of their own. `grain`: the pointers move by
        so many bytes, for machines that read neighbours at once.
        """
        if self.empty:
            self.parameters = [(place, 0) for place in range(len(self.buffers))]
            return
        first: dict[tuple[Buffer, frozenset[tuple[Atom, int]]], int] = {}
        for buffer, index in self.accesses:
            key = buffer, frozenset(index.terms)
            low = index.bounds[0] - index.bounds[0] % max(grain // buffer.dtype.itemsize, 1)
            first[key] = min(first.get(key, low), low)
        moved: dict[tuple[Buffer, frozenset[tuple[Atom, int]]], Buffer] = {}
        buffers: list[Buffer] = []
        for place, buffer in enumerate(self.buffers):
            groups = [(key, low) for key, low in first.items() if key[0] is buffer]
            if any(low <= 0 for _, low in groups):  # what nobody reads or writes is not passed
                buffers.append(buffer)
                self.parameters.append((place, 0))
            for key, low in groups:
                if low > 0:
                    aligned = buffer.aligned and low * buffer.dtype.itemsize % 16 == 0
                    moved[key] = replace(buffer, aligned=aligned)
                    buffers.append(moved[key])
                    self.parameters.append((place, low))
        self.buffers = buffers
        for statement in self.statements if moved else ():
            if isinstance(statement, Store):
                key = statement.buffer, frozenset(statement.offset.terms)
                if key in moved:
                    statement.buffer, statement.offset = moved[key], statement.offset - first[key]
            elif isinstance(statement, Value) and statement.buffer is not None and statement.index is not None:
                key = statement.buffer, frozenset(statement.index.terms)
                if key in moved:
                    statement.buffer, statement.index = moved[key], statement.index - first[key]
        self.__dict__.pop("accesses", None)

    @cached_property
    def nbytes(self) -> int:
        """Bytes read and written once the kernel is rebased, as far as arrays are touched at all; each element is counted once."""
        return self._moved([True, False])

    @cached_property
    def written(self) -> int:
        """Those of these bytes that are written."""
        return self._moved([True])

    def _moved(self, outputs: list[bool]) -> int:
        touched: dict[tuple[int, frozenset[tuple[Atom, int]]], int] = {}
        whole: dict[int, int] = {}
        places = [place for place, _ in self.parameters]
        array = dict(zip(self.buffers, places, strict=True))
        for buffer, index in self.accesses:
            if buffer.output not in outputs:
                continue
            key = array[buffer], frozenset(index.terms)
            touched[key] = size_of([axis.extent for axis in index.axes]) * buffer.dtype.itemsize
            whole[array[buffer]] = size_of(buffer.shape) * buffer.dtype.itemsize
        return sum(min(whole[place], sum(size for (of, _), size in touched.items() if of == place)) for place in whole)

    def collapse(self) -> None:
        """Finds the runs of axes that every index walks as one axis, so that one loop does for them."""
        indices = list(self.indices())
        nests = {loop.axes for loop in self.loops}
        self._collapse(self.rows, indices)
        for nest in nests:
            inside = [axis for axis in nest if all(nest == other for other in nests if axis in other)]
            self._collapse(nest, indices, frozenset(inside))

    def _collapse(self, axes: tuple[Axis, ...], indices: list[Index], allowed: frozenset[Axis] | None = None) -> None:
        groups: list[list[Axis]] = []
        for axis in axes:
            last = groups[-1][-1] if groups else None
            free = allowed is None or {last, axis} <= allowed
            if last is not None and free and all(_walks_as_one(index, last, axis) for index in indices):
                groups[-1].append(axis)
            else:
                groups.append([axis])
        for group in groups:
            whole = Axis(group[-1].number, size_of([axis.extent for axis in group]))
            for axis in group:
                self.collapsed[axis] = whole

    def loops_over(self, axes: tuple[Axis, ...]) -> list[Axis]:
        """The loops that walk `axes`, outermost first, after collapsing."""
        return list(dict.fromkeys([self.collapsed[axis] for axis in axes]))

    def coef(self, index: Index, loop: Axis) -> int:
        """How far `index` moves when the (collapsed) loop makes a step."""
        return next((coef for atom, coef in index.terms if isinstance(atom, Axis) and atom.number == loop.number), 0)


def _walks_as_one(index: Index, outer: Axis, inner: Axis) -> bool:
    for atom, _ in index.terms:
        if isinstance(atom, (Floor, Mod)) and atom.inner.named_axes & {outer, inner}:
            return False
    return index.coef(outer) == index.coef(inner) * inner.extent
