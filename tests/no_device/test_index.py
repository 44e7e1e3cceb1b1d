"""Index arithmetic: chains of views, pulled back to the array, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.index import ZERO, Axis, Floor, Index, Mod, axis_index, flatten, reshaped
from numfuse.compiler.layouts import reshaped_strides, strides_of


def value(index: Index, places: dict[Axis, int]) -> int:
    total = index.const
    for atom, coef in index.terms:
        if isinstance(atom, Axis):
            part = places[atom]
        elif isinstance(atom, Floor):
            part = value(atom.inner, places) // atom.n
        else:
            assert isinstance(atom, Mod)
            part = value(atom.inner, places) % atom.n
        total += coef * part
    return total


@st.composite
def factorised(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    factors = []
    while size > 1:
        factor = draw(st.sampled_from([k for k in range(2, size + 1) if size % k == 0]))
        factors.append(factor)
        size //= factor
    for _ in range(draw(st.integers(0, 2))):
        factors.insert(draw(st.integers(0, len(factors))), 1)
    return tuple(factors)


@settings(max_examples=300)
@given(st.data())
def test_view_chains(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), max_size=4)))
    view = array = np.arange(int(np.prod(shape))).reshape(shape)
    chain = []
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.sampled_from(["reshape", "transpose", "slice"]))
        if kind == "reshape":
            new = data.draw(factorised(view.size))
            chain.append((kind, view.shape, new))
            view = view.reshape(new)
        elif kind == "transpose":
            perm = data.draw(st.permutations(range(view.ndim)))
            chain.append((kind, perm, None))
            view = view.transpose(perm)
        else:
            slices = [slice(None, None, data.draw(st.sampled_from([1, 1, 2, -1]))) for _ in view.shape]
            starts = [range(n)[s].start for n, s in zip(view.shape, slices, strict=True)]
            chain.append((kind, starts, [s.step for s in slices]))
            view = view[tuple(slices)]
    axes = [Axis(k, n) for k, n in enumerate(view.shape)]
    index = tuple(axis_index(axis) for axis in axes)
    for kind, first, second in reversed(chain):
        if kind == "reshape":
            index = reshaped(index, second, first)
        elif kind == "transpose":
            source = list(index)
            for place, a in enumerate(first):
                source[a] = index[place]
            index = tuple(source)
        else:
            index = tuple(part * step + start for part, start, step in zip(index, first, second, strict=True))
    offset = flatten(index, strides_of(array.shape))
    for place in itertools.product(*[range(n) for n in view.shape]):
        assert value(offset, dict(zip(axes, place, strict=True))) == view[place]


@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 7)), min_size=1, max_size=3),
    st.integers(-30, 30),
    st.integers(1, 12),
)
def test_floor_and_mod(terms: list[tuple[int, int]], const: int, n: int) -> None:
    axes = [Axis(k, extent) for k, (_, extent) in enumerate(terms)]
    index = Index(const)
    for axis, (coef, _) in zip(axes, terms, strict=True):
        index = index + axis_index(axis) * coef
    low, high = index.bounds
    for place in itertools.product(*[range(axis.extent) for axis in axes]):
        at = dict(zip(axes, place, strict=True))
        exact = value(index, at)
        assert low <= exact <= high
        assert value(index // n, at) == exact // n
        assert value(index % n, at) == exact % n
        assert value((index // n) * n + index % n, at) == exact


@given(st.data())
def test_strides_of_reshapes_are_numpys(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), max_size=4)))
    array = np.zeros(shape, np.int8).transpose(data.draw(st.permutations(range(len(shape)))))
    array = array[(..., *[slice(None, None, data.draw(st.sampled_from([1, 2, -1]))) for _ in array.shape])]
    new = data.draw(factorised(array.size))
    made = array.reshape(new)
    strides = reshaped_strides(array.strides, array.shape, new)
    shares = np.shares_memory(made, array)
    assert (strides is not None) == shares
    if strides is not None:
        assert [s for s, n in zip(strides, new, strict=True) if n > 1] == [
            s for s, n in zip(made.strides, new, strict=True) if n > 1
        ]


def test_axes_of_one_element_leave_an_index_as_it_is() -> None:
    """A block of a reduction may reach beyond the end: the remainder that a reshape would take there stopped vectorisation."""
    block, within = Axis(0, 3), Axis(1, 16)
    place = axis_index(block) * 16 + axis_index(within)
    assert reshaped((place,), (40,), (1, 40)) == (ZERO, place)
    assert reshaped((ZERO, place, ZERO), (1, 40, 1), (40, 1)) == (place, ZERO)
