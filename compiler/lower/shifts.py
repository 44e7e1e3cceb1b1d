"""Guards that only tell rows apart, and choose between places in one array, become an offset that is chosen once a row.

    for i in range(lo, hi):                                               for i in range(lo, hi):
        for j in range(512):                                                  shift_1 = 262144 if i < 1 else 0
            out[512 * i + j] = x[512 * i + j + 261632] if i < 1 else          for j in range(512):
                               x[512 * i + j - 512]                               out[512 * i + j] = x[512 * i + j + shift_1 - 512]

The index still moves as it does in most rows, so that it is known what a row touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

import numpy as np
from numfuse.compiler.index import Axis, Element, Index, Test
from numfuse.compiler.kernel import Choose, Kernel, Loop, Scope, Value
from numfuse.compiler.lower.cuts import Range, Ranges, bounds_within, holds
from numfuse.compiler.types import size_of


@dataclass(frozen=True)
class Split:
    """Two ways to go by tests, down to loads or, once these are compared, to offsets."""

    tests: tuple[Test, ...]
    yes: Tree
    no: Tree


Tree = Union[Split, Value, Index]


@dataclass
class Leaf:
    """A load at the end of a choice, and the rows that get there, as far as that is known."""

    load: Value
    ranges: Ranges

    @property
    def index(self) -> Index:
        assert self.load.index is not None
        return self.load.index

    @property
    def rows(self) -> int:
        return size_of([max(end - first, 0) for first, end in self.ranges.values()])


def shift_rows(kernel: Kernel) -> None:
    made: dict[tuple[Scope, Split], Value] = {}
    for scope in _inner_scopes(kernel):
        for place, choose in enumerate(scope.statements):
            outer = _outside(kernel, scope, choose) if isinstance(choose, Choose) else None
            tree = _tree(choose) if outer is not None and isinstance(choose, Choose) else None
            if outer is None or tree is None or not isinstance(choose, Choose):
                continue
            loops = {kernel.collapsed[axis] for axis in outer.axes}
            leaves = list(_leaves(kernel, tree, {loop: (0, loop.extent) for loop in loops}))
            if len({(leaf.load.buffer, _inner_terms(leaf.index, outer)) for leaf in leaves}) > 1:
                continue
            most = max(leaves, key=lambda leaf: leaf.rows)
            ends = [bounds_within(kernel, leaf.index - most.index, leaf.ranges) for leaf in leaves]
            least, greatest = min(low for low, _ in ends), max(high for _, high in ends)
            result, at = choose.result, most.index + least
            result.kind, result.buffer, result.index, result.hint = "load", most.load.buffer, at, most.load.hint
            if greatest > least:
                offsets = [
                    Index(low - least) if low == high else leaf.index - most.index - least
                    for leaf, (low, high) in zip(leaves, ends, strict=True)
                ]
                chosen = _with_offsets(tree, iter(offsets))
                if (outer, chosen) not in made:
                    made[outer, chosen] = _chosen(chosen, outer, made_first=True)
                shift = made[outer, chosen]
                result.index = Index(at.const, (*at.terms, (Element(shift, (), greatest - least + 1), 1)))
                result.args = (shift.used_in(scope),)
            scope.statements[place] = result
            for leaf in leaves:
                _release(leaf.load)
    for cached in ("statements", "accesses"):
        kernel.__dict__.pop(cached, None)


def _inner_terms(index: Index, outer: Scope) -> frozenset[object]:
    return frozenset([(atom, coef) for atom, coef in index.terms if not Index(0, ((atom, 1),)).axes <= outer.axes])


def _leaves(kernel: Kernel, tree: Tree, ranges: Ranges) -> Iterator[Leaf]:
    if isinstance(tree, Value):
        yield Leaf(tree, ranges)
    elif isinstance(tree, Split):
        yes, no = dict(ranges), dict(ranges)
        for test in tree.tests:
            for loop in ranges:
                found = holds(kernel, test, loop, ranges) if kernel.coef(test.index, loop) else None
                if found is not None:
                    yes[loop] = _both(yes[loop], found)
                    no[loop] = _without(no[loop], found) if len(tree.tests) == 1 and test.step == 1 else no[loop]
        yield from _leaves(kernel, tree.yes, yes)
        yield from _leaves(kernel, tree.no, no)


def _both(one: Range, other: Range) -> Range:
    first = max(one[0], other[0])
    return first, max(min(one[1], other[1]), first)


def _without(whole: Range, part: Range) -> Range:
    """What is left, where the part is at one end; else the whole."""
    (first, end), (start, stop) = whole, part
    if start <= first:
        return min(max(stop, first), end), end
    return (first, min(start, end)) if stop >= end else whole


def _inner_scopes(kernel: Kernel) -> Iterator[Scope]:
    """The scopes of the innermost loops, and the branches in them."""
    scopes = [loop.body for loop in kernel.loops] or [kernel.scope]
    for scope in scopes:
        yield from _branches(scope)


def _branches(scope: Scope) -> Iterator[Scope]:
    """Branches come after what they are in: a choice that is replaced as a whole is not looked into."""
    yield scope
    for statement in scope.statements:
        if isinstance(statement, Choose):
            yield from _branches(statement.yes)
            yield from _branches(statement.no)


def _outside(kernel: Kernel, scope: Scope, choose: Choose) -> Scope | None:
    """The outermost scope that has all that the tests name, if it is outside of the innermost loop."""
    axes: set[Axis] = set()
    pending = [choose]
    while pending:
        one = pending.pop()
        if one.args:
            return None
        axes.update(*[test.index.axes for test in one.tests])
        pending += [inner for arm in (one.yes, one.no) for inner in arm.statements if isinstance(inner, Choose)]
    outer = next((row for row in kernel.scopes if axes <= row.axes), None)
    return outer if outer is not None and outer.axes < scope.axes and not any(map(_is_loop, scope.statements)) else None


def _is_loop(statement: object) -> bool:
    return isinstance(statement, Loop)


def _tree(choose: Choose) -> Split | None:
    """None where a branch is more than a load."""
    arms: list[Tree] = []
    for scope, value in ((choose.yes, choose.yes_value), (choose.no, choose.no_value)):
        only = scope.statements[0] if len(scope.statements) == 1 else None
        if isinstance(only, Choose) and only.result is value:
            inner = _tree(only)
            if inner is None:
                return None
            arms.append(inner)
        elif scope.statements in ([], [value]) and value.kind == "load" and not value.args and not value.keep:
            arms.append(value)
        else:
            return None
    return Split(choose.tests, *arms)


def _with_offsets(tree: Split, offsets: Iterator[Index]) -> Split:
    """With the offsets in place of the loads, in their order."""
    arms = [_with_offsets(arm, offsets) if isinstance(arm, Split) else next(offsets) for arm in (tree.yes, tree.no)]
    return Split(tree.tests, *arms)


def _release(load: Value) -> None:
    """One use less of a load that stands outside of the branches; none is left of it where that was the last."""
    if load.outer_uses:
        load.outer_uses -= 1
        if not load.uses and not load.outer_uses:
            load.scope.statements.remove(load)


def _chosen(tree: Tree, scope: Scope, made_first: bool = False) -> Value:
    """The offset as a value of the scope, before anything else in it."""
    if not isinstance(tree, Split):
        assert isinstance(tree, Index)
        value = Value("place", np.dtype(np.int64), scope, index=tree, hint="shift")
        scope.statements.append(value)
        return value
    yes, no = Scope(scope, scope.axes), Scope(scope, scope.axes)
    yes_value, no_value = _chosen(tree.yes, yes).used_in(yes), _chosen(tree.no, no).used_in(no)
    result = Value("result", np.dtype(np.int64), scope, hint="shift")
    choose = Choose(tree.tests, yes, yes_value, no, no_value, result)
    scope.statements.insert(0 if made_first else len(scope.statements), choose)
    return result
