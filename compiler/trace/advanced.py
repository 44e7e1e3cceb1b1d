"""Indexing with integer arrays: which places of which axes an index names, reading them and writing to them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.layouts import copied_order, kept_order, strides_of
from numfuse.compiler.ops.gather import gathered_shape
from numfuse.compiler.trace.array import Array, Step, Storage, fresh
from numfuse.compiler.trace.places import NOT_INTEGERS, held, place_node
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, size_of

BAD_INDEX = "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid indices"


@dataclass
class Plan:
    """`view`, the array seen through the basic part of an index, and the places on its `axes`; their shape stands at `at` in the result."""

    view: Array
    places: list[Node]
    axes: Shape
    at: int
    shows: bool
    """Whether NumPy would make a view: every place is a scalar, and none an array of no axes."""
    order: Shape
    """The strides of the places, broadcast together."""

    @property
    def shape(self) -> Shape:
        shapes = [self.view.shape, *[place.shape for place in self.places]]
        return gathered_shape(shapes, {"axes": self.axes, "at": self.at})

    @property
    def step(self) -> Step:
        return "gather", {"places": tuple(self.places), "axes": self.axes, "at": self.at}

    @property
    def strides(self) -> Shape:
        """Those of NumPy's result: the axes of the places lie outermost, and the others in the array's order within them."""
        shape = self.shape
        left = [axis for axis in range(self.view.ndim) if axis not in self.axes]
        lengths = tuple([self.view.shape[axis] for axis in left])
        inner = copied_order(lengths, [self.view.element_strides[axis] for axis in left])
        wide = len(shape) - len(left)
        alone = size_of(lengths) == 1  # then the places' own order stays
        outer = [
            stride * size_of(lengths)
            for stride in (self.order if alone else strides_of(shape[self.at : self.at + wide]))
        ]
        return (*inner[: self.at], *outer, *inner[self.at :])

    def read(self) -> Node:
        return self.view.recorder.make("gather", self.view.node, *self.places, axes=self.axes, at=self.at)


def understood(recorder: Recorder, part: Any) -> Any:
    """One entry of an index: None, `...`, a slice, an int, an Array of integers or of bools, or an ndarray of bools that is a constant."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, Array):
        lazy = recorder.lazy is not None
        if part.weak is int and (lazy or part.leaf is not None or recorder.numbers_behind(part._node)):
            return operator.index(part)
        known = recorder.known(part.node) if part.scalar or (part.dtype == bool and not lazy) else None
        if known is None:
            return part
        return known if part.dtype == bool else operator.index(known[()])
    if isinstance(part, (bool, np.bool_)):
        return np.asarray(part)
    if isinstance(part, np.ndarray):
        if part.dtype == bool and recorder.temporary(part):
            return part
        return as_array(recorder, part)
    if isinstance(part, (list, tuple, range)):
        return _sequence(recorder, part)
    try:
        return operator.index(part)
    except TypeError:
        raise IndexError(BAD_INDEX) from None


def _sequence(recorder: Recorder, part: Sequence[Any]) -> Any:
    if any(isinstance(one, Array) for one in part):
        return as_array(recorder, part)
    value = np.asarray(part)
    if value.dtype == bool:
        return value
    if not value.size:
        value = value.astype("i8")
    if value.dtype.kind not in "iu":
        raise IndexError(BAD_INDEX if value.dtype.kind in "USO" else NOT_INTEGERS)
    return held(recorder, value)


def entries(array: Array, key: Any) -> list[Any]:
    """The index with slices behind its ellipsis, which keeps what stands around it apart even where it is nothing; each entry understood, and
    constant masks as the places that they hold."""
    parts = [understood(array.recorder, part) for part in (key if isinstance(key, tuple) else (key,))]
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    taken = sum(axes_of(part) for part in parts)
    if taken > array.ndim:
        raise IndexError(f"too many indices for array: array is {array.ndim}-dimensional, but {taken} were indexed")
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    at = next(place for place, part in enumerate(parts) if part is Ellipsis)
    filled = [*parts[:at], Ellipsis, *[slice(None)] * (array.ndim - taken), *parts[at + 1 :]]
    result: list[Any] = []
    axis = 0
    for part in filled:
        if is_mask(part):
            check_mask(array, part, axis)
            if not part.size:  # NumPy takes one of no elements on axes of any length
                part = np.zeros(array.shape[axis : axis + part.ndim], bool)
        result += _places_of(array.recorder, part) if type(part) is np.ndarray and part.ndim else [part]
        axis += axes_of(part)
    return result


def _places_of(recorder: Recorder, mask: np.ndarray) -> list[Array]:
    return [held(recorder, places) for places in mask.nonzero()]


