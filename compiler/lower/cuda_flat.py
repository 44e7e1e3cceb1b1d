"""Prints CUDA kernels without loops: each thread computes a few neighbouring elements, read and written 16 bytes at a time.

def gelu(n, x, out):
    i = 4 * thread()
    if i < n:
        x_v = local(4, float32)
        load_4(x_v, 0, x, i)
        out_v = local(4, float32)
        for v in unrolled(4):
            ...
        store_4(out, i, out_v, 0)
"""

from __future__ import annotations

from numfuse.compiler.kernel import Kernel, Store
from numfuse.compiler.lower.cuda_printer import WARP, CudaPrinter, Launch, Window
from numfuse.compiler.lower.expressions import Text
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.schedule import Schedule

FLAT_THREADS = 256


class FlatPrinter(CudaPrinter):
    """Each thread computes `width` neighbouring elements of the innermost loop."""

    def __init__(self, kernel: Kernel, schedule: Schedule) -> None:
        super().__init__(kernel, schedule)
        self.width = self.vector_width()

    def vector_width(self) -> int:
        """Elements a thread: 16 bytes' worth of the widest array that is walked with unit stride, or less, or 1."""
        if not self.loops:
            return 1
        last = self.loops[-1]
        unit = [(buffer, index) for buffer, index in self.kernel.accesses if self.kernel.coef(index, last) == 1]
        width = self.vector_bytes // max([buffer.dtype.itemsize for buffer, _ in unit], default=self.vector_bytes)
        while width > 1 and not self.pays(width):
            width //= 2
        return max(width, 1)

    def pays(self, width: int) -> bool:
        """Whether as many unit-stride accesses are whole vectors as are not: the others would be spread over the warp."""
        last = self.loops[-1]
        if len(self.loops) > 1 and last.extent % width and last.extent < WARP * width:
            return False
        stores = [s for s in self.kernel.statements if isinstance(s, Store) and self.kernel.coef(s.offset, last) == 1]
        pieces = [
            self.piece(buffer, index, last, width, anywhere=not buffer.output)
            for buffer, index in self.kernel.accesses
            if self.kernel.coef(index, last) == 1
        ]
        whole = sum(piece == width for piece in pieces)
        return 2 * whole >= len(pieces) and any(
            2 * self.piece(store.buffer, store.offset, last, width) >= max(width, 4) for store in stores
        )

    def source(self) -> tuple[Source, Launch]:
        source = self.head()
        if not self.loops:
            with self.block("if thread() < 1:"):
                self.statements(self.kernel.scopes[0])
            return source, Launch(1, 1, 1)
        last = self.loops[-1]
        threads = self.outer * self.inner_size // last.extent * -(-last.extent // self.width)
        thread = "thread()" if threads < 2**31 else "wide_thread()"
        first = self.axis_names[self.loops[0].number]
        if len(self.loops) == 1:
            self.line(f"{first} = {thread}" if self.width == 1 else f"{first} = {self.width} * {thread}")
        else:
            linear = self.names.new("t")
            self.line(f"{linear} = {thread}")
            self.decompose(linear, self.loops, self.width)
        if self.width == 1:
            with self.block(f"if {first} < {self.count}:"):
                self.element()
        elif len(self.loops) == 1:
            self.vectors_up_to(self.count, self.reach())
        else:
            with self.block(f"if {first} < {self.count}:"):
                if last.extent % self.width:
                    self.vectors_up_to(str(last.extent), 0)
                else:
                    self.whole_vector()
        block = min(self.schedule.block or FLAT_THREADS, max(WARP, -(-threads // WARP) * WARP))
        return source, Launch(-(-threads // block), block, self.outer)

    def reach(self) -> int:
        """How many more elements of results there must be beyond a vector, so that its windows end within their arrays."""
        last = self.loops[-1]
        windows = self.windows(self.kernel.scope, last, self.width)
        return max([self.beyond(window, self.width) for window in windows], default=0)

    def vectors_up_to(self, end: str, reach: int) -> None:
        """A vector where it ends before `end` (by `reach` elements), else what is left of it element by element."""
        last = self.loops[-1]
        place = self.axis_names[last.number]
        if not reach and last.extent % self.width == 0:
            with self.block(f"if {place} < {end}:"):
                self.whole_vector()
            return
        with self.block(f"if {place} + {self.width + reach} <= {end}:"):
            self.whole_vector(reach)
        self.anew()
        single = self.names.new(place)
        stop = f"min({place} + {self.width}, {end})" if reach else end
        with self.block(f"elif {place} < {end}:"), self.block(f"for {single} in range({place}, {stop}):"):
            self.expressions.axis_text[last.number] = Text(single)
            self.element()

    def element(self) -> None:
        for scope in self.kernel.scopes:
            self.statements(scope)

    def whole_vector(self, reach: int = 0) -> None:
        for scope in self.kernel.scopes[:-1]:
            self.statements(scope)
        last = self.loops[-1]

        def fits(window: Window) -> bool:
            return self.beyond(window, self.width) <= reach

        windows = [window for window in self.windows(self.kernel.scope, last, self.width) if fits(window)]
        self.vector(self.kernel.scope, last, self.width, windows, lambda: None)
