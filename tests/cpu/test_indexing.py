"""Indexing with arrays, compiled on the CPU, against NumPy: values, shapes, types and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import numfuse as nf
from tests.indices import filled, indexed, outcome, same, told_apart


@settings(max_examples=40)
@given(indexed(), st.booleans())
def test_random_reads(drawn: tuple[np.ndarray, tuple[Any, ...]], traced: bool) -> None:
    x, key = drawn
    arrays, parts = told_apart(key, traced)
    function = lambda x, *arrays: x[filled(parts, arrays)]
    same(outcome(nf.jit(function, target="cpu"), x, *arrays), outcome(function, x, *arrays))
