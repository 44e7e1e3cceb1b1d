"""Dead-node elimination: what no output needs is gone. Inputs stay: they are the function's arguments."""

from __future__ import annotations

from numfuse.compiler.graph import Graph


def dead(graph: Graph) -> Graph:
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.inputs)
    return Graph(graph.name, graph.inputs, [node for node in graph.nodes if node in needed], graph.outputs)
