"""The functions that kernels call, for Numba's CUDA target. Importing this module imports numba-cuda; no GPU is needed.

Functions of floats call libdevice; threads of a warp exchange values by shuffles, and warps of a block through shared memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba import cuda
from numba.core import types
from numba.cuda import cgutils
from numba.cuda.extending import intrinsic
from numfuse.runtime.cuda.device_functions import compiled
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

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT, DOUBLE, HALF = ir.FloatType(), ir.DoubleType(), ir.HalfType()
WARP = 32
COLUMN_TILE = 512
"""Threads of a block whose rows are columns: the printer makes them 32 columns of 16."""


def one(codegen: Callable[..., Any], result: Callable[[Any], Any] = lambda x: x) -> Any:
    """An intrinsic of one operand."""
    return intrinsic(
        lambda typing, x: (result(x)(x), lambda context, builder, signature, args: codegen(builder, *args))
    )


def two(codegen: Callable[..., Any]) -> Any:
    """An intrinsic of two operands of one type."""
    return intrinsic(lambda typing, x, y: (x(x, x), lambda context, builder, signature, args: codegen(builder, *args)))


# -- threads -------------------------------------------------------------------------------------------------------------


def _register(builder: ir.IRBuilder, name: str) -> Any:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(I32, []), f"llvm.nvvm.read.ptx.sreg.{name}"
    )
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
def local(typing: Any, length: Any, dtype: Any) -> Any:
    """Memory of the thread's own: registers, once the loops over it are unrolled."""
    if not isinstance(length, types.Literal):
        return None
    element = dtype.dtype if hasattr(dtype, "dtype") else types.boolean

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        with builder.goto_entry_block():
            memory = builder.alloca(context.get_data_type(element), length.literal_value)
            memory.align = 16
        return memory

    return types.CPointer(element)(length, dtype), codegen


def _load(width: int) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        tile, source, offset = args
        pointer, align = _vector_pointer(
            context, builder, signature.args[1].dtype, width, builder.gep(source, [offset])
        )
        value = builder.load(pointer)
        value.align = align
        builder.store(value, builder.bitcast(tile, pointer.type)).align = align
        return context.get_dummy_value()

    return intrinsic(lambda typing, tile, source, offset: (types.void(tile, source, offset), codegen))


def _store(width: int) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        target, offset, tile = args
        pointer, align = _vector_pointer(
            context, builder, signature.args[0].dtype, width, builder.gep(target, [offset])
        )
        value = builder.load(builder.bitcast(tile, pointer.type))
        value.align = align
        builder.store(value, pointer).align = align
        return context.get_dummy_value()

    return intrinsic(lambda typing, target, offset, tile: (types.void(target, offset, tile), codegen))


def _vector_pointer(context: Any, builder: ir.IRBuilder, element: Any, width: int, pointer: Any) -> tuple[Any, int]:
    """`pointer` as one to a vector of `width` elements, and its alignment; complex numbers move as pairs of floats."""
    size = element.bitwidth // 8
    kind = context.get_data_type(element)
    if isinstance(element, types.Complex):
        kind, width = (FLOAT if size == 8 else DOUBLE), 2 * width
        size //= 2
    return builder.bitcast(pointer, ir.VectorType(kind, width).as_pointer()), min(16, size * width)


# -- scalars -------------------------------------------------------------------------------------------------------------


def _libdevice(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    kind = args[0].type
    symbol = f"__nv_{name}{'f' if kind == FLOAT else ''}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * len(args)), symbol)
    return builder.call(function, args)


def libdevice(name: str, arity: int = 1) -> Any:
    def codegen(builder: ir.IRBuilder, *args: Any) -> Any:
        return _libdevice(builder, name, *args)

    return one(codegen) if arity == 1 else two(codegen)


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


def _bits_of(x: Any) -> ir.IntType:
    return I32 if x.type == FLOAT else I64


signbit = one(
    lambda builder, x: builder.icmp_signed("<", builder.bitcast(x, _bits_of(x)), ir.Constant(_bits_of(x), 0)),
    lambda x: types.boolean,
)


@intrinsic
def like(typing: Any, x: Any, number: Any) -> Any:
    """`number` in the type of `x`."""
    number = types.unliteral(number)
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
def count_ones(typing: Any, x: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        wide = args[0] if args[0].type == I64 else builder.zext(args[0], I64)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, [I64]), "__nv_popcll")
        return builder.trunc(builder.call(function, [wide]), I8)

    return types.uint8(x), codegen


@intrinsic
def ldexp_int(typing: Any, x: Any, exponent: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind, by = args[0].type, args[1]
        by = builder.sext(by, I32) if by.type.width < 32 else builder.trunc(by, I32) if by.type.width > 32 else by
        symbol = "__nv_ldexpf" if kind == FLOAT else "__nv_ldexp"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind, I32]), symbol), [args[0], by]
        )

    return x(x, exponent), codegen


def _frexp(result: int) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = args[0].type
        with builder.goto_entry_block():
            exponent = builder.alloca(I32)
        symbol = "__nv_frexpf" if kind == FLOAT else "__nv_frexp"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind, I32.as_pointer()]), symbol
        )
        mantissa = builder.call(function, [args[0], exponent])
        return builder.load(exponent) if result else mantissa

    return intrinsic(lambda typing, x: ((types.int32 if result else x)(x), codegen))


@intrinsic
def from_half(typing: Any, bits: Any) -> Any:
    return types.float32(types.uint16), lambda context, builder, signature, args: builder.fpext(
        builder.bitcast(args[0], HALF), FLOAT
    )


