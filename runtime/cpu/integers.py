"""Quotients, powers and common divisors of integers in vectorised loops.

Quotients are those of floats that hold the integers exactly: processors have no vector instruction that divides integers.

A quotient that is no whole number is further from the next one than the float's rounding could move it: it differs by 1 / b at least, which is more than 2**-16
of it for integers of 16 bits, in float32, and 2**-32 for those of 32, in float64. So are integers of 64 bits that float64 holds; others, and
quotients by constants, are left to the processor and to LLVM.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.cpu.guarded import Guarded
from numfuse.runtime.cpu.instructions import call, constant, element, same_shape, suffix
from numfuse.runtime.intrinsics import DOUBLE, FLOAT, I32, external

Way = Callable[[ir.IRBuilder, Any, Any], Any]
Divide = Callable[[ir.IRBuilder, Any, Any, bool], Any]


def floor_divide(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    return _by(builder, a, b, signed, lambda divisor: _floored(builder, a, divisor, signed))


def remainder(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    def rest(divisor: Any) -> Any:
        return builder.sub(a, builder.mul(_floored(builder, a, divisor, signed), divisor))

    return _by(builder, a, b, signed, rest, rest=True)


def fmod(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    def rest(divisor: Any) -> Any:
        return builder.sub(a, builder.mul(_truncated(builder, a, divisor, signed), divisor))

    return _by(builder, a, b, signed, rest, rest=True)


def _by(builder: ir.IRBuilder, a: Any, b: Any, signed: bool, divide: Callable[[Any], Any], rest: bool = False) -> Any:
    """`divide` by numbers that are neither 0 nor -1: NumPy's results are 0 and -a then, which wraps around, and both 0 for rests."""
    zero, one = a.type(0), a.type(1)
    is_zero = builder.icmp_unsigned("==", b, zero)
    is_minus_one = builder.icmp_unsigned("==", b, a.type(-1)) if signed else ir.IntType(1)(0)
    made = divide(builder.select(builder.or_(is_zero, is_minus_one), one, b))
    if not rest:
        made = builder.select(is_minus_one, builder.neg(a), made)
    return builder.select(is_zero, zero, made)


