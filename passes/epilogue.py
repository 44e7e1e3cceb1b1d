"""A bias and an activation after a matrix product are done by the library's product itself, before it goes to memory (cuBLASLt's epilogues).

    x @ w + b                                  linear(x, w, b, epilogue="bias")
    np.maximum(x @ w + b, 0)                   "relu_bias", and without the bias "relu"; with fastmath only
    0.5 * h * (1 + np.tanh(0.797884... * (h + 0.044715 * h**3))), h = x @ w + b
                                               "gelu_bias", and without the bias "gelu"; in whatever order its terms and factors are written

Taken are products of two matrices of float32 or float16, where nothing else reads what is between. Of float16 the sum is rounded once, at the end. What the
library's relu gives for a NaN is not documented, and may be 0 where np.maximum gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.ops.products import GELU_FACTORS
from numfuse.compiler.types import size_of
from numfuse.compiler.walks import strides_in_memory

DTYPES = (np.dtype("f2"), np.dtype("f4"))
CLOSE = 1e-6
"""How far, relatively, the factors of a gelu may be from those of the library."""
Polynomial = dict[int, float]
"""For each power its factor."""
_GELU_NODES = 16
"""Nodes after a product among which the last one of a gelu is looked for."""


@dataclass(frozen=True)
class Found:
    """A product with what is done to it."""

    product: Node
    bias: Node | None
    epilogue: str


def epilogue(graph: Graph, fastmath: bool) -> Graph:
    readers: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        for source in dict.fromkeys(node.inputs):
            readers.setdefault(source, []).append(node)
    found = dict(
        filter(
            None, [_found(node, readers, set(graph.outputs), fastmath) for node in graph.nodes if node.op == "matmul"]
        )
    )
    if not found:
        return graph
    given, new = iter(graph.nodes), {node: node for node in graph.inputs}

    def rule(node: Node, emit: Callable[[Node], Node]) -> Node:
        original = next(given)
        match = found.get(original)
        new[original] = node if match is None else _linear(match, original, new, emit)
        return new[original]

    return rewrite(graph, rule)


def _linear(match: Found, root: Node, new: Mapping[Node, Node], emit: Callable[[Node], Node]) -> Node:
    operands = [new[source] for source in match.product.inputs]
    columns = match.product.shape[1:]
    if match.bias is not None:
        bias = new[match.bias]
        operands.append(bias if bias.shape == columns else emit(make("reshape", (bias,), root.where, shape=columns)))
    made = make("linear", operands, root.where, epilogue=match.epilogue)
    return made if made.shape == root.shape else make("reshape", (emit(made),), root.where, shape=root.shape)


def _found(product: Node, readers: Mapping[Node, list[Node]], kept: set[Node], relu: bool) -> tuple[Node, Found] | None:
    """The last node that the library's product can do, with what it then computes."""
    if product.dtype not in DTYPES or len(product.shape) != 2 or not size_of(product.shape):
        return None

    def only_reader(node: Node) -> Node | None:
        following = readers.get(node, [])
        return following[0] if len(following) == 1 and node not in kept else None

    last, bias = product, None
    seen = only_reader(last)
    if seen is not None and seen.op == "reshape" and seen.shape[-1:] == product.shape[1:]:
        last, seen = seen, only_reader(seen)
    if seen is not None and seen.op == "add" and (seen.shape, seen.dtype) == (last.shape, last.dtype):
        bias = _bias(seen, last, product)
        if bias is not None:
            last, seen = seen, only_reader(seen)
    suffix = "" if bias is None else "_bias"
    if (
        relu
        and seen is not None
        and seen.op == "maximum"
        and seen.dtype == last.dtype
        and 0.0 in map(_number, seen.inputs)
    ):
        return seen, Found(product, bias, f"relu{suffix}")
    if last not in kept:
        for node in _gelus(last, readers):
            inside = _inside(node, last)
            if all(one is node or (one not in kept and set(readers[one]) <= inside) for one in (*inside, last)):
                return node, Found(product, bias, f"gelu{suffix}")
    return None if bias is None else (last, Found(product, bias, "bias"))


