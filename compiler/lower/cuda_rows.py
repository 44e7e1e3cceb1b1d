"""Prints CUDA kernels with loops: each row is shared by the threads of a warp or a block, or (where neighbouring rows lie side by side
in memory) by a column of threads.

    t = thread_in_block()
    i = block()
    sum_1 = float32(0.0)
    for k in unrolled(2):
        j = 4 * (t + 128 * k)
        x_v = local(4, float32)
        load_4(x_v, 0, x, 1024 * i + j)
        for v in unrolled(4):
            x_row[4 * k + v] = x_v[v]
            sum_1 = fold_add(sum_1, x_v[v])
    sum_1 = block_add(sum_1)

Each thread gathers its share of a loop, and `block_add` or its kin join the shares. What a later loop needs again stays in the thread's
registers. Long loops go by strides of several elements a thread, so that as many loads are under way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Accumulator, Kernel, Loop, Store, Value
from numfuse.compiler.lower.cpu_lanes import wants_lanes
from numfuse.compiler.lower.cuda_printer import WARP, CudaPrinter, Launch
from numfuse.compiler.lower.expressions import Text, from_tile, initial, tile_type, to_tile
from numfuse.compiler.lower.printer import Source, combined
from numfuse.compiler.schedule import MODEL, Schedule
from numfuse.compiler.types import NARROW

KEPT_BYTES = 128
"""What a thread keeps in registers of a row, at most, of each value."""
WARP_ROW = 512
"""Elements of a row that a warp takes on alone."""
ALONE = 512
"""Threads of a row that is read once, at most: nothing is kept, and smaller blocks take turns at waiting."""
COLUMN_THREADS = 16
"""Threads that share a column, where neighbouring rows lie side by side."""
IN_FLIGHT_BYTES = 64
"""What a thread loads of a long row before it waits."""


class RowPrinter(CudaPrinter):
    """Each row is shared by `team` threads; a block holds `together` rows."""

    def __init__(self, kernel: Kernel, schedule: Schedule) -> None:
        super().__init__(kernel, schedule)
        self.columns = wants_lanes(kernel)
        longest = max(loop.length for loop in kernel.loops)
        self.team, self.together = team_for(longest, self.columns, schedule)
        if schedule.team is None and len(kernel.loops) == 1 and self.team > ALONE:
            self.team = ALONE
        if not self.loops:
            self.together = 1
        self.member = self.names.new("t")
        self.tiles: dict[Value, str] = {}
        self.widths = {axes: self.width_of(axes) for axes in {loop.axes for loop in kernel.loops}}
        while schedule.team is None and self.together == 1 and self.team > 2 * WARP and self.idle(self.team // 2):
            self.team //= 2
        self.step = ""
        self.guard = ""

    # -- rows --------------------------------------------------------------------------------------------------------

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

    def guarded(self, line: str) -> None:
        if not self.guard:
            self.line(line)
            return
        with self.block(f"if {self.guard}:"):
            self.line(line)

    def store(self, store: Store) -> None:
        """A value of the whole row is stored by one thread of its team."""
        if store in self.vectors:
            super().store(store)
            return
        alone = "" if self.step else f"{self.member} == 0"
        test = " and ".join(part for part in (self.guard, alone) if part)
        if not test:
            super().store(store)
            return
        with self.block(f"if {test}:"):
            super().store(store)

    # -- what is kept ------------------------------------------------------------------------------------------------

    def share(self, loop: Loop) -> int:
        """Steps of a loop that fall to each thread, at most; in each it takes a vector."""
        return max(1, -(-loop.length // (self.team * self.widths[loop.axes])))

    def declare_tiles(self) -> None:
        for loop in self.kernel.loops:
            for value in self.kept_values(loop):
                name = self.tiles[value] = self.names.new(f"{value.hint}_row")
                length = self.share(loop) * self.widths[loop.axes]
                self.line(f"{name} = local({length}, {tile_type(value.dtype)})")

    def place(self, value: Value) -> str:
        """Where the thread keeps the element at hand."""
        axes = tuple(sorted(value.scope.axes - self.kernel.scope.axes, key=lambda axis: axis.number))
        width = self.widths[axes]
        if width == 1:
            return self.step
        return self.lane

    def keep(self, value: Value, name: str) -> None:
        self.line(f"{self.tiles[value]}[{self.place(value)}] = {to_tile(name, value.dtype)}")

    def kept(self, value: Value) -> Text:
        return from_tile(f"{self.tiles[value]}[{self.place(value)}]", value.dtype)

    # -- loops -------------------------------------------------------------------------------------------------------

    def idle(self, team: int) -> bool:
        """Whether so many threads are enough to take every row at once, so that more would have nothing to do."""
        return all(team * self.widths[loop.axes] >= loop.length for loop in self.kernel.loops)

    def width_of(self, axes: tuple[Axis, ...]) -> int:
        """Neighbouring elements that a thread takes of a row at once: as many in all loops over it, as they share what is kept."""
        walked = self.kernel.loops_over(axes)
        if self.columns or len(walked) > 1:
            return 1
        (axis,) = walked
        unit = [
            (statement.buffer, statement.offset if isinstance(statement, Store) else statement.index)
            for loop in self.kernel.loops
            if loop.axes == axes
            for statement in loop.body.statements
            if isinstance(statement, Store) or (isinstance(statement, Value) and statement.kind == "load")
        ]
        moved = [
            (b, index)
            for b, index in unit
            if b is not None and index is not None and self.kernel.coef(index, axis) == 1
        ]
        width = self.vector_bytes // max([buffer.dtype.itemsize for buffer, _ in moved], default=self.vector_bytes)
        while width > 1:
            whole = sum(self.piece(buffer, index, axis, width) == width for buffer, index in moved)
            if axis.extent % width == 0 and 2 * whole >= len(moved):
                return width
            width //= 2
        return 1

    def loop(self, loop: Loop) -> None:
        totals = []
        for gathered in loop.accumulators:
            totals.append(self.names.new(gathered.result.hint, numbered=True))
            self.line(f"{totals[-1]} = {initial(gathered.identity, gathered.result.dtype)}")
        self.step = self.names.new("k")
        self.shares(loop, totals)
        self.step = ""
        for gathered, name in zip(loop.accumulators, totals, strict=True):
            self.line(f"{name} = {self.joined(gathered.combine, gathered.result.dtype, name)}")
            self.texts[gathered.result] = Text(name)

    def shares(self, loop: Loop, totals: list[str]) -> None:
        """The loop over a thread's share of the row."""
        length, width = loop.length, self.widths[loop.axes]
        stride, share = self.team * width, self.share(loop)
        keeps = bool(self.kept_values(loop)) or self.reads_kept(loop)
        steps = share if keeps else self.steps_in_flight(loop, width)
        end = str(length)
        if loop.limit is not None:
            end = f"min({length}, {self.expressions.index(loop.limit).text})"
        if share == 1:
            self.step = "0"
        if steps == share:
            tested = end if loop.limit is not None or share * stride != length else ""
            if keeps and width > 1:
                self.kept_share(loop, share, tested, totals)
            else:
                self.steps(loop, "", share, tested, totals)
            return
        chunk = stride * steps
        whole = str(length // chunk * chunk)
        if loop.limit is not None:
            end, limit = self.names.new("end"), end
            self.line(f"{end} = {limit}")
            whole = f"{end} - {end} % {chunk}"
        start = self.names.new("start")
        with self.block(f"for {start} in rolled(0, {whole}, {chunk}):"):
            self.steps(loop, start, steps, "", totals)
        if loop.limit is not None:
            self.line(f"{start} = {whole}")
            with self.block(f"if {start} < {end}:"):
                self.steps(loop, start, steps, end, totals)
        elif length % chunk:
            rest = length % chunk
            self.steps(loop, whole, -(-rest // stride), end if rest % stride else "", totals)

    def steps(self, loop: Loop, start: str, steps: int, end: str, totals: list[str]) -> None:
        """So many steps from `start` on, written out; `end`, where it is given, is where the row may end among them."""
        axes = self.kernel.loops_over(loop.axes)
        width = self.widths[loop.axes]
        place = self.axis_names[axes[0].number] if len(axes) == 1 else self.names.new("e")
        opened = self.depth
        thread = self.member
        if steps > 1:
            self.line(f"for {self.step} in unrolled({steps}):")
            self.depth += 1
            thread = f"{self.member} + {self.team} * {self.step}"
        text = Text(thread, 9 if steps > 1 else 13)
        from_start = text.text if width == 1 else f"{width} * {text.at_least(11)}"
        self.line(f"{place} = {start} + {from_start}" if start else f"{place} = {from_start}")
        named = self.expressions.axis_text[axes[0].number]
        if len(axes) == 1:
            self.expressions.axis_text[axes[0].number] = Text(place)
        if width == 1:
            if end:
                self.line(f"if {place} < {end}:")
                self.depth += 1
            if len(axes) > 1:
                self.decompose(place, axes)
            self.statements(loop.body)
            self.gather(loop.accumulators, totals)
        else:
            self.vectors_up_to(loop, axes[0], place, end, totals)
        if len(axes) == 1:
            self.expressions.axis_text[axes[0].number] = named  # another loop may walk it together with others
        self.depth = opened

    def kept_share(self, loop: Loop, share: int, end: str, totals: list[str]) -> None:
        """A thread's whole share of a loop over what is kept: all vectors are loaded, then one loop takes their elements, then all are stored.

        With one loop at a time, compilers put what is kept in registers for every architecture.
        """
        (axis,) = self.kernel.loops_over(loop.axes)
        width, place = self.widths[loop.axes], self.axis_names[axis.number]
        stride, lane = self.team * width, self.names.new("v")
        named = self.expressions.axis_text[axis.number]
        self.expressions.axis_text[axis.number] = Text(place)
        windows = [window for window in self.windows(loop.body, axis, width) if window.count == width]
        loaded = [(window, self.vector_tile(window.buffer, share * width)) for window in windows]
        self.vectors = {value: f"{tile}[{lane}]" for window, tile in loaded for value in window.values}
        stores = [s for s in loop.body.statements if isinstance(s, Store)]
        pieces = {store: self.piece(store.buffer, store.offset, axis, width) for store in stores}
        stored = [(s, self.vector_tile(s.buffer, share * width), pieces[s]) for s in stores if pieces[s] > 1]
        self.vectors |= {store: f"{tile}[{lane}]" for store, tile, _ in stored}

        def each(lines: Callable[[int], None]) -> None:
            for step in range(share):
                self.line(
                    f"{place} = {stride * step} + {width} * {self.member}"
                    if step
                    else f"{place} = {width} * {self.member}"
                )
                with self.block(f"if {place} < {end}:") if end else nullcontext():
                    lines(step)

        def load(step: int) -> None:
            for window, tile in loaded:
                for at in range(0, width, window.piece):
                    index = self.expressions.index(window.index + at).text
                    self.line(
                        f"load_{window.piece}({tile}, {width * step + at}, {self.buffer_names[window.buffer]}, {index})"
                    )

        def store(step: int) -> None:
            for made, tile, piece in stored:
                for at in range(0, width, piece):
                    index = self.expressions.index(made.offset + at).text
                    self.guarded(
                        f"store_{piece}({self.buffer_names[made.buffer]}, {index}, {tile}, {width * step + at})"
                    )

        if loaded:
            each(load)
        self.lane = self.step = lane
        with self.block(f"for {lane} in unrolled({share * width}):"):
            beyond = f" + {stride} * ({lane} // {width}) + {lane} % {width}" if share > 1 else f" + {lane}"
            self.line(f"{place} = {width} * {self.member}{beyond}")
            with self.block(f"if {place} < {end}:") if end else nullcontext():
                self.statements(loop.body)
                self.gather(loop.accumulators, totals)
        self.lane = ""
        if stored:
            each(store)
        self.expressions.axis_text[axis.number] = named

    def reads_kept(self, loop: Loop) -> bool:
        return any(isinstance(value, Value) and value.kind == "kept" for value in loop.body.walk())

    def steps_in_flight(self, loop: Loop, width: int) -> int:
        """Steps of a long loop that are written out, so that their loads are under way together."""
        loads = [s for s in loop.body.walk() if isinstance(s, Value) and s.kind == "load"]
        read = sum(width * value.dtype.itemsize for value in loads)
        return max(1, min(8, IN_FLIGHT_BYTES // max(read, 1), self.share(loop)))

    def vectors_up_to(self, loop: Loop, axis: Axis, place: str, end: str, totals: list[str]) -> None:
        """A vector of the loop. Where the row may end (`end` is not empty) within one, what is left is done element by element."""
        width = self.widths[loop.axes]
        windows = [window for window in self.windows(loop.body, axis, width) if not self.beyond(window, width)]

        def whole() -> None:
            self.vector(loop.body, axis, width, windows, lambda: self.gather(loop.accumulators, totals))

        cut = loop.limit is not None and (
            loop.limit.const % width != 0 or any(coef % width for _, coef in loop.limit.terms)
        )
        if not end:
            whole()
        elif not cut:
            with self.block(f"if {place} < {end}:"):
                whole()
        else:
            with self.block(f"if {place} + {width} <= {end}:"):
                whole()
            self.vectors.clear()
            single = self.names.new(place)
            with self.block("else:"), self.block(f"for {single} in range({place}, {end}):"):
                self.expressions.axis_text[axis.number] = Text(single)
                self.statements(loop.body)
                self.gather(loop.accumulators, totals)

    def gather(self, accumulators: list[Accumulator], totals: list[str]) -> None:
        for gathered, name in zip(accumulators, totals, strict=True):
            text = combined(gathered.combine, gathered.result.dtype, name, self.text(gathered.value))
            self.line(f"{name} = {text}", gathered.result.node.where if gathered.result.node else None)

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


def team_for(longest: int, columns: bool, schedule: Schedule = MODEL) -> tuple[int, int]:
    """How many threads share a row of this length, and how many rows a block holds."""
    if columns:
        return COLUMN_THREADS, WARP
    if schedule.team is not None:
        return schedule.team, 4 if schedule.team == WARP else 1
    if longest <= WARP_ROW:
        return WARP, 4
    team = 2 * WARP
    while team < 1024 and team * 8 < longest:
        team *= 2
    return team, 1


def keep_on_cuda(work: int, length: int, itemsize: int, columns: bool, schedule: Schedule = MODEL) -> bool:
    """Whether to keep a value for the row's next loop: always, where it fits the thread's registers."""
    team, _ = team_for(length, columns, schedule)
    most = KEPT_BYTES if work and itemsize <= 4 else KEPT_BYTES // 2  # arithmetic on wide elements takes registers too
    return -(-length // team) * max(itemsize, 4) <= most
