"""Functions whose result has a size that depends on values, with the size declared: plain NumPy, so for ndarrays, in jitted functions and for lazy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def unique(x: Any, size: int, fill_value: Any = None, return_counts: bool = False) -> Any:
    """The first `size` of the sorted distinct elements of `x`, as `np.unique(x)` has them, in an array of that size whatever they are.

    Where there are fewer, `fill_value` stands in the rest (None: the least element). `x`: an array of any shape with at least one element; the result has
    its dtype. `return_counts`: also how often each occurs, int64, 0 in the rest. NaNs are one value, the last. Raises ValueError for an empty `x` or a
    negative size. JAX has the same: `jax.numpy.unique(x, size=, fill_value=)`.

    >>> unique(np.array([3, 1, 3, 2]), 5, fill_value=-1, return_counts=True)
    (array([ 1,  2,  3, -1, -1]), array([1, 1, 2, 0, 0]))
    """
    if size < 0:
        raise ValueError(f"size={size} is negative")
    if not np.size(x):
        raise ValueError("an empty array has no least element to fill up with")
    ordered = np.sort(np.ravel(x))
    after, before = ordered[1:], ordered[:-1]
    differs = after != before
    if ordered.dtype.kind in "fc":
        differs = differs & ~(np.isnan(after) & np.isnan(before))
    number = np.cumsum(np.concatenate([np.zeros_like(differs, shape=1), differs]), dtype=np.int64)
    place = np.minimum(number, size)  # what there is no room for goes to one place past the end
    filled = np.full_like(ordered, ordered[0] if fill_value is None else fill_value, shape=size + 1)
    filled[place] = ordered
    if not return_counts:
        return filled[:size]
    counts = np.zeros_like(place, shape=size + 1)
    np.add.at(counts, place, 1)
    return filled[:size], counts[:size]
