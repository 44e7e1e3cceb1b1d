"""What drawn programs compute with: arrays named by a short call, so that a program prints as text that runs, and helper functions of
another module."""

from __future__ import annotations

from typing import Any

import numpy as np

LAYOUTS = ("C", "F", "reversed", "strided", "inner", "offset")
CONTENTS = ("tame", "rough", "wild")
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -2.5, 1e3)


def array(dtype: str, shape: tuple[int, ...], seed: int = 0, contents: str = "tame", layout: str = "C") -> np.ndarray:
    """An array of drawn elements. `contents`: `tame` are eighths from -4 to 4, whose sums are exact in any order; `rough` are normal numbers;
    `wild` has infinities, NaN and the largest integers too. `layout`: how it lies in memory."""
    values = _elements(np.dtype(dtype), shape, np.random.default_rng(seed), contents)
    return _laid_out(values, layout) if values.ndim else values


def scalar(dtype: str, seed: int = 0, contents: str = "tame") -> Any:
    """A NumPy scalar."""
    return array(dtype, (), seed, contents)[()]


def _elements(dtype: np.dtype, shape: tuple[int, ...], rng: np.random.Generator, contents: str) -> np.ndarray:
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        whole = np.empty(shape, dtype)
        whole.real, whole.imag = (_elements(part, shape, rng, contents) for _ in range(2))
        return whole
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low = 0 if dtype.kind == "u" else -5
        values = rng.integers(low, 9, shape).astype(dtype)
        if contents == "wild":
            extreme = rng.choice(np.array([limits.min, limits.max, limits.max // 2, 0, 1], dtype), shape)
            values = np.where(rng.random(shape) < 0.3, extreme, values)
        return np.asarray(values, dtype)
    values = rng.integers(-32, 33, shape) / 8 if contents == "tame" else rng.standard_normal(shape) * 3
    if contents == "wild":
        values = np.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), values)
    return np.asarray(values).astype(dtype)


def _laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    if layout == "C":
        return np.ascontiguousarray(values)
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1])[::-1]
    if layout == "strided":
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "inner":
        wide = np.zeros([n + 2 for n in values.shape], values.dtype)
        inside = wide[tuple(slice(1, n + 1) for n in values.shape)]
        inside[...] = values
        return inside
    longer = np.zeros(values.size + 1, values.dtype)
    longer[1:] = values.ravel()
    return longer[1:].reshape(values.shape)


# -- helper functions in another module ----------------------------------------------------------------------------------

SCALE = np.array(0.5)


def doubled(a: Any) -> Any:
    b = a * 2
    b += a
    return b


def bump(a: Any, by: Any) -> Any:
    """Writes to its argument."""
    a[...] += by
    return a[::2] if a.ndim else a


def filled_like(a: Any, value: Any) -> Any:
    made = np.zeros(a.shape, a.dtype)
    made[...] = value
    return made


def pairs(a: Any) -> Any:
    made = np.empty((2, *a.shape), a.dtype)
    made[0] = a
    made[1] = a
    made[1, ...] += a
    return made


def layout(a: Any) -> tuple[int, ...]:
    """How an array lies in memory: the strides of its axes that have some; whether a reshape of it is a view depends on them."""
    if not isinstance(a, np.ndarray) or not a.size:
        return ()
    return tuple(stride for n, stride in zip(a.shape, a.strides, strict=True) if n > 1)


def tame(a: Any) -> Any:
    """Small numbers."""
    return np.clip(np.nan_to_num(a), -2, 2)


def steady(a: Any) -> Any:
    """A well-conditioned square matrix, or a stack of them, for any `a` of two axes or more."""
    small = tame(a)
    return small @ np.swapaxes(small, -1, -2) + 20 * np.eye(a.shape[-2], dtype=small.dtype)


def rebuilt(a: Any) -> Any:
    """A matrix from its eigenvectors, whose signs are free."""
    values, vectors = np.linalg.eigh(a)
    return vectors * values @ vectors.T


class Holder:
    """An object with a method and an attribute."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def added(self, a: Any) -> Any:
        return self.value + a
