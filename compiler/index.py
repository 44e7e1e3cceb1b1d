"""Index arithmetic: how an element of a view is found in the array it views.

An `Index` is `const + sum(coef * atom)`, where an atom is a loop `Axis`, `Floor(index, n)`, `Mod(index, n)`, or an
`Element` of an integer array, which is known only when the kernel runs. It is simplified as it is built, from the extents
of the axes, so that chains of views mostly stay affine. A view's row in the operator table maps the index of an output
element to the index of the input element (`pull`); lowering composes these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from numfuse.compiler.layouts import groups, strides_of
from numfuse.compiler.types import Shape


class Keyed:
    """Compared by its parts, which never change; the hash is computed once, for these are keys everywhere."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, *parts: object) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Keyed)
            and self._hash == other._hash
            and type(self) is type(other)
            and self._parts == other._parts
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._parts))})"


class Axis(Keyed):
    """A loop variable that runs from 0 to `extent` - 1."""

    __slots__ = ("extent", "number")

    def __init__(self, number: int, extent: int) -> None:
        super().__init__(number, extent)
        self.number = number
        self.extent = extent

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, max(self.extent - 1, 0)


class Floor(Keyed):
    """`inner // n`."""

    __slots__ = ("inner", "n")

    def __init__(self, inner: Index, n: int) -> None:
        super().__init__(inner, n)
        self.inner = inner
        self.n = n

    @property
    def bounds(self) -> tuple[int, int]:
        low, high = self.inner.bounds
        return low // self.n, high // self.n


class Mod(Keyed):
    """`inner % n`."""

    __slots__ = ("inner", "n")

    def __init__(self, inner: Index, n: int) -> None:
        super().__init__(inner, n)
        self.inner = inner
        self.n = n

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, self.n - 1


class Element(Keyed):
    """The element of an integer array at `index`: somewhere from 0 to `extent` - 1. `array`: what stands for the array."""

    __slots__ = ("array", "extent", "index")

    def __init__(self, array: Hashable, index: tuple[Index, ...], extent: int) -> None:
        super().__init__(array, index, extent)
        self.array = array
        self.index = index
        self.extent = extent

    @property
    def bounds(self) -> tuple[int, int]:
        return 0, max(self.extent - 1, 0)


Atom = Union[Axis, Floor, Mod, Element]


