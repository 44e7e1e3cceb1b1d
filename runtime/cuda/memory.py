"""Thread numbers, and the memory that threads read, write and own, for Numba's CUDA target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numba.cuda.extending import intrinsic
from numfuse.runtime.intrinsics import DOUBLE, FLOAT, I32, I64, external

# -- threads -------------------------------------------------------------------------------------------------------------


def _register(builder: ir.IRBuilder, name: str) -> Any:
    function = external(builder, f"llvm.nvvm.read.ptx.sreg.{name}", I32, [])
    return builder.call(function, [])


def _number(codegen: Callable[[ir.IRBuilder], Any]) -> Any:
    """A thread or block number as a 64-bit integer that is known to fit 32 bits."""
    return intrinsic(
        lambda typing: (types.int64(), lambda context, builder, signature, args: builder.zext(codegen(builder), I64))
    )


thread_in_block = _number(lambda builder: _register(builder, "tid.x"))
block = _number(lambda builder: _register(builder, "ctaid.x"))
thread = _number(lambda b: b.add(b.mul(_register(b, "ctaid.x"), _register(b, "ntid.x")), _register(b, "tid.x")))


@intrinsic
def wide_thread(typing: Any) -> Any:
    """`thread()` where there are more than 32 bits can count."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        wide = [builder.zext(_register(builder, name), I64) for name in ("ctaid.x", "ntid.x", "tid.x")]
        return builder.add(builder.mul(wide[0], wide[1]), wide[2])

    return types.int64(), codegen


# -- memory --------------------------------------------------------------------------------------------------------------


@intrinsic
def unrolled(typing: Any, count: Any) -> Any:
    """`range(count)` for a loop that the compiler unrolls whatever its size, so that a tile indexed in it lies in registers."""
    if not isinstance(count, types.Literal):
        return None
    signature = types.range_state64_type(types.int64)

    def codegen(context: Any, builder: ir.IRBuilder, _: Any, args: Any) -> Any:
        _mark_next_loop(builder, "llvm.loop.unroll.full")
        make = context.get_function(range, signature)
        return make(builder, [ir.Constant(I64, count.literal_value)])

    return types.range_state64_type(count), codegen


@intrinsic
def rolled(typing: Any, start: Any, stop: Any, step: Any) -> Any:
    """`range(start, stop, step)` for a loop that the compiler leaves as it is: its body has as many loads under way as registers are for."""
    signature = types.range_state64_type(types.int64, types.int64, types.int64)

    def codegen(context: Any, builder: ir.IRBuilder, given: Any, args: Any) -> Any:
        _mark_next_loop(builder, "llvm.loop.unroll.disable")
        make = context.get_function(range, signature)
        wide = [context.cast(builder, arg, kind, types.int64) for arg, kind in zip(args, given.args, strict=True)]
        return make(builder, wide)

    return types.range_state64_type(start, stop, step), codegen


def _mark_next_loop(builder: ir.IRBuilder, kind: str) -> None:
    """Gives the loop that begins here LLVM's mark, at its jump back: the next one to a block that is complete."""
    outer = builder.branch

    def branch(target: Any) -> Any:
        jump = outer(target)
        if target.is_terminated:
            mark = builder.module.add_metadata([kind])
            loop = ir.MDValue(builder.module, [], name=str(len(builder.module.metadata)))
            loop.operands = (loop, mark)  # a loop's mark names itself
            jump.set_metadata("llvm.loop", loop)
            builder.branch = outer
        return jump

    builder.branch = branch


def _load(width: int) -> Any:
    """`load_4(tile, at, source, offset)`: `tile[at:at + 4] = source[offset:offset + 4]`."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        tile, at, source, offset = args
        element = signature.args[2].dtype
        pointer, align = _vector_pointer(context, builder, element, width, builder.gep(source, [offset]))
        value = builder.load(pointer)
        value.align = align
        target, align = _vector_pointer(context, builder, element, width, builder.gep(tile, [at]))
        builder.store(value, target).align = align
        return context.get_dummy_value()

    return intrinsic(lambda typing, tile, at, source, offset: (types.void(tile, at, source, offset), codegen))


def _store(width: int) -> Any:
    """`store_4(target, offset, tile, at)`: `target[offset:offset + 4] = tile[at:at + 4]`."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        target, offset, tile, at = args
        element = signature.args[0].dtype
        source, align = _vector_pointer(context, builder, element, width, builder.gep(tile, [at]))
        value = builder.load(source)
        value.align = align
        pointer, align = _vector_pointer(context, builder, element, width, builder.gep(target, [offset]))
        builder.store(value, pointer).align = align
        return context.get_dummy_value()

    return intrinsic(lambda typing, target, offset, tile, at: (types.void(target, offset, tile, at), codegen))


def _vector_pointer(context: Any, builder: ir.IRBuilder, element: Any, width: int, pointer: Any) -> tuple[Any, int]:
    """`pointer` as one to a vector of `width` elements, and its alignment; complex numbers move as pairs
    of floats, and bytes as words of 32 bits."""
    size = element.bitwidth // 8
    kind = context.get_data_type(element)
    if size == 1 and width % 4 == 0:
        kind, width, size = I32, width // 4, 4
    elif isinstance(element, types.Complex):
        kind, width = (FLOAT if size == 8 else DOUBLE), 2 * width
        size //= 2
    return builder.bitcast(pointer, ir.VectorType(kind, width).as_pointer()), min(16, size * width)


NAMES: dict[str, Any] = {
    "thread_in_block": thread_in_block,
    "block": block,
    "thread": thread,
    "wide_thread": wide_thread,
    "unrolled": unrolled,
    "rolled": rolled,
    **{f"load_{n}": _load(n) for n in (2, 4, 8, 16)},
    **{f"store_{n}": _store(n) for n in (2, 4, 8, 16)},
}