def _floored(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    return _chosen(builder, a, b, signed, _FLOOR) if signed else _truncated(builder, a, b, signed)


def _truncated(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    return _chosen(builder, a, b, signed, _TRUNCATE if signed else _UNSIGNED)


@dataclass(frozen=True)
class _Quotient:
    """A way to round quotients, by a float's instruction and by integers alone."""

    rounding: str
    exactly: Way
    guarded: Guarded


def _chosen(builder: ir.IRBuilder, a: Any, b: Any, signed: bool, way: _Quotient) -> Any:
    by_floats = _by_floats(way.rounding, signed) if b.type.width <= 32 else way.guarded
    return _if_constant(builder, a, b, way.exactly, by_floats)


def _if_constant(builder: ir.IRBuilder, a: Any, b: Any, constant_way: Way, way: Way) -> Any:
    """The branch is gone before LLVM vectorises: it knows by then whether `b` is a constant."""
    is_constant = external(builder, f"llvm.is.constant.i{b.type.width}", ir.IntType(1), [b.type])
    with builder.if_else(builder.call(is_constant, [b])) as (then, otherwise):
        with then:
            first, first_end = constant_way(builder, a, b), builder.block
        with otherwise:
            second, second_end = way(builder, a, b), builder.block
    made = builder.phi(a.type)
    made.add_incoming(first, first_end)
    made.add_incoming(second, second_end)
    return made


def _by_floats(rounding: str, signed: bool) -> Way:
    into, out_of = (ir.IRBuilder.sitofp, ir.IRBuilder.fptosi) if signed else (ir.IRBuilder.uitofp, ir.IRBuilder.fptoui)

    def quotient(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
        kind = same_shape(a.type, FLOAT if element(a.type).width <= 16 else DOUBLE)
        divided = builder.fdiv(into(builder, a, kind), into(builder, b, kind))
        return out_of(builder, call(builder, rounding, divided), a.type)

    return quotient


def _is_long(signed: bool) -> Way:
    """Whether a number of 64 bits has more digits than float64."""

    def is_far(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
        word = functools.partial(constant, a.type)
        low, most = (2**52, 2**53) if signed else (0, 2**52)
        return builder.or_(*[builder.icmp_unsigned(">", builder.add(each, word(low)), word(most)) for each in (a, b)])

    return is_far


def _floor_exactly(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    q = builder.sdiv(a, b)
    rest = builder.sub(a, builder.mul(q, b))
    apart = builder.icmp_signed("<", builder.xor(rest, b), a.type(0))
    return builder.add(q, builder.sext(builder.and_(apart, builder.icmp_unsigned("!=", rest, a.type(0))), a.type))


def _way(name: str, rounding: str, exactly: Way, signed: bool) -> _Quotient:
    return _Quotient(rounding, exactly, Guarded(name, _by_floats(rounding, signed), _is_long(signed), exactly))


_FLOOR = _way("int_floored", "floor", _floor_exactly, True)
_TRUNCATE = _way("int_truncated", "trunc", ir.IRBuilder.sdiv, True)
_UNSIGNED = _way("uint_truncated", "trunc", ir.IRBuilder.udiv, False)


SHORT = 6
"""The bits of exponents for which powers are computed in as many steps, whatever they are."""


def power(builder: ir.IRBuilder, x: Any, exponent: Any) -> Any:
    """x multiplied by itself, modulo its size."""
    guarded = Guarded(f"int_power_by_i{exponent.type.width}", _power_by_steps, _is_high, _power_exactly)
    return _if_constant(builder, x, exponent, _power_exactly, guarded)


def _power_by_steps(builder: ir.IRBuilder, x: Any, exponent: Any) -> Any:
    result = constant(x.type, 1)
    for step in range(SHORT):
        is_odd = builder.icmp_unsigned(
            "!=", builder.and_(exponent, constant(exponent.type, 1 << step)), constant(exponent.type, 0)
        )
        result = builder.select(is_odd, builder.mul(result, x), result)
        x = builder.mul(x, x)
    return result


def _is_high(builder: ir.IRBuilder, x: Any, exponent: Any) -> Any:
    return builder.icmp_unsigned(">=", exponent, constant(exponent.type, 1 << SHORT))


def _power_exactly(builder: ir.IRBuilder, x: Any, exponent: Any) -> Any:
    """Of numbers, by a loop over the exponent's bits."""
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    result, power, rest = builder.phi(x.type), builder.phi(x.type), builder.phi(exponent.type)
    is_odd = builder.trunc(rest, ir.IntType(1))
    following = [
        builder.select(is_odd, builder.mul(result, power), result),
        builder.mul(power, power),
        builder.lshr(rest, rest.type(1)),
    ]
    for phi, first, value in zip((result, power, rest), (x.type(1), x, exponent), following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_unsigned("!=", following[2], rest.type(0)), loop, after)
    builder.position_at_end(after)
    return following[0]


def gcd(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    made = _GCD(builder, *_sizes(builder, a, b, signed))
    return made if made.type == a.type else builder.trunc(made, a.type)


def lcm(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> Any:
    """abs(a) / gcd * abs(b), modulo its size; 0 where both are 0."""
    first, second = _sizes(builder, a, b, signed)
    divisor = _GCD(builder, first, second)
    at_least_one = builder.select(builder.icmp_unsigned("==", divisor, divisor.type(0)), divisor.type(1), divisor)
    made = builder.mul(_truncated(builder, first, at_least_one, False), second)
    return made if made.type == a.type else builder.trunc(made, a.type)


def _sizes(builder: ir.IRBuilder, a: Any, b: Any, signed: bool) -> list[Any]:
    """The numbers without signs, in 32 bits at least: there are no vector shifts of fewer."""
    if signed:
        a, b = (
            builder.select(builder.icmp_signed("<", each, each.type(0)), builder.neg(each), each) for each in (a, b)
        )
    return [each if each.type.width >= 32 else builder.zext(each, I32) for each in (a, b)]


def _gcd(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    """The binary method (Stein, 1967): of an odd u, and v without its twos, the smaller one and their difference are next, as long as any number
    of the vector needs it. The twos that both have come back at the end."""
    word = functools.partial(constant, a.type)
    either, is_zero = builder.or_(a, b), [builder.icmp_unsigned("==", each, word(0)) for each in (a, b)]
    is_known = builder.or_(*is_zero)
    first = builder.select(is_known, word(1), a)
    start = builder.lshr(first, _twos(builder, first)), builder.select(is_known, word(0), b)
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    u, v = builder.phi(a.type), builder.phi(a.type)
    goes_on = builder.icmp_unsigned("!=", v, word(0))
    odd = builder.lshr(v, _twos(builder, v))
    smaller, larger = call(builder, "umin", u, odd), call(builder, "umax", u, odd)
    following = [builder.select(goes_on, smaller, u), builder.select(goes_on, builder.sub(larger, smaller), word(0))]
    for phi, given, value in zip((u, v), start, following, strict=True):
        phi.add_incoming(given, before)
        phi.add_incoming(value, loop)
    left = builder.icmp_unsigned("!=", following[1], word(0))
    if isinstance(a.type, ir.VectorType):
        lanes = builder.bitcast(left, ir.IntType(a.type.count))
        left = builder.icmp_unsigned("!=", lanes, lanes.type(0))
    builder.cbranch(left, loop, after)
    builder.position_at_end(after)
    return builder.select(is_known, either, builder.shl(following[0], _twos(builder, either)))


def _twos(builder: ir.IRBuilder, x: Any) -> Any:
    """How often x is divisible by 2; of 0 any number that it can be shifted by."""
    x = builder.or_(x, constant(x.type, 1 << (element(x.type).width - 1)))
    function = external(builder, f"llvm.cttz.{suffix(x.type)}", x.type, [x.type, ir.IntType(1)])
    return builder.call(function, [x, ir.IntType(1)(1)])


def _never(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    return constant(same_shape(a.type, ir.IntType(1)), 0)


_GCD = Guarded("gcd", _gcd, _never, _gcd)
