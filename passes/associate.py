"""Chains of matrix products are multiplied in the order that takes the fewest multiplications: (A @ B) @ v becomes A @ (B @ v).

The order is found by dynamic programming (Cormen et al., Introduction to Algorithms, chapter 15). Of floats another order is another rounding, so this is
for `jit(fastmath=True)`; of integers and bools it is exact. A product that something else reads too is computed once, and begins or ends a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from numfuse.compiler.graph import Graph, Node, make, rewrite
from numfuse.compiler.types import from_package

Emit = Callable[[Node], Node]

WORTH = 0.8
"""Another order is taken where it leaves less than this part of the multiplications."""
LONGEST = 16
"""Matrices in a chain: longer ones are left as they are written."""


@dataclass
class Chain:
    """A product of several matrices. `factors`: each with whether it is transposed; `multiplications`: as it is written."""

    factors: list[tuple[Node, bool]] = field(default_factory=list)
    multiplications: int = 0

    @property
    def sizes(self) -> list[int]:
        """The rows of the first matrix, then the columns of each."""
        shapes = [node.shape[::-1] if transposed else node.shape for node, transposed in self.factors]
        return [shapes[0][0], *[columns for _, columns in shapes]]


def associate(graph: Graph, floats: bool) -> Graph:
    """`floats`: whether products of floats may be put in another order too."""
    inner = _read_by_one_product(graph)
    if not inner:
        return graph
    given = iter(graph.nodes)
    opened: set[Node] = set()

    def rule(node: Node, emit: Emit) -> Node:
        original = next(given)
        if original in inner:
            opened.add(node)
            return node
        found = _better_order(node, opened, floats)
        return node if found is None else _multiplied(*found, node, emit)

    return rewrite(graph, rule)


def associations(graph: Graph, floats: bool) -> Iterator[tuple[Node, int, int]]:
    """The products that `associate` puts in another order, each with its multiplications before and after."""
    inner = _read_by_one_product(graph)
    for node in graph.nodes:
        found = None if node in inner else _better_order(node, inner, floats)
        if found is not None:
            chain, orders = found
            yield node, chain.multiplications, orders[0, len(chain.factors) - 1][0]


def _read_by_one_product(graph: Graph) -> set[Node]:
    """Products and transposes of two axes whose only reader is a product, or such a transpose."""
    users = graph.users()
    outputs = set(graph.outputs)
    inner: set[Node] = set()
    for node in reversed(graph.nodes):
        if (
            node.op in ("matmul", "transpose")
            and len(node.shape) == 2
            and len(users[node]) == 1
            and node not in outputs
        ):
            (reader,) = users[node]
            if len(reader.shape) == 2 and (reader.op == "matmul" or reader in inner):
                inner.add(node)
    return inner


def _better_order(node: Node, inner: set[Node], floats: bool) -> tuple[Chain, Orders] | None:
    if (
        node.op != "matmul"
        or len(node.shape) != 2
        or (node.dtype.kind in "fc" and not floats)
        or from_package(node.dtype)
    ):
        return None
    chain = Chain()
    _open(node, False, inner, chain)
    if not 2 < len(chain.factors) <= LONGEST:
        return None
    orders = best_orders(chain.sizes)
    return (chain, orders) if orders[0, len(chain.factors) - 1][0] < WORTH * chain.multiplications else None


def _open(node: Node, transposed: bool, inner: set[Node], chain: Chain, root: bool = True) -> None:
    if len(chain.factors) > LONGEST:
        return
    if node.op == "transpose" and node in inner:
        _open(node.inputs[0], not transposed, inner, chain, False)
    elif node.op == "matmul" and (root or node in inner):
        left, right = node.inputs
        chain.multiplications += left.shape[0] * left.shape[1] * right.shape[1]
        for operand in (right, left) if transposed else (left, right):
            _open(operand, transposed, inner, chain, False)
    else:
        chain.factors.append((node, transposed))


Orders = dict[tuple[int, int], tuple[int, int]]
"""For a first and a last matrix, the fewest multiplications and the last matrix of the left part."""


def best_orders(sizes: list[int]) -> Orders:
    count = len(sizes) - 1
    orders: Orders = {(one, one): (0, one) for one in range(count)}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            orders[first, last] = min(
                (
                    orders[first, cut][0] + orders[cut + 1, last][0] + sizes[first] * sizes[cut + 1] * sizes[last + 1],
                    cut,
                )
                for cut in range(first, last)
            )
    return orders


def _multiplied(chain: Chain, orders: Orders, node: Node, emit: Emit) -> Node:
    def part(first: int, last: int) -> Node:
        if first == last:
            factor, transposed = chain.factors[first]
            return emit(make("transpose", (factor,), node.where, perm=(1, 0))) if transposed else factor
        cut = orders[first, last][1]
        return emit(make("matmul", (part(first, cut), part(cut + 1, last)), node.where))

    return part(0, len(chain.factors) - 1)
