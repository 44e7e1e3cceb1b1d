"""Generated CPU source, run as plain Python, against NumPy: the compiler without a compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler import targets
from numfuse.compiler.schedule import CPU_CHOICES

import numfuse as nf
from tests.functions import CASES, close
from tests.plain_python import run_program
from tests.random_programs import compare, programs


@settings(max_examples=300)
@given(programs(), st.sampled_from([None, *CPU_CHOICES]), st.sampled_from([0, 64]))
def test_random_programs(
    drawn: tuple[list[np.ndarray], Callable[..., Any], Any], schedule: nf.Schedule | None, vector: int
) -> None:
    with mock.patch.object(targets, "product_vector_bytes", lambda: vector):
        _random_program(drawn, schedule)


def _random_program(drawn: tuple[list[np.ndarray], Callable[..., Any], Any], schedule: nf.Schedule | None) -> None:
    arguments, program, steps = drawn
    traced = nf.jit(program, schedule=schedule).trace(*arguments)
    graph_results = traced.graph.evaluate(*[arguments[feed.leaf] for feed in traced.feeds])
    lowered = traced.lower(target="cpu")
    for stage in lowered.trail.stages:
        stage.graph.check()
        stage_results = stage.graph.evaluate(*[arguments[feed.leaf] for feed in traced.feeds])
        compare(stage_results, graph_results, steps, arguments)
    results = run_program(lowered.program, [arguments[feed.leaf] for feed in traced.feeds])
    compare(tuple(results), graph_results, steps, arguments)


@settings(max_examples=60)
@given(st.sampled_from(sorted(CASES)), st.sampled_from([0, 1, 2, 31, 33, 130]))
def test_promised_functions(name: str, size: int) -> None:
    case = CASES[name]
    if size == 0 and name not in ("saxpy", "gelu", "black_scholes", "squared_distance"):
        return
    arguments = case.arguments(size, np.random.default_rng(3))
    lowered = nf.jit(case.function).lower(*arguments, target="cpu")
    wanted = case.function(*arguments)
    results = run_program(lowered.program, list(arguments))
    for got, value in zip(results, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        close(got, np.asarray(value))
