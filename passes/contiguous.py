"""Copies become kernels, which threads share.

A result that is an argument or a view of one is copied. Where the target's own copies do not know strides, so is a result that is reshaped against its order
in memory: written as a `copy` it is a kernel, fused with what makes the array, and the reshape is a view again. So is the operand of a matrix product that
BLAS cannot read as it lies: with steps, backwards, spread, or reshaped against its order. Transposed ones it can.
"""

from __future__ import annotations

from collections.abc import Callable

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.types import size_of
from numfuse.compiler.walks import strides_in_memory


def contiguous(graph: Graph, strided_copies: bool) -> Graph:
    """`strided_copies`: whether the target copies arrays whatever their strides."""
    added: list[Node] = []

    def in_order(node: Node) -> Node:
        copied = make("copy", (node,), node.where)
        added.append(copied)
        return copied

    def result(node: Node) -> Node:
        argument = _origin(node).op == "input" and size_of(node.shape) > 0
        if not (argument if strided_copies else _moved(node)):
            return node
        if node.op == "reshape" and _moved(node):
            reshaped = make("reshape", (in_order(node.inputs[0]),), node.where, shape=node.shape)
            added.append(reshaped)
            return reshaped
        return in_order(node) if argument else node

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

    graph = graph if strided_copies else rewrite(graph, product)
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
