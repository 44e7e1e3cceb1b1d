"""Graphs for other programs: as JSON data, and as Graphviz dot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, is_scalar
from numfuse.compiler.text import names_of, operand_text, scalar_text
from numfuse.compiler.types import DTYPE_NAMES, type_text


def graph_as_json(graph: Graph) -> dict[str, Any]:
    """Plain data: inputs, nodes in order (operands by name, 0-d constants in place), outputs. `text` reads back by `Graph.parse`."""
    names = names_of(graph)
    return {
        "name": graph.name,
        "inputs": [{"name": names[node], "type": type_text(node.shape, node.dtype)} for node in graph.inputs],
        "nodes": [_node_as_json(node, names) for node in graph.nodes if not is_scalar(node)],
        "outputs": [operand_text(node, names) for node in graph.outputs],
        "hash": graph.content_hash,
        "text": graph.as_text(locations=False),
    }


def _node_as_json(node: Node, names: dict[Node, str]) -> dict[str, Any]:
    where = (
        None
        if node.where is None
        else {"file": node.where.file, "line": node.where.line, "function": node.where.function}
    )
    return {
        "name": names[node],
        "op": node.op,
        "type": type_text(node.shape, node.dtype),
        "inputs": [operand_text(source, names) for source in node.inputs],
        "params": {key: _param_as_json(value) for key, value in node.params.items()},
        "where": where,
    }


def _param_as_json(value: Any) -> Any:
    if isinstance(value, Graph):
        return graph_as_json(value)
    if isinstance(value, np.dtype):
        return DTYPE_NAMES[value]
    if isinstance(value, np.ndarray):
        return [scalar_text(element) for element in value.ravel()]
    return [_param_as_json(part) for part in value] if isinstance(value, tuple) else value


def graph_as_dot(graph: Graph) -> str:
    """The graph for Graphviz: `dot -Tsvg`. A fused node is a cluster of its body."""
    lines = [f'digraph "{graph.name}" {{', "  rankdir=TB; node [shape=box, fontname=Helvetica, fontsize=10];"]
    for place, node in enumerate(graph.inputs):
        lines.append(
            f'  i{place} [label="{node.name or "input"}\\n{type_text(node.shape, node.dtype)}", shape=ellipse];'
        )
    names = {node: f"i{place}" for place, node in enumerate(graph.inputs)}
    for place, node in enumerate(node for node in graph.nodes if not is_scalar(node)):
        names[node] = f"n{place}"
        lines.append(
            f'  n{place} [label="{_label(node)}"{", style=filled, fillcolor=lightblue" if node.op == "fused" else ""}];'
        )
        lines += [f"  {names[source]} -> n{place};" for source in node.inputs if not is_scalar(source)]
    for place, node in enumerate(graph.outputs):
        lines.append(f'  o{place} [label="result {place + 1}", shape=ellipse];')
        if node in names:
            lines.append(f"  {names[node]} -> o{place};")
    return "\n".join([*lines, "}"])


def _label(node: Node) -> str:
    if node.op == "fused":
        inside = [inner.op for inner in node.params["body"].nodes if inner.op != "constant"]
        return "fused: " + "\\n".join(" ".join(inside[at : at + 6]) for at in range(0, len(inside), 6))
    scalars = [operand_text(source, {}) for source in node.inputs if is_scalar(source)]
    return f"{node.op} {' '.join(scalars)}\\n{type_text(node.shape, node.dtype)}"