def _bias(added: Node, last: Node, product: Node) -> Node | None:
    """What `added` adds to each row of `last`, where it is an element a column that lie side by side."""
    bias = added.inputs[1] if added.inputs[0] is last else added.inputs[0]
    columns = product.shape[1]
    if bias is last or not bias.shape or size_of(bias.shape) != columns or bias.shape[-1] != columns:
        return None
    strides = strides_in_memory(bias)
    side_by_side = columns == 1 or (strides is not None and strides[-1] == 1)
    return bias if side_by_side and bias.dtype == last.dtype else None


def _number(node: Node) -> float | None:
    if node.op != "constant" or node.shape:
        return None
    return float(node.params["value"])


# -- gelu ----------------------------------------------------------------------------------------------------------------


def _gelus(x: Node, readers: Mapping[Node, list[Node]]) -> list[Node]:
    """The nodes after `x` that are a gelu of it."""
    after: dict[Node, None] = {}
    pending = [x]
    while pending and len(after) < _GELU_NODES:
        for node in readers.get(pending.pop(0), []):
            if node not in after and node.dtype == x.dtype and node.shape == x.shape:
                after[node] = None
                pending.append(node)
    return [node for node in after if node.op == "multiply" and _is_gelu(node, x)]


def _is_gelu(node: Node, x: Node) -> bool:
    half, scale, cubic = GELU_FACTORS
    factors = _factors(node)
    gates = [factor for factor in factors if factor.op == "add" and _polynomial(factor, x) is None]
    if len(gates) != 1:
        return False
    rest: Polynomial | None = {0: 1.0}
    for factor in factors:
        if factor is not gates[0] and rest is not None:
            rest = _times(rest, _polynomial(factor, x))
    one, wave = sorted(gates[0].inputs, key=lambda part: part.op == "tanh")
    inner = _polynomial(wave.inputs[0], x) if wave.op == "tanh" and _number(one) == 1.0 else None
    return _same(rest, {1: half}) and _same(inner, {1: scale, 3: scale * cubic})


def _factors(node: Node) -> list[Node]:
    if node.op != "multiply":
        return [node]
    return [factor for source in node.inputs for factor in _factors(source)]


def _polynomial(node: Node, x: Node) -> Polynomial | None:
    """The node as a polynomial in x; None for any other function."""
    if node is x:
        return {1: 1.0}
    number = _number(node)
    if number is not None:
        return {0: number}
    if node.op not in ("add", "multiply", "square"):
        return None
    parts = [_polynomial(source, x) for source in node.inputs]
    if node.op == "add":
        first, second = parts
        if first is None or second is None:
            return None
        return {power: first.get(power, 0.0) + second.get(power, 0.0) for power in {*first, *second}}
    return _times(parts[0], parts[-1])


def _times(first: Polynomial | None, second: Polynomial | None) -> Polynomial | None:
    if first is None or second is None:
        return None
    product: Polynomial = {}
    for power, factor in first.items():
        for other, by in second.items():
            product[power + other] = product.get(power + other, 0.0) + factor * by
    return product


def _same(found: Polynomial | None, wanted: Polynomial) -> bool:
    if found is None or {power for power, factor in found.items() if factor} != set(wanted):
        return False
    return all(abs(found[power] - factor) <= CLOSE * abs(factor) for power, factor in wanted.items())


def _inside(root: Node, x: Node) -> set[Node]:
    """The nodes of the expression `root` of `x`, but for constants."""
    inside: set[Node] = set()
    pending: Sequence[Node] = [root]
    while pending:
        node, *pending = pending
        if node is not x and node not in inside and node.op != "constant":
            inside.add(node)
            pending = [*pending, *node.inputs]
    return inside
