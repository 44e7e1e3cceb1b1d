"""The function by which kernels read an array across their rows, for Numba's CPU target. Importing this imports Numba."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numba.extending import intrinsic
from numfuse.runtime.cpu.lowering import kernel_range
from numfuse.runtime.cpu.target import helper
from numfuse.runtime.intrinsics import I32, I64

SIDES = {1: 16, 2: 16, 4: 8, 8: 8}
"""For elements of so many bytes, the side of the squares that are turned round in vector registers; 1 for others."""


def _size_of(context: Any, pointer: Any) -> int:
    return context.get_abi_sizeof(context.get_data_type(pointer.dtype))


@intrinsic
def _side(typing: Any, tile: Any) -> Any:
    return types.int64(tile), lambda context, builder, signature, args: ir.Constant(
        I64, SIDES.get(_size_of(context, signature.args[0]), 1)
    )


@intrinsic
def _turn_square(typing: Any, tile: Any, at: Any, pitch: Any, source: Any, place: Any, step: Any) -> Any:
    """`turn` of a square, its corners at `tile[at]` and `source[place]`: in each round, vectors are joined with those half of them further on, element
    by element, and after as many rounds as a side has bits the columns are rows."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        tile, at, pitch, source, place, step = args
        size = _size_of(context, signature.args[0])
        side = SIDES.get(size, 1)
        element = ir.IntType(8 * size)
        vector = ir.VectorType(element, side)

        def pointer(memory: Any, first: Any, by: Any, k: int) -> Any:
            moved = builder.add(first, builder.mul(by, ir.Constant(I64, k)))
            return builder.bitcast(builder.gep(memory, [moved]), vector.as_pointer())

        lines = [builder.load(pointer(source, place, step, k), align=size) for k in range(side)]
        half = side // 2
        low = ir.Constant(ir.VectorType(I32, side), [k // 2 + side * (k % 2) for k in range(side)])
        high = ir.Constant(ir.VectorType(I32, side), [half + k // 2 + side * (k % 2) for k in range(side)])
        for _ in range(side.bit_length() - 1):
            pairs = [(lines[k], lines[k + half]) for k in range(half)]
            lines = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in (low, high)]
        for k, line in enumerate(lines):
            builder.store(line, pointer(tile, at, pitch, k), align=size)
        return context.get_dummy_value()

    return types.void(tile, *(types.int64,) * 2, source, *(types.int64,) * 2), codegen


@helper
def turn(tile: Any, pitch: int, source: Any, place: int, step: int, rows: int, columns: int) -> None:
    """`tile[pitch * row + column] = source[place + row + step * column]` for all rows and columns."""
    side = _side(tile)
    if side == 1 or rows < side or columns < side:
        for row in kernel_range(rows):
            for column in kernel_range(columns):
                tile[pitch * row + column] = source[place + row + step * column]
        return
    for first_column in kernel_range(0, columns, side):
        column = min(first_column, columns - side)  # squares overlap at the ends
        for first_row in kernel_range(0, rows, side):
            row = min(first_row, rows - side)
            _turn_square(tile, pitch * row + column, pitch, source, place + row + step * column, step)
