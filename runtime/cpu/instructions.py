"""LLVM instructions for one number or a vector of them: what the functions that stand in kernels are written with."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.intrinsics import DOUBLE, FLOAT, I32, I64, external


def element(kind: ir.Type) -> ir.Type:
    """The type of one number."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def same_shape(kind: ir.Type, element: ir.Type) -> ir.Type:
    """One or as many of `element` as `kind` has."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def words(kind: ir.Type) -> ir.Type:
    """The integers that have as many bits as these floats."""
    return same_shape(kind, I32 if element(kind) == FLOAT else I64)


def suffix(kind: ir.Type) -> str:
    """The type as it ends the names of functions: f32, v4f64, i8."""
    one = element(kind)
    name = {FLOAT: "f32", DOUBLE: "f64"}.get(one) or f"i{one.width}"
    return name if kind == one else f"v{kind.count}{name}"


def constant(kind: ir.Type, value: Any) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def call(builder: ir.IRBuilder, name: str, *args: Any) -> Any:
    """An LLVM intrinsic that takes and gives one type."""
    kind = args[0].type
    return builder.call(external(builder, f"llvm.{name}.{suffix(kind)}", kind, [kind] * len(args)), args)


def fused(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    return call(builder, "fma", a, b, c)


def polynomial(builder: ir.IRBuilder, x: Any, coefficients: Sequence[Any]) -> Any:
    """By Horner's method, of numbers or of values from the lowest power up."""
    values = [constant(x.type, each) if isinstance(each, float) else each for each in coefficients]
    total = values[-1]
    for value in values[-2::-1]:
        total = fused(builder, total, x, value)
    return total


def bits_of(kind: ir.Type, value: float) -> int:
    """What a float is as an integer."""
    return int.from_bytes(struct.pack("<f" if element(kind) == FLOAT else "<d", value), "little")


def as_word(builder: ir.IRBuilder, x: Any) -> Any:
    return builder.bitcast(x, words(x.type))
