"""Prints kernels for CUDA: one function over a grid of threads.

Kernels without loops are flat: each thread computes a few neighbouring elements, read and written 16 bytes at a time.

    def gelu(n, x, out):
        i = 4 * thread()
        if i < n:
            x_v = local(4, float32)
            load_4(x_v, x, i)
            out_v = local(4, float32)
            for v in unrolled(4):
                ...
            store_4(out, i, out_v)

Kernels with loops give each row a warp, a block, or (where neighbouring rows lie side by side in memory) a column of threads of a
block; each thread gathers its share of a loop, and `block_add` or its kin join the shares. What a later loop needs again stays in
the thread's registers. Thread numbers are unsigned 32-bit integers made 64 bits wide, so index arithmetic compiles to 32-bit instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Buffer, Kernel, Loop, Store, Value
from numfuse.compiler.lower.cpu import wants_lanes
from numfuse.compiler.lower.expressions import Text, from_tile, initial, tile_type, to_tile
from numfuse.compiler.lower.printer import Parameter, Printer, Source, buffer_parameters, combined, header
from numfuse.compiler.types import NARROW, memory_dtype, size_of

FLAT_THREADS = 256
VECTOR_BYTES = 16
WARP = 32
KEPT = 32
"""Elements of a row that a thread keeps in registers, at most, of each value."""
COLUMN_THREADS = 16
"""Threads that share a column, where neighbouring rows lie side by side."""


@dataclass(frozen=True)
class Launch:
    """The launch shape: `n` is the kernel's first argument, the extent of its outermost loop."""

    grid: int
    block: int
    n: int

    def extents(self) -> dict[str, int]:
        return {"grid": self.grid, "block": self.block, "n": self.n}


class CudaPrinter(Printer):
    """What flat and row kernels share: the numbers of threads, and the kernel's head."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.loops = kernel.loops_over(kernel.rows)
        self.count = self.names.new("n")
        self.name_loops()

    def head(self) -> Source:
        parameters = [Parameter(self.count, None), *buffer_parameters(self)]
        self.line(f"def {self.kernel.name}({', '.join(p.name for p in parameters)}):")
        self.depth += 1
        source = Source(self.kernel.name, parameters, header(self.kernel), self.lines)
        source.imports = "from numfuse.runtime.cuda.functions import *"
        return source

    @property
    def outer(self) -> int:
        """The extent of the outermost loop: the one extent that kernels take as an argument."""
        return self.loops[0].extent if self.loops else 1

    @property
    def inner_size(self) -> int:
        return size_of([axis.extent for axis in self.loops[1:]])

    def decompose(self, linear: str, loops: list[Axis], scale: int = 1) -> None:
        """Names the loops' places for the linear place `linear`; the last one counts in steps of `scale`."""
        rest = linear
        for axis in reversed(loops):
            name, extent = self.axis_names[axis.number], axis.extent // scale
            if axis is loops[0]:
                text = rest
            else:
                text = f"{rest} % {extent}"
            self.line(
                f"{name} = {text}"
                if scale == 1
                else f"{name} = {scale} * ({text})"
                if text != rest
                else f"{name} = {scale} * {rest}"
            )
            rest = f"{linear} // {extent}" if rest == linear else f"({rest}) // {extent}"
            scale = 1


