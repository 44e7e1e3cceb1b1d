"""Cuts loops where the guards in them change, so that within each piece a guard is known and the loop has no branches.

for j in range(514):                                        out[0] = float32(0.0)
    out[j] = x[j - 1] if 1 <= j < 513 else float32(0.0)     for j in range(1, 513):
                                                                out[j] = x[j - 1]
                                                            out[513] = float32(0.0)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from numfuse.compiler.index import Axis, Element, Floor, Index, Mod, Test
from numfuse.compiler.kernel import Choose, Kernel, Loop, Scope

PIECES, FEW_PIECES = 8, 3
"""Pieces of a loop, at most, and where that makes the code too long: the longest ones are for themselves, and what is between them keeps its guards."""
LINES = 400
"""Statements of a kernel that is cut, each counted as often as it is printed: compile time grows with them."""

Range = tuple[int, int]
Ranges = Mapping[Axis, Range]
"""For loops that are cut, the piece at hand: its first step and its end."""


class Cuts:
    """Which loops of a kernel are cut: the innermost ones first, as far as the code does not become too long."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.loops: dict[Axis, int] = {}
        """Those that are cut, and into how many pieces at most."""
        self.innermost = {loop.body for loop in kernel.loops} or {kernel.scope}
        if any(isinstance(statement, Choose) for statement in kernel.statements):
            self._find()

    def _find(self) -> None:
        kernel = self.kernel
        inner = [axis for loop in kernel.loops for axis in reversed(kernel.loops_over(loop.axes))]
        for axis in dict.fromkeys([*inner, *reversed(kernel.loops_over(kernel.rows))]):
            for most in (PIECES, FEW_PIECES):
                self.loops[axis] = most
                if self._rows_printed(0, {}) <= LINES:
                    break
                del self.loops[axis]

    def pieces(self, loop: Axis, scopes: Sequence[Scope], ranges: Ranges) -> list[Range]:
        """The pieces of a loop with these scopes in it. One where it is not cut."""
        whole = (0, loop.extent)
        if loop not in self.loops:
            return [whole]
        points = sorted({0, loop.extent, *self._points(loop, scopes, ranges)})
        found: list[tuple[Range, object]] = []
        for piece in pairwise(points):
            known = list(self._outcomes(scopes, {**ranges, loop: piece}))
            if found and found[-1][1] == known:
                found[-1] = (found[-1][0][0], piece[1]), known
            else:
                found.append((piece, known))
        return _longest([piece for piece, _ in found], self.loops[loop]) or [whole]

    def inside(self, level: int) -> list[Scope]:
        """The scopes in the loop over the row axis number `level`."""
        return self.kernel.scopes[level + 1 :]

    def _points(self, loop: Axis, scopes: Sequence[Scope], ranges: Ranges) -> Iterator[int]:
        """Where a guard within the loop may change."""
        for choose, _ in self._reached(scopes, ranges):
            for test in choose.tests:
                if decided(self.kernel, test, ranges) is None:
                    ends = holds(self.kernel, test, loop, ranges) or ()
                    yield from (place for place in ends if 0 < place < loop.extent)
                    if loop in (test.index % test.step).axes and loop.extent <= PIECES:
                        yield from range(1, loop.extent)

    def _outcomes(self, scopes: Sequence[Scope], ranges: Ranges) -> Iterator[bool | None]:
        for _, outcome in self._reached(scopes, ranges):
            yield outcome

    def _reached(self, scopes: Sequence[Scope], ranges: Ranges) -> Iterator[tuple[Choose, bool | None]]:
        """The guards that are met in innermost loops, and what is known of them. Others cost nothing."""
        for scope in scopes:
            if scope in self.innermost:
                yield from self._met(scope, ranges)
            for statement in scope.statements:
                if isinstance(statement, Loop):
                    yield from self._met(statement.body, ranges)

    def _met(self, scope: Scope, ranges: Ranges) -> Iterator[tuple[Choose, bool | None]]:
        for statement in scope.statements:
            if isinstance(statement, Choose):
                outcome = outcome_of(self.kernel, statement, ranges)
                yield statement, outcome
                for branch in taken(statement, outcome):
                    yield from self._met(branch, ranges)

    # -- how much is printed -----------------------------------------------------------------------------------------

    def _rows_printed(self, level: int, ranges: Ranges) -> int:
        """Statements from the loop over row axis number `level` inwards, as often as they are printed."""
        kernel = self.kernel
        if level == len(kernel.rows):
            return 0
        axis, scope = kernel.rows[level], kernel.scopes[level + 1]
        loop = kernel.collapsed[axis]
        if loop.number != axis.number:
            return self._printed(scope, ranges) + self._rows_printed(level + 1, ranges)
        return sum(
            self._printed(scope, {**ranges, loop: piece}) + self._rows_printed(level + 1, {**ranges, loop: piece})
            for piece in self.pieces(loop, self.inside(level), ranges)
        )

    def _printed(self, scope: Scope, ranges: Ranges) -> int:
        count = len(scope.statements)
        for statement in scope.statements:
            if isinstance(statement, Loop):
                count += self._nest_printed(self.kernel.loops_over(statement.axes), statement.body, ranges)
            elif isinstance(statement, Choose):
                outcome = outcome_of(self.kernel, statement, ranges)
                count += sum(self._printed(arm, ranges) for arm in taken(statement, outcome))
        return count

    def _nest_printed(self, axes: Sequence[Axis], body: Scope, ranges: Ranges) -> int:
        if not axes:
            return self._printed(body, ranges)
        loop, *inner = axes
        pieces = self.pieces(loop, [body], ranges)
        return sum(self._nest_printed(inner, body, {**ranges, loop: piece}) for piece in pieces)


