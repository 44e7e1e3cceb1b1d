"""Values of ml_dtypes' float types, and what kernels may differ from NumPy by."""

from __future__ import annotations

import ml_dtypes
import numpy as np

NAMES = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


def dtype_of(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name))


def bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


def every_value(dtype: np.dtype) -> np.ndarray:
    return np.arange(2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}").view(dtype)


def order(array: np.ndarray) -> np.ndarray:
    """The values' places among all values of their type."""
    size = bits(array).astype("i8")
    sign = 1 << (8 * array.itemsize - 1)
    return np.where(size & sign, -(size & ~sign), size)


def close(got: np.ndarray, wanted: np.ndarray, units: int = 0) -> None:
    """Equal but for so many of the type's steps; NaN where NaN is, and the signs of zeros."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if wanted.dtype.name not in NAMES:
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if wanted.dtype.kind in "fc" else 0)
        return
    empty = np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(got), empty)
    apart = np.where(empty, 0, np.abs(order(got) - order(wanted)))
    assert apart.max(initial=0) <= units, (got[apart > units][:5], wanted[apart > units][:5])
    zero = (wanted == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got) & zero, np.signbit(wanted) & zero)
