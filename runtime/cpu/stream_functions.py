"""The functions by which kernels write past the caches, for Numba's CPU target (see `streaming.py`). Importing this imports Numba."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numfuse.runtime.cpu.streaming import LINE, X86
from numfuse.runtime.intrinsics import I8, I32, I64, external

VECTOR = ir.VectorType(I64, LINE // 8)
"""A line. LLVM cuts it where the processor's vectors are shorter."""


def _bytes_of(context: Any, pointer: Any) -> int:
    return context.get_abi_sizeof(context.get_data_type(pointer.dtype))


def _number(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


@intrinsic
def past_line(typing: Any, out: Any, place: Any) -> Any:
    """How many elements lie between the start of a cache line and `out[place]`."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = builder.ptrtoint(builder.gep(args[0], [args[1]]), I64)
        size = _bytes_of(context, signature.args[0])
        return builder.udiv(builder.and_(place, _number(LINE - 1)), _number(size))

    return types.int64(out, types.int64), codegen


@intrinsic
def stream(typing: Any, out: Any, row: Any, tile: Any, start: Any, first: Any, end: Any) -> Any:
    """`out[row + k] = tile[k - start]` for k from `first` to `end`, whole lines past the caches."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        out, row, tile, start, first, end = args
        target = builder.bitcast(builder.gep(out, [builder.add(row, first)]), I8.as_pointer())
        source = builder.bitcast(builder.gep(tile, [builder.sub(first, start)]), I8.as_pointer())
        nbytes = builder.mul(builder.sub(end, first), _number(_bytes_of(context, signature.args[0])))
        before = builder.and_(builder.neg(builder.ptrtoint(target, I64)), _number(LINE - 1))
        head = builder.select(builder.icmp_signed("<", before, nbytes), before, nbytes)
        tail = builder.add(head, builder.and_(builder.sub(nbytes, head), _number(-LINE)))
        _copy(builder, target, source, _number(0), head)
        with cgutils.for_range_slice(builder, head, tail, _number(LINE), intp=I64, inc=True) as (at, _):
            _stream_line(builder, target, source, at)
        _copy(builder, target, source, tail, nbytes)
        return context.get_dummy_value()

    places = (types.int64,) * 3
    return types.void(out, types.int64, tile, *places), codegen


def _stream_line(builder: ir.IRBuilder, target: Any, source: Any, at: Any) -> None:
    line = builder.load(builder.bitcast(builder.gep(source, [at]), VECTOR.as_pointer()), align=1)
    store = builder.store(line, builder.bitcast(builder.gep(target, [at]), VECTOR.as_pointer()), align=LINE)
    store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))


def _copy(builder: ir.IRBuilder, target: Any, source: Any, start: Any, end: Any) -> None:
    """Copies bytes, of which there mostly are none."""
    pointer, flag = I8.as_pointer(), ir.IntType(1)
    with builder.if_then(builder.icmp_signed("<", start, end), likely=False):
        copy = external(builder, "llvm.memcpy.p0.p0.i64", ir.VoidType(), [pointer, pointer, I64, flag])
        places = [builder.gep(memory, [start]) for memory in (target, source)]
        builder.call(copy, [*places, builder.sub(end, start), flag(0)])


@intrinsic
def store_fence(typing: Any) -> Any:
    """Lets other threads see what `stream` wrote as they see other writes: x86 keeps no order among such stores by itself."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if X86:
            builder.call(external(builder, "llvm.x86.sse.sfence", ir.VoidType(), []), [])
        return context.get_dummy_value()

    return types.void(), codegen
