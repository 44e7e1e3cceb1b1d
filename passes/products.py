"""Matrix products that kernels do better than a library call are written as sums of products, which fuse with what stands around them.

    (b, n, k) @ (b, k, m)    of small matrices:  left[..., 0:1] * right[0:1, :] + left[..., 1:2] * right[1:2, :] + ...
    (n, k) @ (k, m)          long, with few columns on both sides, or of a column and a row, beside elementwise work: the same
    (n, k) @ (k, m)          of matrices that are not large, or of integers: sum(left[:, None, :] * right.T[None, :, :], axis=2)
    (b, n, k) @ (k, m)       of many matrices and one: one product of all rows, (b * n, k) @ (k, m), which BLAS is called for once
    a @ b                    of float16, where the library has no such product: that of float32, rounded once
    (n, k) @ (k, 1)          of a matrix in rows and a vector: sum(left * right); of one in columns where it is small, or of integers

A call of BLAS costs more than a small product; the sums take their terms in the order of k, and are exact for integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, make, rewrite, seen_through
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.ops import operator
from numfuse.compiler.types import from_package, size_of
from numfuse.compiler.walks import strides_in_memory

Emit = Callable[[Node], Node]

TERMS = 8
"""Terms of a sum that is written out, at most."""
SMALL = 512
"""Multiplications of a product, up to which a kernel is faster than a call of BLAS."""
LONGEST = 16
"""Rows and columns of such a product, at most: BLAS is fast with long ones."""
MANY = 32
"""Rows to a column from which on a product is long."""
NARROW = 16
"""Elements of a matrix that a long one is multiplied with in a kernel, where that saves reading the product again."""

OF_MANY = 1 << 9
"""Multiplications up to which a kernel's sum is faster, for each of many matrices."""
WITH_VECTOR = 4
"""How many times as long a product with a vector may be as others, for a kernel to do it: it reads each number once."""
DOWN = 1 << 15
"""Elements of a matrix whose columns are summed, at most, where the columns are long."""
TALL = 8
"""How many times longer than the rows such columns are, at least."""


def products(graph: Graph, call: int = 1 << 15, of_half: bool = True) -> Graph:
    """`call`: multiplications up to which a kernel's sum is faster than a call of BLAS. `of_half`: whether there is one for float16."""
    if not any(node.op == "matmul" for node in graph.nodes):
        return graph
    graph = graph if of_half else rewrite(graph, _widened)
    readers = Counter(
        seen_through(source) for node in graph.nodes if operator(node.op).kind != "view" for source in node.inputs
    )
    beside = {
        seen_through(source)
        for node in graph.nodes
        if operator(node.op).kind == "elementwise"
        for source in node.inputs
    }
    given = iter(graph.nodes)

    def rule(node: Node, emit: Emit) -> Node:
        original = next(given)
        if node.op != "matmul" or from_package(node.dtype):
            return node
        if _is_written_out(original, readers, beside):
            return _written_out(node, emit)
        if _is_sum(original, call):
            return _summed(node, emit)
        if _is_of_many_rows(original, call):
            return _of_all_rows(node, emit)
        return _with_vector(node, emit) if _is_with_vector(original, readers, call) else node

    return rewrite(graph, rule)


def _widened(node: Node, emit: Emit) -> Node:
    if node.op != "matmul" or node.dtype.char != "e":
        return node
    wide = [emit(make("astype", (source,), node.where, dtype=np.dtype("f4"))) for source in node.inputs]
    return make("astype", (emit(make("matmul", wide, node.where)),), node.where, dtype=node.dtype)


def _is_written_out(node: Node, readers: Counter[Node], beside: set[Node]) -> bool:
    left, right = node.inputs
    (n, k), m = left.shape[-2:], right.shape[-1]
    if k > TERMS:
        return False
    if n * k * m <= SMALL and max(n, m) <= LONGEST:
        return True
    fused = node in beside or _is_computed(left, readers) or _is_computed(right, readers) or m == 1
    return fused and (k == 1 or k * min(n, m) <= NARROW) and size_of(node.shape) >= MANY * min(n, m)


def _is_computed(node: Node, readers: Counter[Node]) -> bool:
    """Whether kernels compute it, or the array that it is a view of, for one reader."""
    source = seen_through(node)
    return operator(source.op).kind in ("elementwise", "guarded") and readers[source] < 2


