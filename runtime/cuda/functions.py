"""The functions that kernels call, for Numba's CUDA target. Importing this module imports numba-cuda; no GPU is needed.

Functions of floats call libdevice. How threads share values stands in `teams.py`, what they read and write in `memory.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba.core import types
from numba.cuda.extending import intrinsic
from numfuse.runtime import intrinsics
from numfuse.runtime.cuda import memory, teams
from numfuse.runtime.cuda.device_functions import compiled
from numfuse.runtime.intrinsics import FLOAT, HALF, I8, I32, I64, external
from numfuse.runtime.scalars import define
from numpy import (  # noqa: F401
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    inf,
    int8,
    int16,
    int32,
    int64,
    nan,
    uint8,
    uint16,
    uint32,
    uint64,
)  # fmt: skip


def one(codegen: Callable[..., Any], result: Callable[[Any], Any] = lambda x: x) -> Any:
    """An intrinsic of one operand."""
    return intrinsic(
        lambda typing, x: (result(x)(x), lambda context, builder, signature, args: codegen(builder, *args))
    )


def two(codegen: Callable[..., Any]) -> Any:
    """An intrinsic of two operands of one type."""
    return intrinsic(lambda typing, x, y: (x(x, x), lambda context, builder, signature, args: codegen(builder, *args)))


def three(codegen: Callable[..., Any]) -> Any:
    return intrinsic(
        lambda typing, x, y, z: (x(x, x, x), lambda context, builder, signature, args: codegen(builder, *args))
    )


# -- scalars -------------------------------------------------------------------------------------------------------------


def _symbol(name: str, kind: Any) -> str:
    return f"__nv_{name}{'f' if kind == FLOAT else ''}"


def _libdevice(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    kind = args[0].type
    return builder.call(external(builder, _symbol(name, kind), kind, [kind] * len(args)), args)


def libdevice(name: str, arity: int = 1) -> Any:
    def codegen(builder: ir.IRBuilder, *args: Any) -> Any:
        return _libdevice(builder, name, *args)

    return {1: one, 2: two, 3: three}[arity](codegen)


def _by_kind(floats: Callable[..., Any], signed: Callable[..., Any], unsigned: Callable[..., Any], arity: int) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        return (floats if isinstance(kind, types.Float) else signed if kind.signed else unsigned)(builder, *args)

    if arity == 1:
        return intrinsic(lambda typing, x: (x(x), codegen))
    return intrinsic(lambda typing, x, y: (x(x, x), codegen))


def _absolute_float(builder: ir.IRBuilder, x: Any) -> Any:
    return _libdevice(builder, "fabs", x)


def _absolute_int(builder: ir.IRBuilder, x: Any) -> Any:
    return builder.select(builder.icmp_signed("<", x, ir.Constant(x.type, 0)), builder.neg(x), x)


def _extremum(sign: str) -> Callable[[ir.IRBuilder, Any, Any], Any]:
    """NumPy's maximum or minimum of floats: NaN, where either operand is."""

    def codegen(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
        takes_a = builder.or_(builder.fcmp_ordered(sign, a, b), builder.fcmp_unordered("uno", a, a))
        return builder.select(takes_a, a, b)

    return codegen


def _number_extremum(name: str) -> Callable[[ir.IRBuilder, Any, Any], Any]:
    return lambda builder, a, b: _libdevice(builder, name, a, b)


def _pick(compare: str, sign: str) -> Callable[[ir.IRBuilder, Any, Any], Any]:
    return lambda builder, a, b: builder.select(getattr(builder, compare)(sign, a, b), a, b)


absolute = _by_kind(_absolute_float, _absolute_int, lambda builder, x: x, 1)
maximum = _by_kind(_extremum(">="), _pick("icmp_signed", ">"), _pick("icmp_unsigned", ">"), 2)
minimum = _by_kind(_extremum("<="), _pick("icmp_signed", "<"), _pick("icmp_unsigned", "<"), 2)
fmax = _by_kind(_number_extremum("fmax"), _pick("icmp_signed", ">"), _pick("icmp_unsigned", ">"), 2)
fmin = _by_kind(_number_extremum("fmin"), _pick("icmp_signed", "<"), _pick("icmp_unsigned", "<"), 2)
fold_add = two(lambda builder, total, value: builder.fadd(total, value))
fold_multiply = two(lambda builder, total, value: builder.fmul(total, value))
_LIBDEVICE_NAMES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
_UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
    "tanh", "arcsinh", "arccosh", "arctanh", "sqrt", "floor", "ceil", "trunc", "rint",
)  # fmt: skip
_BINARY = {
    "power": "pow",
    "hypot": "hypot",
    "arctan2": "atan2",
    "nextafter": "nextafter",
    "fmod": "fmod",
    "copysign": "copysign",
}


