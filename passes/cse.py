"""Common subexpressions: nodes with the same operator, params and operands become one."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from numfuse.compiler.graph import Graph, Node
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
        key = (node.op, tuple(order), _params_key(node))
        if key not in seen:
            seen[key] = node if inputs == node.inputs else node.with_inputs(inputs)
            nodes.append(seen[key])
        new[node] = seen[key]
    return Graph(graph.name, graph.inputs, nodes, [new[node] for node in graph.outputs])


def _params_key(node: Node) -> Hashable:
    if not node.params:
        return ()
    if node.op == "fused":
        return id(node)
    return tuple([(name, _hashable(value)) for name, value in sorted(node.params.items())])


def _hashable(value: object) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return value  # type: ignore[return-value]
