"""The intrinsics that both targets have: the same LLVM instructions, under each target's own decorator. Importing this imports Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numfuse.compiler.ops.random import LOW, MULTIPLIERS, ROUNDS, STEPS
from numfuse.runtime import narrow

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
FLOAT, DOUBLE, HALF = ir.FloatType(), ir.DoubleType(), ir.HalfType()


def external(builder: ir.IRBuilder, name: str, result: Any, arguments: list[Any]) -> Any:
    """The function `name` of a library, declared once a module."""
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def philox(builder: ir.IRBuilder, key: Any, place: Any, draw: Any, first: int, count: int) -> Any:
    """`count` bits from bit `first` on of Philox 4x32-10. Words of 32 bits are held in 64, and what stands above them is cleared only before
    a product: vectors of 64-bit elements have an instruction for just that."""

    def number(value: int) -> ir.Constant:
        return ir.Constant(I64, value)

    def product(word: Any, by: int) -> Any:
        return builder.mul(builder.and_(word, number(LOW)), number(by))

    def mixed(high: Any, word: Any, step: Any) -> Any:
        return builder.xor(builder.xor(builder.lshr(high, number(32)), word), step)

    a, b, c, d = place, builder.lshr(place, number(32)), draw, builder.lshr(draw, number(32))
    keys = [key, builder.lshr(key, number(32))]
    for _ in range(ROUNDS):
        p, q = product(a, MULTIPLIERS[0]), product(c, MULTIPLIERS[1])
        a, b, c, d = mixed(q, b, keys[0]), q, mixed(p, d, keys[1]), p
        keys = [builder.add(part, number(step)) for part, step in zip(keys, STEPS, strict=True)]
    low, high = (a, b) if first < 64 else (c, d)
    bits = builder.or_(builder.and_(low, number(LOW)), builder.shl(high, number(32)))
    return builder.lshr(builder.shl(bits, number(first % 64)), number(64 - count))


def define(intrinsic: Callable[..., Any], alignment: int) -> dict[str, Any]:
    """`intrinsic`: the target's decorator; `alignment` of `local` memory, in bytes."""

    @intrinsic
    def local(typing: Any, length: Any, dtype: Any) -> Any:
        """Memory of the thread's own, as a pointer: on the stack, or in registers once the loops over it are unrolled."""
        if not isinstance(length, types.Literal):
            return None
        element = dtype.dtype if hasattr(dtype, "dtype") else types.boolean

        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            with builder.goto_entry_block():
                memory = builder.alloca(context.get_data_type(element), length.literal_value)
                memory.align = alignment
            return memory

        return types.CPointer(element)(length, dtype), codegen  # type: ignore[attr-defined]

    @intrinsic
    def from_half(typing: Any, bits: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            return builder.fpext(builder.bitcast(args[0], HALF), FLOAT)

        return types.float32(types.uint16), codegen

    @intrinsic
    def to_half(typing: Any, x: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            return builder.bitcast(builder.fptrunc(args[0], HALF), I16)

        return types.uint16(types.float32), codegen

    @intrinsic
    def signbit(typing: Any, x: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            bits = I32 if args[0].type == FLOAT else I64
            return builder.icmp_signed("<", builder.bitcast(args[0], bits), ir.Constant(bits, 0))

        return types.boolean(x), codegen

    @intrinsic
    def like(typing: Any, x: Any, number: Any) -> Any:
        """`number` in the type of `x`."""
        number = types.unliteral(number)  # type: ignore[attr-defined]
        return x(x, number), lambda context, builder, signature, args: context.cast(builder, args[1], number, x)

    @intrinsic
    def choose(typing: Any, test: Any, yes: Any, no: Any) -> Any:
        """One of two numbers, both of which are computed: a conditional expression is a branch, and LLVM may move calls into branches."""
        return yes(test, yes, yes), lambda context, builder, signature, args: builder.select(*args)

    @intrinsic
    def complex_like(typing: Any, z: Any, real: Any, imag: Any) -> Any:
        """A complex number of z's type from its parts."""

        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            number = context.make_complex(builder, z)
            number.real, number.imag = args[1:]
            return number._getvalue()

        return z(z, real, imag), codegen

    @intrinsic
    def width(typing: Any, x: Any) -> Any:
        """The bits of an integer."""
        return types.int64(x), lambda context, builder, signature, args: ir.Constant(I64, x.bitwidth)

    @intrinsic
    def int_random_bits(typing: Any, key: Any, place: Any, draw: Any, first: Any, count: Any) -> Any:
        """Philox 4x32-10 (see `compiler/ops/random.py`). It stands in the kernel itself, so that loops over it are vectorised."""
        if not (isinstance(first, types.Literal) and isinstance(count, types.Literal)):
            return None

        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            low, high = [context.cast(builder, args[k], kind, types.uint64) for k, kind in ((1, place), (2, draw))]
            return philox(builder, args[0], low, high, first.literal_value, count.literal_value)

        return types.uint64(key, place, types.unliteral(draw), first, count), codegen  # type: ignore[attr-defined]

    made = (local, from_half, to_half, signbit, like, choose, complex_like, width, int_random_bits)
    return {
        **{function.__name__: function for function in made},
        **narrow.define(intrinsic),
    }
