"""Scans (`cumsum`, `maximum.accumulate`) by kernels: each element is the one before joined with the operand's, which is computed on the way.

    accumulate(x, add, axis=0)    the first element is put in memory, then `scan` goes on from there: out[i + 1] = out[i] + x[i + 1]

The loop runs in order, which only some targets' kernels do; elsewhere it stays a library call, and so does what no kernel can join.
"""

from __future__ import annotations

from collections.abc import Callable

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.passes.scatter import joins


def scan(graph: Graph, in_order: bool) -> Graph:
    if not in_order or not any(node.op == "accumulate" for node in graph.nodes):
        return graph
    return rewrite(graph, lambda node, emit: _scanned(node, emit) if _in_kernel(node) else node)


def _in_kernel(node: Node) -> bool:
    return node.op == "accumulate" and 0 not in node.shape and joins(node.params["ufunc"], node.dtype)


def _scanned(node: Node, emit: Callable[[Node], Node]) -> Node:
    (source,), axis = node.inputs, node.params["axis"] % len(node.shape)
    if source.dtype != node.dtype:
        source = emit(make("astype", (source,), node.where, dtype=node.dtype))
    length, step = node.shape[axis], (1,) * len(node.shape)

    def part(start: int, stop: int) -> Node:
        first = tuple([start if a == axis else 0 for a in range(len(node.shape))])
        shape = tuple([stop - start if a == axis else n for a, n in enumerate(node.shape)])
        return emit(make("slice", (source,), node.where, start=first, step=step, shape=shape))

    memory = emit(make("memory", (), node.where, shape=node.shape, dtype=node.dtype))
    begun = make("put_slice", (memory, part(0, 1)), node.where, start=(0,) * len(node.shape), step=step)
    if length == 1:
        return begun
    rest = (emit(begun), part(1, length))
    return make("scan", rest, node.where, node.name, axis=axis, combine=node.params["ufunc"])
