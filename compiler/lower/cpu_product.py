"""CPU kernels that compute a matrix product: tiles of the result stay in vector registers while their sums are formed.

    def dense(lo, hi, x, w, out, rows):
        for i in range(lo, hi, 4):
            end = min(8 * min(i + 4, hi), rows[0])
            for k in range(0, 1024, 512):
                for p in range(10):
                    for r in range(8 * i, end, 8):
                        product_tile(8, 48, end - r, out, 512 * r + 48 * p, 512, x, 1024 * r + k, 1024, 1, w, 512 * k + 48 * p, 512, 512, k)
                for r_2 in range(8 * i, end, 8):
                    product_tile(8, 32, end - r_2, out, 512 * r_2 + 480, 512, x, 1024 * r_2 + k, 1024, 1, w, 512 * k + 480, 512, 512, k)

`product_tile` says what it does in `runtime/reference.py`. Threads share groups of eight rows; or those of a leading axis; or, where there are few rows and no
other axes, groups of panels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Buffer, Touch
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.cpu import split_axis
from numfuse.compiler.lower.expressions import RESERVED, Names
from numfuse.compiler.lower.printer import Parameter, Source, header
from numfuse.compiler.ops import operator
from numfuse.compiler.types import Shape, size_of
from numfuse.compiler.walks import walk

WIDE = 3
"""Vectors of a tile."""
TALL = 8
"""Rows of a tile."""
TOGETHER = 16
"""Tiles one below the other that are computed together: the panel that they need is in the cache from the second one on."""
FEW = 4
"""Tiles one below the other up to which threads share panels in place of rows."""
DEPTH = 512
"""Products that are added up in one go: more of them would not stay in the caches, and would be summed less exactly than BLAS does it."""
PANELS = 4
"""Panels that are computed together, where threads share those."""


@dataclass(frozen=True)
class Operand:
    """An array that a product reads, or its result: a pointer of the kernel, its strides but for the matrix's own, and these."""

    name: str
    batch: Shape
    row: int
    column: int
    panel: int = 0
    """From one panel to the next; of a plain matrix 0."""
    columns: int = 0


Place = Mapping[str, int]
"""A number in the kernel: so many times each of these variables; "" stands for 1."""


def scaled(place: Place, by: int) -> Place:
    return {name: step * by for name, step in place.items()}


def text_of(place: Place) -> str:
    terms = sorted([(step, name) for name, step in place.items() if step and name], reverse=True)
    texts = [name if step == 1 else f"{step} * {name}" for step, name in terms]
    const = place.get("", 0)
    return " + ".join([*texts, *([str(const)] if const else [])]) or "0"


@dataclass(frozen=True)
class Group:
    """Rows of the result that are computed together, and the stretch of the inner axis at hand: where it starts, and how long it is."""

    first: Place
    end: str
    k: Place
    depth: str


@dataclass
class ProductKernel:
    """What the rest of lowering asks of a kernel, as of `Kernel`."""

    buffers: list[Buffer]
    parameters: list[tuple[int, int]]
    nbytes: int
    written: int
    touches: tuple[Touch, ...]
    numbers: tuple[int, ...]
    empty: bool = False


def print_product(
    fused: Node, name: str, inputs: Sequence[Buffer], outputs: Sequence[Buffer]
) -> tuple[ProductKernel, Source, dict[str, int]]:
    return ProductPrinter(fused, name, inputs, outputs[0]).printed()


