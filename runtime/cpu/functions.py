"""The functions that kernels call, for Numba's CPU target. Importing this module imports Numba.

Functions of one or two floats call the C library; inside a vectorised loop, LLVM replaces the call by glibc's vector
library (libmvec) where the machine has it. The rest are LLVM instructions, or a few lines of Python that Numba compiles.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numba.core import types
from numba.extending import intrinsic
from numfuse.runtime import intrinsics
from numfuse.runtime.cpu import division, elementary, float_parts, integers, powers, trigonometry
from numfuse.runtime.cpu.guarded import add_attribute, of_library
from numfuse.runtime.cpu.instructions import words
from numfuse.runtime.cpu.product_functions import product_tile  # noqa: F401
from numfuse.runtime.cpu.stream_functions import past_line, store_fence, stream  # noqa: F401
from numfuse.runtime.cpu.target import helper
from numfuse.runtime.cpu.turn_functions import turn  # noqa: F401
from numfuse.runtime.intrinsics import DOUBLE, FLOAT, HALF, I32, external
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

VECTOR_WIDTHS = (("b", 16), ("d", 32), ("e", 64))
"""libmvec's x86 variants by the letter in their names, and the bytes of a vector: SSE4, AVX2, AVX-512."""


def _load_libmvec() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libmvec.so.1")
    except OSError:
        return None
    llvm.load_library_permanently("libmvec.so.1")
    return library if hasattr(library, "_ZGVdN4v_exp") else None


LIBMVEC = _load_libmvec()


