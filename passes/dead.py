"""Dead-node elimination: what no output needs is gone. Inputs stay: they are the function's arguments."""

from __future__ import annotations

from numfuse.compiler.graph import Graph


def dead(graph: Graph) -> Graph:
    return Graph(graph.name, graph.inputs, graph.part(graph.outputs).nodes, graph.outputs)
