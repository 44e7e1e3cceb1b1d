"""From Numba's IR of a kernel to LLVM's, without what kernels have no use for. Importing this imports Numba.

Numba's own lowering looks for a special case of each operator with constants, loads what a variable held before it is overwritten, for the sake of
reference counts, and has a text of each statement ready for its log. Its `range` may have any step, and raises where that is zero.
"""

from __future__ import annotations

import operator
from typing import Any

from numba.core import cgutils, ir, lowering, types
from numba.core.compiler_machinery import register_pass
from numba.core.datamodel import models, register_default
from numba.core.imputils import Registry as Implementations
from numba.core.typed_passes import NativeLowering
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, Registry

typing = Registry()
implementations = Implementations("kernels")


class KernelLower(lowering.Lower):
    def lower_block(self, block: Any) -> None:
        self.pre_block(block)
        for statement in block.body:
            self.loc = statement.loc
            if isinstance(statement, ir.Assign):
                name = statement.target.name
                self.storevar(self.lower_assign(self.typeof(name), statement), name)
            else:
                self.lower_inst(statement)
        self.post_block(block)

    def lower_binop(self, kind: Any, expression: Any, op: Any) -> Any:
        context, signature = self.context, self.fndesc.calltypes[expression]
        operands = [
            context.cast(self.builder, self.loadvar(operand.name), self.typeof(operand.name), wanted)
            for operand, wanted in zip((expression.lhs, expression.rhs), signature.args, strict=True)
        ]
        made = signature.return_type
        if op is operator.mul and isinstance(made, types.Complex):
            return context.cast(self.builder, _complex_product(context, self.builder, made, operands), made, kind)
        function = context.get_function(context.typing_context.resolve_value_type(op), signature)
        return context.cast(self.builder, function(self.builder, operands), made, kind)

    def alloca(self, name: str, kind: Any) -> Any:
        with self.builder.goto_entry_block():
            return self.builder.alloca(self.context.get_value_type(kind), name=name)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))


def _complex_product(context: Any, builder: Any, kind: Any, operands: Any) -> Any:
    """As Numba's, which compiles a Python function for it, and so declares all that such functions may need: a fifth of a second, and what it declares
    anew for operators is not what this kernel's types were found by."""
    a, b = [context.make_complex(builder, kind, operand) for operand in operands]
    product = context.make_complex(builder, kind)
    product.real = builder.fsub(builder.fmul(a.real, b.real), builder.fmul(a.imag, b.imag))
    product.imag = builder.fadd(builder.fmul(a.real, b.imag), builder.fmul(a.imag, b.real))
    return product._getvalue()


@register_pass(mutates_CFG=True, analysis_only=False)
class KernelLowering(NativeLowering):
    _name = "kernel_lowering"

    @property
    def lowering_class(self) -> Any:
        return KernelLower


def kernel_range(*bounds: int) -> Any:
    """`range` in kernels: of 64-bit integers, with a step above zero, as a loop that LLVM knows from C."""
    return range(*bounds)


class RangeIterator(types.SimpleIteratorType):  # type: ignore[name-defined]
    def __init__(self) -> None:
        super().__init__("kernel_range_iterator", types.int64)


class Range(types.SimpleIterableType):  # type: ignore[name-defined]
    def __init__(self) -> None:
        super().__init__("kernel_range", RangeIterator())


WORD = types.int64
FIELDS = {
    Range: [("start", WORD), ("stop", WORD), ("step", WORD)],
    RangeIterator: [("next", types.CPointer(WORD)), ("stop", WORD), ("step", WORD)],  # type: ignore[attr-defined]
}


@register_default(Range)
@register_default(RangeIterator)
class _Model(models.StructModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FIELDS[type(kind)])


@typing.register_global(kernel_range)
class _Typing(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(Range(), *[WORD] * len(args))


@implementations.lower(kernel_range, types.VarArg(WORD))  # type: ignore[attr-defined]
def _range(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    zero, one = context.get_constant(WORD, 0), context.get_constant(WORD, 1)
    return cgutils.pack_struct(builder, [(zero, *args, one), (*args, one), args][len(args) - 1])


@implementations.lower("getiter", Range)
def _iterator(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    start, stop, step = cgutils.unpack_tuple(builder, args[0], 3)
    with builder.goto_entry_block():
        place = builder.alloca(start.type)
    builder.store(start, place)
    return cgutils.pack_struct(builder, (place, stop, step))


@implementations.lower("iternext", RangeIterator)
def _next(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    place, stop, step = cgutils.unpack_tuple(builder, args[0], 3)
    number = builder.load(place)
    builder.store(builder.add(number, step, flags=("nsw",)), place)
    return cgutils.pack_struct(builder, (number, builder.icmp_signed("<", number, stop)))
