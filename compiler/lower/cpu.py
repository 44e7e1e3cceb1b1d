"""Prints kernels for the CPU: one function over a range of the outermost loop, so that threads can share it.

    def softmax(lo, hi, x, out):
        exp_row = local(1024, float32)
        for i in range(lo, hi):
            max_1 = float32(-inf)
            for j in range(1024):
                max_1 = maximum(max_1, x[1024 * i + j])
            ...

Inner loops are written for LLVM's vectoriser: unit strides, no branches, sums through `fold_add`, whose order is free.
A reduction across rows works on a block of columns at once ("lanes"), so that it walks memory in order.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack

from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Accumulator, Kernel, Loop, Scope, Store, Value
from numfuse.compiler.lower.expressions import Text, from_tile, initial, tile_type, to_tile
from numfuse.compiler.lower.printer import Printer, Source, buffer_parameters, combined, header
from numfuse.compiler.ops import operator
from numfuse.compiler.types import NARROW, kind_of

RUN = 4096
"""Elements that are summed in one go; longer sums add up such runs, which keeps float32 sums as exact as NumPy's."""
LANES = 64
"""Columns that a reduction across rows works on at once, unless a schedule says otherwise."""
WRITTEN_OUT = 64
"""Elements of a row up to which LLVM writes the loops over it out."""
FEW = 12
"""Elements up to which this holds for sums too, and for what has calls: LLVM would add up more of them one by one."""
CALL = 10
"""What an operator costs from which on it is a call of a library function, in additions."""
NEAR = 8
"""The longest step from one element to the next with which LLVM loads several whole vectors and sorts their elements; beyond, it gathers them one by one."""
LOCAL_BYTES = 65536
"""Memory for the values kept between the loops of a row, on the thread's stack."""


