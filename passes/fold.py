"""Constant folding: a node whose operands are all constants becomes a constant, computed by NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, evaluate_node, rewrite
from numfuse.compiler.ops import operator
from numfuse.compiler.types import size_of

LIMIT = 4096
"""Elements of the largest array that is worth folding; a larger one would only make the program bigger."""


def fold(graph: Graph) -> Graph:
    return rewrite(graph, _fold)


def _fold(node: Node, emit: Callable[[Node], Node]) -> Node:
    if not node.inputs or size_of(node.shape) > LIMIT or any(source.op != "constant" for source in node.inputs):
        return node
    if node.op in ("broadcast_to", "get") or operator(node.op).results:
        return node
    with np.errstate(all="ignore"):
        value = evaluate_node(node, [source.params["value"] for source in node.inputs])
    return constant(value, node.where, node.name)
