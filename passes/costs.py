"""What computing a node again would cost: fusion weighs that against reading it from memory."""

from __future__ import annotations

from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.ops import operator, scalar_code
from numfuse.compiler.types import size_of

CHEAP = 8
"""Work, in additions for an element, that is repeated rather than put in memory and read back."""
UNROLLED = 8
"""Elements of a reduction that is so short that it is written out where it is needed."""
NESTED = 3
"""Arrays that are put together of parts of each other, beyond which the elements of one are read rather than looked for."""
MOST_LOADS = 4
"""Beyond so many arrays that a value is computed from, they are not counted."""


class Costs:
    """For each node: `work`, the additions that an element costs from what is in memory; `loads`, the arrays that it is computed from, of no
    fewer elements than the node itself has; and `source_reduction`, the reduction whose result it is made from."""

    def __init__(self, graph: Graph, guard: float = 4) -> None:
        self.guard = guard
        """What it costs to tell which operand an element comes from, where each gives whole runs."""
        self.nested: dict[Node, int] = {}
        self.work: dict[Node, float] = {}
        self.loads: dict[Node, frozenset[Node]] = {}
        self.source_reduction: dict[Node, Node | None] = {}
        for node in (*graph.inputs, *graph.nodes):
            self._measure(node)

    def _measure(self, node: Node) -> None:
        row = operator(node.op)
        reduction = None
        work: float = 0
        loads = frozenset([node])
        if row.kind in ("view", "guarded", "gather") or (row.kind == "elementwise" and in_kernels(node)):
            runs = row.kind == "guarded" and all(abs(step) == 1 for step in node.params.get("step", ()))
            work = min(row.cost, self.guard) if runs else row.cost
            self.nested[node] = self._nested(node)
            work += 2 * row.cost if row.kind == "guarded" and self.nested[node] > NESTED else 0
            for source in node.inputs:
                spread = size_of(source.shape) < size_of(node.shape)  # computed once for many elements
                apart = row.kind == "gather" and source is node.inputs[0] and self.work[source] > CHEAP
                work += 0 if spread or apart or self._long_reduction(source) else self.work[source]
                reduction = reduction or self.source_reduction[source]
            if row.kind not in ("guarded", "gather"):
                many = [self.loads[source] for source in node.inputs if size_of(source.shape) >= size_of(node.shape)]
                loads = max(many, key=len) if many and max(map(len, many)) > MOST_LOADS else frozenset().union(*many)
        elif row.kind == "reduction":
            reduction = node
            work = (self.work[node.inputs[0]] + 1) * max(reduced_length(node), 1)
        self.work[node] = min(work, 10_000)
        self.loads[node] = loads
        self.source_reduction[node] = reduction

    def _nested(self, node: Node) -> int:
        """How many arrays that are put together of smaller ones an element is looked for in, one within the other."""
        within = [self.nested.get(source, 0) for source in node.inputs]
        if operator(node.op).kind == "view":
            return within[0]
        parts = [
            count
            for count, source in zip(within, node.inputs, strict=True)
            if size_of(source.shape) < size_of(node.shape)
        ]
        return 1 + max(parts) if operator(node.op).kind == "guarded" and len(parts) == len(within) else 0

    def _long_reduction(self, node: Node) -> bool:
        return operator(node.op).kind == "reduction" and reduced_length(node) > UNROLLED


def in_kernels(node: Node) -> bool:
    """Whether kernels can compute this elementwise node; what they cannot is a library call."""
    return scalar_code(node.op, *[source.dtype for source in node.inputs]) is not None


def reduced_length(node: Node) -> int:
    return size_of([node.inputs[0].shape[a] for a in node.params["axis"]])