def vector_variants(symbol: str, scalar: ir.Type, arity: int) -> list[tuple[str, int]]:
    """The vector forms of a C function that libmvec has: their names and widths."""
    size = 4 if scalar == FLOAT else 8
    found = []
    for letter, nbytes in VECTOR_WIDTHS:
        name = f"_ZGV{letter}N{nbytes // size}{'v' * arity}_{symbol}"
        if LIBMVEC is not None and hasattr(LIBMVEC, name):
            found.append((name, nbytes // size))
    return found


def call_c(builder: ir.IRBuilder, symbol: str, args: list[Any]) -> Any:
    """Calls a C function of floats, and tells LLVM of its vector forms."""
    scalar = args[0].type
    call = of_library(symbol)(builder, *args)
    symbol += "f" if scalar == FLOAT else ""
    module = builder.module
    variants = vector_variants(symbol, scalar, len(args))
    if variants:
        told = ",".join(f"_ZGV_LLVM_N{width}{'v' * len(args)}_{symbol}({name})" for name, width in variants)
        add_attribute(call, f'"vector-function-abi-variant"="{told}"')
        for name, width in variants:
            vector = ir.VectorType(scalar, width)
            declared = external(builder, name, vector, [vector] * len(args))
            _keep_declared(module, declared)
    return call


def _keep_declared(module: ir.Module, function: ir.Function) -> None:
    """Keeps a function that nothing calls yet: LLVM's vectoriser may."""
    pointer = ir.IntType(8).as_pointer()
    known = module.globals.get("llvm.compiler.used")
    kept = list(known.initializer.constant) if known is not None else []
    if any(function.name in str(entry) for entry in kept):
        return
    kept.append(function.bitcast(pointer))
    if known is not None:
        del module.globals["llvm.compiler.used"]
        module.scope.deregister("llvm.compiler.used") if hasattr(
            module.scope, "deregister"
        ) else module.scope._useset.discard("llvm.compiler.used")
    used = ir.GlobalVariable(module, ir.ArrayType(pointer, len(kept)), "llvm.compiler.used")
    used.linkage, used.section = "appending", "llvm.metadata"
    used.initializer = ir.Constant(used.value_type, kept)


def c_function(symbol: str, arity: int = 1) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return call_c(builder, symbol, list(args))

    if arity == 1:
        return intrinsic(lambda typing, x: (x(x), codegen))
    return intrinsic(lambda typing, x, y: (x(x, x), lambda c, b, s, a: codegen(c, b, s, a)))


def llvm_function(name: str, arity: int = 1, flags: tuple[str, ...] = ()) -> Any:
    """An LLVM intrinsic that takes and gives one type."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = args[0].type
        suffix = {FLOAT: "f32", DOUBLE: "f64"}.get(kind) or f"i{kind.width}"
        function = external(builder, f"llvm.{name}.{suffix}", kind, [kind] * arity)
        return builder.call(function, args, fastmath=flags)

    if arity == 1:
        return intrinsic(lambda typing, x: (x(x), codegen))
    if arity == 3:
        return intrinsic(lambda typing, x, y, z: (x(x, x, x), codegen))
    return intrinsic(lambda typing, x, y: (x(x, x), codegen))


def _two(codegen: Callable[..., Any]) -> Any:
    """An intrinsic of two operands of one type."""
    return intrinsic(lambda typing, x, y: (x(x, x), lambda context, builder, signature, args: codegen(builder, *args)))


@intrinsic
def ldexp_int(typing: Any, x: Any, exponent: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = words(args[0].type)
        resized = builder.trunc if args[1].type.width > kind.width else builder.sext
        return float_parts.ldexp(builder, args[0], args[1] if args[1].type == kind else resized(args[1], kind))

    return x(x, exponent), codegen


@intrinsic
def frexp_mantissa(typing: Any, x: Any) -> Any:
    return x(x), lambda context, builder, signature, args: float_parts.frexp(builder, args[0])[0]


@intrinsic
def frexp_exponent(typing: Any, x: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        exponent = float_parts.frexp(builder, args[0])[1]
        return exponent if exponent.type == I32 else builder.trunc(exponent, I32)

    return types.int32(x), codegen


def by_kind(
    floats: Callable[..., Any], signed: Callable[..., Any], unsigned: Callable[..., Any], arity: int = 1
) -> Any:
    """An intrinsic whose code is picked by the kind of its operands."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        pick = floats if isinstance(kind, types.Float) else signed if kind.signed else unsigned
        return pick(builder, *args)

    if arity == 1:
        return intrinsic(lambda typing, x: (x(x), codegen))
    return intrinsic(lambda typing, x, y: (x(x, x), codegen))


def float_call(name: str, flags: tuple[str, ...] = ()) -> Callable[..., Any]:
    def call(builder: ir.IRBuilder, *args: Any) -> Any:
        kind = args[0].type
        suffix = "f32" if kind == FLOAT else "f64"
        function = external(builder, f"llvm.{name}.{suffix}", kind, [kind] * len(args))
        return builder.call(function, args, fastmath=flags)

    return call


def chosen(comparison: str, compare: str) -> Callable[..., Any]:
    def call(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
        return builder.select(getattr(builder, comparison)(compare, a, b), a, b)

    return call


def negated_if_negative(builder: ir.IRBuilder, a: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, ir.Constant(a.type, 0)), builder.neg(a), a)


def itself(builder: ir.IRBuilder, a: Any) -> Any:
    return a


_LIBM_NAMES = {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
}
_UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
)  # fmt: skip


def short_or_c(name: str, short: Callable[..., Any], *kinds: ir.Type, arity: int = 1) -> Any:
    """A function of floats of these kinds in the kernel itself where that pays, else the C library's."""
    fast = elementary.is_fast()

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return short(builder, *args) if fast and args[0].type in kinds else call_c(builder, name, list(args))

    if arity == 1:
        return intrinsic(lambda typing, x: (x(x), codegen))
    return intrinsic(lambda typing, x, y: (x(x, x), codegen))


power = short_or_c("pow", powers.power, FLOAT, arity=2)
hypot = short_or_c("hypot", elementary.hypot, FLOAT, DOUBLE, arity=2)
arctan2 = c_function("atan2", 2)
nextafter = _two(float_parts.nextafter)
_CALLS = {name: c_function(_LIBM_NAMES.get(name, name)) for name in _UNARY} | {
    "exp": short_or_c("exp", elementary.exp, FLOAT, DOUBLE),
    "log": short_or_c("log", elementary.log, FLOAT, DOUBLE),
    "sin": short_or_c("sin", trigonometry.sin, FLOAT),
    "cos": short_or_c("cos", trigonometry.cos, FLOAT),
    "exp2": short_or_c("exp2", elementary.exp2, FLOAT, DOUBLE),
    "log1p": short_or_c("log1p", elementary.log1p, FLOAT, DOUBLE),
    "tanh": short_or_c("tanh", elementary.tanh, FLOAT, DOUBLE),
    "fmod": short_or_c("fmod", division.fmod, FLOAT, DOUBLE, arity=2),
}
sqrt, floor, ceil, trunc, rint = (llvm_function(name) for name in ("sqrt", "floor", "ceil", "trunc", "rint"))
copysign = llvm_function("copysign", 2)
fused = llvm_function("fma", 3)
absolute = by_kind(float_call("fabs"), negated_if_negative, itself)
maximum = by_kind(float_call("maximum", ("nsz",)), chosen("icmp_signed", ">"), chosen("icmp_unsigned", ">"), 2)
minimum = by_kind(float_call("minimum", ("nsz",)), chosen("icmp_signed", "<"), chosen("icmp_unsigned", "<"), 2)
fmax = by_kind(float_call("maxnum", ("nsz",)), chosen("icmp_signed", ">"), chosen("icmp_unsigned", ">"), 2)
fmin = by_kind(float_call("minnum", ("nsz",)), chosen("icmp_signed", "<"), chosen("icmp_unsigned", "<"), 2)


def _fold(operation: str) -> Any:
    """May be done in any order. With `nsz` too, LLVM would draw factors out of sums, and `inf - inf` would be `0 * inf`."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return getattr(builder, operation)(*args, flags=("reassoc",))

    return intrinsic(lambda typing, total, value: (total(total, total), codegen))


fold_add, fold_multiply = _fold("fadd"), _fold("fmul")


@intrinsic
def opaque(typing: Any, x: Any) -> Any:
    """`x`, as a value that LLVM does not know: it went through a machine register in assembly of no instructions."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        (value,) = args
        word = ir.IntType(64 if value.type == DOUBLE else 32 if value.type == FLOAT else value.type.width)
        same = builder.asm(ir.FunctionType(word, [word]), "", "=r,0", [builder.bitcast(value, word)], False)
        return builder.bitcast(same, value.type)

    return x(x), codegen


@intrinsic
def half(typing: Any, x: Any) -> Any:
    """Rounds to float16. A float64 goes through a float32 that is rounded to odd, so that it is rounded once in effect."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        (value,) = args
        if value.type == DOUBLE:
            value = round_to_odd(builder, value)
        return builder.fpext(builder.fptrunc(value, HALF), FLOAT)

    return types.float32(x), codegen


def round_to_odd(builder: ir.IRBuilder, value: Any) -> Any:
    near = builder.fptrunc(value, FLOAT)
    back = builder.fpext(near, DOUBLE)
    bits = builder.bitcast(near, I32)
    even = builder.icmp_unsigned("==", builder.and_(bits, ir.Constant(I32, 1)), ir.Constant(I32, 0))
    inexact = builder.fcmp_ordered("!=", value, back)
    grows = builder.xor(
        builder.fcmp_ordered(">", value, back), builder.fcmp_ordered("<", value, ir.Constant(DOUBLE, 0.0))
    )
    moved = builder.select(grows, builder.add(bits, ir.Constant(I32, 1)), builder.sub(bits, ir.Constant(I32, 1)))
    return builder.bitcast(builder.select(builder.and_(even, inexact), moved, bits), FLOAT)


@intrinsic
def count_ones(typing: Any, x: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        count = builder.ctpop(args[0])
        byte = ir.IntType(8)
        return count if count.type == byte else builder.trunc(count, byte)

    return types.uint8(x), codegen


def _modulus(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    parts = [builder.extract_value(args[0], part) for part in (0, 1)]
    return elementary.hypot(builder, *parts) if elementary.is_fast() else call_c(builder, "hypot", parts)


modulus = intrinsic(lambda typing, z: (z.underlying_float(z), _modulus))
_PRIMITIVES = {
    **intrinsics.define(intrinsic, alignment=64),
    **globals(),
    **_CALLS,
}


def _of_integers(divide: integers.Divide) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind, other = signature.args
        return divide(builder, args[0], context.cast(builder, args[1], other, kind), kind.signed)

    return intrinsic(lambda typing, x, y: (types.unliteral(x)(x, y), codegen))  # type: ignore[attr-defined]


@intrinsic
def _int_power(typing: Any, x: Any, exponent: Any) -> Any:
    exponent = types.unliteral(exponent)  # type: ignore[attr-defined]
    return x(x, exponent), lambda context, builder, signature, args: integers.power(builder, *args)


_BETTER = {
    f"int_{name}": _of_integers(getattr(integers, name)) for name in ("floor_divide", "remainder", "fmod", "gcd", "lcm")
}
"""In place of what all targets compile."""
_BETTER["int_power"] = _int_power
if elementary.is_fast():
    _BETTER["floor_divide"] = _two(division.floor_divide)

NAMES: dict[str, Any] = {**_PRIMITIVES, **define(helper, _PRIMITIVES), **_BETTER}
"""What printed kernels find: every name that the operator table's code uses."""
