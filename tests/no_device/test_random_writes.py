"""Random programs that write, as graphs after every pass and as generated source run as plain Python, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numfuse.passes import in_place

import numfuse as nf
from tests.no_device.test_plain_python import run_program
from tests.random_writes import copied, writing_programs


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(writing_programs(), st.sampled_from([0.0, in_place.LARGE, 2.0]))
def test_random_writes(drawn: tuple[list[np.ndarray], Callable[..., Any], Any], large: float) -> None:
    arguments, program, statements = drawn
    with mock.patch.multiple(in_place, SMALL=0, LARGE=large):
        traced = nf.jit(program).trace(*arguments)
        lowered = traced.lower(target="cpu")

    inputs = [arguments[feed.leaf] if feed.leaf is not None else feed.captured for feed in traced.feeds]
    wanted = traced.graph.evaluate(*inputs)
    theirs = [copied(array) for array in arguments]
    program(*theirs)
    for write in traced.writes:
        np.testing.assert_array_equal(wanted[write.result], theirs[write.leaf], str(statements))
    for stage in lowered.trail.stages:
        stage.graph.check()
        for got, value in zip(stage.graph.evaluate(*inputs), wanted, strict=True):
            np.testing.assert_array_equal(got, value, f"{stage.name} {statements}")
    results = run_program(lowered.program, [copied(array) for array in inputs])
    for got, value in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(got, value, str(statements))
