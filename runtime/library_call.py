"""Library calls: an operator's NumPy function, called on arrays that are in host memory."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.lower.program import LibraryStep
from numfuse.compiler.ops import operator
from numfuse.compiler.trace.errors import telling_the_line
from numfuse.compiler.types import Spec

Values = MutableSequence[Any] | MutableMapping[int, Any]


def library_call(step: LibraryStep) -> Callable[[Values], None]:
    """Calls NumPy on the values of the program. Its errors name the user's line; its warnings are for the caller to turn off (`np.errstate`).

    A result is put where the values have a place for it; where there is None, the array that NumPy made stands there afterwards.
    """
    node, inputs = step.node, step.inputs
    reference, params = operator(node.op).reference, dict(node.params)
    several = len(step.outputs) > 1
    wanted = [(place, number, spec) for place, (number, spec) in enumerate(zip(step.outputs, step.specs, strict=True))]

    def call(values: Values) -> None:
        given = [values[number] for number in inputs]
        made = reference(*given, **params)
        results = made[()] if several else (made,)
        for place, number, spec in wanted:
            if number is not None:
                values[number] = _put(step, np.asarray(results[place]), spec, values[number], given)

    return telling_the_line(call, node.where)


def _put(step: LibraryStep, result: np.ndarray, spec: Spec, place: Any, inputs: Sequence[Any]) -> Any:
    if result.shape != spec.shape or result.dtype != spec.dtype:
        raise RuntimeError(
            f"{step.node.op} gave {result.dtype}{list(result.shape)}, but its type rule {spec.dtype}{list(spec.shape)}"
        )
    if place is not None:
        place[...] = result
        return place
    if result.base is not None or not result.flags.carray:
        return result.copy()  # of a view, or an array in another order than C
    for given in inputs:
        if result is given:
            return result.copy()
    return result
