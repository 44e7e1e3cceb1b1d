"""Guards that only tell rows apart, and choose between places in one array, become an offset that is chosen once a row.

for i in range(lo, hi):                                               for i in range(lo, hi):
    for j in range(512):                                                  shift_1 = 262144 if i < 1 else 0
        out[512 * i + j] = x[512 * i + j + 261632] if i < 1 else          for j in range(512):
                           x[512 * i + j - 512]                               out[512 * i + j] = x[512 * i + j + shift_1 - 512]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

import numpy as np
from numfuse.compiler.index import Axis, Element, Index, Test
from numfuse.compiler.kernel import Choose, Kernel, Loop, Scope, Value


@dataclass(frozen=True)
class Split:
    """Two ways to go by tests, down to loads or, once these are compared, to offsets."""

    tests: tuple[Test, ...]
    yes: Tree
    no: Tree


Tree = Union[Split, Value, int]


def shift_rows(kernel: Kernel) -> None:
    made: dict[tuple[Scope, Split], Value] = {}
    for scope in _inner_scopes(kernel):
        for place, choose in enumerate(scope.statements):
            outer = _outside(kernel, scope, choose) if isinstance(choose, Choose) else None
            if outer is None or not isinstance(choose, Choose):
                continue
            tree = _tree(choose)
            loads = list(_loads(tree)) if tree is not None else []
            if not isinstance(tree, Split) or len({(load.buffer, frozenset(_index(load).terms)) for load in loads}) > 1:
                continue
            least = min(_index(load).const for load in loads)
            far = max(_index(load).const for load in loads) - least
            offsets = _offsets(tree, least)
            assert isinstance(offsets, Split)
            if (outer, offsets) not in made:
                made[outer, offsets] = _chosen(offsets, outer, made_first=True)
            shift, result, load = made[outer, offsets], choose.result, loads[0]
            terms = (*_index(load).terms, (Element(shift, (), far + 1), 1))
            result.kind, result.buffer, result.hint = "load", load.buffer, load.hint
            result.index, result.args = Index(least, terms), (shift.used_in(scope),)
            scope.statements[place] = result
    for cached in ("statements", "accesses") if made else ():
        kernel.__dict__.pop(cached, None)


def _inner_scopes(kernel: Kernel) -> Iterator[Scope]:
    """The scopes of the innermost loops, and the branches in them, what is further in first."""
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
        if len(scope.statements) != 1:
            return None
        (statement,) = scope.statements
        if isinstance(statement, Choose) and statement.result is value:
            inner = _tree(statement)
            if inner is None:
                return None
            arms.append(inner)
        elif statement is value and value.kind == "load" and not value.args:
            arms.append(value)
        else:
            return None
    return Split(choose.tests, *arms)


def _loads(tree: Tree) -> Iterator[Value]:
    if isinstance(tree, Split):
        yield from _loads(tree.yes)
        yield from _loads(tree.no)
    elif isinstance(tree, Value):
        yield tree


def _index(load: Value) -> Index:
    assert load.index is not None
    return load.index


def _offsets(tree: Tree, least: int) -> Tree:
    if isinstance(tree, Split):
        return Split(tree.tests, _offsets(tree.yes, least), _offsets(tree.no, least))
    assert isinstance(tree, Value)
    return _index(tree).const - least


def _chosen(tree: Tree, scope: Scope, made_first: bool = False) -> Value:
    """The offset as a value of the scope, before anything else in it."""
    if not isinstance(tree, Split):
        assert isinstance(tree, int)
        value = Value("place", np.dtype(np.int64), scope, index=Index(tree), hint="shift")
        scope.statements.append(value)
        return value
    yes, no = Scope(scope, scope.axes), Scope(scope, scope.axes)
    yes_value, no_value = _chosen(tree.yes, yes).used_in(yes), _chosen(tree.no, no).used_in(no)
    result = Value("result", np.dtype(np.int64), scope, hint="shift")
    choose = Choose(tree.tests, yes, yes_value, no, no_value, result)
    scope.statements.insert(0 if made_first else len(scope.statements), choose)
    return result