class FlatPrinter(CudaPrinter):
    """Each thread computes `width` neighbouring elements of the innermost loop."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.width = self.vector_width()
        self.tiles: dict[Value | Store, str] = {}
        self.lane = self.names.new("v")

    def vector_width(self) -> int:
        """Elements a thread: 16 bytes' worth of the widest array that is walked with unit stride, or 1."""
        if not self.loops:
            return 1
        stores = [s for s in self.kernel.statements if isinstance(s, Store)]
        sizes = [
            buffer.dtype.itemsize
            for buffer, index in self.kernel.accesses
            if self.kernel.coef(index, self.loops[-1]) == 1
        ]
        width = VECTOR_BYTES // max(sizes, default=VECTOR_BYTES)
        while width > 1 and not self.pays(width, stores):
            width //= 2
        if len(self.loops) > 1 and self.loops[-1].extent % width:
            return 1
        return max(width, 1)

    def pays(self, width: int, stores: list[Store]) -> bool:
        """Whether as many unit-stride accesses are whole vectors as are not: the others would be spread over the warp."""
        unit = [
            (buffer, index) for buffer, index in self.kernel.accesses if self.kernel.coef(index, self.loops[-1]) == 1
        ]
        whole = sum(self.vectorised(buffer, index, width) for buffer, index in unit)
        return 2 * whole >= len(unit) and any(self.vectorised(store.buffer, store.offset, width) for store in stores)

    def vectorised(self, buffer: Buffer, offset: Index, width: int) -> bool:
        """Whether `width` elements from here on lie side by side, from a multiple of their size in bytes."""
        last = self.loops[-1]
        if not buffer.aligned or self.kernel.coef(offset, last) != 1 or offset.const % width or not offset.affine:
            return False
        others = [coef for atom, coef in offset.terms if isinstance(atom, Axis) and self.kernel.collapsed[atom] != last]
        return all(coef % width == 0 for coef in others)

    def source(self) -> tuple[Source, Launch]:
        source = self.head()
        total = self.outer * self.inner_size
        threads = -(-total // self.width)
        thread = "thread()" if threads < 2**31 else "wide_thread()"
        if not self.loops:
            self.line("if thread() < 1:")
            self.depth += 1
            self.statements(self.kernel.scopes[0])
            self.depth -= 1
            return source, Launch(1, 1, 1)
        first = self.axis_names[self.loops[0].number]
        if len(self.loops) == 1:
            self.line(f"{first} = {thread}" if self.width == 1 else f"{first} = {self.width} * {thread}")
        else:
            linear = self.names.new("t")
            self.line(f"{linear} = {thread}")
            self.decompose(linear, self.loops, self.width)
        tail = len(self.loops) == 1 and self.outer % self.width != 0
        with self.block(f"if {first} + {self.width} <= {self.count}:" if tail else f"if {first} < {self.count}:"):
            self.element() if self.width == 1 else self.vector()
        if tail:
            self.texts.clear()
            self.tiles.clear()
            place = self.names.new(first)
            with (
                self.block(f"elif {first} < {self.count}:"),
                self.block(f"for {place} in range({first}, {self.count}):"),
            ):
                self.expressions.axis_text[self.loops[0].number] = Text(place)
                self.element()
        block = min(FLAT_THREADS, max(WARP, -(-threads // WARP) * WARP))
        return source, Launch(-(-threads // block), block, self.outer)

    def element(self) -> None:
        for scope in self.kernel.scopes:
            self.statements(scope)

    def vector(self) -> None:
        """The vector form: whole loads, a loop over their elements, whole stores."""
        for scope in self.kernel.scopes[:-1]:
            self.statements(scope)
        stores = []
        for statement in self.kernel.scope.statements:
            if isinstance(statement, Value) and statement.kind == "load":
                assert statement.buffer is not None and statement.index is not None
                if self.vectorised(statement.buffer, statement.index, self.width):
                    name = self.tile(statement, statement.buffer)
                    self.line(
                        f"load_{self.width}({name}, {self.buffer_names[statement.buffer]}, {self.expressions.index(statement.index).text})"
                    )
            elif isinstance(statement, Store) and self.vectorised(statement.buffer, statement.offset, self.width):
                self.tile(statement, statement.buffer)
                stores.append(statement)
        last = self.loops[-1].number
        start = self.expressions.axis_text[last]
        with self.block(f"for {self.lane} in unrolled({self.width}):"):
            self.expressions.axis_text[last] = Text(f"{start.at_least(9)} + {self.lane}", 9)
            self.statements(self.kernel.scope)
        self.expressions.axis_text[last] = start
        for store in stores:
            self.line(
                f"store_{self.width}({self.buffer_names[store.buffer]}, {self.expressions.index(store.offset).text}, {self.tiles[store]})"
            )

    def tile(self, owner: Value | Store, buffer: Buffer) -> str:
        name = self.tiles[owner] = self.names.new(f"{self.buffer_names[buffer]}_v")
        self.line(f"{name} = local({self.width}, {memory_type(buffer.dtype)})")
        return name

    def load(self, value: Value) -> Text:
        if value not in self.tiles:
            return super().load(value)
        return self.from_memory(f"{self.tiles[value]}[{self.lane}]", value.dtype)

    def store(self, store: Store) -> None:
        if store not in self.tiles:
            super().store(store)
            return
        self.line(
            f"{self.tiles[store]}[{self.lane}] = {self.to_memory(self.text(store.value).text, store.buffer.dtype)}",
            store.where,
        )


class RowPrinter(CudaPrinter):
    """Each row is shared by `team` threads; a block holds `together` rows."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.columns = wants_lanes(kernel)
        longest = max(loop.length for loop in kernel.loops)
        self.team, self.together = team_for(longest, self.columns) if self.loops else (team_for(longest, False)[0], 1)
        self.member = self.names.new("t")
        self.tiles: dict[Value, str] = {}
        self.step = ""
        self.guard = ""

    def source(self) -> tuple[Source, Launch]:
        source = self.head()
        rows = self.outer * self.inner_size
        if self.columns:
            self.line(f"{self.member} = thread_in_block() // {self.together}")
            row = f"{self.together} * block() + thread_in_block() % {self.together}"
        elif self.together > 1:
            self.line(f"{self.member} = thread_in_block() % {self.team}")
            row = f"{self.together} * block() + thread_in_block() // {self.team}"
        else:
            self.line(f"{self.member} = thread_in_block()")
            row = "block()"
        self.open_row(row)
        self.declare_tiles()
        for scope in self.kernel.scopes:
            self.statements(scope)
        return source, Launch(-(-rows // self.together), self.team * self.together, self.outer)

    def open_row(self, row: str) -> None:
        """Names the row's places. In the last block some teams have no row: they compute the last one again, and store nothing."""
        if not self.loops:
            return
        whole = (
            self.names.new("row") if len(self.loops) > 1 or self.together > 1 else self.axis_names[self.loops[0].number]
        )
        self.line(f"{whole} = {row}")
        if self.together > 1:
            limit = self.count if self.inner_size == 1 else f"{self.count} * {self.inner_size}"
            live = self.names.new("live")
            self.line(f"{live} = {whole} < {limit}")
            self.guard = live
            if len(self.loops) > 1:
                self.line(f"{whole} = min({whole}, {limit} - 1)")
            else:
                self.line(f"{self.axis_names[self.loops[0].number]} = min({whole}, {limit} - 1)")
        if len(self.loops) > 1:
            self.decompose(whole, self.loops)

    def share(self, loop: Loop) -> int:
        """Elements of a loop that fall to each thread, at most."""
        return max(1, -(-loop.length // self.team))

    def declare_tiles(self) -> None:
        for loop in self.kernel.loops:
            for value in self.kept_values(loop):
                name = self.tiles[value] = self.names.new(f"{value.hint}_row")
                self.line(f"{name} = local({self.share(loop)}, {tile_type(value.dtype)})")

    def keep(self, value: Value, name: str) -> None:
        self.line(f"{self.tiles[value]}[{self.step}] = {to_tile(name, value.dtype)}")

    def kept(self, value: Value) -> Text:
        return from_tile(f"{self.tiles[value]}[{self.step}]", value.dtype)

    def store(self, store: Store) -> None:
        """A value of the whole row is stored by one thread of its team."""
        alone = "" if self.step else f"{self.member} == 0"
        test = " and ".join(part for part in (self.guard, alone) if part)
        if not test:
            super().store(store)
            return
        with self.block(f"if {test}:"):
            super().store(store)

    def loop(self, loop: Loop) -> None:
        totals = []
        for gathered in loop.accumulators:
            totals.append(self.names.new(gathered.result.hint, numbered=True))
            self.line(f"{totals[-1]} = {initial(gathered.identity, gathered.result.dtype)}")
        axes = self.kernel.loops_over(loop.axes)
        share, length = self.share(loop), loop.length
        self.step = self.names.new("k")
        place = self.axis_names[axes[0].number] if len(axes) == 1 else self.names.new("e")
        opened = self.depth
        if share > KEPT:
            self.line(f"for {place} in range({self.member}, {length}, {self.team}):")
            self.depth += 1
        elif share > 1:
            self.line(f"for {self.step} in {'unrolled' if self.tiles else 'range'}({share}):")
            self.depth += 1
            self.line(f"{place} = {self.member} + {self.team} * {self.step}")
        else:
            self.step, place = "0", self.member
        end = f"min({length}, {self.expressions.index(loop.limit).text})" if loop.limit is not None else str(length)
        if loop.limit is not None or (share <= KEPT and share * self.team != length):
            self.line(f"if {place} < {end}:")
            self.depth += 1
        if len(axes) > 1:
            self.decompose(place, axes)
        else:
            named = self.expressions.axis_text[axes[0].number]
            self.expressions.axis_text[axes[0].number] = Text(place)
        self.statements(loop.body)
        for gathered, name in zip(loop.accumulators, totals, strict=True):
            text = combined(gathered.combine, gathered.result.dtype, name, self.text(gathered.value))
            self.line(f"{name} = {text}", gathered.result.node.where if gathered.result.node else None)
        if len(axes) == 1:
            self.expressions.axis_text[axes[0].number] = named  # another loop may walk it together with others
        self.depth = opened
        self.step = ""
        for gathered, name in zip(loop.accumulators, totals, strict=True):
            self.line(f"{name} = {self.joined(gathered.combine, gathered.result.dtype, name)}")
            self.texts[gathered.result] = Text(name)

    def joined(self, combine: str, dtype: np.dtype, name: str) -> str:
        """The shares of a row's threads made one, which all of them get."""
        way = {"logical_or": "bitwise_or", "logical_and": "bitwise_and"}.get(combine, combine)
        if dtype.kind == "b":
            way = {"maximum": "bitwise_or", "fmax": "bitwise_or", "minimum": "bitwise_and", "fmin": "bitwise_and"}.get(
                way, way
            )
        share = f"uint8({name})" if dtype.kind == "b" else name
        if self.columns:
            text = f"column_{way}({share}, {self.together}, {self.team})"
        else:
            text = f"block_{way}({share})" if self.together == 1 else f"warp_{way}({share})"
        if dtype.kind == "b":
            return f"{text} != 0"
        return f"{NARROW[dtype]}({text})" if dtype in NARROW else text


def team_for(longest: int, columns: bool) -> tuple[int, int]:
    """How many threads share a row of this length, and how many rows a block holds."""
    if columns:
        return COLUMN_THREADS, WARP
    if longest <= 4 * WARP:
        return WARP, 4
    team = WARP
    while team < 1024 and team * 8 < longest:
        team *= 2
    return team, 1


def memory_type(dtype: np.dtype) -> str:
    """The name of the type of an element in memory."""
    return memory_dtype(dtype).name


def keep_on_cuda(work: int, length: int, columns: bool) -> bool:
    """Whether to keep a value for the row's next loop: always, where it fits the thread's registers."""
    team, _ = team_for(length, columns)
    return length <= team * (KEPT if work else KEPT // 2)


def print_cuda(kernel: Kernel) -> tuple[Source, Launch]:
    return RowPrinter(kernel).source() if kernel.loops else FlatPrinter(kernel).source()
