"""CPU kernels whose results are too large for the caches: their stores go past these, a tile at a time.

    def saxpy(lo, hi, x, y, out):
        out_tile = local(128, float32)
        for first in range(lo - past_line(out, lo), hi, 128):
            start = max(min(first, hi - 128), 0)
            for lane in range(128):
                i = start + lane
                out_tile[lane] = x[i] + y[i]
            stream(out, 0, out_tile, start, max(first, lo), min(first + 128, hi))
        store_fence()

All tiles are of one length, which the vectoriser likes, and what is stored of each starts at a cache line. At the ends of a range there is less of that:
there a tile computes what another one stores, if need be one of another thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Kernel, Loop, Scope, Store
from numfuse.compiler.lower.cpu import CpuPrinter
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import memory_dtype

TILE = 128
"""Elements of a tile, or as many as are 512 bytes: LLVM unrolls shorter loops instead of vectorising them, and longer stretches of stores would
hold up the reads."""


def streamable(kernel: Kernel, row_bytes: int = 0) -> frozenset[Store]:
    """The stores that fill memory in order, in a loop that may do an element twice and fills at least `row_bytes`."""
    if not all(buffer.apart for buffer in kernel.buffers if buffer.output):
        return frozenset()
    return frozenset(
        statement
        for scope, axis in _innermost(kernel)
        for statement in scope.statements
        if isinstance(statement, Store)
        and axis.extent * statement.buffer.dtype.itemsize >= row_bytes
        and kernel.coef(statement.offset, axis) == 1
        and all(isinstance(atom, Axis) for atom, _ in statement.offset.terms)
    )


def _innermost(kernel: Kernel) -> Iterator[tuple[Scope, Axis]]:
    """The loops that have no loop within and add nothing up: what is in them, and what they walk."""
    if kernel.rows and not _has_loop(kernel.scope):
        yield kernel.scope, kernel.loops_over(kernel.rows)[-1]
    for loop in kernel.loops:
        if not loop.accumulators and loop.limit is None and not _has_loop(loop.body):
            yield loop.body, kernel.loops_over(loop.axes)[-1]


def _has_loop(scope: Scope) -> bool:
    return any(isinstance(statement, Loop) for statement in scope.walk())


class StreamPrinter(CpuPrinter):
    """A loop with streamed stores is two: over tiles, and over the elements of a tile."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.lane = self.names.new("lane")
        self.tile_of: dict[Store, str] = {}
        self.innermost_of = dict(_innermost(kernel))
        self.streams = False
        """Whether the loop at hand goes by tiles: short pieces of one that is cut do not."""

    def rows(self) -> None:
        for scope, axis in _innermost(self.kernel):
            for store in self.streamed_in(scope):
                name = self.tile_of[store] = self.names.new(f"{self.buffer_names[store.buffer]}_tile")
                element = memory_dtype(store.buffer.dtype).name
                self.line(f"{name} = local({self.length(scope, axis)}, {element})")
        super().rows()
        self.line("store_fence()")

    def streamed_in(self, scope: Scope) -> list[Store]:
        return [s for s in scope.statements if isinstance(s, Store) and s in self.kernel.streamed]

    def length(self, scope: Scope, axis: Axis) -> int:
        """Elements of a tile: a whole number of lines of each array."""
        least = min(store.buffer.dtype.itemsize for store in self.streamed_in(scope))
        return min(max(TILE, 512 // least), axis.extent)

    @contextmanager
    def over(self, axis: Axis, lo: str, hi: str, scope: Scope) -> Iterator[None]:
        stores = self.streamed_in(scope) if axis == self.innermost_of.get(scope) else []
        low, high = self.ranges[axis]
        length = self.length(scope, axis) if stores else 0
        self.streams = bool(stores) and high - low >= length
        if not self.streams:
            with super().over(axis, lo, hi, scope):
                yield
            return
        name = self.axis_names[axis.number]
        first, start = self.names.new("first"), self.names.new("start")
        row = self.row_of(stores[0], axis)
        place = row if lo == "0" else lo if row == "0" else f"{row} + {lo}"
        past = f"past_line({self.buffer_names[stores[0].buffer]}, {place})"
        last = str(int(hi) - length) if hi.isdigit() else f"{hi} - {length}"
        with self.block(f"for {first} in range({'-' if lo == '0' else f'{lo} - '}{past}, {hi}, {length}):"):
            self.line(f"{start} = max(min({first}, {last}), {low})")
            with self.block(f"for {self.lane} in range({length}):"):
                self.line(f"{name} = {start} + {self.lane}")
                yield
            for store in stores:
                row = f"{self.buffer_names[store.buffer]}, {self.row_of(store, axis)}"
                part = f"{start}, max({first}, {lo}), min({first} + {length}, {hi})"
                self.line(f"stream({row}, {self.tile_of[store]}, {part})", store.where)

    @contextmanager
    def one_step(self, axis: Axis, lo: str, hi: str) -> Iterator[None]:
        self.streams = False
        with super().one_step(axis, lo, hi):
            yield

    def row_of(self, store: Store, axis: Axis) -> str:
        """Where the store goes in the first step of the loop over the axis."""
        walked = {part for part, loop in self.kernel.collapsed.items() if loop == axis}
        rest = [(atom, by) for atom, by in store.offset.terms if atom not in walked]
        return self.expressions.index(Index(store.offset.const, tuple(rest))).text

    def store(self, store: Store) -> None:
        if store not in self.tile_of or not self.streams:
            super().store(store)
            return
        value = self.to_memory(self.text(store.value).text, store.buffer.dtype)
        self.line(f"{self.tile_of[store]}[{self.lane}] = {value}", store.where)


def print_streaming(kernel: Kernel) -> Source:
    return StreamPrinter(kernel).source()
