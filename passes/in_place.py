"""Chooses the writes that are done in place: where nobody reads an array after a slice is written into it, its memory takes the slice.

`set_slice` makes an array; `put_slice` means the same, but only the slice is written, into the memory of the first operand. So it is with `scatter`
and `put`, for targets whose loops run in order: an element may be meant for several values.
Whether nothing reads the old contents afterwards is asked of the program's order; fusion and lowering keep to that order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from numfuse.compiler.graph import Graph, Node, make, seen_through
from numfuse.compiler.index import Axis, Element, Index, axis_index
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.gather import gathered, put_at, written_at
from numfuse.compiler.ops.views import broadcast_index
from numfuse.compiler.types import size_of
from numfuse.passes.costs import in_kernels
from numfuse.passes.scatter import storable

SMALL = 128
"""An array of so few elements is made anew in one kernel, which may hold several writes."""
LARGE = 0.5
"""The share of an array that a write covers from which on it is made anew together with the array, and not in a pass of its own."""
VISITS = 2000
"""Places of operands that are looked at to tell whether a value can be computed while it is written."""

Indices = tuple[Index, ...]


IN_PLACE = {"set_slice": "put_slice", "scatter": "put"}
"""For each operator that writes, the one that does it in place."""


def in_place(graph: Graph, given: Mapping[Node, int], in_order: bool) -> Graph:
    """`given`: inputs whose memory may be written to, and for each the output that it must hold at the end."""
    if not any(node.op in IN_PLACE for node in graph.nodes):
        return graph
    return Writes(graph, given, in_order).run()


class Writes:
    def __init__(self, graph: Graph, given: Mapping[Node, int], in_order: bool) -> None:
        self.graph = graph
        self.in_order = in_order
        self.given = given
        self.position = {node: place for place, node in enumerate((*graph.inputs, *graph.nodes))}
        self.users = graph.users()
        self.reads: dict[Node, list[Node]] = {node: [] for node in self.position}
        """For each array in memory, the nodes that read it, directly or through views."""
        for node in graph.nodes:
            if operator(node.op).kind != "view":
                for source in node.inputs:
                    self.reads[seen_through(source)].append(node)
        self.returned = {seen_through(node) for node in graph.outputs}
        self.next: dict[Node, Node] = {}
        """For each array, the write that takes its memory."""
        self.made_with_base = self._made_with_base()

    def run(self) -> Graph:
        for node in reversed(self.graph.nodes):
            if node.op in IN_PLACE and self._possible(node) and self._pays(node):
                self.next[node.inputs[0]] = node
        chosen = set(self.next.values())
        new: dict[Node, Node] = {node: node for node in self.graph.inputs}
        nodes: list[Node] = []

        def emit(node: Node) -> Node:
            nodes.append(node)
            return node

        for node in self.graph.nodes:
            inputs = tuple([new[source] for source in node.inputs])
            if node not in chosen:
                new[node] = emit(node if inputs == node.inputs else node.with_inputs(inputs))
                continue
            made = new[node] = emit(make(IN_PLACE[node.op], inputs, node.where, node.name, **node.params))
            value = self._read_back(node) if node.op == "set_slice" else None
            if value is not None:
                shape = node.inputs[1].shape
                part = emit(make("slice", (made,), node.where, **node.params, shape=shape))
                new[value] = part if value.shape == shape else emit(make("reshape", (part,), shape=value.shape))
        return Graph(self.graph.name, self.graph.inputs, nodes, [new[node] for node in self.graph.outputs])

    def _possible(self, node: Node) -> bool:
        """Whether the memory of the first operand is the program's own, and nobody reads it after the write."""
        base = node.inputs[0]
        if base in self.next or base in self.returned or 0 in base.shape:
            return False
        if base.op == "input":
            last = node
            while last in self.next:
                last = self.next[last]
            if base not in self.given or self.graph.outputs[self.given[base]] is not last:
                return False
        elif operator(base.op).kind in ("view", "source", "structure"):
            return False
        if node.op == "scatter":
            if not (self.in_order and storable(node)) or base in map(seen_through, node.inputs[1:]):
                return False
        elif seen_through(node.inputs[1]) is base and not self._while_written(node):
            return False  # `x[1:] = x[:-1]`: what is written is nowhere else
        return all(self.position[reader] <= self.position[node] for reader in self.reads[base])

    def _pays(self, node: Node) -> bool:
        base, value, *places = node.inputs
        if any(place.shape for place in places) or node.params.get("combine"):
            return True  # no other kernel can do it
        if size_of(base.shape) <= SMALL or node in self.made_with_base:
            return False
        if node not in self.returned and node not in self.next and len(self.reads[node]) == 1:
            (reader,) = self.reads[node]
            if operator(reader.op).kind == "elementwise" and node in reader.inputs:
                return False  # it need not be in memory at all
        if places:
            return 2 * size_of(value.shape) <= size_of(base.shape)
        if abs(node.params["step"][-1]) != 1 and value.shape[-1] > 1 and 4 * size_of(value.shape) > size_of(base.shape):
            return False  # every other element: reading between what was just written is slow
        return 2 * size_of(value.shape) <= size_of(base.shape) or self._while_written(node)

    def _made_with_base(self) -> set[Node]:
        """The writes of large slices into arrays that kernels compute, and that nothing else needs: one kernel computes the array as it is afterwards."""
        found: set[Node] = set()
        for node in self.graph.nodes:
            if node.op != "set_slice" or size_of(node.inputs[1].shape) < LARGE * size_of(node.shape):
                continue
            base = node.inputs[0]
            computed = base in found or (operator(base.op).kind == "elementwise" and in_kernels(base))
            if computed and base not in self.returned and self._only_for(base, node) and self._while_written(node):
                found.add(node)
        return found

    def _only_for(self, base: Node, node: Node) -> bool:
        """Whether all that reads `base` is `node` and what elementwise operators compute for it."""
        pending = [reader for reader in self.reads[base] if reader is not node]
        while pending:
            reader = pending.pop()
            if operator(reader.op).kind != "elementwise" or reader in self.returned:
                return False
            pending += [further for further in self.reads[reader] if further is not node]
            if self.position[reader] > self.position[node]:
                return False
        return True

    def _while_written(self, node: Node) -> bool:
        """Whether the value can be computed and written element by element: it reads no element that is written for another one."""
        base, value = node.inputs
        index = tuple([axis_index(Axis(place, extent)) for place, extent in enumerate(value.shape)])
        written = region(node, index)
        pending: list[tuple[Node, Indices]] = [(value, index)]
        met = set(pending)
        while pending and len(met) < VISITS:
            one, at = pending.pop()
            if one is base:
                if not apart(at, written):
                    return False
            elif self.position[one] > self.position[base] and operator(one.op).kind != "reduction":
                for found in operand_indices(one, at):
                    if found not in met:
                        met.add(found)
                        pending.append(found)
        return not pending

    def _read_back(self, node: Node) -> Node | None:
        """The value that is written, where it is needed later on: it is then read from where it was written to."""
        value, path = node.inputs[1], node
        while value.op == "reshape" and len(self.users[value]) == 1:
            value, path = value.inputs[0], value
        others = [user for user in self.users[value] if user is not path]
        following = self.next.get(node)
        end = self.position[following] if following is not None else math.inf
        if (
            not others
            or value in self.returned
            or value in self.next  # it is in memory of its own, which is written to
            or operator(value.op).kind not in ("elementwise", "guarded", "reduction")
        ):
            return None
        readers = [*others, *self.reads[value]]
        inside = all(
            self.position[node] < self.position[one] < end for one in readers if one is not path and one is not node
        )
        return value if inside else None


