"""How arrays lie in memory: strides, in elements, and the orders of axes that NumPy gives to what it makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numfuse.compiler.types import Shape


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array."""
    strides = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def distinct_elements(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether no two elements of an array with these strides are the same memory, as far as can be told: each step is longer than all that
    shorter ones reach."""
    reach = 0
    for step, extent in sorted((abs(step), extent) for step, extent in zip(strides, shape, strict=True) if extent > 1):
        if step <= reach:
            return False
        reach += step * (extent - 1)
    return True


def groups(new: Shape, old: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of axes of `new` and `old` that hold equally many elements, in order."""
    i = j = 0
    while i < len(new) or j < len(old):
        of_new: list[int] = []
        of_old: list[int] = []
        size_new = size_old = 1
        while True:
            if size_new <= size_old and i < len(new):
                size_new *= new[i]
                of_new.append(i)
                i += 1
            elif j < len(old):
                size_old *= old[j]
                of_old.append(j)
                j += 1
            else:
                break
            if size_new == size_old and (of_old or size_new == 1):
                break
        yield of_new, of_old


def strides_in(array: np.ndarray) -> tuple[int, ...] | None:
    """An ndarray's strides in elements, those of axes of one element zero; None where they are no whole numbers."""
    steps = list(zip(array.strides, array.shape, strict=True))
    if any(stride % array.itemsize for stride, _ in steps):
        return None
    return tuple([stride // array.itemsize if extent != 1 else 0 for stride, extent in steps])


def kept_order(shape: Shape, operands: Sequence[tuple[Shape, Sequence[int]]]) -> tuple[int, ...]:
    """The strides of what NumPy computes from `operands` (shape, strides): in the order in which they lie; in C order where they disagree.

    Whether a reshape of the result is a view or a copy depends on them.
    """
    ndim = len(shape)
    if ndim < 2:
        return strides_of(shape)
    rows: list[list[int | None]] = []
    for extents, strides in operands:
        row = [0 if n == 1 else abs(stride) for n, stride in zip(extents, strides, strict=True)]
        if len(row) == ndim and all(a >= b > 0 for a, b in zip(row, row[1:], strict=False)):
            return strides_of(shape)
        rows.append([*[None] * (ndim - len(row)), *(-stride or None for stride in row)])
    return _packed(shape, _inserted(list(range(ndim - 1, -1, -1)), rows))


def joined_order(shape: Shape, operands: Sequence[tuple[Shape, Sequence[int]]]) -> tuple[int, ...]:
    """The strides of what NumPy makes of `operands` (shape, strides) one after another: in the order in which they lie, as `kept_order`, but that
    axes of one element stay behind those that pass them."""
    rows = [
        [None if n == 1 else abs(stride) for n, stride in zip(extents, strides, strict=True)]
        for extents, strides in operands
    ]
    return _packed(shape, _inserted(list(range(len(shape))), rows)[::-1])


def _inserted(order: list[int], rows: Sequence[Sequence[int | None]]) -> list[int]:
    """The axes `order`, sorted by insertion as NumPy does: one passes another where it is the larger one in each row that has numbers for both."""
    for place in range(1, len(order)):
        axis, to = order[place], place
        for before in range(place - 1, -1, -1):
            pairs = [(row[axis], row[order[before]]) for row in rows]
            told = [(here, there) for here, there in pairs if here is not None and there is not None]
            if any(here <= there for here, there in told):
                break
            to = before if told else to
        order.insert(to, order.pop(place))
    return order


def copied_order(shape: Shape, strides: Sequence[int]) -> tuple[int, ...]:
    """The strides of a copy that keeps the order of the axes in memory (`order="K"`)."""
    if len(shape) < 2:
        return strides_of(shape)
    return _packed(shape, sorted(range(len(shape) - 1, -1, -1), key=lambda axis: abs(strides[axis])))


def memory_order(shape: Shape, strides: Sequence[int]) -> tuple[int, ...] | None:
    """The axes of an array with these strides from the slowest to the fastest; None where that is their own order, or elements share memory."""
    if any(stride == 0 for stride, extent in zip(strides, shape, strict=True) if extent > 1) or 0 in shape:
        return None
    wide = [axis for axis, extent in enumerate(shape) if extent > 1]
    order = iter(sorted(wide, key=lambda axis: -abs(strides[axis])))
    found = tuple([next(order) if extent > 1 else axis for axis, extent in enumerate(shape)])
    return None if list(found) == sorted(found) else found


def _packed(shape: Shape, order: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array without gaps; `order` names its axes from the fastest to the slowest."""
    strides, step = [0] * len(shape), 1
    for axis in order:
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def reshaped_strides(strides: Sequence[int], old: Shape, new: Shape) -> tuple[int, ...] | None:
    """The strides of the reshape of an array with these strides; None where a reshape has to copy, as in NumPy."""
    if 0 in old:
        return strides_of(new)
    result: list[int] = []
    for of_new, of_old in groups(new, old):
        kept = [k for k in of_old if old[k] != 1]
        if any(strides[a] != strides[b] * old[b] for a, b in zip(kept, kept[1:], strict=False)):
            return None
        last = strides[kept[-1]] if kept else 1
        result += [last * stride for stride in strides_of([new[k] for k in of_new])]
    return tuple(result)
