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
def stream(typing: Any, out: Any, place: Any, tile: Any, count: Any) -> Any:
    """`out[place : place + count] = tile[:count]`, whole lines past the caches."""
    if not isinstance(count, types.Literal):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        out, place, tile, _ = args
        nbytes = count.literal_value * _bytes_of(context, signature.args[0])
        target = builder.bitcast(builder.gep(out, [place]), I8.as_pointer())
        source = builder.bitcast(tile, I8.as_pointer())
        before = builder.and_(builder.neg(builder.ptrtoint(target, I64)), _number(LINE - 1))
        with builder.if_else(builder.icmp_unsigned("==", before, _number(0)), likely=True) as (aligned, other):
            with aligned:
                for start in range(0, nbytes - LINE + 1, LINE):
                    _stream_line(builder, target, source, _number(start))
                if nbytes % LINE:
                    _copy(builder, target, source, _number(nbytes - nbytes % LINE), _number(nbytes))
            with other:
                fits = builder.icmp_unsigned("<", before, _number(nbytes))
                head = builder.select(fits, before, _number(nbytes))
                whole = builder.and_(builder.sub(_number(nbytes), head), _number(-LINE))
                tail = builder.add(head, whole)
                _copy(builder, target, source, _number(0), head)
                with cgutils.for_range_slice(builder, head, tail, _number(LINE), intp=I64, inc=True) as (start, _):
                    _stream_line(builder, target, source, start)
                _copy(builder, target, source, tail, _number(nbytes))
        return context.get_dummy_value()

    return types.void(out, types.int64, tile, count), codegen


def _stream_line(builder: ir.IRBuilder, target: Any, source: Any, start: Any) -> None:
    line = builder.load(builder.bitcast(builder.gep(source, [start]), VECTOR.as_pointer()), align=1)
    store = builder.store(line, builder.bitcast(builder.gep(target, [start]), VECTOR.as_pointer()), align=LINE)
    store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))


def _copy(builder: ir.IRBuilder, target: Any, source: Any, start: Any, end: Any) -> None:
    pointer, flag = I8.as_pointer(), ir.IntType(1)
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
