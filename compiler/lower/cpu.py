"""Prints kernels for the CPU: one function over a range of the outermost loop, so that threads can share it.

    def softmax(lo, hi, x, out):
        exp_row = local(1024, float32)
        for i in range(lo, hi):
            max_1 = float32(-inf)
            for j in range(1024):
                max_1 = maximum(max_1, x[1024 * i + j])
            ...

Inner loops are written for LLVM's vectoriser: unit strides, no branches, sums through `fold_add`, whose order is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Accumulator, Kernel, Loop, Scope, Value
from numfuse.compiler.lower.cuts import Cuts
from numfuse.compiler.lower.expressions import Text, from_tile, initial, tile_type, to_tile
from numfuse.compiler.lower.printer import Printer, Source, buffer_parameters, combined, header
from numfuse.compiler.ops import operator
from numfuse.compiler.types import NARROW, kind_of

RUN = 4096
"""Elements that are summed in one go; longer sums add up such runs, which keeps float32 sums as exact as NumPy's."""
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
        self.cuts = Cuts(kernel)

    def source(self) -> Source:
        self.name_loops()
        parameters = buffer_parameters(self)
        self.line(f"def {self.kernel.name}(lo, hi, {', '.join(p.name for p in parameters)}):")
        self.depth += 1
        start = len(self.lines)
        self.rows()
        if len(self.lines) == start:
            self.line("pass")
        source = Source(self.kernel.name, parameters, header(self.kernel.body), self.lines)
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
        self.rows_from(0)

    def rows_from(self, level: int) -> None:
        """The loops over the rows from axis number `level` inwards."""
        if level == len(self.kernel.rows):
            return
        axis, scopes = self.kernel.rows[level], self.kernel.scopes[level + 1 :]
        loop = self.kernel.collapsed[axis]

        def inside() -> None:
            if loop == self.apart and loop.number == axis.number and axis not in self.expressions.fixed:
                name = self.axis_names[loop.number]
                self.line(f"{name} = opaque({name})")
            self.statements(scopes[0])  # of a collapsed axis: what moves with none after all
            self.rows_from(level + 1)

        if loop.number != axis.number:
            inside()
            return
        lo, hi = ("lo", "hi") if loop == self.split else ("0", str(loop.extent))
        self.along(loop, lo, hi, scopes, inside)

    def along(self, axis: Axis, lo: str, hi: str, scopes: Sequence[Scope], inside: Callable[[], None]) -> None:
        """A loop over an axis with these scopes in it; in pieces, where guards change."""
        for piece in self.cuts.pieces(axis, scopes, self.ranges):
            texts, ranges = dict(self.texts), self.ranges
            self.ranges = {**ranges, axis: piece}
            around = self.over(axis, *self.ends(axis, lo, hi, piece), scopes[0])
            with self.one_step(axis, lo, hi) if piece[1] - piece[0] == 1 < axis.extent else around:
                inside()
            self.texts, self.ranges = texts, ranges

    def ends(self, axis: Axis, lo: str, hi: str, piece: tuple[int, int]) -> tuple[str, str]:
        """Where a piece of the loop from `lo` to `hi` begins and ends."""
        first, end = piece
        if first:
            lo = str(first) if lo == "0" else f"max({lo}, {first})"
        if end < axis.extent:
            hi = str(end) if hi.isdigit() else f"min({hi}, {end})"
        return lo, hi

    @contextmanager
    def one_step(self, axis: Axis, lo: str, hi: str) -> Iterator[None]:
        """A piece of a loop from `lo` to `hi` that is one step: indices have its number."""
        (step, _), fixed = self.ranges[axis], self.expressions.fixed
        walked = [part for part, loop in self.kernel.collapsed.items() if loop == axis]
        at = {part: Index(step if part.number == axis.number else 0) for part in walked}
        self.expressions.fixed = {**fixed, **at}
        with nullcontext() if lo.isdigit() and hi.isdigit() else self.block(f"if {lo} <= {step} < {hi}:"):
            yield
        self.expressions.fixed = fixed

    def over(self, axis: Axis, lo: str, hi: str, scope: Scope) -> AbstractContextManager[None]:
        """A loop over an axis, or a piece of it, with what is in `scope` in it."""
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
        self.nest(loop, axes[:-1], partial(self.innermost, loop, axes, totals))
        for gathered, total in zip(loop.accumulators, totals, strict=True):
            if gathered.result.dtype in NARROW:
                self.line(f"{total} = {NARROW[gathered.result.dtype]}({total})")

    def nest(self, loop: Loop, axes: Sequence[Axis], inside: Callable[[], None]) -> None:
        """All loops over the axes of a loop but the last."""
        if not axes:
            inside()
            return
        axis, *others = axes
        self.along(axis, "0", self.end(loop, axis), [loop.body], partial(self.nest, loop, others, inside))

    def innermost(self, loop: Loop, axes: Sequence[Axis], totals: Sequence[str]) -> None:
        """The last loop of a nest, in runs where what it adds up is long."""
        last, end = axes[-1], self.end(loop, axes[-1])
        sums = [
            k
            for k, gathered in enumerate(loop.accumulators)
            if gathered.combine == "add" and kind_of(gathered.result.dtype) in "fc"
        ]
        if not sums or not (last.extent > RUN or (len(axes) > 1 and last.extent >= 32)):
            self.along(last, "0", end, [loop.body], partial(self.accumulate, loop, totals))
            return
        parts, opened, start, stop = list(totals), self.depth, "0", end
        if last.extent > RUN:
            start = self.names.new("start")
            self.line(f"for {start} in range(0, {end}, {RUN}):")
            self.depth += 1
            stop = f"min({start} + {RUN}, {end})"
        for k in sums:
            parts[k] = self.names.new("part")
            self.line(f"{parts[k]} = {initial(0, loop.accumulators[k].result.dtype)}")
        self.along(last, start, stop, [loop.body], partial(self.accumulate, loop, parts))
        for k in sums:
            self.line(f"{totals[k]} = {totals[k]} + {parts[k]}")
        self.depth = opened

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

    def accumulate(self, loop: Loop, names: Sequence[str]) -> None:
        self.statements(loop.body)
        for gathered, name in zip(loop.accumulators, names, strict=True):
            text = combined(gathered.combine, gathered.result.dtype, name, self.text(gathered.value))
            self.line(f"{name} = {text}", gathered.result.node.where if gathered.result.node else None)


