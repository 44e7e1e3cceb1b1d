"""Every elementwise ufunc, on every dtype NumPy has a loop for, compiled on the CPU, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.trace.ufuncs import PARTS, ROW_OF

import numfuse as nf

CHARS = "?bhilBHILefdFD"
SPECIAL = {
    "f": [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, np.inf, -np.inf, np.nan, 1e-3, 7.25, 100.0],
    "i": [0, 1, -1, 2, -2, 3, 7, -7, 100, -100],
    "u": [0, 1, 2, 3, 7, 100, 200],
    "b": [True, False],
    "c": [0, 1, -1, 1j, 1 + 2j, -3 - 0.5j, 0.25 - 4j],
}
# the second operand of some functions has a sensible range
SHIFTS = ("left_shift", "right_shift", "ldexp")
LOOSE = {"e": 2e-3, "f": 3e-6, "d": 1e-13, "F": 3e-6, "D": 1e-13}


def samples(char: str, count: int, seed: int) -> np.ndarray:
    dtype = np.dtype(char)
    rng = np.random.default_rng(seed)
    special = np.array(SPECIAL[dtype.kind])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        special = np.append(special, [info.min, info.max])
        drawn = rng.integers(info.min, info.max, count, dtype=dtype, endpoint=True)
    elif dtype.kind == "b":
        drawn = rng.random(count) < 0.5
    else:
        drawn = rng.standard_normal(count) * 3
    return np.append(special.astype(dtype), drawn.astype(dtype))


def operands_for(ufunc: np.ufunc, chars: str) -> list[np.ndarray]:
    arrays = [samples(char, 40, seed) for seed, char in enumerate(chars)]
    if len(arrays) == 2:
        if ufunc.__name__ in SHIFTS:
            arrays[1] = (arrays[1].astype("f8") % 70).astype(chars[1])
        if ufunc.__name__ == "power" and np.dtype(chars[1]).kind in "i":
            arrays[1] = arrays[1] & 15
        first, second = np.meshgrid(*arrays, indexing="ij")
        arrays = [np.ascontiguousarray(first.ravel()), np.ascontiguousarray(second.ravel())]
    return arrays


def loops() -> dict[str, list[np.ufunc]]:
    """The ufuncs by their operands' dtypes, `ff` say."""
    found: dict[str, list[np.ufunc]] = {}
    for ufunc in [*ROW_OF, *PARTS]:
        for signature in ufunc.types:
            chars = signature.split("->")[0]
            if all(char in CHARS for char in chars):
                found.setdefault(chars, []).append(ufunc)
    return found


def as_tuple(value: object) -> tuple:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("chars", sorted(loops()))
def test_against_numpy(chars: str) -> None:
    for ufunc in loops()[chars]:
        arrays = operands_for(ufunc, chars)
        want = as_tuple(ufunc(*arrays))
        got = as_tuple(nf.jit(lambda *operands, ufunc=ufunc: ufunc(*operands))(*arrays))
        for expected, result in zip(want, got, strict=True):
            assert (result.dtype, result.shape) == (expected.dtype, expected.shape), ufunc.__name__
            assert_close(result, expected, ufunc.__name__, arrays)


def assert_close(result: np.ndarray, expected: np.ndarray, name: str, arrays: list[np.ndarray]) -> None:
    if expected.dtype.kind in "biu":
        wrong = result != expected
    else:
        rtol = LOOSE[expected.dtype.char]
        # the logarithm of a sum near one is near zero: what is left of it is rounding
        atol = rtol if name.startswith("logaddexp") else np.finfo(expected.dtype).smallest_normal
        wrong = ~np.isclose(result, expected, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        at = np.flatnonzero(wrong)[:5]
        shown = [(*(array[k] for array in arrays), result[k], expected[k]) for k in at]
        raise AssertionError(f"{name}: operands, got, expected: {shown}")


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
@pytest.mark.parametrize("char", "efdLD")
def test_large_python_integers_are_weak(char: str, number: int) -> None:
    x = np.array([1, 2], char)
    for function in (
        lambda x: x + number,
        lambda x: number * x,
        lambda x: x < number,
        lambda x: np.maximum(x.real, number),
    ):
        np.testing.assert_array_equal(nf.jit(function)(x), function(x), strict=True)


def test_large_python_integers_that_do_not_fit() -> None:
    with pytest.raises(OverflowError):
        nf.jit(lambda x: x + 2**63)(np.arange(3))
    np.testing.assert_array_equal(nf.jit(lambda x: x < 2**63)(np.arange(3)), [True] * 3)
