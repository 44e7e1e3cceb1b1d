"""Prints kernels for the CPU whose reductions run across rows: a block of neighbouring columns at once, so that memory is walked in order."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Kernel, Loop, Store, Value
from numfuse.compiler.lower.cpu import RUN, CpuPrinter, calls, split_axis
from numfuse.compiler.lower.expressions import Text, from_tile, initial, tile_type, to_tile
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.types import NARROW

WIDE = 256
"""Columns that a reduction across rows works on at once, unless a schedule says otherwise: so long stretches are read from memory."""
SHARED = 64
"""The same where functions are called for each element, and blocks of columns are all that threads can share."""
WRITTEN_OUT_ROWS = 8
"""Rows up to which LLVM writes the loops over them out, and makes vectors of neighbouring columns by itself."""

AT_ONCE = 8
"""Rows of memory that are added to the sums of their columns at once, where a block does not take whole rows: each is another stream for the processor to
fetch ahead."""
MANY = 16
"""Rows from which on that is done, where what is added up takes no more than SHORT loads and operations."""
SHORT = 6

TOGETHER, LARGE = 4, 1 << 22
"""Rows that are summed together where they all read another one, as the rows of a matrix do that is multiplied with a vector: it is loaded once for
them. And the bytes of rows from which on that is done, since these do not stay in a core's cache."""

WRITTEN_OUT = range(16, 45)
"""Lanes that LLVM would write out one by one before it looks for vectors."""