def region(node: Node, index: Indices) -> Indices:
    """Where in its first operand a write in place puts the element of its second at `index`."""
    return _put_region(node, index) if node.op == "put" else written_at(node, index)


def _put_region(node: Node, index: Indices) -> Indices:
    """Places that may be met twice are told apart from all that is read: after the first time it is another value."""
    base, _, *places = node.inputs
    parts = list(put_at(node, index)[1])
    for axis, place in zip(node.params["axes"], places, strict=True):
        if place.shape:
            parts[axis] = Index(0, ((Element(node, index, base.shape[axis]), 1),))
    return tuple(parts)


def apart(read: Indices, written: Indices) -> bool:
    """Whether what is read is the very element that is written, or is never written at all."""
    return read == written or any(_never_equal(one, other) for one, other in zip(read, written, strict=True))


def _never_equal(one: Index, other: Index) -> bool:
    (low, high), (first, last) = one.bounds, other.bounds
    if high < first or last < low:
        return True
    if not (one.affine and other.affine):
        return False
    common = math.gcd(*[coef for index in (one, other) for _, coef in index.terms])
    return common > 1 and (one.const - other.const) % common != 0


def operand_indices(node: Node, index: Indices) -> list[tuple[Node, Indices]]:
    """What the element of `node` at `index` is made from, where that is computed with it: operands, and where in them. A reduction's axes are
    loops of their own."""
    row = operator(node.op)
    if row.kind == "elementwise":
        return [(source, broadcast_index(source.shape, index)) for source in node.inputs]
    if row.kind == "reduction" and node.params.get("block") is None:
        (source,), axis, outer = node.inputs, node.params["axis"], iter(index)
        inner = [axis_index(Axis(1000 * id(node) + a, n)) for a, n in enumerate(source.shape)]
        return [(source, tuple([inner[a] if a in axis else next(outer) for a in range(len(inner))]))]
    if row.kind == "gather":
        places, inside = gathered(node, index)
        return list(zip(node.inputs, (inside, *places), strict=True))
    if row.pull is not None:
        cases = row.pull([source.shape for source in node.inputs], node.params, node.shape, index)
        return [(node.inputs[case.operand], case.index) for case in cases if not any(test.never for test in case.tests)]
    return []
