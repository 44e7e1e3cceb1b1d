"""What the printers of CUDA kernels share: the launch shape, the kernel's head, and elements that move 16 bytes at a time.

x_v = local(8, float32)
load_4(x_v, 0, x, i)            # x[i:i + 8], into the thread's registers
load_4(x_v, 4, x, i + 4)
out_v = local(4, float32)
for v in unrolled(4):
    out_v[v] = x_v[v] + x_v[v + 1]
store_4(out, i, out_v, 0)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Buffer, Kernel, Scope, Store, Value
from numfuse.compiler.lower.expressions import Text
from numfuse.compiler.lower.printer import Parameter, Printer, Source, buffer_parameters, header
from numfuse.compiler.schedule import MODEL, Schedule
from numfuse.compiler.types import memory_dtype, size_of

VECTOR_BYTES = 16
WARP = 32


@dataclass(frozen=True)
class Launch:
    """The launch shape: `n` is the kernel's first argument, the extent of its outermost loop."""

    grid: int
    block: int
    n: int

    def extents(self) -> dict[str, int]:
        return {"grid": self.grid, "block": self.block, "n": self.n}


@dataclass(eq=False)
class Window:
    """Neighbouring elements that a thread reads from `index` on, `piece` at a time: all that `values` need for one vector of results."""

    buffer: Buffer
    index: Index
    piece: int
    count: int
    values: dict[Value, int]
    """For each load, where its first element stands in the window."""


