"""What can only be found wrong when the function runs: an index outside an array, the least of no elements.

A check is one more result of the graph, a flag. A call looks at the flags before it gives anything back or writes to an argument; the
error itself is made from the traced graph, evaluated by NumPy as far as it takes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Location, Node
from numfuse.compiler.trace.errors import at_line, user_location
from numfuse.compiler.trace.recorder import Recorder


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """`flag` is a 0-d bool, true where something is wrong; `error` makes what is raised then from the value of `subject`."""

    flag: Node
    subject: Node
    error: Callable[[np.ndarray], Exception]
    where: Location | None

    def failure(self, graph: Graph, inputs: Mapping[Node, Any]) -> Exception:
        """The error, with the user's line. `graph` is the traced graph, `inputs` its arguments."""
        part = graph.part([self.subject])
        (value,) = part.evaluate(*[inputs[node] for node in part.inputs])
        error = self.error(value)
        error.args = (str(error) + at_line(self.where),)
        return error


def check(recorder: Recorder, flags: Node, subject: Node, error: Callable[[np.ndarray], Exception]) -> None:
    """Has the call raise `error(value of subject)` where any of `flags` is true; with lazy arrays, raises it now."""
    if recorder.lazy is not None:
        if np.any(recorder.known(flags)):
            raise error(np.asarray(recorder.known(subject)))
        return
    flag = recorder.make("any", flags, axis=tuple(range(len(flags.shape)))) if flags.shape else flags
    if recorder.lazy is not None:
        recorder.lazy.checked(flag, subject, error)
        return
    recorder.checks.append(Check(flag, subject, error, user_location()))


def check_fits(recorder: Recorder, value: Any, dtype: np.dtype) -> None:
    """NumPy puts its scalars into an array as Python's numbers, and then signed integers have to hold them; arrays wrap around."""
    given = value.dtype
    if not value.scalar or value.weak is not None or given.kind not in "iuf" or not _refuses(dtype, given):
        return

    def compare(op: str, node: Node, limit: float) -> Node:
        return recorder.make(op, node, recorder.constant(limit, node.dtype))

    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if given.kind == "f":  # the digits behind the point go first
        node = recorder.make("astype", value.node, dtype=np.dtype("f8"))
        whole = dtype.itemsize == 8  # there are no others near the least of 64 bits
        above = compare("greater_equal", node, float(least)) if whole else compare("greater", node, float(least - 1))
        fits = recorder.make("logical_and", above, compare("less", node, float(most + 1)))
    else:
        fits = compare("less_equal", value.node, most)
        if given.kind == "i":
            fits = recorder.make("logical_and", fits, compare("greater_equal", value.node, least))

    def error(found: np.ndarray) -> Exception:
        try:
            np.zeros((), dtype)[...] = found[()]
        except (OverflowError, ValueError) as raised:
            return raised
        return OverflowError(f"{found} is out of bounds for {dtype}")

    check(recorder, recorder.make("logical_not", fits), value.node, error)


@functools.cache
def _refuses(dtype: np.dtype, given: np.dtype) -> bool:
    """Whether this NumPy raises an error where a scalar is too large."""
    if dtype.kind != "i" or np.can_cast(given, dtype):
        return False
    try:
        np.zeros((), dtype)[...] = given.type(np.iinfo(given).max if given.kind in "iu" else np.inf)
    except OverflowError:
        return True
    return False


def undecided(recorder: Recorder) -> list[Check]:
    """The checks whose outcome depends on a call. The others are made now: the error of one that fails is raised."""
    lasting = recorder.lasting() if recorder.checks else set()
    known = {
        node: feed.captured
        for node, feed in zip(recorder.inputs, recorder.feeds, strict=True)
        if feed.captured is not None and id(feed.captured) not in lasting
    }
    graph = Graph(recorder.name, recorder.inputs, recorder.nodes, [])
    depends = {node for node in recorder.inputs if node not in known}
    if recorder.checks:
        for node in recorder.nodes:
            if not depends.isdisjoint(node.inputs):
                depends.add(node)
    left = []
    for one in recorder.checks:
        if one.flag in depends:
            left.append(one)
            continue
        part = graph.part([one.flag])
        if part.evaluate(*[known[node] for node in part.inputs])[0]:
            raise one.failure(graph, known)
    return left
