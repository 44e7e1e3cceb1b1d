"""Takes loops apart whose variable is divided: `x[i // 2] * y[i]` becomes a loop over pairs and one within a pair, so that no element costs a division."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from numfuse.compiler.index import Axis, Element, Floor, Index, Mod
from numfuse.compiler.kernel import Choose, Kernel

Radices = tuple[tuple[int, ...], ...]
"""For each row axis the extents of the loops that walk it, outermost first."""
MOST = 3
"""Times that a kernel is taken apart further."""


def in_digits(build: Callable[[Radices | None], Kernel]) -> Kernel:
    """`build` makes the kernel, with its rows walked so; None: each by one loop."""
    kernel = build(None)
    if kernel.loops or kernel.body.outputs[0].op in ("put", "scan"):
        return kernel
    radices: Radices = tuple([(axis.extent,) for axis in kernel.rows])
    left = len(list(_divisions(kernel)))
    for _ in range(MOST if left else 0):
        found = [(n, axis.number) for axis, n in _divisions(kernel) if axis in kernel.rows and axis.extent % n == 0]
        if not found:
            break
        radices = _split(radices, *min(found))
        other = build(radices)
        if len(list(_divisions(other))) >= left:
            break
        kernel, left = other, len(list(_divisions(other)))
    return kernel


def _split(radices: Radices, n: int, number: int) -> Radices:
    """With the loop of this number in two, the inner one of `n` steps."""
    places = [(k, place) for k, radix in enumerate(radices) for place in range(len(radix))]
    k, place = places[number]
    radix = radices[k]
    apart = (*radix[:place], radix[place] // n, n, *radix[place + 1 :])
    return (*radices[:k], apart, *radices[k + 1 :])


def _divisions(kernel: Kernel) -> Iterator[tuple[Axis, int]]:
    """The divisions of loop variables in a kernel: by what, and the variable that is divided."""
    for index in kernel.indices():
        yield from _divided(index)
    for statement in kernel.statements:
        if isinstance(statement, Choose):
            for test in statement.tests:
                yield from _divided(test.index % test.step)


def _divided(index: Index) -> Iterator[tuple[Axis, int]]:
    for atom, _ in index.terms:
        if isinstance(atom, (Floor, Mod)):
            yield from (
                (part, atom.n) for part, coef in atom.inner.terms if isinstance(part, Axis) and part.extent > atom.n
            )
            yield from _divided(atom.inner)
        elif isinstance(atom, Element):
            for place in atom.index:
                yield from _divided(place)
