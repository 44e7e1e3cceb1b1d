"""Random programs that write, compiled, against NumPy: results, the caller's arrays, and which of them share memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.passes import in_place

import numfuse as nf
from tests.random_writes import copied, writing_programs


@settings(max_examples=25)
@given(writing_programs(), st.sampled_from([0.0, 2.0]))
def test_random_writes(drawn: tuple[list[np.ndarray], Callable[..., Any], Any], large: float) -> None:
    arguments, program, statements = drawn
    function = nf.jit(program, target="cpu")
    for _ in range(2):
        ours, theirs = [copied(array) for array in arguments], [copied(array) for array in arguments]
        with mock.patch.multiple(in_place, SMALL=0, LARGE=large):
            got = function(*ours)
        wanted = program(*theirs)
        for one, other in zip([*got, *ours], [*wanted, *theirs], strict=True):
            assert type(one) is type(other) and one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, str(statements))
        shared = [[np.may_share_memory(one, other) for one in [*got, *ours]] for other in [*got, *ours]]
        assert shared == [
            [np.may_share_memory(one, other) for one in [*wanted, *theirs]] for other in [*wanted, *theirs]
        ]