@intrinsic
def count_ones(typing: Any, x: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        wide = args[0] if args[0].type == I64 else builder.zext(args[0], I64)
        return builder.trunc(builder.call(external(builder, "__nv_popcll", I32, [I64]), [wide]), I8)

    return types.uint8(x), codegen


half = one(lambda builder, x: builder.fpext(builder.fptrunc(x, HALF), FLOAT), lambda x: types.float32)
modulus = intrinsic(
    lambda typing, z: (
        z.underlying_float(z),
        lambda context, builder, signature, args: _libdevice(
            builder, "hypot", *[builder.extract_value(args[0], k) for k in (0, 1)]
        ),
    )
)


@intrinsic
def ldexp_int(typing: Any, x: Any, exponent: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind, by = args[0].type, args[1]
        by = builder.sext(by, I32) if by.type.width < 32 else builder.trunc(by, I32) if by.type.width > 32 else by
        return builder.call(external(builder, _symbol("ldexp", kind), kind, [kind, I32]), [args[0], by])

    return x(x, exponent), codegen


def _frexp(part: int) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = args[0].type
        with builder.goto_entry_block():
            exponent = builder.alloca(I32)
        function = external(builder, _symbol("frexp", kind), kind, [kind, I32.as_pointer()])
        mantissa = builder.call(function, [args[0], exponent])
        return builder.load(exponent) if part else mantissa

    return intrinsic(lambda typing, x: ((types.int32 if part else x)(x), codegen))


_PRIMITIVES: dict[str, Any] = {
    **{name: value for name, value in globals().items() if not name.startswith("_")},
    **memory.NAMES,
    "shared": teams.shared,
    "barrier": teams.barrier,
    **intrinsics.define(intrinsic, alignment=16),
    "frexp_mantissa": _frexp(0),
    "frexp_exponent": _frexp(1),
    **{name: libdevice(_LIBDEVICE_NAMES.get(name, name)) for name in _UNARY},
    **{name: libdevice(symbol, 2) for name, symbol in _BINARY.items()},
    "fused": libdevice("fma", 3),
}


like = _PRIMITIVES["like"]


def _like_first(combine: Callable[[Any, Any], Any]) -> Any:
    """`combine` in the type of its operands: Numba widens small integers."""
    return compiled(lambda a, b: like(a, combine(a, b)))


_COMBINE = {
    "add": operator.add,
    "multiply": operator.mul,
    "bitwise_or": operator.or_,
    "bitwise_and": operator.and_,
    "bitwise_xor": operator.xor,
}
_TEAMS = {
    **{name: _like_first(combine) for name, combine in _COMBINE.items()},
    **{"maximum": maximum, "minimum": minimum, "fmax": fmax, "fmin": fmin},
}
NAMES: dict[str, Any] = {
    **_PRIMITIVES,
    **define(compiled, _PRIMITIVES),
    **{name: f for way, combine in _TEAMS.items() for name, f in teams.functions(way, combine).items()},
}
"""What printed kernels find: every name that the operator table's code and the CUDA printer use."""
