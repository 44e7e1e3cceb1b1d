"""The float types of ml_dtypes in kernels, as LLVM instructions for both targets: their bits to and from float32. Importing this imports Numba.

A value that is too large, or halfway between two, becomes what ml_dtypes makes of it. Of the types, `x` is sign, exponent and mantissa from the top.

    bfloat16        8 bits of exponent, 7 of mantissa: the upper half of a float32
    float8_e4m3fn   4 and 3, no infinities, and one NaN of each sign: what is too large becomes that
    float8_e5m2     5 and 2: the upper half of a float16
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ir
from numba.core import types

I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
FLOAT, HALF = ir.FloatType(), ir.HalfType()


def _number(value: int) -> ir.Constant:
    return ir.Constant(I32, value)


def _nearest_even(builder: ir.IRBuilder, bits: Any, dropped: int) -> Any:
    """`bits` without the last `dropped` ones, rounded."""
    odd = builder.and_(builder.lshr(bits, _number(dropped)), _number(1))
    return builder.lshr(builder.add(builder.add(bits, _number((1 << (dropped - 1)) - 1)), odd), _number(dropped))


def _is_nan(builder: ir.IRBuilder, x: Any) -> Any:
    return builder.fcmp_unordered("uno", x, x)


def bfloat16_bits(builder: ir.IRBuilder, x: Any) -> Any:
    bits = builder.bitcast(x, I32)
    nan = builder.or_(builder.and_(builder.lshr(bits, _number(16)), _number(0x8000)), _number(0x7FC0))
    return builder.select(_is_nan(builder, x), nan, _nearest_even(builder, bits, 16))


def bfloat16_value(builder: ir.IRBuilder, bits: Any) -> Any:
    return builder.bitcast(builder.shl(bits, _number(16)), FLOAT)


@dataclass(frozen=True)
class Float8:
    """The layout of a type of 8 bits: its mantissa's bits, its exponent's bias, and which bits its largest number, what is larger, and NaN have."""

    mantissa: int
    bias: int
    largest: int
    overflow: int
    nan: int

    def bits(self, builder: ir.IRBuilder, x: Any) -> Any:
        bits = builder.bitcast(x, I32)
        size = builder.and_(bits, _number(0x7FFFFFFF))
        dropped = 23 - self.mantissa
        normal = builder.sub(_nearest_even(builder, size, dropped), _number((127 - self.bias) << self.mantissa))
        # an addition rounds what is below the least normal number: the last bit of `magic` is the least of the type
        magic = _number((127 + 24 - self.bias - self.mantissa) << 23)
        added = builder.fadd(builder.bitcast(size, FLOAT), builder.bitcast(magic, FLOAT))
        tiny = builder.icmp_unsigned("<", size, _number((127 + 1 - self.bias) << 23))
        near = builder.select(tiny, builder.sub(builder.bitcast(added, I32), magic), normal)
        near = builder.select(builder.icmp_unsigned(">", near, _number(self.largest)), _number(self.overflow), near)
        near = builder.select(_is_nan(builder, x), _number(self.nan), near)
        return builder.or_(near, builder.and_(builder.lshr(bits, _number(24)), _number(0x80)))


E4M3FN = Float8(3, 7, 0x7E, 0x7F, 0x7F)
E5M2 = Float8(2, 15, 0x7B, 0x7C, 0x7E)


def _of_half(builder: ir.IRBuilder, bits: Any) -> Any:
    return builder.fpext(builder.bitcast(builder.trunc(bits, I16), HALF), FLOAT)


def e4m3fn_value(builder: ir.IRBuilder, bits: Any) -> Any:
    """By way of a float16, whose exponent has another bias."""
    sign = builder.and_(bits, _number(0x80))
    rest = builder.and_(bits, _number(0x7F))
    half = builder.or_(builder.shl(sign, _number(8)), builder.shl(rest, _number(7)))
    number = builder.fmul(_of_half(builder, half), ir.Constant(FLOAT, 256.0))
    nan = builder.bitcast(builder.or_(builder.shl(sign, _number(24)), _number(0x7FC00000)), FLOAT)
    return builder.select(builder.icmp_unsigned("==", rest, _number(0x7F)), nan, number)


def e5m2_value(builder: ir.IRBuilder, bits: Any) -> Any:
    return _of_half(builder, builder.shl(bits, _number(8)))


LAYOUTS: dict[str, tuple[Any, Callable[..., Any], Callable[..., Any]]] = {
    "bfloat16": (types.uint16, bfloat16_bits, bfloat16_value),
    "float8_e4m3fn": (types.uint8, E4M3FN.bits, e4m3fn_value),
    "float8_e5m2": (types.uint8, E5M2.bits, e5m2_value),
}
"""The type in memory, the bits of a float32, and the float32 of bits; both bits are the last ones of 32."""


def define(intrinsic: Callable[..., Any]) -> dict[str, Any]:
    """`name(x)` rounds a float32, `to_name(x)` gives the bits of that, `from_name(bits)` its value."""
    made: dict[str, Any] = {}
    for name, (memory, bits, value) in LAYOUTS.items():
        made |= {name: _rounds(intrinsic, bits, value), **_moves(intrinsic, name, memory, bits, value)}
    return made


def _rounds(intrinsic: Callable[..., Any], bits: Callable[..., Any], value: Callable[..., Any]) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return value(builder, bits(builder, args[0]))

    return intrinsic(lambda typing, x: (types.float32(types.float32), codegen))


def _moves(
    intrinsic: Callable[..., Any], name: str, memory: Any, bits: Callable[..., Any], value: Callable[..., Any]
) -> dict[str, Any]:
    def reads(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return value(builder, builder.zext(args[0], I32))

    def writes(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.trunc(bits(builder, args[0]), I16 if memory == types.uint16 else I8)

    return {
        f"from_{name}": intrinsic(lambda typing, x: (types.float32(memory), reads)),
        f"to_{name}": intrinsic(lambda typing, x: (memory(types.float32), writes)),
    }
