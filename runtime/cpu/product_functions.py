"""Matrix products in vector registers, for Numba's CPU target. Importing this imports Numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numba.extending import intrinsic
from numfuse.runtime.intrinsics import I1, I32, I64, external

VECTOR = 64
"""Bytes of a vector. LLVM cuts it where the processor's are shorter."""
Rows = list[list[Any]]
"""Vectors of a tile: for each of its rows, those side by side."""


class Vectors:
    """Vectors that hold a row of a tile: whole ones, and of the last one as many elements as there are columns left."""

    def __init__(self, builder: ir.IRBuilder, element: Any, size: int, columns: int) -> None:
        self.builder, self.size = builder, size
        self.lanes = VECTOR // size
        self.kind = ir.VectorType(element, self.lanes)
        self.name = f"v{self.lanes}f{8 * size}"
        self.count = -(-columns // self.lanes)
        rest = columns % self.lanes
        self.mask = ir.Constant(ir.VectorType(I1, self.lanes), [1] * rest + [0] * (self.lanes - rest)) if rest else None
        self.zero = ir.Constant(self.kind, [0.0] * self.lanes)

    def pointers(self, memory: Any, first: Any) -> list[Any]:
        places = [self.builder.add(first, ir.Constant(I64, self.lanes * v)) for v in range(self.count)]
        return [self.builder.bitcast(self.builder.gep(memory, [place]), self.kind.as_pointer()) for place in places]

    def load(self, pointers: Sequence[Any]) -> list[Any]:
        *whole, last = pointers
        loaded = [self.builder.load(pointer, align=self.size) for pointer in whole]
        if self.mask is None:
            return [*loaded, self.builder.load(last, align=self.size)]
        function = self._masked("load", self.kind, [last.type, I32, self.mask.type, self.kind])
        return [*loaded, self.builder.call(function, [last, I32(self.size), self.mask, self.zero])]

    def store(self, values: Sequence[Any], pointers: Sequence[Any]) -> None:
        for value, pointer in zip(values[:-1], pointers[:-1], strict=True):
            self.builder.store(value, pointer, align=self.size)
        if self.mask is None:
            self.builder.store(values[-1], pointers[-1], align=self.size)
            return
        function = self._masked("store", ir.VoidType(), [self.kind, pointers[-1].type, I32, self.mask.type])
        self.builder.call(function, [values[-1], pointers[-1], I32(self.size), self.mask])

    def _masked(self, way: str, result: Any, arguments: Sequence[Any]) -> Any:
        return external(self.builder, f"llvm.masked.{way}.{self.name}.p0", result, list(arguments))

    def multiply_add(self, left: Any, right: Any, total: Any) -> Any:
        fma = external(self.builder, f"llvm.fma.{self.name}", self.kind, [self.kind] * 3)
        return self.builder.call(fma, [left, right, total])

    def spread(self, number: Any) -> Any:
        """The number in all places."""
        undefined = ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(undefined, number, I32(0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        )


def _sums(builder: ir.IRBuilder, depth: Any, zeros: Rows, body: Callable[[Any, Rows], Rows]) -> Rows:
    """What `body(k, sums)` makes of the sums, from zero on, for k in range(depth), which is not empty."""
    before, loop, after = (
        builder.basic_block,
        *[builder.append_basic_block(f"product_{name}") for name in ("loop", "done")],
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(I64)
    sums = [[builder.phi(zero.type) for zero in line] for line in zeros]
    new = body(k, sums)
    following = builder.add(k, I64(1))
    k.add_incoming(I64(0), before)
    k.add_incoming(following, loop)
    for line, zero_line, new_line in zip(sums, zeros, new, strict=True):
        for total, zero, made in zip(line, zero_line, new_line, strict=True):
            total.add_incoming(zero, before)
            total.add_incoming(made, loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
    builder.position_at_end(after)
    return new


@intrinsic
def product_tile(
    typing: Any, rows: Any, columns: Any, there: Any, out: Any, o: Any, out_row: Any, a: Any, i: Any, a_row: Any, a_column: Any, b: Any, j: Any,
    b_row: Any, depth: Any, before: Any,
) -> Any:  # fmt: skip
    """As in `runtime/reference.py`. The sums stay in registers. For each k there are as many loads from b as a row has vectors, and from a as there are
    rows. Where there are fewer rows than the tile has, its last ones are all the last of these."""
    if not (isinstance(rows, types.Literal) and isinstance(columns, types.Literal)):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        _, _, there, out, o, out_row, a, i, a_row, a_column, b, j, b_row, depth, before = args
        element = context.get_data_type(signature.args[3].dtype)
        vectors = Vectors(builder, element, context.get_abi_sizeof(element), columns.literal_value)
        last = builder.sub(there, I64(1))
        steps = [I64(r) if r == 0 else _least(builder, I64(r), last) for r in range(rows.literal_value)]
        numbers = [builder.add(i, builder.mul(a_row, step)) for step in steps]
        lines = [vectors.pointers(out, builder.add(o, builder.mul(out_row, step))) for step in steps]

        def body(k: Any, sums: Rows) -> Rows:
            right = vectors.load(vectors.pointers(b, builder.add(j, builder.mul(b_row, k))))
            made = []
            for number, line in zip(numbers, sums, strict=True):
                place = builder.gep(a, [builder.add(number, builder.mul(a_column, k))])
                left = vectors.spread(builder.load(place))
                made.append([vectors.multiply_add(left, *pair) for pair in zip(right, line, strict=True)])
            return made

        sums = _sums(builder, depth, [[vectors.zero] * vectors.count for _ in steps], body)
        with builder.if_else(builder.icmp_signed("!=", before, I64(0))) as (added, alone):
            with added:
                found = [vectors.load(line) for line in lines]  # all before the first store: lines may be the same
                for line, total, old in zip(lines, sums, found, strict=True):
                    vectors.store([builder.fadd(*pair) for pair in zip(total, old, strict=True)], line)
            with alone:
                for line, total in zip(lines, sums, strict=True):
                    vectors.store(total, line)
        return context.get_dummy_value()

    n = types.int64
    return types.void(rows, columns, n, out, n, n, a, n, n, n, b, n, n, n, n), codegen


def _least(builder: ir.IRBuilder, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_signed("<", one, other), one, other)
