"""How the threads of a warp, a block or a column join their values: by shuffles, and through shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba import cuda
from numba.core import types
from numba.cuda import cgutils
from numba.cuda.extending import intrinsic
from numfuse.runtime.cuda.device_functions import compiled
from numfuse.runtime.cuda.memory import thread_in_block
from numfuse.runtime.intrinsics import I32, external

WARP = 32
COLUMN_TILE = 512
"""Threads of a block whose rows are columns: the printer makes them 32 columns of 16."""


def _shared(element: Any, length: Any) -> Callable[..., Any]:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = ir.ArrayType(context.get_data_type(element), length.literal_value)
        memory = cgutils.add_global_variable(builder.module, kind, builder.module.get_unique_name("shared"), 3)
        memory.linkage, memory.align = "internal", 16
        memory.initializer = ir.Constant(kind, ir.Undefined)
        generic = builder.addrspacecast(memory, kind.as_pointer(), "generic")
        return builder.gep(generic, [ir.Constant(I32, 0), ir.Constant(I32, 0)])

    return codegen


@intrinsic
def shared(typing: Any, length: Any, dtype: Any) -> Any:
    """`length` elements in the block's shared memory."""
    if not isinstance(length, types.Literal):
        return None
    return types.CPointer(dtype.dtype)(length, dtype), _shared(dtype.dtype, length)  # type: ignore[attr-defined]


@intrinsic
def shared_like(typing: Any, length: Any, x: Any) -> Any:
    """The same, of x's type."""
    if not isinstance(length, types.Literal):
        return None
    return types.CPointer(x)(length, x), _shared(x, length)  # type: ignore[attr-defined]


@intrinsic
def shuffled(typing: Any, x: Any, distance: Any) -> Any:
    """The value of the thread whose number differs in the bit `distance`: any type, in pieces of 32 bits."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        value, by = args
        size = context.get_abi_sizeof(context.get_data_type(x))
        words = (size + 3) // 4
        memory = cgutils.alloca_once(builder, ir.ArrayType(I32, words))
        builder.store(value, builder.bitcast(memory, value.type.as_pointer()))
        exchange = external(builder, "llvm.nvvm.shfl.sync.i32", ir.LiteralStructType([I32, ir.IntType(1)]), [I32] * 5)
        everyone, butterfly, clamp = ir.Constant(I32, 0xFFFFFFFF), ir.Constant(I32, 3), ir.Constant(I32, 31)
        for word in range(words):
            place = builder.gep(memory, [ir.Constant(I32, 0), ir.Constant(I32, word)])
            got = builder.call(exchange, [everyone, butterfly, builder.load(place), builder.trunc(by, I32), clamp])
            builder.store(builder.extract_value(got, 0), place)
        return builder.load(builder.bitcast(memory, value.type.as_pointer()))

    return x(x, types.int64), codegen


@compiled
def barrier():  # type: ignore[no-untyped-def]
    """Waits for all threads of the block; what they stored in shared memory is seen then."""
    cuda.syncthreads()


def functions(name: str, combine: Callable[..., Any]) -> dict[str, Any]:
    """The functions that join the values of a warp's, a block's or a column's threads by `combine`; all threads get the result."""

    @compiled
    def of_warp(x):  # type: ignore[no-untyped-def]
        x = combine(x, shuffled(x, 16))
        x = combine(x, shuffled(x, 8))
        x = combine(x, shuffled(x, 4))
        x = combine(x, shuffled(x, 2))
        return combine(x, shuffled(x, 1))

    @compiled
    def of_block(x):  # type: ignore[no-untyped-def]
        tile = shared_like(WARP, x)
        x = of_warp(x)
        member = thread_in_block()
        if member % WARP == 0:
            tile[member // WARP] = x
        cuda.syncthreads()
        warps = cuda.blockDim.x // WARP  # a power of two
        x = tile[member & (warps - 1)]
        if warps > 16:
            x = combine(x, shuffled(x, 16))
        if warps > 8:
            x = combine(x, shuffled(x, 8))
        if warps > 4:
            x = combine(x, shuffled(x, 4))
        if warps > 2:
            x = combine(x, shuffled(x, 2))
        if warps > 1:
            x = combine(x, shuffled(x, 1))
        cuda.syncthreads()
        return x

    @compiled
    def of_column(x, columns, team):  # type: ignore[no-untyped-def]
        tile = shared_like(COLUMN_TILE, x)
        member = thread_in_block()
        tile[member] = x
        cuda.syncthreads()
        total = tile[member % columns]
        for other in range(1, team):
            total = combine(total, tile[member % columns + columns * other])
        cuda.syncthreads()
        return total

    return {f"warp_{name}": of_warp, f"block_{name}": of_block, f"column_{name}": of_column}
