"""Writes the clusters that fusion found down: each becomes one fused node, whose body is a graph of its own."""

from __future__ import annotations

from collections.abc import Mapping

from numfuse.compiler.graph import Graph, Node, is_scalar, make
from numfuse.compiler.ops import operator
from numfuse.passes.clusters import Cluster, ClusterGraph, plain_axes


def outline(graph: Graph, clusters: ClusterGraph, position: Mapping[Node, int]) -> Graph:
    """The graph with each cluster as one fused node, which carries its body. `position`: the nodes' places in the graph."""
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    nodes: list[Node] = []

    def emit(node: Node) -> Node:
        nodes.append(node)
        return node

    def value_of(node: Node) -> Node:
        if node not in new:  # constants, and views of what is in memory
            assert operator(node.op).kind in ("source", "view"), f"{node!r} is read before it is made"
            new[node] = emit(
                node.with_inputs(tuple(value_of(source) for source in node.inputs)) if node.inputs else node
            )
        return new[node]

    for cluster in clusters.in_order(position):
        if cluster.call is not None and not cluster.nodes:
            call = cluster.call
            new[call] = emit(call.with_inputs(tuple([value_of(source) for source in call.inputs])))
            continue
        body, read = _body(cluster, graph.name, position)
        operands = [value_of(source) for source in read]
        fused = emit(make("fused", operands, body.outputs[-1].where, body=body, rows=_rows(cluster, position)))
        for place, output in enumerate(sorted(cluster.outputs, key=position.__getitem__)):
            many = len(cluster.outputs) > 1
            new[output] = (
                emit(make("get", (fused,), result=place, shape=output.shape, dtype=output.dtype)) if many else fused
            )
    outputs = [value_of(node) for node in graph.outputs]
    return Graph(graph.name, graph.inputs, nodes, outputs)


def _body(cluster: Cluster, name: str, position: Mapping[Node, int]) -> tuple[Graph, list[Node]]:
    """The cluster as a graph of its own, and the nodes that its inputs stand for."""
    new: dict[Node, Node] = {}
    inputs: list[Node] = []
    read: list[Node] = []
    nodes: list[Node] = []
    for node in sorted(cluster.nodes, key=position.__getitem__):
        for source in node.inputs:
            if source in new:
                continue
            if is_scalar(source):
                new[source] = source
                nodes.append(source)
            else:
                new[source] = Node("input", (), {}, source.shape, source.dtype, None, source.name)
                inputs.append(new[source])
                read.append(source)
        new[node] = node.with_inputs(tuple([new[source] for source in node.inputs]))
        nodes.append(new[node])
    outputs = [new[node] for node in sorted(cluster.outputs, key=position.__getitem__)]
    return Graph(name, inputs, nodes, outputs), read


def _rows(cluster: Cluster, position: Mapping[Node, int]) -> tuple[tuple[int, ...], ...] | None:
    """For each output, which of its axes are the kernel's rows, in one order; None where all are, in their own order."""
    outputs = sorted(cluster.outputs, key=position.__getitem__)
    rows = cluster.rows
    if rows is None:
        if len(outputs) == 1:
            return None
        rows = plain_axes(cluster.outputs[outputs[0]])
    assert rows is not None
    places = []
    for output in outputs:
        named = [part.terms[0][0] if part.terms else None for part in cluster.outputs[output]]
        places.append(tuple(named.index(axis) for axis in rows))
    return tuple(places)
