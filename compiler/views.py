"""The view steps that a trace records, done to an array once it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numfuse.compiler.ops import operator
from numfuse.compiler.ops.gather import numpy_index
from numfuse.compiler.trace.array import Step
from numfuse.runtime.cuda.array import DeviceArray


def view_through(array: Any, steps: tuple[Step, ...], results: Sequence[Any] = ()) -> Any:
    """The NumPy view of `array` that the recorded view steps make. `results`: what the graph gave, where the places of elements may be."""
    for op, params in steps:
        if op == "gather":
            places = [int(results[place]) for place in params["places"]]
            array = array[(*numpy_index(array.ndim, places, params["axes"]), ...)]
            continue
        array = (
            array.view_through(op, params)
            if isinstance(array, DeviceArray)
            else operator(op).reference(array, **params)
        )
    return array