class CudaPrinter(Printer):
    """What all kernels share: the numbers of threads, the kernel's head, and loads and stores of whole vectors."""

    def __init__(self, kernel: Kernel, schedule: Schedule = MODEL) -> None:
        super().__init__(kernel)
        self.schedule = schedule
        self.vector_bytes = schedule.vector or VECTOR_BYTES
        self.loops = kernel.loops_over(kernel.rows)
        self.count = self.names.new("n")
        self.lane = ""
        self.vectors: dict[Value | Store, str] = {}
        """What stands in the thread's vectors: the element of each load and store."""
        self.name_loops()

    def head(self) -> Source:
        buffers = zip(self.kernel.buffers, buffer_parameters(self), strict=True)
        parameters = [Parameter(self.count, None), *[replace(made, number=buffer.number) for buffer, made in buffers]]
        self.line(f"def {self.kernel.name}({', '.join(p.name for p in parameters)}):")
        self.depth += 1
        source = Source(self.kernel.name, parameters, header(self.kernel.body), self.lines)
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
            name, extent = self.axis_names[axis.number], -(-axis.extent // scale)
            place = Text(rest, 10) if axis is loops[0] else Text(f"{rest} % {extent}", 10)
            self.line(f"{name} = {place.text}" if scale == 1 else f"{name} = {scale} * {place.at_least(11)}")
            rest = f"{linear} // {extent}" if rest == linear else f"({rest}) // {extent}"
            scale = 1

    # -- vectors -----------------------------------------------------------------------------------------------------

    def piece(self, buffer: Buffer, offset: Index, axis: Axis, width: int, anywhere: bool = False) -> int:
        """How many of `width` neighbouring elements move at once, along a loop that steps by `width`: a power of two, 1 where none do.

        They lie side by side, from a multiple of their size in bytes. `anywhere`: the constant of the offset may be any.
        """
        if not buffer.aligned or not offset.affine or self.kernel.coef(offset, axis) != 1:
            return 1
        steps = [coef for atom, coef in offset.terms if isinstance(atom, Axis) and self.kernel.collapsed[atom] != axis]
        steps += [] if anywhere else [offset.const]
        while width > 1 and (width * buffer.dtype.itemsize > self.vector_bytes or any(step % width for step in steps)):
            width //= 2
        return width

    def windows(self, scope: Scope, axis: Axis, width: int) -> list[Window]:
        """The loads of a scope that move in pieces of more than one element; those of neighbouring elements share a window."""
        groups: dict[tuple[Buffer, frozenset[object]], list[tuple[int, Value]]] = {}
        for value in scope.statements:
            if isinstance(value, Value) and value.kind == "load":
                assert value.buffer is not None and value.index is not None
                if self.piece(value.buffer, value.index, axis, width, anywhere=True) > 1:
                    key = value.buffer, frozenset(value.index.terms)
                    groups.setdefault(key, []).append((value.index.const, value))
        found: list[Window] = []
        for (buffer, _), members in groups.items():
            members.sort(key=lambda member: member[0])
            last = None
            for const, value in members:
                assert value.index is not None
                if last is None or const >= last.index.const + last.count:
                    piece = self.piece(buffer, value.index, axis, width, anywhere=True)
                    last = Window(buffer, value.index - const % piece, piece, 0, {})
                    found.append(last)
                last.values[value] = const - last.index.const
                last.count = -(-(last.values[value] + width) // last.piece) * last.piece
        return found

    def beyond(self, window: Window, width: int) -> int:
        """How far a window reaches beyond the end of its array, in elements, where the last vector of results ends with the loop."""
        exact = all(at % window.piece == 0 for at in window.values.values())
        if exact and window.count == max(window.values.values()) + width:
            return 0  # nothing is read but what is asked for
        buffer = window.buffer
        start = self.kernel.parameters[self.kernel.buffers.index(buffer)][1]
        if any(stride < 0 for stride in buffer.strides):
            return window.count
        span = 1 + sum((n - 1) * stride for n, stride in zip(buffer.shape, buffer.strides, strict=True)) - start
        return max(0, window.index.bounds[1] - (width - 1) + window.count - span)

    def vector(self, scope: Scope, axis: Axis, width: int, windows: list[Window], more: Callable[[], None]) -> None:
        """The scope for `width` neighbours along `axis`: whole loads, a loop over the elements (`more` ends its body), whole stores."""
        lane = self.names.new("v")
        for window in windows:
            tile = self.vector_tile(window.buffer, window.count)
            for at in range(0, window.count, window.piece):
                place = self.expressions.index(window.index + at).text
                self.line(f"load_{window.piece}({tile}, {at}, {self.buffer_names[window.buffer]}, {place})")
            for value, at in window.values.items():
                self.vectors[value] = f"{tile}[{lane} + {at}]" if at else f"{tile}[{lane}]"
        stores = []
        for store in scope.statements:
            if isinstance(store, Store):
                piece = self.piece(store.buffer, store.offset, axis, width)
                if piece > 1:
                    tile = self.vector_tile(store.buffer, width)
                    self.vectors[store] = f"{tile}[{lane}]"
                    stores.append((store, tile, piece))
        start = self.expressions.axis_text[axis.number]
        self.lane = lane
        with self.block(f"for {lane} in unrolled({width}):"):
            self.expressions.axis_text[axis.number] = Text(f"{start.at_least(9)} + {lane}", 9)
            self.statements(scope)
            more()
        self.lane = ""
        self.expressions.axis_text[axis.number] = start
        for store, tile, piece in stores:
            for at in range(0, width, piece):
                place = self.expressions.index(store.offset + at).text
                self.guarded(f"store_{piece}({self.buffer_names[store.buffer]}, {place}, {tile}, {at})")

    def guarded(self, line: str) -> None:
        """A line that stores something."""
        self.line(line)

    def vector_tile(self, buffer: Buffer, count: int) -> str:
        name = self.names.new(f"{self.buffer_names[buffer]}_v")
        self.line(f"{name} = local({count}, {memory_type(buffer.dtype)})")
        return name

    def value(self, value: Value) -> None:
        text = self.load(value) if value.buffer is not None and value.buffer.number and value.kind == "load" else None
        if text is not None and text.text.isidentifier() and not value.keep:
            self.texts[value] = text  # it has a name
        else:
            super().value(value)

    def load(self, value: Value) -> Text:
        if value.buffer is not None and value.buffer.number:
            return self.from_memory(self.buffer_names[value.buffer], value.dtype)
        if value not in self.vectors:
            return super().load(value)
        return self.from_memory(self.vectors[value], value.dtype)

    def store(self, store: Store) -> None:
        if store not in self.vectors:
            super().store(store)
            return
        text = self.to_memory(self.text(store.value).text, store.buffer.dtype)
        self.line(f"{self.vectors[store]} = {text}", store.where)

    def anew(self) -> None:
        """Forgets what values are called, to print them once more elsewhere."""
        self.texts.clear()
        self.vectors.clear()


def memory_type(dtype: np.dtype) -> str:
    """The name of the type of an element in memory."""
    return memory_dtype(dtype).name
