"""Prints CUDA kernels without loops that read an array across its rows: tiles of it go through the block's shared memory, so that both what is
read and what is written lie side by side.

    x_t = shared(1056, float32)
    t = thread_in_block()
    j_2 = 32 * (block() % 256)
    i_2 = 32 * (block() // 256)
    for k in unrolled(4):
        i = i_2 + t % 32
        j = j_2 + t // 32 + 8 * k
        if i < n and j < 8192:
            x_t[33 * (t // 32 + 8 * k) + t % 32] = x[8192 * j + i]
    barrier()
    for k in unrolled(4):
        i = i_2 + t // 32 + 8 * k
        j = j_2 + t % 32
        if i < n and j < 8192:
            out[8192 * i + j] = x_t[33 * (t % 32) + t // 32 + 8 * k]
"""

from __future__ import annotations

from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Kernel, Value
from numfuse.compiler.lower.cuda_printer import CudaPrinter, Launch, memory_type
from numfuse.compiler.lower.expressions import Text
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import size_of

SIDE = 32
PITCH = SIDE + 1
"""One more element a row: then a column of a tile lies in as many banks as it has elements."""
TILE_THREADS = 256


class TiledPrinter(CudaPrinter):
    """Each block computes a tile of 32 by 32 elements, of the innermost loop and of the one across which arrays are read."""

    def __init__(self, kernel: Kernel, axis: Axis, loads: list[Value]) -> None:
        super().__init__(kernel)
        self.across = axis
        self.loads = loads
        self.member = self.names.new("t")
        self.step = self.names.new("k")

    def source(self) -> tuple[Source, Launch]:
        source = self.head()
        last = self.loops[-1]
        tiled = (self.across, last)
        tiles = {
            value: self.names.new(f"{self.buffer_names[value.buffer]}_t")
            for value in self.loads
            if value.buffer is not None
        }
        for value, tile in tiles.items():
            self.line(f"{tile} = shared({SIDE * PITCH}, {memory_type(value.dtype)})")
        self.line(f"{self.member} = thread_in_block()")
        first = self.open_block(tiled)
        steps = SIDE * SIDE // TILE_THREADS
        side, row = f"{self.member} % {SIDE}", f"{self.member} // {SIDE} + {TILE_THREADS // SIDE} * {self.step}"
        with self.block(f"for {self.step} in unrolled({steps}):"):
            self.place(first, {self.across: side, last: row})
            with self.block(f"if {self.inside(tiled)}:"):
                for value, tile in tiles.items():
                    assert value.buffer is not None and value.index is not None
                    element = f"{self.buffer_names[value.buffer]}[{self.expressions.index(value.index).text}]"
                    self.line(f"{tile}[{PITCH} * ({row}) + {side}] = {element}")
        self.line("barrier()")
        with self.block(f"for {self.step} in unrolled({steps}):"):
            self.place(first, {self.across: row, last: side})
            self.vectors = {value: f"{tile}[{PITCH} * ({side}) + {row}]" for value, tile in tiles.items()}
            with self.block(f"if {self.inside(tiled)}:"):
                for scope in self.kernel.scopes:
                    self.statements(scope)
        grid = size_of([self.blocks_along(axis) for axis in self.loops])
        return source, Launch(grid, TILE_THREADS, self.outer)

    def blocks_along(self, axis: Axis) -> int:
        return -(-axis.extent // SIDE) if axis in (self.across, self.loops[-1]) else axis.extent

    def open_block(self, tiled: tuple[Axis, Axis]) -> dict[Axis, str]:
        """Names the block's places: of the tiled loops where the tile begins, of all others where they are."""
        rest = "block()"
        first: dict[Axis, str] = {}
        for axis in reversed(self.loops):
            count = self.blocks_along(axis)
            place = Text(rest, 10) if axis is self.loops[0] else Text(f"{rest} % {count}", 10)
            if axis in tiled:
                first[axis] = self.names.new(self.axis_names[axis.number])
                self.line(f"{first[axis]} = {SIDE} * {place.at_least(11)}")
            else:
                self.line(f"{self.axis_names[axis.number]} = {place.text}")
            rest = f"block() // {count}" if rest == "block()" else f"({rest}) // {count}"
        return first

    def place(self, first: dict[Axis, str], within: dict[Axis, str]) -> None:
        for axis, start in first.items():
            self.line(f"{self.axis_names[axis.number]} = {start} + {within[axis]}")

    def inside(self, tiled: tuple[Axis, Axis]) -> str:
        """The test that an element of a tile is one of the results."""
        tests = [
            f"{self.axis_names[axis.number]} < {self.count if axis is self.loops[0] else axis.extent}"
            for axis in tiled
            if axis is self.loops[0] or axis.extent % SIDE
        ]
        return " and ".join(tests) or "True"
