"""Results whose elements are to lie in another order than their own: they are computed in that order, where kernels compute them for that alone.

The trace writes such a result as a copy of a transpose, which is seen the other way round when the call is over. Where the array is in memory in its own
order, because it is an argument, a library call made it, or others read it, it stays as it lies.
"""

from __future__ import annotations

from collections import Counter

from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.ops import operator
from numfuse.passes.costs import in_kernels


def reorder(graph: Graph) -> Graph:
    copies = [node for node in dict.fromkeys(graph.outputs) if node.op == "copy"]
    if not copies:
        return graph
    readers = Counter([source for node in graph.nodes for source in node.inputs] + list(graph.outputs))

    def lies(node: Node) -> bool:
        """Whether the copied array is in memory in any case."""
        while operator(node.op).kind == "view" and readers[node] == 1:
            (node,) = node.inputs
        row = operator(node.op)
        computed = row.kind in ("guarded", "gather") or (row.kind == "elementwise" and in_kernels(node))
        return readers[node] > 1 or not computed

    kept = {node: node.inputs[0] for node in copies if lies(node.inputs[0])}
    return Graph(graph.name, graph.inputs, graph.nodes, [kept.get(node, node) for node in graph.outputs])
