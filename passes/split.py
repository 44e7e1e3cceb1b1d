"""Splits long reductions that have few results: `sum(x)` becomes `sum(sum(x, block=B))`, so that many threads share it.

The size of the blocks depends on the shapes alone, never on the number of threads: results are the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.ops import operator
from numfuse.compiler.types import NARROW, size_of

BLOCK = 16384
"""Elements of a block, at least: 64 kB of float32 stays in the cache of one core, and feeds 1024 CUDA threads well."""
BLOCKS = 4096
"""Blocks for a result, at most: the second stage stays small."""

COLUMNS = 32
"""So many neighbouring columns keep a warp, or a vector unit, busy."""


def split(graph: Graph, few: int) -> Graph:
    """`few`: with fewer results than this the rows alone do not keep the device busy."""

    def rule(node: Node, emit: Callable[[Node], Node]) -> Node:
        if operator(node.op).kind != "reduction" or node.params.get("block") is not None:
            return node
        (source,), axis = node.inputs, node.params["axis"]
        length = size_of([source.shape[a] for a in axis])
        if size_of(node.shape) >= few or length < 2 * BLOCK or size_of(node.shape) == 0:
            return node
        block = max(BLOCK, -(-length // BLOCKS))
        kept = [a for a in range(len(source.shape)) if a not in axis]
        if kept and kept[-1] > axis[-1] and source.shape[kept[-1]] >= COLUMNS:
            return node  # the rows lie side by side in memory: they are summed as columns
        if kept and kept != list(range(len(kept))):
            source = emit(make("transpose", (source,), node.where, perm=(*kept, *axis)))
        narrow = node.dtype in NARROW  # rounded once, as where the reduction is one loop
        if narrow:
            source = emit(make("astype", (source,), node.where, dtype=np.dtype("f4")))
        flat = emit(make("reshape", (source,), node.where, shape=(*node.shape, length)))
        partial = emit(make(node.op, (flat,), node.where, axis=(len(kept),), block=block))
        whole = make(node.op, (partial,), node.where, axis=(len(kept),))
        return make("astype", (emit(whole),), node.where, dtype=node.dtype) if narrow else whole

    reductions = any(operator(node.op).kind == "reduction" for node in graph.nodes)
    return rewrite(graph, rule) if reductions else graph