def axes_of(part: Any) -> int:
    """How many axes of the array an entry takes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if is_mask(part) else 1


def is_mask(part: Any) -> bool:
    return isinstance(part, (Array, np.ndarray)) and part.dtype == np.bool_


def is_places(part: Any) -> bool:
    return isinstance(part, (Array, np.ndarray))


def check_mask(array: Array, mask: Any, axis: int) -> None:
    """NumPy's error where a mask does not fit the axes from `axis` on."""
    for extent, given in zip(array.shape[axis:], mask.shape, strict=False):
        if given and extent != given:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis}; size of axis is {extent} but size of corresponding "
                f"boolean axis is {given}"
            )
        axis += 1


def planned(array: Array, parts: list[Any]) -> Plan:
    """The plan of an index with integer arrays; `parts` as `entries` gives them."""
    from numfuse.compiler.trace.indexing import basic_view

    recorder = array.recorder
    basic: list[Any] = []
    arrays: list[tuple[Array, int, int]] = []  # places, their axis in the view, and in the array
    fancy: list[int] = []  # the entries that NumPy broadcasts together: integers among them
    seen = axis = 0
    before = None
    for number, part in enumerate(parts):
        if type(part) is np.ndarray:  # a single bool: a new axis of one element, or none
            basic.append(None)
            arrays.append((held(recorder, np.zeros(int(part), "i8")), seen, axis))
        elif isinstance(part, Array):
            basic.append(slice(None))
            arrays.append((part, seen, axis))
        else:
            basic.append(part)
        if is_places(part) or type(part) is int:
            before = seen if before is None else before
            fancy.append(number)
        seen += type(part) is not int and part is not Ellipsis
        axis += axes_of(part)
    together = fancy[-1] - fancy[0] == len(fancy) - 1
    view = basic_view(array, tuple(basic))
    try:
        shape = np.broadcast_shapes(*[places.shape for places, _, _ in arrays])
    except ValueError:
        told = " ".join(str(places.shape).replace(" ", "") for places, _, _ in arrays if places.ndim)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {told} "
        ) from None
    nodes = [
        place_node(recorder, places, view.shape[k], original, checked=not places.shape or size_of(shape) > 0)
        for places, k, original in arrays
    ]
    shows = all(places.scalar or places.weak is not None for places, _, _ in arrays)
    axes = tuple([k for _, k, _ in arrays])
    order = kept_order(shape, [(places.shape, places.element_strides) for places, _, _ in arrays])
    return Plan(view, nodes, axes, (before or 0) if together else 0, shows, order)


def read(array: Array, parts: list[Any], ellipsis: bool) -> Array:
    """`array[...]` with integer arrays among the entries: a copy, or for integers that are known at run time alone a view."""
    plan = planned(array, parts)
    if plan.shows and (plan.shape or ellipsis):
        kept = tuple([stride for a, stride in enumerate(plan.view.element_strides) if a not in plan.axes])
        return Array(array.recorder, plan.view.storage, plan.read(), (*plan.view.steps, plan.step), kept)
    return fresh(array.recorder, plan.read(), scalar=not ellipsis, strides=plan.strides)


def scattered(
    recorder: Recorder, base: Node, value: Node, places: Sequence[Node], axes: Shape, at: int, combine: str = ""
) -> Node:
    """`base` with `value`, which has the shape of what is read there, at these places."""
    if 0 in value.shape:
        return base
    return recorder.make("scatter", base, value, *places, axes=axes, at=at, combine=combine)


def write(
    array: Array, parts: list[Any], value: Any, one_element: Callable[[Any, Array, np.dtype], None] | None = None
) -> None:
    """`array[...] = value` with integer arrays among the entries. `one_element` raises the error of an array in place of a single element."""
    plan = planned(array, parts)
    recorder = array.recorder
    given = as_array(recorder, value)
    if plan.shows and is_itself(given, plan.view.storage, (*plan.view.steps, plan.step)):
        return
    if one_element is not None and given.shape and not plan.shape:
        one_element(value, given, array.dtype)
    node = fitted(recorder, cast(recorder, given, array.dtype), plan.shape)
    plan.view.write(scattered(recorder, plan.view.node, node, plan.places, plan.axes, plan.at))


def is_itself(value: Array, storage: Storage, steps: tuple[Step, ...]) -> bool:
    """Whether `value` is what it is assigned to: `a[i] += v` writes to the view `a[i]`, and assigns it to itself then."""
    return value.storage is storage and value.steps == steps


def fitted(recorder: Recorder, value: Node, shape: Shape, told_as: str = "") -> Node:
    """`value` broadcast to what an index with arrays names, with NumPy's error, or the one given."""
    given = value.shape
    empty = 0 in shape and not told_as  # NumPy looks at the last axes alone
    while len(value.shape) > len(shape) and (value.shape[0] == 1 or (empty and 0 in value.shape[1:])):
        value = recorder.make("reshape", value, shape=value.shape[1:])
    try:
        fits = np.broadcast_shapes(value.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        told = str(given).replace(" ", ""), str(shape).replace(" ", "")
        raise ValueError(
            told_as
            or f"shape mismatch: value array of shape {told[0]} could not be broadcast to indexing result of shape {told[1]}"
        )
    return broadcast_node(recorder, value, shape)
