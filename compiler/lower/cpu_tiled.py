"""CPU kernels that read an array across their rows: tiles of it are turned round in vector registers, so that memory is read a cache line at a time.

def add(lo, hi, x, y, out):
    x_tile = local(1024, float32)
    for i_first in range(lo, hi, 16):
        for j_first in range(0, 2000, 64):
            rows = min(16, hi - i_first)
            columns = min(64, 2000 - j_first)
            turn(x_tile, 64, x, 2000 * j_first + i_first, 2000, rows, columns)
            for row in range(rows):
                i = i_first + row
                for column in range(columns):
                    j = j_first + column
                    out[2000 * i + j] = x_tile[64 * row + column] + y[2000 * i + j]
"""

from __future__ import annotations

from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Kernel, Value
from numfuse.compiler.lower.cpu import CpuPrinter
from numfuse.compiler.lower.expressions import Text
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import memory_dtype

LINE = 64
"""Bytes of a cache line: a tile has so many along the array that is read."""
COLUMNS = 64
"""Elements of a tile along what is written: so many lines are read at once, and LLVM makes a loop over vectors of them."""


class TiledPrinter(CpuPrinter):
    """Two loops go by tiles: the innermost one, and the one along which `loads` lie side by side."""

    def __init__(self, kernel: Kernel, across: Axis, loads: list[Value]) -> None:
        super().__init__(kernel)
        self.across, self.last = across, self.loops[-1]
        self.loads = loads
        self.height = LINE // min(value.dtype.itemsize for value in loads)
        self.turned: dict[Value, str] = {}
        self.row, self.column = self.names.new("row"), self.names.new("column")

    def rows(self) -> None:
        opened = self.depth
        names = {
            value: self.names.new(f"{self.buffer_names[value.buffer]}_tile") for value in self.loads if value.buffer
        }
        for value, name in names.items():
            self.line(f"{name} = local({self.height * COLUMNS}, {memory_dtype(value.dtype).name})")
        for axis in self.loops:
            lo, hi = self.range_of(axis)
            name, ends = self.axis_names[axis.number], hi if lo == "0" else f"{lo}, {hi}"
            if axis in (self.across, self.last):
                name, ends = self.names.new(f"{name}_first"), f"{lo}, {hi}, {self.size_of(axis)}"
                self.expressions.axis_text[axis.number] = Text(name)
            self.line(f"for {name} in range({ends}):")
            self.depth += 1
        rows, columns = [self.extent(axis, word) for axis, word in ((self.across, "rows"), (self.last, "columns"))]
        for value, name in names.items():
            assert value.index is not None and value.buffer is not None
            place, step = self.expressions.index(value.index).text, self.kernel.coef(value.index, self.last)
            self.line(f"turn({name}, {COLUMNS}, {self.buffer_names[value.buffer]}, {place}, {step}, {rows}, {columns})")
            self.turned[value] = f"{name}[{COLUMNS} * {self.row} + {self.column}]"
        self.within(self.across, self.row, rows)
        for scope in self.kernel.scopes[:-1]:
            self.statements(scope)
        self.within(self.last, self.column, columns)
        self.statements(self.kernel.scope)
        self.depth = opened

    def range_of(self, axis: Axis) -> tuple[str, str]:
        return ("lo", "hi") if axis == self.split else ("0", str(axis.extent))

    def size_of(self, axis: Axis) -> int:
        return COLUMNS if axis is self.last else self.height

    def extent(self, axis: Axis, word: str) -> str:
        """How many steps of the loop the tile at hand has: a number, or a name for it."""
        size, (_, end) = self.size_of(axis), self.range_of(axis)
        if axis != self.split and axis.extent % size == 0:
            return str(size)
        name = self.names.new(word)
        self.line(f"{name} = min({size}, {end} - {self.expressions.axis_text[axis.number].text})")
        return name

    def within(self, axis: Axis, place: str, extent: str) -> None:
        """Opens the loop over a tile, and names where it is."""
        first = self.expressions.axis_text[axis.number].text
        self.line(f"for {place} in range({extent}):")
        self.depth += 1
        self.line(f"{self.axis_names[axis.number]} = {first} + {place}")
        self.expressions.axis_text[axis.number] = Text(self.axis_names[axis.number])

    def load(self, value: Value) -> Text:
        tile = self.turned.get(value)
        return super().load(value) if tile is None else self.from_memory(tile, value.dtype)


def print_tiled(kernel: Kernel, across: Axis, loads: list[Value]) -> Source:
    return TiledPrinter(kernel, across, loads).source()
