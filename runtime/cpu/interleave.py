"""Kernels of one long loop take four vectors at a time.

A processor looks some hundred instructions ahead. A loop whose body holds several inline functions (`elementary.py`), one waiting for the other,
is longer than that: nothing of the next iteration is begun meanwhile. LLVM interleaves iterations of short loops only, unless it is told.
"""

from __future__ import annotations

import re

import llvmlite.ir as ir
from llvmlite.ir.values import MDValue
from numfuse.runtime.intrinsics import I32

LONG = 14
"""Fused multiplications and additions in a loop from which on it is interleaved: those of two inline functions of float32, or of one of float64."""
DOUBLE_WEIGHT = 1.6
"""As how many of float32 one of float64 counts: polynomials are longer, and vectors hold fewer numbers."""
COUNT = 4


class _LoopId(MDValue):
    """What LLVM knows a loop by: a node that refers to itself, and to what is said of the loop."""

    def descr(self, buffer: list[str]) -> None:
        told = ", ".join(operand.get_reference() for operand in self.operands)
        buffer += ("distinct !{ ", self.get_reference(), ", ", told, " }\n")


def interleave(function: ir.Function) -> None:
    """Marks the function's loop if it is long and the only one: loops within rows may have few iterations."""
    jumps = [block.terminator for block in function.blocks if isinstance(block.terminator, ir.instructions.Branch)]
    back = [jump for jump in jumps if _place(jump.operands[0]) < _place(jump.parent)]
    if len(back) != 1:
        return
    if _multiplications(function) >= LONG:
        told = function.module.add_metadata(["llvm.loop.interleave.count", ir.Constant(I32, COUNT)])
        back[0].set_metadata("llvm.loop", _LoopId(function.module, [told], str(len(function.module.metadata))))


def _multiplications(function: ir.Function) -> float:
    """The weight of the fused multiplications and additions in a function and those that it calls."""
    calls = [each for block in function.blocks for each in block.instructions if isinstance(each, ir.CallInstr)]
    callees = [call.callee for call in calls if isinstance(call.callee, ir.Function)]
    weights = {"llvm.fma.f32": 1, "llvm.fma.f64": DOUBLE_WEIGHT}
    return sum(weights.get(callee.name) or _multiplications(callee) for callee in callees)


def _place(block: ir.Block) -> int:
    """Where a block is in the kernel's bytecode. Numba names it so: B36, and what is split off from it B36.endif."""
    found = re.match(r"B(\d+)", block.name)
    return int(found[1]) if found else -1
