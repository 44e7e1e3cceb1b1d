"""Indexing of traced arrays, and writes through an index. Here: integers, slices, newaxis, ellipsis; the rest is in `advanced`."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
from numfuse.compiler.layouts import reshaped_strides
from numfuse.compiler.trace import advanced, masks
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.checks import check_fits
from numfuse.compiler.trace.selection import Selected
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, broadcast


def get_item(array: Array, key: Any) -> Any:
    """`array[key]`: a view, or a scalar where every axis is given an integer; with arrays of places a copy, with a mask a selection."""
    keys = key if isinstance(key, tuple) else (key,)
    if not all(map(is_basic, keys)):
        key = masks.from_places(key)
        if isinstance(key, Selected):
            return masks.read_at(array, key)
        parts = advanced.entries(array, key)
        if any(map(masks.is_traced, parts)):
            return masks.select(array, parts)
        if any(map(advanced.is_places, parts)):
            return advanced.read(array, parts, any(part is Ellipsis for part in keys))
        key = tuple(parts)
    view = basic_view(array, key)
    if not view.shape and not any(part is Ellipsis for part in keys):
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
    keys = key if isinstance(key, tuple) else (key,)
    parts = None if all(map(is_basic, keys)) else advanced.entries(array, masks.from_places(key))
    if parts is not None:
        masks.check_values(array, keys, value)
    if parts is not None and any(map(masks.is_traced, parts)):
        masks.assign(array, parts, value)
        return
    mask = masks.many(recorder, keys, value)
    if mask is not None:
        masks.assign(array, [mask, Ellipsis], value)
        return
    if parts is not None and any(map(advanced.is_places, parts)):
        whole = any(part is Ellipsis for part in keys)
        advanced.write(array, parts, value, None if whole else _one_element)
        return
    given = as_array(recorder, value)
    check_fits(recorder, given, array.dtype)
    node = cast(recorder, given, array.dtype)
    target = basic_view(array, key if parts is None else tuple(parts))
    if advanced.is_itself(given, target.storage, target.steps):
        return
    if node.shape and not target.shape and not any(part is Ellipsis for part in keys):
        _one_element(value, given, array.dtype)
    while len(node.shape) > target.ndim and node.shape[0] == 1:  # NumPy drops leading axes of one element
        node = recorder.make("reshape", node, shape=node.shape[1:])
    if broadcast(node.shape, target.shape) != target.shape:
        told = str(node.shape).replace(" ", ""), str(target.shape).replace(" ", "")
        raise ValueError(f"could not broadcast input array from shape {told[0]} into shape {told[1]}")
    target.write(broadcast_node(recorder, node, target.shape))


def _one_element(value: Any, array: Array, dtype: np.dtype) -> None:
    """NumPy's error where an array is put in place of one element, which depends on its version and the dtypes; a list never can."""
    if isinstance(value, (list, tuple)):
        raise ValueError("setting an array element with a sequence.")
    shape, given = array.shape, array.dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.zeros(1, dtype)[0] = np.zeros(shape, given)


def is_basic(part: Any) -> bool:
    """Whether an entry of an index is plainly no array."""
    return part is None or part is Ellipsis or type(part) in (int, slice)


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
    """The basic index with its ellipsis written out, one entry an axis (and None for new axes); NumPy's errors."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if len(keys) <= ndim and all(type(part) is slice for part in keys):  # nothing to look into
        return keys + [slice(None)] * (ndim - len(keys))
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
    strides = tuple(s * by for s, by in zip(array.element_strides, step, strict=True))
    return array.through("slice", strides, start=start, step=step, shape=shape)


def reshaped_view(array: Array, shape: Shape) -> Array:
    """`array` in another shape: a view where NumPy can make one, else a copy."""
    if shape == array.shape:
        same = Array(array.recorder, array.storage, array.node, array.steps, array.element_strides)
        same.scalar = array.scalar
        return same
    strides = reshaped_strides(array.element_strides, array.shape, shape)
    if strides is None:
        return fresh(array.recorder, array.recorder.make("reshape", array.node, shape=shape))
    return array.through("reshape", strides, shape=shape)
