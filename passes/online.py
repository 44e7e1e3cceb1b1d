"""Sums that wait for a mean or a maximum of the same data are done in one reading of it, by blocks around the block's own mean or maximum.

    sum((x - c)**2)    with m = mean of a block:    sum over blocks of  sum((x - m)**2) + size * (m - c)**2
    sum(exp(x - c))    with m = max of a block:     sum over blocks of  sum(exp(x - m)) * exp(m - c)

Both hold for any c. A block's data stay in registers between its two sums (Chan, Golub and LeVeque, 1979; Milakov and Gimelshein, 2018). This is for
reductions that are split in any case, or whose rows are longer than the cache: others have their data at hand already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, make, rewrite, seen_through
from numfuse.compiler.ops import operator
from numfuse.compiler.types import Shape, size_of
from numfuse.passes.split import BLOCK, COLUMN_BLOCK, COLUMNS

Emit = Callable[[Node], Node]
IN_CACHE = 2**25
"""Bytes that are at hand for a second reading: columns of no more are not worth the further stages that their many blocks take."""
LONG = 3
"""Such rows are not worth the further stages unless they are so many times as long as those that stay near."""
NEEDED = {"multiply": "sum", "exp": "max"}
"""For the function of the differences, the reduction that makes their centre."""


@dataclass(frozen=True)
class Blocks:
    """How a reduction's operand is cut: as (before, number, size, across), reduced over the middle two."""

    before: int
    number: int
    size: int
    across: int

    @property
    def shape(self) -> Shape:
        return self.before, self.number, self.size, self.across


def online(graph: Graph, few: int, few_columns: int, row_bytes: int, least: int) -> Graph:
    """`few`, `few_columns`: with fewer results than this a reduction is split. `row_bytes`: of a row that stays near the arithmetic unit between two
    readings; `least`: bytes of data from which on that is worth it."""
    centres: dict[Node, Blocks] = {}
    sums: dict[Node, Blocks] = {}
    for node in graph.nodes:
        first = _centre_reduction(node)
        blocks = None if first is None else _blocks(node, few, few_columns, row_bytes)
        if blocks is not None and size_of(blocks.shape) * node.dtype.itemsize < least:
            continue
        if first is not None and blocks is not None:
            centres[first] = sums[node] = blocks
    if not sums:
        return graph
    given = iter(graph.nodes)

    def rule(node: Node, emit: Emit) -> Node:
        original = next(given)
        if original in sums:
            return _sum(node, sums[original], emit)
        if original in centres:
            blocked = _blocked(node.inputs[0], centres[original], emit)
            return _whole(node, emit(make(node.op, (blocked,), node.where, axis=(2,))), emit)
        return node

    return rewrite(graph, rule)


def _centre_reduction(node: Node) -> Node | None:
    """The reduction that the centre of `sum(f(x - centre))` is made from, where it is one of the same x along the same axes."""
    if node.op != "sum" or node.params.get("block") is not None or node.dtype not in (np.float32, np.float64):
        return None
    (value,), axis = node.inputs, node.params["axis"]
    if value.op not in NEEDED or value.inputs[0] is not value.inputs[-1] or value.inputs[0].op != "subtract":
        return None
    source, centre = value.inputs[0].inputs
    extents = (1,) * (len(source.shape) - len(centre.shape)) + centre.shape
    if source.shape != value.shape or any(extents[a] != 1 for a in axis):
        return None
    pending = [centre]
    while pending:
        made = seen_through(pending.pop())
        if made.op == NEEDED[value.op] and made.inputs == (source,) and made.params == node.params:
            return made
        if operator(made.op).kind == "elementwise":
            pending += made.inputs
    return None


def _blocks(node: Node, few: int, few_columns: int, row_bytes: int) -> Blocks | None:
    """Blocks of a size that the data divide into and registers hold; None where the reduction is not split, or not evenly."""
    (source,), axis = node.inputs, node.params["axis"]
    if not axis or not size_of(source.shape) or axis[-1] - axis[0] >= len(axis):
        return None
    before, across = size_of(source.shape[: axis[0]]), size_of(source.shape[axis[-1] + 1 :])
    length = size_of([source.shape[a] for a in axis])
    if across == 1:
        least, most = BLOCK // 16, BLOCK * 4 // source.dtype.itemsize
        split = (before < few or length * source.dtype.itemsize > LONG * row_bytes) and length >= 2 * BLOCK
    else:
        least, most = COLUMN_BLOCK // 8, COLUMN_BLOCK * 4 // source.dtype.itemsize
        split = across >= COLUMNS and before * across < few_columns
        split = split and size_of(source.shape) * source.dtype.itemsize > IN_CACHE
    size = next((size for size in range(most, least - 1, -1) if length % size == 0), None) if split else None
    return None if size is None else Blocks(before, length // size, size, across)


def _blocked(source: Node, blocks: Blocks, emit: Emit) -> Node:
    return emit(make("reshape", (source,), source.where, shape=blocks.shape))


def _whole(node: Node, partial: Node, emit: Emit) -> Node:
    """The reduction of the blocks' results, in the shape of the node that it stands for."""
    total = emit(make(node.op, (partial,), node.where, axis=(1,)))
    return make("reshape", (total,), node.where, shape=node.shape)


def _sum(node: Node, blocks: Blocks, emit: Emit) -> Node:
    def do(op: str, *inputs: Node, **params: Any) -> Node:
        return emit(make(op, inputs, node.where, **params))

    def number(value: float) -> Node:
        return emit(constant(node.dtype.type(value)))

    (value,) = node.inputs
    source, centre = value.inputs[0].inputs
    squares = value.op == "multiply"
    data = _blocked(source, blocks, emit)
    own = do(NEEDED[value.op], data, axis=(2,))
    if squares:
        own = do("multiply", own, number(1 / blocks.size))
        around = own
    else:  # a block of nothing but -inf adds nothing
        around = do("where", do("isfinite", own), own, number(0))
    apart = do("subtract", data, do("reshape", around, shape=(blocks.before, blocks.number, 1, blocks.across)))
    partial = do("sum", do("multiply", apart, apart) if squares else do("exp", apart), axis=(2,))
    axis = node.params["axis"]
    kept = tuple(1 if a in axis else n for a, n in enumerate(source.shape))
    whole = do("reshape", do("broadcast_to", centre, shape=kept), shape=(blocks.before, 1, blocks.across))
    moved = do("subtract", own, whole)
    if squares:
        partial = do("add", partial, do("multiply", number(blocks.size), do("multiply", moved, moved)))
    else:
        partial = do("multiply", partial, do("exp", moved))
    return _whole(node, partial, emit)
