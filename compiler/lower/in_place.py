"""Which arrays of a kernel may be the same memory: one that is read and one that is written."""

from __future__ import annotations

import numpy as np
from numfuse.compiler.index import Index
from numfuse.compiler.kernel import Buffer, Kernel, Store, Value
from numfuse.compiler.ops import operator
from numfuse.compiler.types import kind_of


def in_place_pairs(kernel: Kernel) -> frozenset[tuple[int, int]]:
    """The pairs of arrays, one read and one written, that may be the same memory: every load is of the element stored, and comes before it.

    A compiler takes the arrays of a kernel for distinct. So of several stores, one that does not need the load could be moved before it. And
    where an element is computed twice, it may be loaded after it was stored.
    The arrays are told by their places among the fused node's operands and results.
    """
    if kernel.loops or kernel.streamed:
        return frozenset()
    stores: dict[int, set[Index]] = {}
    loads: dict[int, set[Index]] = {}
    stored: dict[int, list[Value]] = {}
    late: set[int] = set()  # read after something was stored: the statements of a row run in order
    array = dict(zip(kernel.buffers, kernel.parameters, strict=True))
    for statement in kernel.statements:
        if isinstance(statement, Store):
            place, start = array[statement.buffer]
            stores.setdefault(place, set()).add(statement.offset + start)
            stored.setdefault(place, []).append(statement.value)
        elif isinstance(statement, Value) and statement.buffer is not None and statement.index is not None:
            place, start = array[statement.buffer]
            loads.setdefault(place, set()).add(statement.index + start)
            if stores:
                late.add(place)

    def safe(read: int, written: int) -> bool:
        if read in late or (read in loads and len(loads[read] | stores[written]) > 1):
            return False
        if len(stores) == 1 or read not in loads:
            return True
        buffers = {buffer for buffer, (place, _) in array.items() if place == read}
        return all(_carries(value, buffers) for value in stored[written])

    return frozenset(
        (read, written)
        for read in {place for buffer, (place, _) in array.items() if not buffer.output}
        for written in stores
        if safe(read, written)
    )


def _carries(value: Value, buffers: set[Buffer]) -> bool:
    """Whether a value surely depends on the element of one of the buffers: whatever else it is made from, a compiler must load it."""
    while value.kind == "apply" and value.node is not None:
        made = [arg for arg in value.args if _reads(arg, buffers)]
        if len(made) != 1 or kind_of(value.dtype) not in operator(value.node.op).carries:
            return False
        if any(arg.kind == "constant" and not 0 < abs(arg.constant) < np.inf for arg in value.args):
            return False
        (value,) = made
    return value.kind == "load" and value.buffer in buffers


def _reads(value: Value, buffers: set[Buffer]) -> bool:
    met, pending = {value}, [value]
    while pending:
        one = pending.pop()
        if one.buffer in buffers:
            return True
        if one.kind in ("result", "kept"):
            return True  # of a choice or a loop, which may read anything
        new = [arg for arg in one.args if arg not in met]
        met.update(new)
        pending += new
    return False
