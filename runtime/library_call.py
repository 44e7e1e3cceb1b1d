"""Library calls: an operator's NumPy function, called on arrays that are in host memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import evaluate_node
from numfuse.compiler.lower.program import LibraryStep
from numfuse.compiler.trace.errors import telling_the_line


def call_library(step: LibraryStep, values: Sequence[Any] | Mapping[int, Any]) -> None:
    """Calls NumPy on the `values` of the program, which hold the places of the results. Its errors name the user's line."""
    inputs = [values[number] for number in step.inputs]
    with np.errstate(all="ignore"):
        made = telling_the_line(evaluate_node, step.node.where)(step.node, inputs)
    results = made[()] if len(step.outputs) > 1 else (made,)
    for number, result in zip(step.outputs, results, strict=True):
        if number is None:
            continue
        place, result = values[number], np.asarray(result)
        if (result.shape, result.dtype) != (place.shape, place.dtype):
            raise RuntimeError(
                f"{step.node.op} gave {result.dtype}{list(result.shape)}, but its type rule {place.dtype}{list(place.shape)}"
            )
        place[...] = result
