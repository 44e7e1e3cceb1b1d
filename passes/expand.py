"""Writes operators that no kernel has as ones that kernels have.

argmax and argmin become a maximum and the least place that holds it. np.fmax and np.fmin of an axis become a maximum of what is no NaN, and a test whether
there is any: LLVM's own loops for them stop at the first NaN, and some stop the compiler.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, make, rewrite
from numfuse.compiler.ops.reductions import highest, lowest
from numfuse.compiler.types import kind_of

Emit = Callable[[Node], Node]

WITHOUT_NAN = {"fmax_reduce": ("max", "fmax", lowest), "fmin_reduce": ("min", "fmin", highest)}
LONG = 16384
"""Elements of an axis from which on argmax looks for the block of the maximum first."""
EXPANDED = {"argmax", "argmin", *WITHOUT_NAN}


def expand(graph: Graph) -> Graph:
    if not any(node.op in EXPANDED for node in graph.nodes):
        return graph

    def rule(node: Node, emit: Emit) -> Node:
        if node.op in WITHOUT_NAN:
            return _extremum_without_nan(node, emit)
        return _arg_extremum(node, emit) if node.op in ("argmax", "argmin") else node

    return rewrite(graph, rule)


def _arg_extremum(node: Node, emit: Emit) -> Node:
    (source,), (axis,) = node.inputs, node.params["axis"]
    reduce = node.op.removeprefix("arg")
    length = source.shape[axis]
    where = node.where
    if axis == len(source.shape) - 1 and length >= LONG:
        least = _least_in_blocks(source, reduce, node, emit)
    else:
        best = emit(make(reduce, (source,), where, axis=(axis,)))
        least = emit(_least_place(source, best, axis, node, emit))
    return make("astype", (least,), where, dtype=node.dtype)


def _least_place(source: Node, best: Node, axis: int, node: Node, emit: Emit) -> Node:
    """The least place along the axis that holds `best`, which is of the other axes."""
    kept = tuple(1 if a == axis else n for a, n in enumerate(source.shape))
    is_best = emit(make("equal", (source, emit(make("reshape", (best,), node.where, shape=kept))), node.where))
    if kind_of(source.dtype) == "f":  # the first NaN wins
        is_best = emit(make("logical_or", (is_best, emit(make("isnan", (source,), node.where))), node.where))
    dtype = np.dtype("i4" if source.shape[axis] < 2**31 else "i8")
    places = emit(make("iota", (), node.where, shape=source.shape, axis=axis, dtype=dtype))
    beyond = emit(constant(dtype.type(source.shape[axis])))
    chosen = emit(make("where", (is_best, places, beyond), node.where))
    return make("min", (chosen,), node.where, axis=(axis,))


def _least_in_blocks(source: Node, reduce: str, node: Node, emit: Emit) -> Node:
    """The same for the last axis, without a look at all elements again: of the blocks of the axis the first that holds the best one is searched."""
    *rows, length = source.shape
    last = len(rows)
    block = 1 << (math.isqrt(length) - 1).bit_length()

    def do(op: str, *inputs: Node, **params: Any) -> Node:
        return emit(make(op, inputs, node.where, **params))

    def number(value: int) -> Node:
        return emit(constant(np.int64(value)))

    bests = do(reduce, source, axis=(last,), block=block)
    best = do(reduce, bests, axis=(last,))
    which = do("astype", emit(_least_place(bests, best, last, node, emit)), dtype=np.dtype("i8"))
    first = do("multiply", which, number(block))
    shape = (*rows, block)
    inside = do("iota", shape=shape, axis=last, dtype=np.dtype("i8"))
    place = do("minimum", do("add", do("reshape", first, shape=(*rows, 1)), inside), number(length - 1))
    places = [do("iota", shape=shape, axis=a, dtype=np.dtype("i8")) for a in range(last)]
    searched = do("gather", source, *places, place, axes=tuple(range(last + 1)), at=0)
    least = do("astype", emit(_least_place(searched, best, last, node, emit)), dtype=np.dtype("i8"))
    return do("add", first, least)


def _extremum_without_nan(node: Node, emit: Emit) -> Node:
    (source,), axis = node.inputs, node.params["axis"]
    reduce, ufunc, furthest = WITHOUT_NAN[node.op]
    if kind_of(source.dtype) != "f":
        return make(reduce, (source,), node.where, axis=axis)
    numbers = emit(make("equal", (source, source), node.where))
    present = emit(make("any", (numbers,), node.where, axis=axis))
    limit = emit(constant(source.dtype.type(furthest(source.dtype))))
    bounded = emit(make(ufunc, (source, limit), node.where))
    best = emit(make(reduce, (bounded,), node.where, axis=axis))
    return make("where", (present, best, emit(constant(source.dtype.type(np.nan)))), node.where)
