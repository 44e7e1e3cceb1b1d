"""Whole programs against NumPy: results and written arguments, twice; and how many kernels they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.programs import PROGRAMS
from tests.programs.program import Program


def arrays_of(value: Any) -> list[np.ndarray]:
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays_of(part)]
    return [] if value is None else [np.asarray(value)]


def compare(program: Program, function: Any, size: tuple[int, ...]) -> None:
    ours, theirs = program.arguments(size), program.arguments(size)
    got, wanted = function(*ours), program.function(*theirs)
    for one, other in zip(arrays_of((got, ours)), arrays_of((wanted, theirs)), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if other.dtype.kind in "fc":
            scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0))
            np.testing.assert_allclose(one, other, program.rtol, program.rtol * scale)
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_small(program: Program) -> None:
    function = nf.jit(program.function, target="cpu")
    for _ in range(2):
        compare(program, function, program.small)


@pytest.mark.parametrize(
    "name", ["heat in 3 dimensions", "lid-driven cavity", "Gauss-Seidel by rows", "red-black relaxation"]
)
def test_full(name: str) -> None:
    compare(PROGRAMS[name], nf.jit(PROGRAMS[name].function, target="cpu"), PROGRAMS[name].full)


def test_strided_arguments_are_written_to_where_they_lie() -> None:
    program = PROGRAMS["Gauss-Seidel by rows"]
    (a,) = program.arguments((12, 30))
    for layout in (np.asfortranarray, lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::-2, ::3]):
        ours, theirs = layout(a.copy()), layout(a.copy())
        assert nf.jit(program.function, target="cpu")(ours) is ours
        program.function(theirs)
        np.testing.assert_allclose(ours, theirs, 1e-12)
