"""Basic indexing of traced arrays: integers, slices, newaxis, ellipsis; and writes through them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numfuse.compiler.index import reshaped_strides
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, broadcast


def get_item(array: Array, key: Any) -> Array:
    """`array[key]`: a view, or a scalar where every axis is given an integer."""
    if _is_mask(key):
        raise UnsupportedFunction(
            "an array indexed with a boolean array has a shape that depends on values; use np.where(mask, a, b), or a sum or mean "
            "with where=mask"
        )
    view = basic_view(array, key)
    keys = key if isinstance(key, tuple) else (key,)
    if not view.shape and all(_is_integer(part) for part in keys):
        return fresh(array.recorder, view.node, scalar=True)
    if array.scalar and not view.shape:  # of a scalar, `x[...]` is an array of its own
        return fresh(array.recorder, view.node)
    view.scalar = False
    return view


def set_item(array: Array, key: Any, value: Any) -> None:
    """`array[key] = value`, value broadcast and cast as NumPy does."""
    if array.scalar or array.weak is not None:
        raise TypeError("a scalar does not support item assignment")
    recorder = array.recorder
    target = array if _is_mask(key) else basic_view(array, key)
    given = as_array(recorder, value)
    node = cast(recorder, given, target.dtype)
    if _is_mask(key):
        mask = as_array(recorder, key)
        if node.shape:
            raise UnsupportedFunction("a[mask] = b takes a scalar b; use a[...] = np.where(mask, b, a) for an array")
        if mask.shape != array.shape[: mask.ndim]:
            raise IndexError("boolean index did not match the indexed array's shape")
        spread = recorder.make("reshape", mask.node, shape=mask.shape + (1,) * (array.ndim - mask.ndim))
        array.write(recorder.make("where", spread, node, array.node))
        return
    while len(node.shape) > target.ndim and node.shape[0] == 1:  # NumPy drops leading axes of one element
        node = recorder.make("reshape", node, shape=node.shape[1:])
    if broadcast(node.shape, target.shape) != target.shape:
        told = str(node.shape).replace(" ", ""), str(target.shape).replace(" ", "")
        raise ValueError(f"could not broadcast input array from shape {told[0]} into shape {told[1]}")
    target.write(broadcast_node(recorder, node, target.shape))


def _is_integer(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))


def _is_mask(key: Any) -> bool:
    return isinstance(key, (Array, np.ndarray)) and key.dtype == np.bool_ and key.ndim > 0


def basic_view(array: Array, key: Any) -> Array:
    """The view that a basic index makes, as a slice followed by a reshape."""
    keys = _expanded(key, array.ndim)
    start, step, sliced, final = [], [], [], []
    axis = 0
    for part in keys:
        if part is None:
            final.append(1)
            continue
        extent = array.shape[axis]
        if isinstance(part, slice):
            taken = range(extent)[slice(*(_plain(bound) for bound in (part.start, part.stop, part.step)))]
            start.append(taken.start if taken else 0)
            step.append(taken.step)
            final.append(len(taken))
            sliced.append(len(taken))
        else:
            place = operator.index(part)
            if not -extent <= place < extent:
                raise IndexError(f"index {place} is out of bounds for axis {axis} with size {extent}")
            start.append(place % extent)
            step.append(1)
            sliced.append(1)
        axis += 1
    whole = tuple(sliced) == array.shape and all(by == 1 for by in step)
    view = array if whole else sliced_view(array, tuple(start), tuple(step), tuple(sliced))
    return view if view.shape == tuple(final) and view is not array else reshaped_view(view, tuple(final))


def _plain(bound: Any) -> int | None:
    return None if bound is None else operator.index(bound)


def _expanded(key: Any, ndim: int) -> list[Any]:
    """The index with its ellipsis written out, one entry an axis (and None for new axes); NumPy's errors."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if len(keys) <= ndim and all(type(part) is slice for part in keys):  # nothing to look into
        return keys + [slice(None)] * (ndim - len(keys))
    keys = [operator.index(part) if isinstance(part, Array) and part.weak is int else part for part in keys]
    for part in keys:
        if isinstance(part, (Array, np.ndarray, list)) and not (
            isinstance(part, np.ndarray) and part.ndim == 0 and _is_integer(part[()])
        ):
            raise UnsupportedFunction(
                f"indexing with an array ({part!r}) is not supported; basic indices are: integers, slices, ..., None. "
                "Use np.where, or slices in a loop over static indices"
            )
        if isinstance(part, (bool, np.bool_)):
            raise UnsupportedFunction("indexing with a single bool is not supported")
        if not (part is None or part is Ellipsis or isinstance(part, slice)):
            try:
                operator.index(part)
            except TypeError:
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid indices"
                ) from None
    if sum(part is Ellipsis for part in keys) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    given = sum(part is not None and part is not Ellipsis for part in keys)
    if given > ndim:
        raise IndexError(f"too many indices for array: array is {ndim}-dimensional, but {given} were indexed")
    if not any(part is Ellipsis for part in keys):
        keys.append(Ellipsis)
    at = next(place for place, part in enumerate(keys) if part is Ellipsis)
    return [*keys[:at], *[slice(None)] * (ndim - given), *keys[at + 1 :]]


def sliced_view(array: Array, start: Shape, step: Shape, shape: Shape) -> Array:
    strides = tuple(s * by for s, by in zip(array.strides, step, strict=True))
    return array.through("slice", strides, start=start, step=step, shape=shape)


def reshaped_view(array: Array, shape: Shape) -> Array:
    """`array` in another shape: a view where NumPy can make one, else a copy."""
    if shape == array.shape:
        same = Array(array.recorder, array.storage, array.node, array.steps, array.strides)
        same.scalar = array.scalar
        return same
    strides = reshaped_strides(array.strides, array.shape, shape)
    if strides is None:
        return fresh(array.recorder, array.recorder.make("reshape", array.node, shape=shape))
    return array.through("reshape", strides, shape=shape)
