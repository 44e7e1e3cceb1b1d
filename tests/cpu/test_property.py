"""Random programs, compiled on the CPU, against NumPy: values, dtypes, shapes, types, and what was written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.schedule import CPU_CHOICES

import numfuse as nf
from tests.random_programs import compare, programs


@settings(max_examples=60)
@given(programs(), st.sampled_from([None, *CPU_CHOICES]))
def test_random_programs(drawn: tuple[list[np.ndarray], Callable[..., Any], Any], schedule: nf.Schedule | None) -> None:
    arguments, program, steps = drawn
    untouched = [array.copy() for array in arguments]
    wanted = program(*[array.copy() for array in arguments])
    function = nf.jit(program, target="cpu", schedule=schedule)
    for _ in range(2):
        got = function(*arguments)
        assert [type(value) for value in got] == [type(value) for value in wanted], steps
        compare(got, wanted, steps, arguments)
    for array, before in zip(arguments, untouched, strict=True):
        np.testing.assert_array_equal(array, before)
