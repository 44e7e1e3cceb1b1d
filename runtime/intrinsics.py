"""The intrinsics that both targets have: the same LLVM instructions, under each target's own decorator. Importing this imports Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba.core import types

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT, DOUBLE, HALF = ir.FloatType(), ir.DoubleType(), ir.HalfType()


def external(builder: ir.IRBuilder, name: str, result: Any, arguments: list[Any]) -> Any:
    """The function `name` of a library, declared once a module."""
    known = builder.module.globals.get(name)
    return known if known is not None else ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def define(intrinsic: Callable[..., Any], symbol: Callable[[str, Any], str], alignment: int) -> dict[str, Any]:
    """`intrinsic`: the target's decorator; `symbol(name, type)`: what its library calls the C function `name` of that type; `alignment` of
    `local` memory, in bytes."""

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
    def ldexp_int(typing: Any, x: Any, exponent: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            kind, by = args[0].type, args[1]
            by = builder.sext(by, I32) if by.type.width < 32 else builder.trunc(by, I32) if by.type.width > 32 else by
            return builder.call(external(builder, symbol("ldexp", kind), kind, [kind, I32]), [args[0], by])

        return x(x, exponent), codegen

    def frexp(part: int) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            kind = args[0].type
            with builder.goto_entry_block():
                exponent = builder.alloca(I32)
            function = external(builder, symbol("frexp", kind), kind, [kind, I32.as_pointer()])
            mantissa = builder.call(function, [args[0], exponent])
            return builder.load(exponent) if part else mantissa

        return intrinsic(lambda typing, x: ((types.int32 if part else x)(x), codegen))

    made = (local, from_half, to_half, signbit, like, complex_like, width, ldexp_int)
    return {
        **{function.__name__: function for function in made},
        "frexp_mantissa": frexp(0),
        "frexp_exponent": frexp(1),
    }
