"""Splits long reductions that have few results: `sum(x)` becomes `sum(sum(x, block=B))`, so that many threads share it.

The size of the blocks depends on the shapes alone, never on the number of threads: results are the same on every run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.ops import operator
from numfuse.compiler.types import NARROW, Shape, size_of

BLOCK = 16384
"""Elements of a block, at least: 64 kB of float32 stays in the cache of one core, and feeds 1024 CUDA threads well."""
BLOCKS = 4096
"""Blocks for a result, at most: the second stage stays small."""
COLUMNS = 32
"""So many neighbouring columns keep a warp, or a vector unit, busy."""
COLUMN_BLOCK = 256
"""Rows of a block, at least, where columns are reduced; there are as many or a multiple of their half."""


def split(graph: Graph, few: int, few_columns: int = 0, repeats: bool = True) -> Graph:
    """`few`: with fewer results than this the rows alone do not keep the device busy. `few_columns`: the same for results that lie side by
    side and are reduced as columns. `repeats`: whether several rows are taken as one that read a number each, which all their elements need."""

    def rule(node: Node, emit: Callable[[Node], Node]) -> Node:
        if operator(node.op).kind != "reduction" or node.params.get("block") is not None or not size_of(node.shape):
            return node
        (source,), axis = node.inputs, node.params["axis"]
        length = size_of([source.shape[a] for a in axis])
        if not axis:
            return node
        across = size_of(source.shape[axis[-1] + 1 :])
        adjacent = axis[-1] - axis[0] < len(axis)
        fold = _fold(across, length) if few_columns and adjacent else 1
        columns = across * fold >= COLUMNS  # the rows lie side by side in memory
        if columns and fold > 1 and not repeats and _reads_a_number_a_row(source, axis):
            fold = 1
        if columns and (not adjacent or size_of(node.shape) * fold >= few_columns or length // fold < 2 * COLUMN_BLOCK):
            return node
        if not columns and (size_of(node.shape) >= few or length < 2 * BLOCK):
            return node
        narrow = node.dtype in NARROW  # rounded once, as where the reduction is one loop
        if narrow:
            source = emit(make("astype", (source,), node.where, dtype=np.dtype("f4")))
        if columns:
            whole = _columns(node, source, length, across, fold, few_columns, emit)
        else:
            whole = _rows(node, source, length, emit)
        return make("astype", (emit(whole),), node.where, dtype=node.dtype) if narrow else whole

    reductions = any(operator(node.op).kind == "reduction" for node in graph.nodes)
    return rewrite(graph, rule) if reductions else graph


def _reads_a_number_a_row(source: Node, axis: Shape) -> bool:
    """Whether elementwise operators that it comes from have an operand with one element for all columns of a row."""
    waiting, seen = [source], {source}
    while waiting:
        node = waiting.pop()
        if operator(node.op).kind != "elementwise":
            continue
        operands = [operand for operand in node.inputs if size_of(operand.shape) > 1]
        if any(len(o.shape) == len(source.shape) and size_of(o.shape[axis[-1] + 1 :]) == 1 for o in operands):
            return True
        waiting += [operand for operand in operands if operand not in seen]
        seen.update(operands)
    return False


def _rows(node: Node, source: Node, length: int, emit: Callable[[Node], Node]) -> Node:
    """The reduced axes as the last one, in blocks."""
    axis = node.params["axis"]
    kept = [a for a in range(len(source.shape)) if a not in axis]
    if kept and kept != list(range(len(kept))):
        source = emit(make("transpose", (source,), node.where, perm=(*kept, *axis)))
    flat = emit(make("reshape", (source,), node.where, shape=(*node.shape, length)))
    block = BLOCK * -(-length // (BLOCKS * BLOCK))
    partial = emit(make(node.op, (flat,), node.where, axis=(len(kept),), block=block))
    return make(node.op, (partial,), node.where, axis=(len(kept),))


def _fold(across: int, length: int) -> int:
    """How many neighbouring rows are taken as one, so that a few columns are as wide as a warp."""
    fold = 1
    while across > 1 and across * fold < COLUMNS and length % (2 * fold) == 0:
        fold *= 2
    return fold


def _columns(
    node: Node, source: Node, length: int, across: int, fold: int, few_columns: int, emit: Callable[[Node], Node]
) -> Node:
    """The reduced axes as one, in blocks; the columns stay side by side."""
    before = size_of(source.shape[: node.params["axis"][0]])
    length //= fold
    flat = _shaped(source, (before, length, fold * across), emit)
    blocks = min(2 * few_columns // (before * fold * across), length // COLUMN_BLOCK)
    block = COLUMN_BLOCK // 2 * -(-length // (blocks * COLUMN_BLOCK // 2))
    partial = emit(make(node.op, (flat,), node.where, axis=(1,), block=block))
    if fold > 1:
        partial = _shaped(partial, (before, partial.shape[1] * fold, across), emit)
    whole = make(node.op, (partial,), node.where, axis=(1,))
    return whole if whole.shape == node.shape else make("reshape", (emit(whole),), node.where, shape=node.shape)


def _shaped(source: Node, shape: Shape, emit: Callable[[Node], Node]) -> Node:
    return source if source.shape == shape else emit(make("reshape", (source,), source.where, shape=shape))
