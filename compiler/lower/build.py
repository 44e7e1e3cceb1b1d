"""From a fused node to the kernel IR: pulls each output through the operators' index maps down to the inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.index import ZERO, Axis, Case, Index, axis_index, flatten
from numfuse.compiler.kernel import Accumulator, Buffer, Choose, Kernel, Loop, Scope, Store, Value
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.lower.digits import Radices
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.gather import gathered, written_at
from numfuse.compiler.ops.views import broadcast_index
from numfuse.compiler.types import size_of

Indices = tuple[Index, ...]
Keep = Callable[[Node, int], bool]
"""Whether a value that two loops of a row need is kept between them: asked for its node and the loops' length."""


def stored(node: Node) -> Node:
    """What a kernel stores for an output: the output itself, or the slice that is written in place."""
    return node.inputs[1] if operator(node.op).kind == "store" else node


class Builder:
    def __init__(
        self,
        body: Graph,
        rows: tuple[tuple[int, ...], ...] | None,
        inputs: list[Buffer],
        outputs: list[Buffer],
        keep: Keep,
        radices: Radices | None = None,
    ) -> None:
        self.body = body
        self.buffers = dict(zip(body.inputs, inputs, strict=True))
        self.outputs = outputs
        self.keep = keep
        self.results = [stored(node) for node in body.outputs]
        first = self.results[0].shape
        self.row_places = rows if rows is not None else tuple(tuple(range(len(node.shape))) for node in self.results)
        wide = [
            k for k, place in enumerate(self.row_places[0]) if first[place] != 1
        ]  # an axis of one element is no loop
        self.row_places = tuple([tuple([places[k] for k in wide]) for places in self.row_places])
        radices = radices or tuple([(first[place],) for place in self.row_places[0]])
        numbers = itertools.count()
        walked = [[Axis(next(numbers), extent) for extent in radix] for radix in radices]
        self.rows = tuple([axis for axes in walked for axis in axes])
        self.scopes = [Scope(None, frozenset())]
        for axis in self.rows:
            self.scopes.append(Scope(self.scopes[-1], self.scopes[-1].axes | {axis}))
        self.row_index = [
            flatten([axis_index(axis) for axis in axes], strides_of(radix))
            for axes, radix in zip(walked, radices, strict=True)
        ]
        self.placed: set[Value] = set()
        self.earlier: dict[tuple[Node, Indices], Value] = {}
        self.levels: dict[tuple[Node, Indices], int] = {}
        self.anywhere: dict[tuple[Node, Indices], bool] = {}
        self.reduces = any(operator(node.op).kind == "reduction" for node in body.nodes)

    def build(self, name: str) -> Kernel:
        kernel = Kernel(name, [*self.buffers.values(), *self.outputs], self.rows, self.scopes, self.body)
        items: dict[tuple[int, tuple[Axis, ...], Index | None], list[tuple[Node, Indices, Buffer | None]]] = {}
        at_the_end = []
        for node, buffer, places in zip(self.results, self.outputs, self.row_places, strict=True):
            index = self._output_index(node, places)
            level = self._level(node, index)
            axes = self._inner(index)
            if axes:
                items.setdefault((level, axes, None), []).append((node, index, buffer))
            else:
                at_the_end.append((node, index, buffer))
        for (node, index), level in self.levels.items():
            if operator(node.op).kind == "reduction" and self._at_row(node, index):
                inside, limit = self._reduced(node, index)
                items.setdefault((level - 1, self._inner(inside), limit), []).append((node, index, None))
        for key in sorted(items, key=lambda key: key[0]):
            self._loop(key[1], key[2], items[key])
        for node, index, buffer in at_the_end:
            self._store(node, index, buffer, self.scopes[-1])
        kernel.collapse()
        return kernel

    # -- which loops there are ---------------------------------------------------------------------------------------

    def _output_index(self, node: Node, places: Sequence[int]) -> Indices:
        index: list[Index | None] = [None] * len(node.shape)
        for part, place in zip(self.row_index, places, strict=True):
            index[place] = part
        inner = iter(self._inner_axes([n for k, n in enumerate(node.shape) if index[k] is None]))
        return tuple([next(inner) if part is None else part for part in index])

    def _inner_axes(self, extents: Sequence[int]) -> Indices:
        """Loop variables within a row: the same for equal extents in the same order, so that loops can be shared."""
        return tuple([axis_index(Axis(len(self.rows) + number, extent)) for number, extent in enumerate(extents)])

    def _inner(self, index: Indices) -> tuple[Axis, ...]:
        axes = {axis for part in index for axis in part.axes} - set(self.rows)
        return tuple(sorted(axes, key=lambda axis: axis.number))

    def _at_row(self, node: Node, index: Indices) -> bool:
        """Whether a reduction at this index has one value for each row, by the rows' own axes: then it is a loop."""
        named = [(part, extent) for part, extent in zip(index, node.shape, strict=True) if part != ZERO]
        parts = {part for part, _ in named}
        whole = all(part.bounds == (0, extent - 1) for part, extent in named)
        return whole and len(parts) == len(named) and parts == {part for part in self.row_index if part != ZERO}

    def _reduced(self, node: Node, index: Indices) -> tuple[Indices, Index | None]:
        """Index into a reduction's operand with the reduced axes as loops; and the limit of a blocked one."""
        (source,), axis, block = node.inputs, node.params["axis"], node.params.get("block")
        if block is not None:
            length = source.shape[axis[0]]
            (within,) = self._inner_axes([min(block, length)])
            start = index[axis[0]] * block
            inside = (*index[: axis[0]], start + within, *index[axis[0] + 1 :])
            return inside, None if length % block == 0 else Index(length) - start
        inner = iter(self._inner_axes([source.shape[a] for a in axis]))
        outer = iter(index)
        return tuple([next(inner) if a in axis else next(outer) for a in range(len(source.shape))]), None

    def _level(self, node: Node, index: Indices) -> int:
        """How many loops must have ended before the node's value at `index` can be had."""
        if not self.reduces:
            return 0
        key = (node, index)
        if key in self.levels:
            return self.levels[key]
        row = operator(node.op)
        level = 0
        if row.kind == "elementwise":
            level = max(
                (self._level(source, broadcast_index(source.shape, index)) for source in node.inputs), default=0
            )
        elif row.kind == "reduction":
            if self._at_row(node, index):
                level = self._level(node.inputs[0], self._reduced(node, index)[0]) + 1
            else:
                level = max((self._level(node.inputs[0], place) for place in self._unrolled(node, index)), default=0)
        elif row.kind == "gather":
            places, inside = gathered(node, index)
            read = zip(node.inputs, (inside, *places), strict=True)
            level = max([self._level(source, place) for source, place in read])
        elif row.pull is not None:
            level = max(
                (self._level(node.inputs[case.operand], case.index) for case in self._cases(node, index)), default=0
            )
        self.levels[key] = level
        return level

    def _cases(self, node: Node, index: Indices) -> list[Case]:
        """Where the element may come from: cases that cannot be are left out, tests that always hold too."""
        pull = operator(node.op).pull
        assert pull is not None
        cases = []
        for case in pull([source.shape for source in node.inputs], node.params, node.shape, index):
            if any(test.never for test in case.tests):
                continue
            tests = tuple([test for test in case.tests if not test.always])
            cases.append(Case(tests, case.operand, case.index))
            if not tests:
                break
        return cases

    def _unrolled(self, node: Node, index: Indices) -> list[Indices]:
        (source,), axis = node.inputs, node.params["axis"]
        places = []
        for place in np.ndindex(*[source.shape[a] for a in axis]):
            inner, outer = iter(place), iter(index)
            places.append(
                tuple([Index(int(next(inner))) if a in axis else next(outer) for a in range(len(source.shape))])
            )
        return places

    # -- loops and stores --------------------------------------------------------------------------------------------

    def _loop(
        self, axes: tuple[Axis, ...], limit: Index | None, items: list[tuple[Node, Indices, Buffer | None]]
    ) -> None:
        row = self.scopes[-1]
        if any(axis.extent == 0 for axis in axes):
            for node, index, buffer in items:
                if buffer is None:
                    fact = operator(node.op)
                    assert fact.identity is not None
                    row.known[node, index] = Value(
                        "constant", node.dtype, row, constant=fact.identity(node.dtype), node=node
                    )
            return
        body = Scope(row, row.axes | set(axes))
        loop = Loop(axes, body, limit=limit)
        for node, index, buffer in items:
            if buffer is not None:
                self._store(node, index, buffer, body)
                continue
            fact = operator(node.op)
            inside, _ = self._reduced(node, index)
            value = self._pull(node.inputs[0], inside, body).used_in(body)
            assert fact.identity is not None
            result = Value("result", node.dtype, row, node=node, hint=node.op)
            loop.accumulators.append(Accumulator(fact.combine, fact.identity(node.dtype), value, result))
            row.known[node, index] = result
        row.statements.append(loop)
        for key, value in body.known.items():
            self.earlier.setdefault(key, value)

    def _store(self, node: Node, index: Indices, buffer: Buffer | None, scope: Scope) -> None:
        assert buffer is not None
        value = self._pull(node, index, scope)
        put = self.body.outputs[0] if self.body.outputs[0].op in ("put", "scan") else None
        offset = flatten(index if put is None else written_at(put, index), buffer.strides) + buffer.first
        args = self._elements([offset], scope)
        if put is not None and put.params["combine"]:
            before = offset - (buffer.strides[put.params["axis"]] if put.op == "scan" else 0)
            old = Value("load", node.dtype, scope, self._elements([before], scope), put, buffer, before)
            joined = Node(put.params["combine"], (node, node), {}, (), node.dtype, put.where)
            value = Value("apply", node.dtype, scope, (old.used_in(scope), value.used_in(scope)), joined)
            self._place(old, scope)
            self._place(value, scope)
        scope.statements.append(Store(buffer, offset, value.used_in(scope), (put or node).where, args))

    # -- values ------------------------------------------------------------------------------------------------------

    def _pull(self, node: Node, index: Indices, scope: Scope) -> Value:
        """The value of `node` at `index`, made in the outermost scope that has the axes it depends on."""
        row = operator(node.op)
        if row.kind == "view":
            (case,) = self._cases(node, index)
            return self._pull(node.inputs[0], case.index, scope)
        if row.kind == "gather":
            return self._pull(node.inputs[0], gathered(node, index)[1], scope)
        home = self._home(node, index, scope)
        key = (node, index)
        known = self._known(key, home)
        if known is not None:
            return known
        value = self._kept(key, home) or self._make(node, index, home)
        home.known[key] = value
        self._place(value, home)
        return value

    def _place(self, value: Value, scope: Scope) -> None:
        """Lists a value among the statements of its scope, once; constants and results stand where they are used."""
        if value.kind not in ("constant", "result") and value not in self.placed:
            self.placed.add(value)
            scope.statements.append(value)

    def _known(self, key: tuple[Node, Indices], scope: Scope | None) -> Value | None:
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.parent
        return None

    def _home(self, node: Node, index: Indices, scope: Scope) -> Scope:
        """The outermost scope around `scope` with all axes of the index.

        A branch is left only on the way out of a loop, and only by what may be computed whichever branch is taken.
        """
        home = scope
        while scope.parent is not None:
            outside = scope.parent
            for part in index:
                if not part.axes <= outside.axes:
                    return home
            if scope.axes is not outside.axes:
                home = outside
            elif not self._anywhere(node, index):
                return home
            scope = outside
        return home

    def _anywhere(self, node: Node, index: Indices) -> bool:
        """Whether the element is there to be computed whatever the loop variables are."""
        for part, extent in zip(index, node.shape, strict=True):
            low, high = part.bounds
            if low < 0 or high >= extent or part.elements:
                return False
        key = (node, index)
        if key not in self.anywhere:
            node, index = self._seen_through(node, index)
            row = operator(node.op)
            self.anywhere[key] = (
                node in self.buffers
                or node.op == "constant"
                or (
                    row.kind == "elementwise"
                    and all(self._anywhere(source, broadcast_index(source.shape, index)) for source in node.inputs)
                )
            )
        return self.anywhere[key]

    def _kept(self, key: tuple[Node, Indices], scope: Scope) -> Value | None:
        """The value that an earlier loop over the same axes made, where the target keeps it."""
        earlier = self.earlier.get(key)
        if earlier is None or earlier.kind == "constant" or earlier.scope.axes != scope.axes:
            return None
        if earlier.scope.parent is not scope.parent:
            return None
        length = size_of([axis.extent for axis in scope.axes - self.scopes[-1].axes])
        if not self.keep(key[0], length):
            return None
        origin = earlier.source or earlier
        origin.keep = True
        return Value("kept", origin.dtype, scope, node=origin.node, source=origin, hint=origin.hint)

    def _make(self, node: Node, index: Indices, scope: Scope) -> Value:
        row = operator(node.op)
        if node in self.buffers:
            buffer = self.buffers[node]
            if (
                0 in buffer.shape
            ):  # nothing to load; and nobody asks, but a load may be hoisted out of a loop of no steps
                return Value("constant", node.dtype, scope, constant=node.dtype.type(0), node=node)
            offset = flatten(index, buffer.strides)
            return Value(
                "load", node.dtype, scope, self._elements([offset], scope), node, buffer, offset, hint=buffer.name
            )
        if node.op == "constant":
            return Value("constant", node.dtype, scope, constant=node.params["value"][()], node=node)
        if node.op == "iota":
            place = index[node.params["axis"]]
            return Value("place", node.dtype, scope, self._elements([place], scope), node, index=place, hint="place")
        if row.kind == "elementwise":
            args = [self._pull(source, broadcast_index(source.shape, index), scope) for source in node.inputs]
            return Value("apply", node.dtype, scope, tuple([arg.used_in(scope) for arg in args]), node, hint=node.op)
        if row.kind == "reduction":
            return self._written_out(node, index, scope)
        return self._choose(node, self._cases(node, index), scope)

    def _elements(self, indices: Sequence[Index], scope: Scope) -> tuple[Value, ...]:
        """The values of the elements of arrays that the indices name."""
        found = [element for index in indices for element in index.elements]
        return tuple([self._pull(cast(Node, element.array), element.index, scope).used_in(scope) for element in found])

    def _written_out(self, node: Node, index: Indices, scope: Scope) -> Value:
        """A short reduction, term by term."""
        places = self._unrolled(node, index)
        fact = operator(node.op)
        if not places:
            assert fact.identity is not None
            return Value("constant", node.dtype, scope, constant=fact.identity(node.dtype), node=node)
        total = self._pull(node.inputs[0], places[0], scope)
        joined = Node(fact.combine, (node.inputs[0], node.inputs[0]), {}, (), node.dtype, node.where)
        for place in places[1:]:
            term = self._pull(node.inputs[0], place, scope)
            args = (total.used_in(scope), term.used_in(scope))
            total = Value("apply", node.dtype, scope, args, joined, hint=node.op)
            self._place(total, scope)
        return total

    def _choose(self, node: Node, cases: list[Case], scope: Scope) -> Value:
        """Nested choices, one for each case but the last."""
        case, rest = cases[0], cases[1:]
        if not case.tests:
            return self._pull(node.inputs[case.operand], case.index, scope)
        last = self._seen_through(node.inputs[cases[-1].operand], cases[-1].index)
        if not cases[-1].tests and all(self._needs(node.inputs[one.operand], one.index, last) for one in cases[:-1]):
            self._pull(*last, scope)  # rather than in each branch
        args = self._elements([test.index for test in case.tests], scope)
        yes, no = Scope(scope, scope.axes), Scope(scope, scope.axes)
        yes_value = self._pull(node.inputs[case.operand], case.index, yes).used_in(yes)
        no_value = self._choose(node, rest, no).used_in(no)
        result = Value("result", node.dtype, scope, node=node, hint=node.op)
        scope.statements.append(Choose(case.tests, yes, yes_value, no, no_value, result, args))
        return result

    def _seen_through(self, node: Node, index: Indices) -> tuple[Node, Indices]:
        """The node that a view shows, and where the element is in it."""
        while operator(node.op).kind == "view" and node not in self.buffers:
            (case,) = self._cases(node, index)
            node, index = node.inputs[0], case.index
        return node, index

    def _needs(self, node: Node, index: Indices, wanted: tuple[Node, Indices], depth: int = 4) -> bool:
        """Whether the value of `node` at `index` is surely made from the wanted one. Few steps are followed."""
        node, index = self._seen_through(node, index)
        if (node, index) == wanted:
            return True
        if depth == 0 or node in self.buffers or operator(node.op).kind != "elementwise":
            return False
        return any(
            self._needs(source, broadcast_index(source.shape, index), wanted, depth - 1) for source in node.inputs
        )


def build_kernel(
    node: Node, name: str, inputs: list[Buffer], outputs: list[Buffer], keep: Keep, radices: Radices | None = None
) -> Kernel:
    """The kernel of a fused node, reading and writing the given buffers. `radices`: for each row axis, the loops that walk it."""
    params: dict[str, Any] = dict(node.params)
    return Builder(params["body"], params["rows"], inputs, outputs, keep, radices).build(name)
