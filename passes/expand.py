"""Writes operators that no kernel has as ones that kernels have.

argmax and argmin become a maximum and the least place that holds it. np.fmax and np.fmin of an axis become a maximum of what is no NaN, and a test whether
there is any: LLVM's own loops for them stop at the first NaN, and some stop the compiler. The product of two vectors becomes a sum of products, and so does
that of a computed matrix and a vector, where nothing else reads the matrix, so that it is never put in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, make, rewrite, seen_through
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.reductions import highest, lowest
from numfuse.compiler.types import kind_of

Emit = Callable[[Node], Node]

WITHOUT_NAN = {"fmax_reduce": ("max", "fmax", lowest), "fmin_reduce": ("min", "fmin", highest)}
EXPANDED = {"argmax", "argmin", "matmul", *WITHOUT_NAN}


def expand(graph: Graph) -> Graph:
    if not any(node.op in EXPANDED for node in graph.nodes):
        return graph
    readers = Counter(
        seen_through(source) for node in graph.nodes if operator(node.op).kind != "view" for source in node.inputs
    )

    def rule(node: Node, emit: Emit) -> Node:
        if node.op == "matmul":
            return _matmul(node, emit, readers)
        if node.op in WITHOUT_NAN:
            return _extremum_without_nan(node, emit)
        return _arg_extremum(node, emit) if node.op in ("argmax", "argmin") else node

    return rewrite(graph, rule)


def _arg_extremum(node: Node, emit: Emit) -> Node:
    (source,), (axis,) = node.inputs, node.params["axis"]
    reduce = node.op.removeprefix("arg")

    def do(op: str, *inputs: Node, **params: Any) -> Node:
        return emit(make(op, inputs, node.where, **params))

    best = do(reduce, source, axis=(axis,))
    kept = tuple(1 if a == axis else n for a, n in enumerate(source.shape))
    is_best = do("equal", source, do("reshape", best, shape=kept))
    if kind_of(source.dtype) == "f":  # the first NaN wins
        is_best = do("logical_or", is_best, do("isnan", source))
    dtype = np.dtype("i4" if source.shape[axis] < 2**31 else "i8")
    places = do("iota", shape=source.shape, axis=axis, dtype=dtype)
    beyond = emit(constant(dtype.type(source.shape[axis])))
    least = do("min", do("where", is_best, places, beyond), axis=(axis,))
    return make("astype", (least,), node.where, dtype=node.dtype)


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


def _matmul(node: Node, emit: Emit, readers: Counter[Node]) -> Node:
    left, right = node.inputs
    matrix, vector = (left, right) if right.shape[-1] == 1 else (right, left)
    of_vectors = left.shape[-2] == right.shape[-1] == 1
    source = seen_through(matrix)
    computed = operator(source.op).kind in ("elementwise", "guarded") and readers[source] < 2
    if 1 not in (left.shape[-2], right.shape[-1]) or not (of_vectors or computed) or node.dtype.char in "?e":
        return node
    if matrix is right:  # (1, k) @ (k, m): columns of the matrix become rows
        ndim = len(right.shape)
        matrix = emit(make("transpose", (right,), node.where, perm=(*range(ndim - 2), ndim - 1, ndim - 2)))
    else:
        ndim = len(right.shape)
        vector = emit(make("transpose", (right,), node.where, perm=(*range(ndim - 2), ndim - 1, ndim - 2)))
    product = emit(make("multiply", (matrix, vector), node.where))
    total = emit(make("sum", (product,), node.where, axis=(len(product.shape) - 1,)))
    return make("reshape", (total,), node.where, shape=node.shape)
