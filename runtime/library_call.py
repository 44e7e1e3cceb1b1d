"""Library calls: an operator's NumPy function, called on arrays that are in host memory."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence, Sequence
from functools import partial
from typing import Any

import numpy as np
from numfuse.compiler.graph import evaluate_node
from numfuse.compiler.lower.program import LibraryStep
from numfuse.compiler.trace.errors import telling_the_line
from numfuse.compiler.types import Spec

Values = MutableSequence[Any] | MutableMapping[int, Any]


def library_call(step: LibraryStep) -> Callable[[Values], None]:
    """Calls NumPy on the values of the program. Its errors name the user's line; its warnings are for the caller to turn off (`np.errstate`).

    A result is put where the values have a place for it; where there is None, the array that NumPy made stands there afterwards.
    """
    function = telling_the_line(partial(evaluate_node, step.node), step.node.where)
    several = len(step.outputs) > 1
    wanted = [(place, number, spec) for place, (number, spec) in enumerate(zip(step.outputs, step.specs, strict=True))]

    def call(values: Values) -> None:
        inputs = [values[number] for number in step.inputs]
        made = function(inputs)
        results = made[()] if several else (made,)
        for place, number, spec in wanted:
            if number is not None:
                values[number] = _put(step, np.asarray(results[place]), spec, values[number], inputs)

    return call


def _put(step: LibraryStep, result: np.ndarray, spec: Spec, place: Any, inputs: Sequence[Any]) -> Any:
    if (result.shape, result.dtype) != (spec.shape, spec.dtype):
        raise RuntimeError(
            f"{step.node.op} gave {result.dtype}{list(result.shape)}, but its type rule {spec.dtype}{list(spec.shape)}"
        )
    if place is not None:
        place[...] = result
        return place
    if result.base is None and result.flags.carray and not any(result is given for given in inputs):
        return result
    return result.copy()  # of a view, an operand, or an array in another order than C