class ProductPrinter:
    def __init__(self, fused: Node, name: str, inputs: Sequence[Buffer], out: Buffer) -> None:
        self.body = fused.params["body"]
        (self.node,) = [node for node in self.body.nodes if operator(node.op).kind == "product"]
        self.name = name
        self.arrays = dict(zip(self.body.inputs, inputs, strict=True))
        self.out = out
        self.lines: list[tuple[str, str]] = []
        self.depth = 0
        self.names = Names(RESERVED)
        self.parameters: list[Parameter] = []
        self.pointers: list[tuple[int, int]] = []
        left, *parts = self.node.inputs
        self.left = self._operand(left, False)
        self.parts = [self._operand(*part) for part in zip(parts, self.node.params["panels"], strict=True)]
        self.result = self._result()
        *self.batch, self.rows, self.columns = self.node.shape
        self.inner = left.shape[-1]
        self._join_batch()
        self.width = WIDE * self.node.params["vector"] // self.node.dtype.itemsize
        self.tall = min(TALL, self.rows)
        self.row, self.panel = self.names.new("r"), self.names.new("p")
        self.by_panels = not self.batch and self.rows <= FEW * TALL and self.columns > 2 * PANELS * self.width

    # -- operands ----------------------------------------------------------------------------------------------------

    def _operand(self, node: Node, panels: bool) -> Operand:
        """A pointer to the operand's first element, and its strides, through the views that it is."""
        array = node
        while array not in self.arrays:
            (array,) = array.inputs
        buffer = self.arrays[array]
        found = walk(node, array, buffer.strides)
        assert found is not None, "an operand is no walk through memory"
        start, strides = found
        strides = tuple([0 if extent == 1 else step for extent, step in zip(node.shape, strides, strict=True)])
        name = self._pointer(buffer, list(self.arrays).index(array), start, False)
        fixed = 3 if panels else 2
        batch = (0,) * (len(self.node.shape) - 2 - len(strides) + fixed) + strides[:-fixed]
        panel, columns = (strides[-3], size_of((node.shape[-3], node.shape[-1]))) if panels else (0, node.shape[-1])
        return Operand(name, batch, strides[-2], strides[-1], panel, columns)

    def _result(self) -> Operand:
        name = self._pointer(self.out, len(self.arrays), 0, True)
        strides = strides_of(self.out.shape)
        return Operand(name, strides[:-2], strides[-2], 1)

    def _pointer(self, buffer: Buffer, place: int, start: int, output: bool) -> str:
        name = self.names.new(buffer.name)
        self.parameters.append(Parameter(name, buffer.dtype, output))
        self.pointers.append((place, start))
        return name

    def _join_batch(self) -> None:
        """Makes one axis of neighbouring leading axes that all operands walk as one."""
        operands = [self.left, *self.parts, self.result]
        axes: list[tuple[int, tuple[int, ...]]] = []
        for axis, extent in enumerate(self.batch):
            steps = tuple([operand.batch[axis] for operand in operands])
            if extent == 1:
                continue
            if axes and axes[-1][1] == tuple([step * extent for step in steps]):
                axes[-1] = axes[-1][0] * extent, steps
            else:
                axes.append((extent, steps))
        self.batch = [extent for extent, _ in axes]
        self.steps = {operand.name: [steps[k] for _, steps in axes] for k, operand in enumerate(operands)}

    # -- the kernel --------------------------------------------------------------------------------------------------

    def printed(self) -> tuple[ProductKernel, Source, dict[str, int]]:
        loops = [Axis(number, extent) for number, extent in enumerate(self.batch)]
        units = -(-self.rows // self.tall)
        if not self.by_panels and (units > 1 or not loops):
            loops.append(Axis(len(loops), units))
        if self.by_panels:
            loops.append(Axis(len(loops), -(-self.columns // (PANELS * self.width))))
        shared = split_axis(loops)
        assert shared is not None
        head = len(self.lines)
        self.depth += 1
        letters = iter("ijlmnpq")
        self.loops = [self.names.new(next(letters, "index")) for _ in loops]
        for axis, loop in zip(loops[: len(self.batch)], self.loops, strict=False):
            self.open(f"for {loop} in range({'lo, hi' if axis == shared else axis.extent}):")
        first, end, numbers = self.row_range(loops, shared)
        parts = -(-self.inner // DEPTH)
        depth, k = -(-self.inner // parts), self.names.new("k")
        length = str(depth)
        if parts > 1:
            self.open(f"for {k} in range(0, {self.inner}, {depth}):")
            if self.inner % depth:
                length = self.names.new("depth")
                self.line(f"{length} = min({depth}, {self.inner} - {k})")
        self.all_columns(Group(first, end, {k: 1} if parts > 1 else {}, length))
        self.lines.insert(
            head, (f"def {self.name}(lo, hi, {', '.join(parameter.name for parameter in self.parameters)}):", "")
        )
        source = Source(self.name, self.parameters, header(self.body), self.lines)
        source.imports = "from numfuse.runtime.cpu.functions import *"
        return self.described(loops, shared, numbers), source, {"count": shared.extent}

    def row_range(self, loops: Sequence[Axis], shared: Axis) -> tuple[Place, str, tuple[int, ...]]:
        """Opens the loop over rows, or over groups of panels: a group's first row, the one after its last, and the numbers that this takes."""
        if len(loops) == len(self.batch):
            return {}, str(self.rows), ()
        loop, own = self.loops[-1], loops[-1] == shared
        ends = "lo, hi" if own else str(loops[-1].extent)
        if self.by_panels:
            self.open(f"for {loop} in range({ends}):")
            return {}, str(self.rows), ()
        last, rows = str(loops[-1].extent), str(self.rows)
        numbers: tuple[int, ...] = ()
        if own and loops[-1].extent > 1:  # the number of rows may be another at another call
            last, rows, numbers = "hi", f"{self.names.new('rows')}[0]", (self.rows,)
            self.parameters.append(Parameter(rows.removesuffix("[0]"), np.dtype(np.int64)))
        self.open(f"for {loop} in range({'lo' if own else 0}, {last}, {TOGETHER}):")
        end = self.names.new("end")
        self.line(f"{end} = min({self.tall} * min({loop} + {TOGETHER}, {last}), {rows})")
        return {loop: self.tall}, end, numbers

    def all_columns(self, group: Group) -> None:
        before = 0
        for part in self.parts:
            whole, rest = divmod(part.columns, self.width)
            step = part.panel or self.width
            at: Place = {}
            if whole > 1 or self.by_panels:
                self.open(f"for {self.panel} in range({self.panel_range(whole)}):")
                at = {self.panel: 1}
            if whole:
                self.all_rows(group, part, scaled(at, step), {**scaled(at, self.width), "": before}, self.width)
            self.depth -= bool(at)
            if rest:
                if self.by_panels:
                    self.open(f"if {self.loops[-1]} == {(self.columns - 1) // (PANELS * self.width)}:")
                self.all_rows(group, part, {"": whole * step}, {"": before + whole * self.width}, rest)
                self.depth -= self.by_panels
            before += part.columns

    def panel_range(self, whole: int) -> str:
        if not self.by_panels:
            return str(whole)
        first = f"{PANELS} * {self.loops[-1]}"
        return f"{first}, min({first} + {PANELS}, {whole})"

    def all_rows(self, group: Group, part: Operand, at: Place, column: Place, columns: int) -> None:
        """The tiles of a panel, from the top to the bottom."""
        row, there = self.row, str(self.tall)
        if group.end == there:
            place: Place = {}
        else:
            self.open(f"for {row} in range({text_of(group.first)}, {group.end}, {self.tall}):")
            place, there = {row: 1}, f"{group.end} - {row}"
        a, b, out = self.left, part, self.result
        left = self.place(a, scaled(place, a.row), scaled(group.k, a.column))
        right = self.place(b, scaled(group.k, b.row), at)
        target = self.place(out, scaled(place, out.row), column)
        numbers = f"{self.tall}, {columns}, {there}, {out.name}, {target}, {out.row}, {a.name}, {left}, {a.row}, {a.column}, {b.name}, {right}, {b.row}"
        self.line(f"product_tile({numbers}, {group.depth}, {text_of(group.k)})", str(self.node.where or ""))
        self.depth -= bool(place)

    def place(self, operand: Operand, *moved: Place) -> str:
        """Where an element is: the steps along the leading axes, and what else moves it."""
        whole: dict[str, int] = defaultdict(int)
        for loop, step in zip(self.loops, self.steps[operand.name], strict=False):
            whole[loop] += step
        for place in moved:
            for name, step in place.items():
                whole[name] += step
        return text_of(whole)

    def open(self, head: str) -> None:
        self.line(head)
        self.depth += 1

    def line(self, text: str, comment: str = "") -> None:
        self.lines.append(("    " * self.depth + text, comment))

    # -- what it moves -----------------------------------------------------------------------------------------------

    def described(self, loops: Sequence[Axis], shared: Axis, numbers: tuple[int, ...]) -> ProductKernel:
        buffers = [*self.arrays.values(), self.out]
        read = sum(size_of(buffer.shape) * buffer.dtype.itemsize for buffer in self.arrays.values())
        written = size_of(self.out.shape) * self.out.dtype.itemsize
        touches = []
        for number, operand in enumerate((self.left, *self.parts, self.result)):
            touches.append(self.touched(number, operand, shared.number))
        return ProductKernel(buffers, self.pointers, read + written, written, tuple(touches), numbers)

    def touched(self, number: int, operand: Operand, shared: int) -> Touch:
        """What a step of the shared loop reads or writes: all that the other loops walk, and its own part."""
        size, is_result = self.node.dtype.itemsize, operand is self.result
        steps = [step * (extent - 1) for step, extent in zip(self.steps[operand.name], self.batch, strict=True)]
        spans = [*steps, 0, 0]
        by_rows = operand is self.left or is_result
        rows = self.rows if by_rows else self.inner
        columns = self.inner if operand is self.left else self.columns if is_result else operand.columns
        panel = operand.panel and operand.panel * (columns // (self.width) - 1)
        columns = self.width if operand.panel else columns
        step = 0
        if shared < len(self.batch):
            step, spans[shared] = self.steps[operand.name][shared], 0
        elif not self.by_panels and by_rows:
            step, rows = self.tall * operand.row, self.tall
        elif self.by_panels and is_result:
            step = PANELS * self.width
            columns = min(step, columns)
        spans[-2:] = (rows - 1) * operand.row, panel + (columns - 1) * operand.column
        low, high = sum(min(0, span) for span in spans), sum(max(0, span) for span in spans)
        return Touch(number, step * size, low * size, (high + 1) * size, is_result)