def split_axis(loops: list[Axis], lanes: int = 1) -> Axis | None:
    """The loop whose range threads share: the outermost, unless it is too short to share and another is longer. The
    innermost goes so many steps at once."""
    if not loops:
        return None
    if loops[0].extent >= 16:
        return loops[0]
    return max(loops, key=lambda axis: -(-axis.extent // lanes) if axis == loops[-1] else axis.extent)


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
    return loop if far and 1 < inside <= WRITTEN_OUT and not calls(kernel) and not _counts(kernel) else None


def _sums(loop: Loop) -> bool:
    """Whether it adds or multiplies up numbers that are rounded."""
    return any(
        gathered.combine in ("add", "multiply") and kind_of(gathered.result.dtype) in "fc"
        for gathered in loop.accumulators
    )


def calls(kernel: Kernel) -> bool:
    """Whether it calls library functions, which have vectors for whole loops only."""
    values = [statement for statement in kernel.statements if isinstance(statement, Value)]
    return any(value.node is not None and operator(value.node.op).cost >= CALL for value in values)


def _counts(kernel: Kernel) -> bool:
    """Whether a loop gathers numbers by the outcome of tests: LLVM makes vectors of that in loops only."""
    numbers = any(gathered.result.dtype.kind != "b" for loop in kernel.loops for gathered in loop.accumulators)
    return numbers and any(isinstance(value, Value) and value.dtype.kind == "b" for value in kernel.statements)


def keep_on_cpu(work: int, length: int, itemsize: int) -> bool:
    """Whether to keep a value for the row's next loop: where computing it again costs more than a pass through the cache."""
    return work >= 10 and fits_on_stack(length, itemsize)


def fits_on_stack(length: int, itemsize: int) -> bool:
    return length * itemsize <= LOCAL_BYTES // 2


def print_cpu(kernel: Kernel) -> Source:
    return CpuPrinter(kernel).source()


def rows_at_once(kernel: Kernel, lanes: int) -> int:
    """How many steps of the shared loop are one of the range that a launch cuts up."""
    loops = kernel.loops_over(kernel.rows)
    return lanes if lanes and split_axis(loops, lanes) == loops[-1] else 1
