"""sin and cos of float32 as a few instructions that stand in the vectorised loop.

The argument is reduced by a multiple of pi, which is subtracted in three parts (Cody and Waite; Muller, Elementary Functions, chapter 11): exact
enough up to 2**17. Larger numbers are for the C library. A loop with such a branch is not vectorised, so LLVM is given the function twice: as a
call for one number, and for vectors of each width, with a branch that is taken if any of their numbers is large. It vectorises the loop with calls of
these, which are then put in their places (`backend.py`). Over all float32 numbers from 2**-13 to 2**17 sin is at most 1.85 ulp off and cos 1.86;
sampled, NumPy's are 1.49 and 1.47 off.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.intrinsics import FLOAT, I32, I64, external

LIMIT = 2.0**17
PI = (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15)
SIN = (-0.16666659522024416, 0.0083330654420268, -0.00019809539419378874, 2.605631509857878e-06)
"""(sin(r) - r) / r**3 by powers of r**2 for abs(r) <= pi / 2; the error is below 0.11 ulp."""
WIDTHS = (4, 8, 16)
"""How many numbers vectors hold."""


def sin(builder: ir.IRBuilder, x: Any) -> Any:
    return _called(builder, "sin", 0.0, x)


def cos(builder: ir.IRBuilder, x: Any) -> Any:
    return _called(builder, "cos", 0.5, x)


def _called(builder: ir.IRBuilder, name: str, shift: float, x: Any) -> Any:
    symbol = f"numfuse_{name}"
    known = builder.module.globals.get(symbol)
    call = builder.call(known or _define(builder.module, symbol, name, shift), [x])
    told = ",".join(f"_ZGV_LLVM_N{width}v_{symbol}({symbol}_{width})" for width in WIDTHS)
    add_attribute(call, f'"vector-function-abi-variant"="{told}"')
    return call


def add_attribute(call: ir.CallInstr, attribute: str) -> None:
    """One that llvmlite does not know."""
    call.attributes._known = call.attributes._known | {attribute}
    call.attributes.add(attribute)


def _define(module: ir.Module, symbol: str, name: str, shift: float) -> ir.Function:
    """The function of one number, `symbol`, and those of vectors, `symbol`_4 and so on."""
    single = _function(module, symbol, FLOAT, [FLOAT], "noinline", "readnone")
    builder = ir.IRBuilder(single.append_basic_block())
    (x,) = single.args
    with builder.if_then(_is_large(builder, x), likely=False):
        library = external(builder, f"{name}f", FLOAT, [FLOAT])
        for attribute in ("readnone", "nounwind"):
            library.attributes.add(attribute)
        builder.ret(builder.call(library, [x]))
    builder.ret(_reduced(builder, x, shift))
    each = _define_each(module, f"{symbol}_each", single)
    for width in WIDTHS:
        kind = ir.VectorType(FLOAT, width)
        function = _function(module, f"{symbol}_{width}", kind, [kind], "alwaysinline")
        function.linkage = "weak_odr"  # nothing calls it yet
        builder = ir.IRBuilder(function.append_basic_block())
        (x,) = function.args
        memory = builder.alloca(kind)
        near, before = _reduced(builder, x, shift), builder.block
        large = builder.bitcast(_is_large(builder, x), ir.IntType(width))
        with builder.if_then(builder.icmp_unsigned("!=", large, large.type(0)), likely=False):
            builder.store(x, memory)
            builder.call(each, [builder.bitcast(memory, FLOAT.as_pointer()), I64(width)])
            far, after = builder.load(memory), builder.block
        result = builder.phi(kind)
        result.add_incoming(near, before)
        result.add_incoming(far, after)
        builder.ret(result)
    return single


def _define_each(module: ir.Module, symbol: str, single: ir.Function) -> ir.Function:
    """Replaces numbers in memory by `single` of them."""
    function = _function(module, symbol, ir.VoidType(), [FLOAT.as_pointer(), I64], "noinline", "cold")
    start, loop, end = (function.append_basic_block() for _ in range(3))
    memory, count = function.args
    builder = ir.IRBuilder(start)
    builder.branch(loop)
    builder.position_at_end(loop)
    number = builder.phi(I64)
    place = builder.gep(memory, [number])
    builder.store(builder.call(single, [builder.load(place)]), place)
    following = builder.add(number, I64(1))
    number.add_incoming(I64(0), start)
    number.add_incoming(following, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, count), loop, end)
    builder.position_at_end(end)
    builder.ret_void()
    return function


def _function(
    module: ir.Module, symbol: str, result: ir.Type, arguments: list[ir.Type], *attributes: str
) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(result, arguments), symbol)
    function.linkage = "linkonce_odr"
    for attribute in ("nounwind", *attributes):
        function.attributes.add(attribute)
    return function


def _reduced(builder: ir.IRBuilder, x: Any, shift: float) -> Any:
    """sin(x + shift * pi), of numbers up to LIMIT or vectors of them: (-1)**n * sin(r), where x = (n - shift) * pi + r."""
    number, word = functools.partial(_constant, x.type), functools.partial(_constant, _words(x.type))
    size = _call(builder, "fabs", x)
    turns = builder.fmul(size, number(1 / math.pi))
    n = _call(builder, "rint", builder.fadd(turns, number(shift)) if shift else turns)
    sign = builder.shl(builder.bitcast(builder.fadd(n, number(1.5 * 2.0**23)), word(0).type), word(31))
    if shift:
        n = builder.fsub(n, number(shift))
    else:
        sign = builder.xor(sign, builder.and_(builder.bitcast(x, word(0).type), word(-(2**31))))
    r = size
    for part in PI:
        r = _call(builder, "fma", n, number(-part), r)
    square = builder.fmul(r, r)
    total = number(SIN[-1])
    for coefficient in SIN[-2::-1]:
        total = _call(builder, "fma", total, square, number(coefficient))
    result = _call(builder, "fma", builder.fmul(r, square), total, r)
    return builder.bitcast(builder.xor(builder.bitcast(result, word(0).type), sign), x.type)


def _is_large(builder: ir.IRBuilder, x: Any) -> Any:
    return builder.fcmp_ordered(">", _call(builder, "fabs", x), _constant(x.type, LIMIT))


def _words(kind: ir.Type) -> ir.Type:
    return ir.VectorType(I32, kind.count) if isinstance(kind, ir.VectorType) else I32


def _constant(kind: ir.Type, value: float) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def _call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    kind = args[0].type
    suffix = f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
    return builder.call(external(builder, f"llvm.{name}.{suffix}", kind, [kind] * len(args)), args)
