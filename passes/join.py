"""Joins of many operands along the innermost axis become writes into one memory, a part for each operand.

Such a join tests for each element which operand it comes from. Where the loops of a target can be cut at the tests, few operands need none. Along an
outer axis the test stands outside of the inner loop: such a join stays as it is, to be fused with what reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.types import size_of

LARGE = 4096
"""Elements of a join that is worth a kernel for each operand."""
MANY = 64
"""Operands of a join that is written in parts whatever its size."""


def join(graph: Graph, few: int) -> Graph:
    """`few`: so many operands are joined by one kernel without a test for each element."""
    if not any(node.op == "concatenate" for node in graph.nodes):
        return graph
    return rewrite(graph, partial(_join, few))


def _join(few: int, node: Node, emit: Callable[[Node], Node]) -> Node:
    if node.op != "concatenate" or not size_of(node.shape):
        return node
    axis, count = node.params["axis"], len(node.inputs)
    innermost = all(extent == 1 for extent in node.shape[axis + 1 :])
    if count <= MANY and not (innermost and count > few and size_of(node.shape) >= LARGE):
        return node
    made = emit(make("memory", (), node.where, shape=node.shape, dtype=node.dtype))
    first, step = 0, (1,) * len(node.shape)
    for operand in node.inputs:
        if operand.shape[axis]:
            start = tuple([first if place == axis else 0 for place in range(len(step))])
            made = emit(make("put_slice", (made, operand), node.where, start=start, step=step))
        first += operand.shape[axis]
    return made
