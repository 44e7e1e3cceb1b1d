"""Functions that a few instructions compute for nearly all numbers, and the C library for the rest.

A loop with such a branch is not vectorised, so LLVM is given the function twice: as a call for one number, and for vectors of each width, with a
branch that is taken if any of their numbers needs it. It vectorises the loop with calls of these, which are then put in their places (`backend.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ir
from numfuse.runtime.cpu.instructions import element, suffix
from numfuse.runtime.intrinsics import FLOAT, I64, external

WIDTHS = (2, 4, 8, 16)
"""How many numbers vectors hold."""


@dataclass(frozen=True)
class Guarded:
    """`near` and `is_far` take numbers or vectors of one type, `far` numbers. What `near` gives of a number does not depend on its neighbours."""

    name: str
    near: Callable[..., Any]
    is_far: Callable[..., Any]
    far: Callable[..., Any]

    def __call__(self, builder: ir.IRBuilder, *args: Any) -> Any:
        symbol = f"numfuse_{self.name}_{suffix(args[0].type)}"
        known = builder.module.globals.get(symbol)
        made = builder.call(known or self._define(builder.module, symbol, [arg.type for arg in args]), args)
        vectors = "v" * len(args)
        told = ",".join(f"_ZGV_LLVM_N{width}{vectors}_{symbol}({symbol}_{width})" for width in WIDTHS)
        add_attribute(made, f'"vector-function-abi-variant"="{told}"')
        return made

    def _define(self, module: ir.Module, symbol: str, kinds: list[ir.Type]) -> ir.Function:
        """The function of numbers, `symbol`, and those of vectors, `symbol`_4 and so on."""
        single = _function(module, symbol, kinds[0], kinds, "noinline", "readnone")
        builder = ir.IRBuilder(single.append_basic_block())
        with builder.if_then(self.is_far(builder, *single.args), likely=False):
            builder.ret(self.far(builder, *single.args))
        builder.ret(self.near(builder, *single.args))
        each = _define_each(module, f"{symbol}_each", single)
        for width in WIDTHS:
            vectors = [ir.VectorType(kind, width) for kind in kinds]
            function = _function(module, f"{symbol}_{width}", vectors[0], vectors, "alwaysinline")
            function.linkage = "weak_odr"  # nothing calls it yet
            self._write_vectors(ir.IRBuilder(function.append_basic_block()), function.args, each)
        return single

    def _write_vectors(self, builder: ir.IRBuilder, args: Any, each: ir.Function) -> None:
        kind = args[0].type
        memory = [builder.alloca(arg.type) for arg in args]
        near, before = self.near(builder, *args), builder.block
        far = builder.bitcast(self.is_far(builder, *args), ir.IntType(kind.count))
        with builder.if_then(builder.icmp_unsigned("!=", far, far.type(0)), likely=False):
            for arg, place in zip(args, memory, strict=True):
                builder.store(arg, place)
            numbers = [
                builder.bitcast(place, element(arg.type).as_pointer()) for arg, place in zip(args, memory, strict=True)
            ]
            builder.call(each, [*numbers, I64(kind.count)])
            made, after = builder.load(memory[0]), builder.block
        result = builder.phi(kind)
        result.add_incoming(near, before)
        result.add_incoming(made, after)
        builder.ret(result)


def _define_each(module: ir.Module, symbol: str, single: ir.Function) -> ir.Function:
    """Replaces numbers in memory, the first ones, by `single` of them all."""
    pointers = [arg.type.as_pointer() for arg in single.args]
    function = _function(module, symbol, ir.VoidType(), [*pointers, I64], "noinline", "cold")
    start, loop, end = (function.append_basic_block() for _ in range(3))
    *memory, count = function.args
    builder = ir.IRBuilder(start)
    builder.branch(loop)
    builder.position_at_end(loop)
    number = builder.phi(I64)
    places = [builder.gep(each, [number]) for each in memory]
    builder.store(builder.call(single, [builder.load(place) for place in places]), places[0])
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


def of_library(name: str) -> Callable[..., Any]:
    """The C library's function of floats."""

    def codegen(builder: ir.IRBuilder, *args: Any) -> Any:
        kind = args[0].type
        function = external(builder, f"{name}f" if kind == FLOAT else name, kind, [kind] * len(args))
        for attribute in ("readnone", "nounwind"):
            function.attributes.add(attribute)
        return builder.call(function, args)

    return codegen


def add_attribute(call: ir.CallInstr, attribute: str) -> None:
    """One that llvmlite does not know."""
    call.attributes._known = call.attributes._known | {attribute}
    call.attributes.add(attribute)
