"""Values at places that are computed, where they were not put into the array's own memory: into a copy of it, or by a choice for each element.

A choice (`where` the place is this one) needs places that are single numbers, and fuses with what is around it. The loop over arrays of places runs in
order, which only some targets' kernels do; elsewhere it stays a library call.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, make, rewrite
from numfuse.compiler.ops import operator
from numfuse.passes.costs import in_kernels


def scatter(graph: Graph, in_order: bool) -> Graph:
    if not any(node.op == "scatter" for node in graph.nodes):
        return graph

    def changed(node: Node, emit: Callable[[Node], Node]) -> Node:
        if node.op != "scatter":
            return node
        if not (node.params["combine"] or any(place.shape for place in node.inputs[2:])):
            return _chosen(node, emit)
        return _copied(node, emit) if in_order and storable(node) else node

    return rewrite(graph, changed)


def storable(node: Node) -> bool:
    """Whether a kernel can put the values where they belong: as they are, or by an operator that takes and makes the array's dtype."""
    base, value = node.inputs[:2]
    combine = node.params["combine"]
    if not combine:
        return True
    return base.dtype == value.dtype and joins(combine, base.dtype)


def joins(combine: str, dtype: np.dtype) -> bool:
    """Whether a kernel can join two elements of the dtype by an operator, and the result is of that dtype again."""
    row = operator(combine)
    if dtype.kind == "b" or dtype.kind in row.refuses or row.kind != "elementwise" or getattr(np, combine).nin != 2:
        return False
    element = constant(dtype.type(0))
    try:
        joined = make(combine, (element, element))
    except TypeError:  # it casts its operands first, as `divide` does integers
        return False
    return joined.dtype == dtype and in_kernels(joined)


def _copied(node: Node, emit: Callable[[Node], Node]) -> Node:
    base, *others = node.inputs
    start, step = (0,) * len(base.shape), (1,) * len(base.shape)
    memory = emit(make("memory", (), node.where, shape=base.shape, dtype=base.dtype))
    copy = emit(make("put_slice", (memory, base), node.where, start=start, step=step))
    return make("put", (copy, *others), node.where, node.name, **node.params)


def _chosen(node: Node, emit: Callable[[Node], Node]) -> Node:
    base, value, *places = node.inputs
    axes = node.params["axes"]
    here: Node | None = None
    for axis, place in zip(axes, places, strict=True):
        shape = tuple([n if a == axis else 1 for a, n in enumerate(base.shape)])
        number = emit(make("iota", (), node.where, shape=shape, axis=axis, dtype=np.dtype("i8")))
        test = emit(make("equal", (number, place), node.where))
        here = test if here is None else emit(make("logical_and", (here, test), node.where))
    assert here is not None
    shape = tuple([1 if a in axes else n for a, n in enumerate(base.shape)])
    return make("where", (here, emit(make("reshape", (value,), node.where, shape=shape)), base), node.where, node.name)
