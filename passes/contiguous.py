"""Copies of views become kernels, for targets whose memory copies do not know strides.

A result that is a view of an argument is copied, and so is one that is reshaped against its order in memory. Written as a `copy` it is a
kernel, fused with what makes the array; the reshape is a view again. So is the operand of a matrix product that BLAS cannot read as it
lies: with steps, backwards, spread, or reshaped against its order. Transposed ones it can.
"""

from __future__ import annotations

from collections.abc import Callable

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.walks import strides_in_memory


def contiguous(graph: Graph) -> Graph:
    added: list[Node] = []

    def in_order(node: Node) -> Node:
        copied = make("copy", (node,), node.where)
        added.append(copied)
        return copied

    def result(node: Node) -> Node:
        if not _moved(node):
            return node
        if node.op == "reshape":
            reshaped = make("reshape", (in_order(node.inputs[0]),), node.where, shape=node.shape)
            added.append(reshaped)
            return reshaped
        return in_order(node) if _origin(node).op == "input" else node

    def operand(node: Node, emit: Callable[[Node], Node]) -> Node:
        strides = strides_in_memory(node)
        if strides is not None and blas_order(node.shape, strides) is not None:
            return node
        return emit(make("copy", (node,), node.where))

    def product(node: Node, emit: Callable[[Node], Node]) -> Node:
        if node.op != "matmul" or node.dtype.kind not in "fc":
            return node
        inputs = tuple([operand(source, emit) for source in node.inputs])
        return node if inputs == node.inputs else node.with_inputs(inputs)

    graph = rewrite(graph, product)
    outputs = {node: result(node) for node in dict.fromkeys(graph.outputs)}
    if not added:
        return graph
    return Graph(graph.name, graph.inputs, [*graph.nodes, *added], [outputs[node] for node in graph.outputs])


def _moved(node: Node) -> bool:
    """Whether a view has its elements in another order than the memory that it is a view of, or leaves some out."""
    while operator(node.op).kind == "view":
        if node.op != "reshape":
            return True
        (node,) = node.inputs
    return False


def _origin(node: Node) -> Node:
    while operator(node.op).kind == "view":
        (node,) = node.inputs
    return node
