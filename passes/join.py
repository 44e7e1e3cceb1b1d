"""Joins of many operands along the innermost axis become writes into one memory, a part for each operand.

Few operands are joined by the kernel that needs them: on the CPU its loop is cut where one operand ends, and on a GPU a test for each element is
cheaper than an array in memory. Along an outer axis the test stands outside of the inner loop.
"""

from __future__ import annotations

from collections.abc import Callable

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.types import size_of

FEW = 8
"""Operands that one kernel joins along the innermost axis."""
LARGE = 4096
"""Elements of a join of more operands that is worth a kernel for each."""
MANY = 64
"""Operands of a join that is written in parts whatever its size."""


def join(graph: Graph) -> Graph:
    if not any(node.op == "concatenate" for node in graph.nodes):
        return graph
    return rewrite(graph, _join)


def _join(node: Node, emit: Callable[[Node], Node]) -> Node:
    if node.op != "concatenate" or not size_of(node.shape):
        return node
    axis, count = node.params["axis"], len(node.inputs)
    innermost = all(extent == 1 for extent in node.shape[axis + 1 :])
    if count <= MANY and not (innermost and count > FEW and size_of(node.shape) >= LARGE):
        return node
    made = emit(make("memory", (), node.where, shape=node.shape, dtype=node.dtype))
    first, step = 0, (1,) * len(node.shape)
    for operand in node.inputs:
        if operand.shape[axis]:
            start = tuple([first if place == axis else 0 for place in range(len(step))])
            made = emit(make("put_slice", (made, operand), node.where, start=start, step=step))
        first += operand.shape[axis]
    return made