def _longest(pieces: list[Range], most: int) -> list[Range]:
    """At most so many of them: the shortest neighbours become one."""
    while len(pieces) > most:
        lengths = [after[1] - before[0] for before, after in pairwise(pieces)]
        place = lengths.index(min(lengths))
        pieces[place : place + 2] = [(pieces[place][0], pieces[place + 1][1])]
    return pieces


def taken(choose: Choose, outcome: bool | None) -> list[Scope]:
    """The branches that may be taken."""
    return [choose.yes, choose.no] if outcome is None else [choose.yes if outcome else choose.no]


def outcome_of(kernel: Kernel, choose: Choose, ranges: Ranges) -> bool | None:
    """Which branch is taken within these ranges; None where that is not known."""
    known = [decided(kernel, test, ranges) for test in choose.tests]
    return False if False in known else None if None in known else True


def holds(kernel: Kernel, test: Test, loop: Axis, ranges: Ranges) -> Range | None:
    """From where to where along the loop the index is within the test's limits; None where other loops have a say, or divisions."""
    step = kernel.coef(test.index, loop)
    low, high = bounds_within(kernel, test.index, {**ranges, loop: (0, 1)})
    if not step or low != high or not test.index.affine:
        return None
    if step > 0:
        return -((low - test.low) // step), -((low - test.high) // step)
    return (low - test.high) // -step + 1, (low - test.low) // -step + 1


def decided(kernel: Kernel, test: Test, ranges: Ranges) -> bool | None:
    """Whether a test holds everywhere in these ranges, or nowhere."""
    low, high = bounds_within(kernel, test.index, ranges)
    least, greatest = (0, 0) if test.step == 1 else bounds_within(kernel, test.index % test.step, ranges)
    if high < test.low or low >= test.high or least > 0:
        return False
    return True if low >= test.low and high < test.high and not greatest else None


def bounds_within(kernel: Kernel, index: Index, ranges: Ranges) -> Range:
    """The least and the greatest value of an index in these pieces of loops."""
    low = high = index.const
    for atom, coef in index.terms:
        if isinstance(atom, Axis):
            loop = kernel.collapsed[atom]
            if loop.number != atom.number:
                continue  # walked with a later one
            first, end = ranges.get(loop, (0, loop.extent))
            least, greatest = first, max(end - 1, first)
        elif isinstance(atom, Element):
            least, greatest = atom.bounds
        else:
            least, greatest = _part_within(kernel, atom, ranges)
        low += coef * (least if coef > 0 else greatest)
        high += coef * (greatest if coef > 0 else least)
    return low, high


def _part_within(kernel: Kernel, part: Floor | Mod, ranges: Ranges) -> Range:
    low, high = bounds_within(kernel, part.inner, ranges)
    if isinstance(part, Floor):
        return low // part.n, high // part.n
    return (low % part.n, high % part.n) if low // part.n == high // part.n else (0, part.n - 1)
