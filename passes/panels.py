"""Matrix products that kernels compute in vector registers, where the processor has wider vectors than BLAS makes use of.

    a @ b    of b with its columns side by side:    product(a, b)
    a @ b    of others:                             product(a, panels, rest)

The kernel takes a few vectors of columns at a time and goes down the rows of b. Where these are far apart in memory, or its columns do not lie side by side,
b is copied into panels first, one behind another: (number, rows of b, columns of a panel). The `rest` has the columns that fill no panel. Such a copy is a
kernel like any other, which computes b on the way, and is made once however many products read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.types import from_package, size_of
from numfuse.compiler.walks import strides_in_memory

Emit = Callable[[Node], Node]

WIDE = 3
"""Vectors of a panel's columns: eight rows of so many leave registers for the operands."""
FAR = 4096
"""Bytes from one row of the right operand to the next from which on the columns are copied into panels, if there are
many rows to multiply them with: each row is on another page, and powers of 2 are kept in few places of the caches."""
MANY_ROWS = 128


def panels(graph: Graph, vector: int) -> Graph:
    """`vector`: bytes of a vector register; 0 where products are the library's."""
    if not vector or not any(node.op == "matmul" for node in graph.nodes):
        return graph

    def rule(node: Node, emit: Emit) -> Node:
        if node.op != "matmul" or node.dtype.char not in "fd" or from_package(node.dtype):
            return node
        left, right = node.inputs
        if 1 in node.shape[-2:] or not size_of(node.shape) or not left.shape[-1]:
            return node
        left = left if strides_in_memory(left) is not None else emit(make("copy", (left,), node.where))
        parts, are_panels = _parts(right, node, WIDE * vector // node.dtype.itemsize, emit)
        return make("product", (left, *parts), node.where, panels=tuple(are_panels), vector=vector)

    return rewrite(graph, rule)


def _parts(right: Node, node: Node, width: int, emit: Emit) -> tuple[list[Node], list[bool]]:
    """The right operand as a product takes it: matrices and panels."""

    def do(op: str, source: Node, **params: Any) -> Node:
        return emit(make(op, (source,), node.where, **params))

    strides = strides_in_memory(right)
    depth, columns = right.shape[-2:]
    side_by_side = strides is not None and (strides[-1] == 1 or columns == 1)
    if side_by_side and strides is not None:
        far = abs(strides[-2]) * node.dtype.itemsize >= FAR
        if not far or node.shape[-2] < MANY_ROWS or columns < width:
            return [right], [False]
    whole = columns // width
    ones, batch = (1,) * len(right.shape), right.shape[:-2]

    def stretch(first: int, count: int) -> Node:
        start = (*(0,) * (len(right.shape) - 1), first)
        return do("slice", right, start=start, step=ones, shape=(*batch, depth, count))

    parts, are_panels = [], []
    if whole:
        apart = do("reshape", stretch(0, whole * width), shape=(*batch, depth, whole, width))
        axes = (*range(len(batch)), len(batch) + 1, len(batch), len(batch) + 2)
        parts.append(do("copy", do("transpose", apart, perm=axes)))
        are_panels.append(True)
    if columns % width:
        rest = stretch(whole * width, columns % width)
        parts.append(rest if side_by_side else do("copy", rest))
        are_panels.append(False)
    return parts, are_panels