class LanesPrinter(CpuPrinter):
    """Blocks of neighbouring rows at once: each value of a row is a small array, one element for each row of the block."""

    def __init__(self, kernel: Kernel, lanes: int) -> None:
        super().__init__(kernel)
        self.apart = None
        self.block_width = lanes
        self.split = split_axis(self.loops, lanes)
        self.lane_axis = self.loops[-1]
        self.lane = self.names.new("lane")
        self.width = self.names.new("width")
        self.columns: dict[Value, str] = {}

    def short_loops(self) -> str:
        return "kept" if self.lane_axis.extent in WRITTEN_OUT else ""

    def rows(self) -> None:
        axis = self.lane_axis
        self.statements(self.kernel.scopes[0])
        for value in self.crossing():
            self.columns[value] = self.names.new(value.hint, numbered=True)
            self.line(f"{self.columns[value]} = local({self.block_width}, {tile_type(value.dtype)})")
        opened = self.depth
        for row_axis, scope in zip(self.kernel.rows[:-1], self.kernel.scopes[1:-1], strict=True):
            loop = self.kernel.collapsed[row_axis]
            if loop.number == row_axis.number:
                self.line(
                    f"for {self.axis_names[loop.number]} in range({'lo, hi' if loop == self.split else loop.extent}):"
                )
                self.depth += 1
            self.statements(scope)
        for piece in self.cuts.pieces(axis, [self.kernel.scope], self.ranges):
            texts, ranges, depth = dict(self.texts), self.ranges, self.depth
            self.ranges = {**ranges, axis: piece}
            self.block_of_lanes(axis, *piece)
            self.row()
            self.texts, self.ranges, self.depth = texts, ranges, depth
        self.depth = opened

    def row(self) -> None:
        straight: list[Value | Store] = []
        for statement in self.kernel.scope.statements:
            if isinstance(statement, Loop):
                self.straight(straight)
                straight = []
                self.loop(statement)
            else:
                straight.append(statement)  # type: ignore[arg-type]
        self.straight(straight)

    def block_of_lanes(self, axis: Axis, start: int, end: int) -> None:
        """Opens the loop over blocks of neighbouring rows, where there is more than one; all are of one width where they fit."""
        width, shared = self.block_width, self.split == axis
        cut = end - start < axis.extent
        whole = not cut and axis.extent % width == 0
        if axis.extent == width and not shared and not cut:
            self.width = str(width)
            self.expressions.axis_text[axis.number] = Text(self.lane)
            return
        first = self.names.new("first")
        low, high = (f"lo * {width}", f"hi * {width}") if shared else (str(start), str(end))
        if shared and start:
            low = f"max({low}, {start})"
        if shared and not whole:
            high = f"min({high}, {end})"
        self.line(f"for {first} in range({low}, {high}, {width}):")
        self.depth += 1
        if whole:
            self.width = str(width)
        else:
            self.line(f"{self.width} = min({width}, {high if cut and shared else end} - {first})")
        self.expressions.axis_text[axis.number] = Text(f"{first} + {self.lane}", 9)

    def crossing(self) -> list[Value]:
        """The values of a row that are used in another stretch of code than where they are made."""
        found = []
        for statement in self.kernel.scope.statements:
            if isinstance(statement, Loop):
                found += [gathered.result for gathered in statement.accumulators]
            elif isinstance(statement, Value):
                found.append(statement)
        return [value for value in found if value.kind == "result" or value.outer_uses or self.spans(value)]

    def spans(self, value: Value) -> bool:
        """Whether a loop stands between a value and one of its uses."""
        statements = self.kernel.scope.statements
        made = statements.index(value)
        loop_met = False
        for statement in statements[made:]:
            loop_met = loop_met or isinstance(statement, Loop)
            args = (
                statement.args
                if isinstance(statement, Value)
                else (statement.value,)
                if isinstance(statement, Store)
                else ()
            )
            if loop_met and value in args:
                return True
        return False

    def straight(self, statements: list[Value | Store]) -> None:
        if not statements:
            return
        with self.lanes():
            for statement in statements:
                self.statement(statement)

    def value(self, value: Value) -> None:
        column = self.columns.get(value)
        if column is None:
            super().value(value)
            return
        for place in self.expressions.repeats(value) if value.kind == "apply" else ():
            self.bind(value.args[place])
        element = f"{column}[{self.lane}]"
        self.line(
            f"{element} = {to_tile(self.computed(value).text, value.dtype)}", value.node.where if value.node else None
        )
        self.texts[value] = from_tile(element, value.dtype)

    def loop(self, loop: Loop) -> None:
        """Each column is summed in order, as NumPy does it."""
        names = [self.columns[gathered.result] for gathered in loop.accumulators]
        for gathered, name in zip(loop.accumulators, names, strict=True):
            self.texts[gathered.result] = from_tile(f"{name}[{self.lane}]", gathered.result.dtype)
        with self.lanes():
            for gathered, name in zip(loop.accumulators, names, strict=True):
                start = initial(gathered.identity, gathered.result.dtype)
                self.line(f"{name}[{self.lane}] = {to_tile(start, gathered.result.dtype)}")
        *outer, axis = self.kernel.loops_over(loop.axes)
        places = [f"{name}[{self.lane}]" for name in names]
        self.nest(loop, outer, partial(self.inner_loop, loop, axis, places))
        narrow = [
            (name, NARROW[gathered.result.dtype])
            for gathered, name in zip(loop.accumulators, names, strict=True)
            if gathered.result.dtype in NARROW
        ]
        if narrow:
            with self.lanes():
                for name, rounded in narrow:
                    self.line(f"{name}[{self.lane}] = {rounded}({name}[{self.lane}])")

    def inner_loop(self, loop: Loop, axis: Axis, names: list[str]) -> None:
        """The innermost loop of a sum: a few rows of memory at once, which LLVM writes out, where there are many."""
        k, end = self.axis_names[axis.number], self.end(loop, axis)

        def one_row() -> None:
            with self.lanes():
                self.accumulate(loop, names)

        apart = self.lane_axis.extent > self.block_width > TOGETHER and axis not in self.cuts.loops
        few = axis.extent < MANY or len(list(loop.body.walk())) > SHORT
        if few or not apart or self.short_loops():
            self.along(axis, "0", end, [loop.body], one_row)
            return
        first = self.names.new(f"{k}_0")
        with (
            self.block(f"for {first} in range(0, {end} - {AT_ONCE - 1}, {AT_ONCE}):"),
            self.lanes(),
            self.block(f"for {k} in range({first}, {first} + {AT_ONCE}):"),
        ):
            self.accumulate(loop, names)
        if end != str(axis.extent):
            self.along(axis, f"{end} // {AT_ONCE} * {AT_ONCE}", end, [loop.body], one_row)
        elif axis.extent % AT_ONCE:
            self.along(axis, str(axis.extent // AT_ONCE * AT_ONCE), end, [loop.body], one_row)

    def lanes(self) -> AbstractContextManager[None]:
        return self.block(f"for {self.lane} in range({self.width}):")


def can_have_lanes(kernel: Kernel) -> bool:
    """Whether rows can be worked on side by side: there are loops to go through together, which end alike."""
    if not kernel.loops or not kernel.rows:
        return False
    lane = kernel.loops_over(kernel.rows)[-1]
    return not any(loop.limit is not None and kernel.coef(loop.limit, lane) for loop in kernel.loops)


def wants_lanes(kernel: Kernel) -> bool:
    """Whether neighbouring rows, and not the elements of a row, lie side by side in memory. What all rows read alike has no say."""
    if not can_have_lanes(kernel):
        return False
    lane = kernel.loops_over(kernel.rows)[-1]
    across = along = 0
    for loop in kernel.loops:
        inner = kernel.loops_over(loop.axes)[-1]
        for statement in loop.body.walk():
            if isinstance(statement, Value) and statement.kind == "load":
                assert statement.index is not None
                step = abs(kernel.coef(statement.index, lane))
                across += step == 1
                along += step > 0 and abs(kernel.coef(statement.index, inner)) == 1
    return across > along and lane.extent >= 4


def reads_a_row_for_all(kernel: Kernel) -> bool:
    """Whether sums go along rows in memory that all read another row beside their own."""
    if not can_have_lanes(kernel) or len(kernel.loops) != 1:
        return False
    (loop,), lane = kernel.loops, kernel.loops_over(kernel.rows)[-1]
    statements = list(loop.body.walk())
    loads = [statement for statement in statements if isinstance(statement, Value) and statement.kind == "load"]
    plain = all(isinstance(statement, Value) and statement.kind in ("load", "apply") for statement in statements)
    if not plain or len(statements) > SHORT or len(loop.axes) != 1 or loop.length > RUN or lane.extent % TOGETHER:
        return False
    (inner,) = kernel.loops_over(loop.axes)
    steps = [
        (kernel.coef(load.index, lane), kernel.coef(load.index, inner)) for load in loads if load.index is not None
    ]
    own = [load.dtype.itemsize for load, (across, _) in zip(loads, steps, strict=True) if across]
    large = sum(own) * lane.extent * loop.length >= LARGE
    return large and len(own) < len(loads) and all(along == 1 for _, along in steps)


def lanes_for(kernel: Kernel) -> int:
    """How many rows to work on side by side; 0 where that does not pay."""
    if reads_a_row_for_all(kernel):
        return TOGETHER
    if not wants_lanes(kernel):
        return 0
    stores = any(isinstance(statement, Store) for loop in kernel.loops for statement in loop.body.walk())
    if stores and max(loop.length for loop in kernel.loops) <= WRITTEN_OUT_ROWS:
        return 0
    loops = kernel.loops_over(kernel.rows)
    narrow = calls(kernel) and not stores and split_axis(loops, WIDE) == loops[-1]
    return min(SHARED if narrow else WIDE, loops[-1].extent)


def print_lanes(kernel: Kernel, lanes: int) -> Source:
    return LanesPrinter(kernel, lanes).source()