@intrinsic
def to_half(typing: Any, x: Any) -> Any:
    return types.uint16(types.float32), lambda context, builder, signature, args: builder.bitcast(
        builder.fptrunc(args[0], HALF), I16
    )


half = one(lambda builder, x: builder.fpext(builder.fptrunc(x, HALF), FLOAT), lambda x: types.float32)
modulus = intrinsic(
    lambda typing, z: (
        z.underlying_float(z),
        lambda context, builder, signature, args: _libdevice(
            builder, "hypot", *[builder.extract_value(args[0], k) for k in (0, 1)]
        ),
    )
)


# -- sharing among threads -----------------------------------------------------------------------------------------------


@intrinsic
def shared_like(typing: Any, length: Any, x: Any) -> Any:
    """`length` elements of x's type in the block's shared memory."""
    if not isinstance(length, types.Literal):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = ir.ArrayType(context.get_data_type(x), length.literal_value)
        memory = cgutils.add_global_variable(builder.module, kind, builder.module.get_unique_name("shared"), 3)
        memory.linkage, memory.align = "internal", 16
        memory.initializer = ir.Constant(kind, ir.Undefined)
        generic = builder.addrspacecast(memory, kind.as_pointer(), "generic")
        return builder.gep(generic, [ir.Constant(I32, 0), ir.Constant(I32, 0)])

    return types.CPointer(x)(length, x), codegen


def _team_functions(name: str, combine: Callable[..., Any], shuffled: Callable[..., Any]) -> dict[str, Any]:
    """The functions that join the values of a warp's, a block's or a column's threads by `combine`; all threads get the result."""
    in_block = thread_in_block

    @compiled
    def of_warp(x):  # type: ignore[no-untyped-def]
        for distance in (16, 8, 4, 2, 1):
            x = combine(x, shuffled(x, distance))
        return x

    @compiled
    def of_block(x):  # type: ignore[no-untyped-def]
        tile = shared_like(WARP, x)
        x = of_warp(x)
        member = in_block()
        if member % WARP == 0:
            tile[member // WARP] = x
        cuda.syncthreads()
        total = tile[0]
        for warp in range(1, (cuda.blockDim.x + WARP - 1) // WARP):
            total = combine(total, tile[warp])
        cuda.syncthreads()
        return total

    @compiled
    def of_column(x, columns, team):  # type: ignore[no-untyped-def]
        tile = shared_like(COLUMN_TILE, x)
        member = in_block()
        tile[member] = x
        cuda.syncthreads()
        total = tile[member % columns]
        for other in range(1, team):
            total = combine(total, tile[member % columns + columns * other])
        cuda.syncthreads()
        return total

    return {f"warp_{name}": of_warp, f"block_{name}": of_block, f"column_{name}": of_column}


@intrinsic
def shuffled(typing: Any, x: Any, distance: Any) -> Any:
    """The value of the thread whose number differs in the bit `distance`: any type, in pieces of 32 bits."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        value, by = args
        size = context.get_abi_sizeof(context.get_data_type(x))
        words = (size + 3) // 4
        memory = cgutils.alloca_once(builder, ir.ArrayType(I32, words))
        builder.store(value, builder.bitcast(memory, value.type.as_pointer()))
        exchange = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.LiteralStructType([I32, ir.IntType(1)]), [I32] * 5),
            "llvm.nvvm.shfl.sync.i32",
        )
        everyone, butterfly, clamp = ir.Constant(I32, 0xFFFFFFFF), ir.Constant(I32, 3), ir.Constant(I32, 31)
        for word in range(words):
            place = builder.gep(memory, [ir.Constant(I32, 0), ir.Constant(I32, word)])
            got = builder.call(exchange, [everyone, butterfly, builder.load(place), builder.trunc(by, I32), clamp])
            builder.store(builder.extract_value(got, 0), place)
        return builder.load(builder.bitcast(memory, value.type.as_pointer()))

    return x(x, types.int64), codegen


@compiled
def _add(a, b):  # type: ignore[no-untyped-def]
    return like(a, a + b)


@compiled
def _multiply(a, b):  # type: ignore[no-untyped-def]
    return like(a, a * b)


@compiled
def _or(a, b):  # type: ignore[no-untyped-def]
    return like(a, a | b)


@compiled
def _and(a, b):  # type: ignore[no-untyped-def]
    return like(a, a & b)


@compiled
def _xor(a, b):  # type: ignore[no-untyped-def]
    return like(a, a ^ b)


_COMBINE = {
    "add": _add, "multiply": _multiply, "maximum": maximum, "minimum": minimum, "fmax": fmax, "fmin": fmin, "bitwise_or": _or,
    "bitwise_and": _and, "bitwise_xor": _xor,
}  # fmt: skip
_PRIMITIVES: dict[str, Any] = {
    **globals(),
    **{name: libdevice(_LIBDEVICE_NAMES.get(name, name)) for name in _UNARY},
    **{name: libdevice(symbol, 2) for name, symbol in _BINARY.items()},
    "frexp_mantissa": _frexp(0),
    "frexp_exponent": _frexp(1),
    **{f"load_{n}": _load(n) for n in (2, 4, 8, 16)},
    **{f"store_{n}": _store(n) for n in (2, 4, 8, 16)},
}

NAMES: dict[str, Any] = {
    **_PRIMITIVES,
    **define(compiled, _PRIMITIVES),
    **{name: f for way, combine in _COMBINE.items() for name, f in _team_functions(way, combine, shuffled).items()},
}
"""What printed kernels find: every name that the operator table's code and the CUDA printer use."""
