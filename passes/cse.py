"""Common subexpressions: nodes with the same operator, params and operands become one."""

from __future__ import annotations

from collections.abc import Hashable

from numfuse.compiler.graph import Graph, Node, params_key
from numfuse.compiler.ops import operator


def cse(graph: Graph) -> Graph:
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    seen: dict[Hashable, Node] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple([new[source] for source in node.inputs])
        order = [id(source) for source in inputs]
        if len(order) == 2 and operator(node.op).commutative:
            order.sort()
        key = (node.op, tuple(order), params_key(node))
        if key not in seen:
            seen[key] = node if inputs == node.inputs else node.with_inputs(inputs)
            nodes.append(seen[key])
        new[node] = seen[key]
    return Graph(graph.name, graph.inputs, nodes, [new[node] for node in graph.outputs])