def _written_out(node: Node, emit: Emit) -> Node:
    """The sum over k, term by term. Of bools it is an `or` of `and`s, and float16 is summed in float32 and rounded once, as NumPy does."""
    left, right = node.inputs
    multiply, add = ("logical_and", "logical_or") if node.dtype.kind == "b" else ("multiply", "add")
    half = node.dtype == np.dtype("f2")
    if half:
        left, right = [emit(make("astype", (one,), node.where, dtype=np.dtype("f4"))) for one in (left, right)]

    def part(matrix: Node, axis: int, place: int) -> Node:
        """A column or a row."""
        start = tuple(place if a == axis % len(matrix.shape) else 0 for a in range(len(matrix.shape)))
        shape = tuple(1 if a == axis % len(matrix.shape) else n for a, n in enumerate(matrix.shape))
        step = (1,) * len(matrix.shape)
        return emit(make("slice", (matrix,), node.where, start=start, step=step, shape=shape))

    total = emit(constant(left.dtype.type(0)))  # products of -0.0 alone add up to 0.0
    for place in range(left.shape[-1]):
        term = emit(make(multiply, (part(left, -1, place), part(right, -2, place)), node.where))
        total = emit(make(add, (total, term), node.where))
    if not left.shape[-1]:
        total = emit(make("broadcast_to", (total,), node.where, shape=node.shape))
    return make("astype", (total,), node.where, dtype=node.dtype) if half else total


def _is_sum(node: Node, call: int) -> bool:
    left, right = node.inputs
    (n, k), m = left.shape[-2:], right.shape[-1]
    if 1 in (n, m) or node.dtype.kind not in "iuf" or node.dtype.char == "e":
        return False
    if node.dtype.kind != "f":  # NumPy has no BLAS for integers
        return True
    return size_of(node.shape) * k <= call or (len(right.shape) > 2 and n * k * m <= OF_MANY)


def _summed(node: Node, emit: Emit) -> Node:
    """Both operands with an axis for the other one's columns, and the axis of length k last."""
    left, right = node.inputs
    ndim = len(right.shape)
    turned = emit(make("transpose", (right,), node.where, perm=(*range(ndim - 2), ndim - 1, ndim - 2)))
    rows = emit(make("reshape", (left,), node.where, shape=(*left.shape[:-1], 1, left.shape[-1])))
    columns = emit(make("reshape", (turned,), node.where, shape=(*turned.shape[:-2], 1, *turned.shape[-2:])))
    product = emit(make("multiply", (rows, columns), node.where))
    return make("sum", (product,), node.where, axis=(len(product.shape) - 1,))


def _is_of_many_rows(node: Node, call: int) -> bool:
    """Whether the left operand is several matrices that lie one after another, and the right one matrix."""
    left, right = node.inputs
    n, m = node.shape[-2:]
    if (
        len(right.shape) > 2
        or m == 1
        or size_of(left.shape[:-2]) < 2
        or node.dtype.kind not in "fc"
        or node.dtype.char == "e"
    ):
        return False
    if n == 1 and size_of(left.shape) * m <= WITH_VECTOR * call:
        return False
    strides = strides_in_memory(left)
    whole = zip(left.shape, strides or (), strides_of(left.shape), strict=False)
    return strides is not None and all(step == wanted for extent, step, wanted in whole if extent != 1)


def _of_all_rows(node: Node, emit: Emit) -> Node:
    left, right = node.inputs
    rows = emit(make("reshape", (left,), node.where, shape=(size_of(left.shape[:-1]), left.shape[-1])))
    product = emit(make("matmul", (rows, right), node.where))
    return make("reshape", (product,), node.where, shape=node.shape)


def _is_with_vector(node: Node, readers: Counter[Node], call: int) -> bool:
    """Long columns that are summed down the memory of a matrix are BLAS's: it is faster even where the matrix has to be put in memory for it."""
    n, m = node.shape[-2:]
    if 1 not in (n, m) or node.dtype.char in "?e":
        return False
    matrix, summed = (node.inputs[0], -1) if m == 1 else (node.inputs[1], -2)
    if n == m == 1:
        return True
    strides = strides_in_memory(matrix)
    if strides is None:
        return False
    side_by_side, columns, size = strides[summed] != 1, max(n, m), size_of(matrix.shape[-2:])
    if side_by_side and strides[summed] != columns:
        return False
    if node.dtype.kind in "iu":  # NumPy has no BLAS for them
        return True
    if side_by_side:
        return (
            node.dtype.kind == "f" and size <= WITH_VECTOR * call and (size <= DOWN or size <= TALL * columns * columns)
        )
    return node.dtype.kind == "f" or _is_computed(matrix, readers)


def _with_vector(node: Node, emit: Emit) -> Node:
    left, right = node.inputs
    ndim = len(right.shape)
    turned = emit(make("transpose", (right,), node.where, perm=(*range(ndim - 2), ndim - 1, ndim - 2)))
    product = emit(make("multiply", (left, turned), node.where))
    total = emit(make("sum", (product,), node.where, axis=(len(product.shape) - 1,)))
    return make("reshape", (total,), node.where, shape=node.shape)