class Index(Keyed):
    """`const + sum(coef * atom for atom, coef in terms)`; each atom stands there once, no coefficient is zero."""

    __slots__ = ("_axes", "_bounds", "const", "terms")

    def __init__(self, const: int, terms: tuple[tuple[Atom, int], ...] = ()) -> None:
        self._parts = (const, terms if len(terms) < 2 else frozenset(terms))
        self._hash = hash(self._parts)
        self.const = const
        self.terms = terms
        self._bounds: tuple[int, int] | None = None
        self._axes: frozenset[Axis] | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value it can take."""
        if self._bounds is None:
            self._bounds = self._find_bounds()
        return self._bounds

    def _find_bounds(self) -> tuple[int, int]:
        low = high = self.const
        for atom, coef in self.terms:
            least, greatest = atom.bounds
            low += coef * (least if coef > 0 else greatest)
            high += coef * (greatest if coef > 0 else least)
        return low, high

    @property
    def axes(self) -> frozenset[Axis]:
        """The loop axes it depends on."""
        if self._axes is None:
            found: set[Axis] = set()
            for atom, _ in self.terms:
                if isinstance(atom, Axis):
                    found.add(atom)
                else:
                    found.update(*[part.axes for part in (atom.index if isinstance(atom, Element) else (atom.inner,))])
            self._axes = frozenset(found)
        return self._axes

    @property
    def named_axes(self) -> frozenset[Axis]:
        """The loop axes that it names itself: those that an array's element depends on are not among them."""
        found: set[Axis] = set()
        for atom, _ in self.terms:
            if isinstance(atom, Axis):
                found.add(atom)
            elif not isinstance(atom, Element):
                found |= atom.inner.named_axes
        return frozenset(found)

    @property
    def elements(self) -> list[Element]:
        """The elements of arrays in it, as often as they stand there."""
        found = []
        for atom, _ in self.terms:
            if isinstance(atom, Element):
                found.append(atom)
            elif not isinstance(atom, Axis):
                found += atom.inner.elements
        return found

    @property
    def affine(self) -> bool:
        return all(isinstance(atom, Axis) for atom, _ in self.terms)

    def coef(self, axis: Axis) -> int:
        """The coefficient of `axis` itself (its uses inside // and % not counted)."""
        return next((coef for atom, coef in self.terms if atom == axis), 0)

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.const + other, self.terms) if other else self
        if not other.terms:
            return self + other.const
        if not self.terms:
            return other + self.const
        sums = dict(self.terms)
        for atom, coef in other.terms:
            sums[atom] = sums.get(atom, 0) + coef
        const = self.const + other.const + _recombine(sums)
        return Index(const, tuple([(atom, coef) for atom, coef in sums.items() if coef]))

    def __mul__(self, factor: int) -> Index:
        if factor == 1:
            return self
        if factor == 0:
            return Index(0)
        return Index(self.const * factor, tuple((atom, coef * factor) for atom, coef in self.terms))

    def __sub__(self, other: Index | int) -> Index:
        return self + other * -1

    def split(self, n: int) -> tuple[Index, Index]:
        """`(q, r)` with `self == q * n + r`, as much as is divisible in `q`."""
        quotient = Index(self.const // n, tuple((atom, coef // n) for atom, coef in self.terms if coef % n == 0))
        rest = Index(self.const % n, tuple((atom, coef) for atom, coef in self.terms if coef % n))
        return quotient, rest

    def __floordiv__(self, n: int) -> Index:
        if n == 1:
            return self
        quotient, rest = self.split(n)
        low, high = rest.bounds
        if low // n == high // n:
            return quotient + low // n
        if rest.const == 0 and len(rest.terms) == 1 and rest.terms[0][1] == 1:
            atom = rest.terms[0][0]
            if isinstance(atom, Floor):
                return quotient + Index(0, ((Floor(atom.inner, atom.n * n), 1),))
            if isinstance(atom, Mod) and atom.n % n == 0:
                return quotient + (atom.inner // n) % (atom.n // n)
        return quotient + Index(0, ((Floor(rest, n), 1),))

    def __mod__(self, n: int) -> Index:
        if n == 1:
            return Index(0)
        rest = self.split(n)[1]
        low, high = rest.bounds
        if low // n == high // n:
            return rest - low // n * n
        if rest.const == 0 and len(rest.terms) == 1 and rest.terms[0][1] == 1:
            atom = rest.terms[0][0]
            if isinstance(atom, Mod) and atom.n % n == 0:
                return atom.inner % n
        return Index(0, ((Mod(rest, n), 1),))

    def substitute(self, new: Mapping[Axis, Index]) -> Index:
        """With each axis replaced, and simplified again."""
        result = Index(self.const)
        for atom, coef in self.terms:
            if isinstance(atom, Axis):
                part = new.get(atom) or axis_index(atom)
            elif isinstance(atom, Element):
                places = tuple([place.substitute(new) for place in atom.index])
                part = Index(0, ((Element(atom.array, places, atom.extent), 1),))
            elif isinstance(atom, Floor):
                part = atom.inner.substitute(new) // atom.n
            else:
                part = atom.inner.substitute(new) % atom.n
            result = result + part * coef
        return result


ZERO = Index(0)


def _recombine(sums: dict[Atom, int]) -> int:
    """Writes `x // n * n + x % n` as `x`; returns the constant that comes with it."""
    const = 0
    for atom in [atom for atom in sums if isinstance(atom, Mod)]:
        quotient = Floor(atom.inner, atom.n)
        if quotient in sums and sums[quotient] == sums[atom] * atom.n:
            coef = sums.pop(atom)
            del sums[quotient]
            const += coef * atom.inner.const
            for whole, step in atom.inner.terms:
                sums[whole] = sums.get(whole, 0) + coef * step
    return const


def axis_index(axis: Axis) -> Index:
    """The index that is the axis itself; the one place of a one-element axis is 0."""
    return Index(0, ((axis, 1),)) if axis.extent != 1 else ZERO


@dataclass(frozen=True)
class Test:
    """A condition on an index: `low <= index < high`, and `index % step == 0` where `step` is not 1."""

    index: Index
    low: int
    high: int
    step: int = 1

    @property
    def always(self) -> bool:
        low, high = self.index.bounds
        return low >= self.low and high < self.high and (self.index % self.step == ZERO)

    @property
    def never(self) -> bool:
        low, high = self.index.bounds
        return high < self.low or low >= self.high


@dataclass(frozen=True)
class Case:
    """One of the sources an element may come from: operand `operand` at `index`, where all `tests` hold."""

    tests: tuple[Test, ...]
    operand: int
    index: tuple[Index, ...]


def flatten(index: Sequence[Index], strides: Sequence[int]) -> Index:
    """The offset of the element `index` of an array with these strides."""
    offset = ZERO
    for part, stride in zip(index, strides, strict=True):
        if stride and (part.terms or part.const):
            offset = offset + part * stride
    return offset


def reshaped(index: Sequence[Index], new: Shape, old: Shape) -> tuple[Index, ...]:
    """Index into `old` of the element that stands at `index` of its reshape to `new`."""
    if 0 in old:
        return (ZERO,) * len(old)  # there is no element to find
    result: list[Index] = []
    for of_new, of_old in groups(new, old):
        wide_new, wide = [k for k in of_new if new[k] != 1], [k for k in of_old if old[k] != 1]
        places = dict.fromkeys(of_old, ZERO)
        if len(wide_new) == len(wide) == 1:
            places[wide[0]] = index[wide_new[0]]
        elif wide:
            extents = [old[k] for k in wide]
            offset = flatten([index[k] for k in wide_new], strides_of([new[k] for k in wide_new]))
            for place, (k, stride) in enumerate(zip(wide, strides_of(extents), strict=True)):
                part = offset // stride
                places[k] = part % extents[place] if place else part
        result += places.values()
    return tuple(result)
