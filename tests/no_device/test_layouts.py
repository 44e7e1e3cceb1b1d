"""How arrays lie in memory while a function is traced: as NumPy's do, since it decides what is a view and what a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.fuzz.data import layout

OUTSIDE = {
    "Fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "transposed": np.arange(24.0).reshape(4, 3, 2).transpose(1, 0, 2),
    "backwards": np.arange(48.0).reshape(6, 8)[::2, ::-2].T,
    "broadcast": np.broadcast_to(np.arange(4.0), (3, 4)),
}

CASES: dict[str, Callable[[Any, Any], Any]] = {
    **{
        f"an array from outside, {name}": lambda x, i, array=array: array * x[0, 0, 0]
        for name, array in OUTSIDE.items()
    },
    "in the order of one from outside": lambda x, i: (OUTSIDE["Fortran"] * x[0, 0, 0]).ravel("K"),
    "made in the function": lambda x, i: np.array([[1.0, 2], [3, 4]], order="F") + x[0, 0, 0],
    "made by indices": lambda x, i: np.indices((2, 3))[[0, 0, 1]].T[1:-1] / x[0, 0, 0],
    "places on the last axis": lambda x, i: x[..., i],
    "places in the middle": lambda x, i: x[:, i],
    "places on the first axis": lambda x, i: x[i],
    "two places together": lambda x, i: x[:, i, i],
    "two places apart": lambda x, i: x[i, :, i],
    "places of two axes": lambda x, i: x[:, i[:, None], i],
    "places on all axes": lambda x, i: x[i[:, None], i, (i * 0)[:, None]],
    "places in Fortran order": lambda x, i: x.ravel()[np.stack([i, i, i]).T],
    "a constant mask": lambda x, i: x[:, np.array([True, False, True])],
    "take": lambda x, i: np.take(x, i, 1),
    "take along an axis": lambda x, i: np.take_along_axis(x, x.argmax(1, keepdims=True), 1),
    "sort": lambda x, i: np.sort(x, 0),
    "argsort": lambda x, i: np.argsort(x, 0),
    "partition": lambda x, i: np.partition(x, 1, 0),
    "delete a place": lambda x, i: np.delete(x, 1, 0),
    "delete a slice": lambda x, i: np.delete(x, slice(None, None, 2), 1),
    "delete places": lambda x, i: np.delete(x, [0, 1], 1),
    "insert": lambda x, i: np.insert(x, 1, 7, 0),
    "stack in the middle": lambda x, i: np.stack([x, x + 1], 1),
    "concatenate in the middle": lambda x, i: np.concatenate([x[:, None], x[:, None]], 2),
    "tile": lambda x, i: np.tile(x[0], (2, 1)),
    "tile once": lambda x, i: np.tile(x, 1),
    "repeat": lambda x, i: np.repeat(x, 2, 1),
    "pad": lambda x, i: np.pad(x, 1),
    "pad by reflection": lambda x, i: np.pad(x, 1, mode="reflect"),
    "roll": lambda x, i: np.roll(x, 1, 0),
    "roll along two axes": lambda x, i: np.roll(x, (1, 1), (0, 1)),
    "unravel_index": lambda x, i: np.unravel_index(i, (2, 3))[1],
    "unravel_index in Fortran order": lambda x, i: np.unravel_index(i, (2, 3), order="F")[1],
    "a broadcast scalar": lambda x, i: np.broadcast_to(x.sum(), (3,)),
    "the imaginary part of real numbers": lambda x, i: x[:, 1:].imag,
    "ravel_multi_index": lambda x, i: np.ravel_multi_index((x[0].astype("i8") % 2, x[0].astype("i8") % 3), (2, 3)),
    "average": lambda x, i: np.average(x, 0, x[:, 0, 0] + 1, returned=True)[1],
    "cumsum": lambda x, i: np.cumsum(x, 1),
    "a list of arrays": lambda x, i: np.array([x[0].T, x[0].T]),
    "a stack": lambda x, i: np.stack([x[0].T, x[0].T]),
    "products of stacks": lambda x, i: x[:, :, None] @ x[0, 0, :, None],
    "dot products": lambda x, i: np.vecdot(x, x),
    "a sum": lambda x, i: x[:, i] + 1,
}


@pytest.mark.parametrize("order", ["C", "F", "turned"])
@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name: str, order: str) -> None:
    function = CASES[name]
    x, i = np.arange(75.0).reshape(5, 3, 5), np.array([1, 0, 2, 1])
    x = np.asarray(x, order="F").transpose(2, 1, 0)[::-1] if order == "turned" else np.asarray(x, order=order)  # type: ignore[call-overload]

    def laid_out(x: Any, i: Any) -> Any:
        result = function(x, i)
        return result, layout(result)

    got, wanted = nf.jit(laid_out)(x, i), laid_out(x, i)
    np.testing.assert_array_equal(got[0], wanted[0])
    assert got[1] == wanted[1]