class CpuPrinter(Printer):
    """Rows one after another; loops within a row one after another."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.tiles: dict[Value, str] = {}
        self.loops = kernel.loops_over(kernel.rows)
        self.split = split_axis(self.loops)
        self.apart: Axis | None = rows_apart(kernel)

    def source(self) -> Source:
        self.name_loops()
        parameters = buffer_parameters(self)
        self.line(f"def {self.kernel.name}(lo, hi, {', '.join(p.name for p in parameters)}):")
        self.depth += 1
        start = len(self.lines)
        self.rows()
        if len(self.lines) == start:
            self.line("pass")
        source = Source(self.kernel.name, parameters, header(self.kernel), self.lines)
        source.imports = "from numfuse.runtime.cpu.functions import *"
        source.short_loops = self.short_loops()
        return source

    def short_loops(self) -> str:
        extents = [axis.extent for loop in self.kernel.loops for axis in self.kernel.loops_over(loop.axes)]
        return "written out" if self.apart else "kept" if min(extents, default=0) > FEW else ""

    def rows(self) -> None:
        """The scopes around the rows, each in the loop it belongs to."""
        self.declare_tiles()
        self.statements(self.kernel.scopes[0])
        with ExitStack() as opened:
            for axis, scope in zip(self.kernel.rows, self.kernel.scopes[1:], strict=True):
                loop = self.kernel.collapsed[axis]
                if loop.number == axis.number:
                    lo, hi = ("lo", "hi") if loop == self.split else ("0", str(loop.extent))
                    opened.enter_context(self.along(loop, lo, hi, scope))
                    if loop == self.apart:
                        name = self.axis_names[loop.number]
                        self.line(f"{name} = opaque({name})")
                self.statements(scope)  # of a collapsed axis: what moves with none after all

    def along(self, axis: Axis, lo: str, hi: str, scope: Scope) -> AbstractContextManager[None]:
        """A loop over an axis, with what is in `scope` in it."""
        return self.block(f"for {self.axis_names[axis.number]} in range({hi if lo == '0' else f'{lo}, {hi}'}):")

    def declare_tiles(self) -> None:
        for loop in self.kernel.loops:
            for value in self.kept_values(loop):
                name = self.tiles[value] = self.names.new(f"{value.hint}_row")
                self.line(f"{name} = local({loop.length}, {tile_type(value.dtype)})")

    def place_in_row(self, value: Value) -> str:
        axes = tuple(sorted(value.scope.axes - self.kernel.scope.axes, key=lambda axis: axis.number))
        place, step = Index(0), 1
        for axis in reversed(axes):
            place = place + Index(0, ((axis, step),))
            step *= axis.extent
        return self.expressions.index(place).text

    def keep(self, value: Value, name: str) -> None:
        self.line(f"{self.tiles[value]}[{self.place_in_row(value)}] = {to_tile(name, value.dtype)}")

    def kept(self, value: Value) -> Text:
        return from_tile(f"{self.tiles[value]}[{self.place_in_row(value)}]", value.dtype)

    def loop(self, loop: Loop) -> None:
        totals = []
        for gathered in loop.accumulators:
            name = self.names.new(gathered.result.hint, numbered=True)
            totals.append(name)
            self.line(f"{name} = {initial(gathered.identity, gathered.result.dtype)}")
            self.texts[gathered.result] = Text(name)
            self.hide_fill(gathered)
        axes = self.kernel.loops_over(loop.axes)
        opened = self.depth
        for axis in axes[:-1]:
            self.line(f"for {self.axis_names[axis.number]} in range({self.end(loop, axis)}):")
            self.depth += 1
        last = axes[-1]
        end = self.end(loop, last)
        sums = [
            k
            for k, gathered in enumerate(loop.accumulators)
            if gathered.combine == "add" and kind_of(gathered.result.dtype) in "fc"
        ]
        parts = list(totals)
        if sums and (last.extent > RUN or (len(axes) > 1 and last.extent >= 32)):
            if last.extent > RUN:
                start = self.names.new("start")
                self.line(f"for {start} in range(0, {end}, {RUN}):")
                self.depth += 1
                stop = f"min({start} + {RUN}, {end})"
            else:
                start, stop = "0", end
            for k in sums:
                parts[k] = self.names.new("part")
                self.line(f"{parts[k]} = {initial(0, loop.accumulators[k].result.dtype)}")
            self.accumulate(loop, self.along(last, start, stop, loop.body), parts)
            for k in sums:
                self.line(f"{totals[k]} = {totals[k]} + {parts[k]}")
        else:
            self.accumulate(loop, self.along(last, "0", end, loop.body), totals)
        self.depth = opened
        for gathered, total in zip(loop.accumulators, totals, strict=True):
            if gathered.result.dtype in NARROW:
                self.line(f"{total} = {NARROW[gathered.result.dtype]}({total})")

    def hide_fill(self, gathered: Accumulator) -> None:
        """Gives the fill of `maximum(best, x if mask else -inf)` a name and a value that LLVM does not know: it would put the maximum under
        the mask, and compute one element after the other."""
        value, identity = gathered.value, gathered.identity
        masked = value.node is not None and value.node.op == "where"
        if gathered.combine not in ("maximum", "minimum") or kind_of(value.dtype) != "f" or not masked:
            return
        for arm in value.args[1:]:
            if arm.kind == "constant" and arm.constant == identity and arm not in self.texts:
                name = self.names.new("fill", numbered=True)
                self.line(f"{name} = opaque({initial(identity, arm.dtype)})")
                self.texts[arm] = Text(name)

    def end(self, loop: Loop, axis: Axis) -> str:
        if loop.limit is None or axis.number != loop.axes[0].number:
            return str(axis.extent)
        return f"min({axis.extent}, {self.expressions.index(loop.limit).text})"

    def accumulate(self, loop: Loop, around: AbstractContextManager[None], names: list[str]) -> None:
        with around:
            self.statements(loop.body)
            for gathered, name in zip(loop.accumulators, names, strict=True):
                text = combined(gathered.combine, gathered.result.dtype, name, self.text(gathered.value))
                self.line(f"{name} = {text}", gathered.result.node.where if gathered.result.node else None)


class LanesPrinter(CpuPrinter):
    """Blocks of neighbouring rows at once: each value of a row is a small array, one element for each row of the block."""

    def __init__(self, kernel: Kernel, lanes: int) -> None:
        super().__init__(kernel)
        self.apart = None
        self.block_width = lanes
        self.lane_axis = self.loops[-1]
        self.lane = self.names.new("lane")
        self.width = self.names.new("width")
        self.columns: dict[Value, str] = {}

    def short_loops(self) -> str:
        return ""

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
        self.block_of_lanes(axis)
        straight: list[Value | Store] = []
        for statement in self.kernel.scope.statements:
            if isinstance(statement, Loop):
                self.straight(straight)
                straight = []
                self.loop(statement)
            else:
                straight.append(statement)  # type: ignore[arg-type]
        self.straight(straight)
        self.depth = opened

    def block_of_lanes(self, axis: Axis) -> None:
        """Opens the loop over blocks of neighbouring rows, where there is more than one; all are of one width where they fit."""
        whole, shared = axis.extent % self.block_width == 0, self.split == axis
        if axis.extent == self.block_width and not shared:
            self.width = str(self.block_width)
            self.expressions.axis_text[axis.number] = Text(self.lane)
            return
        first = self.names.new("first")
        end = f"hi * {self.block_width}" if whole else f"min(hi * {self.block_width}, {axis.extent})"
        blocks = f"lo * {self.block_width}, {end}" if shared else f"0, {axis.extent}"
        self.line(f"for {first} in range({blocks}, {self.block_width}):")
        self.depth += 1
        if whole:
            self.width = str(self.block_width)
        else:
            self.line(f"{self.width} = min({self.block_width}, {axis.extent} - {first})")
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
        opened = self.depth
        for axis in self.kernel.loops_over(loop.axes):
            self.line(f"for {self.axis_names[axis.number]} in range({self.end(loop, axis)}):")
            self.depth += 1
        self.accumulate(loop, self.lanes(), [f"{name}[{self.lane}]" for name in names])
        self.depth = opened
        narrow = [
            (name, NARROW[gathered.result.dtype])
            for gathered, name in zip(loop.accumulators, names, strict=True)
            if gathered.result.dtype in NARROW
        ]
        if narrow:
            with self.lanes():
                for name, rounded in narrow:
                    self.line(f"{name}[{self.lane}] = {rounded}({name}[{self.lane}])")

    def lanes(self) -> AbstractContextManager[None]:
        return self.block(f"for {self.lane} in range({self.width}):")


def split_axis(loops: list[Axis]) -> Axis | None:
    """The loop whose range threads share: the outermost, unless it is too short to share and another is not."""
    if not loops:
        return None
    if loops[0].extent >= 16:
        return loops[0]
    return max(loops, key=lambda axis: axis.extent)


def rows_apart(kernel: Kernel) -> Axis | None:
    """The loop around rows so short that LLVM writes them out, and so far apart that it should not put several of them side by side in vectors, but what
    each has side by side. None where there is no such loop, or where no vectors would be found in a row."""
    inside = max([loop.length for loop in kernel.loops], default=1)
    for loop in reversed(kernel.loops_over(kernel.rows)):
        if inside * loop.extent > WRITTEN_OUT:
            break
        inside *= loop.extent
    else:
        return None
    if any(loop.length > FEW and _sums(loop) for loop in kernel.loops):
        return None
    far = any(abs(kernel.coef(index, loop)) > NEAR for _, index in kernel.accesses)
    return loop if far and 1 < inside <= WRITTEN_OUT and not _calls(kernel) and not _counts(kernel) else None


def _sums(loop: Loop) -> bool:
    """Whether it adds or multiplies up numbers that are rounded."""
    return any(
        gathered.combine in ("add", "multiply") and kind_of(gathered.result.dtype) in "fc"
        for gathered in loop.accumulators
    )


def _calls(kernel: Kernel) -> bool:
    """Whether it calls library functions, which have vectors for whole loops only."""
    values = [statement for statement in kernel.statements if isinstance(statement, Value)]
    return any(value.node is not None and operator(value.node.op).cost >= CALL for value in values)


def _counts(kernel: Kernel) -> bool:
    """Whether a loop gathers numbers by the outcome of tests: LLVM makes vectors of that in loops only."""
    numbers = any(gathered.result.dtype.kind != "b" for loop in kernel.loops for gathered in loop.accumulators)
    return numbers and any(isinstance(value, Value) and value.dtype.kind == "b" for value in kernel.statements)


def can_have_lanes(kernel: Kernel) -> bool:
    """Whether rows can be worked on side by side: there are loops to go through together, which write nothing and end alike."""
    if not kernel.loops or not kernel.rows:
        return False
    lane = kernel.loops_over(kernel.rows)[-1]
    if any(loop.limit is not None and kernel.coef(loop.limit, lane) for loop in kernel.loops):
        return False
    return not any(isinstance(statement, Store) for loop in kernel.loops for statement in loop.body.walk())


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


def keep_on_cpu(work: int, length: int, itemsize: int) -> bool:
    """Whether to keep a value for the row's next loop: where computing it again costs more than a pass through the cache."""
    return work >= 10 and fits_on_stack(length, itemsize)


def fits_on_stack(length: int, itemsize: int) -> bool:
    return length * itemsize <= LOCAL_BYTES // 2


def print_cpu(kernel: Kernel) -> Source:
    return CpuPrinter(kernel).source()


def print_lanes(kernel: Kernel, lanes: int) -> Source:
    return LanesPrinter(kernel, lanes).source()


def chunks(kernel: Kernel, lanes: int) -> int:
    """How many steps the shared loop has: the range that a launch cuts up."""
    loops = kernel.loops_over(kernel.rows)
    axis = split_axis(loops)
    if axis is None:
        return 1
    return -(-axis.extent // lanes) if lanes and axis == loops[-1] else axis.extent
