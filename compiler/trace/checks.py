"""What can only be found wrong when the function runs: an index outside an array, the least of no elements.

A check is one more result of the graph, a flag. A call looks at the flags before it gives anything back or writes to an argument; the
error itself is made from the traced graph, evaluated by NumPy as far as it takes.
"""

from __future__ import annotations

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


def undecided(recorder: Recorder) -> list[Check]:
    """The checks whose outcome depends on a call. The others are made now: the error of one that fails is raised."""
    lasting = recorder.lasting() if recorder.checks else set()
    known = {
        node: feed.captured
        for node, feed in zip(recorder.inputs, recorder.feeds, strict=True)
        if feed.captured is not None and id(feed.captured) not in lasting
    }
    graph = Graph(recorder.name, recorder.inputs, recorder.nodes, [])
    left = []
    for one in recorder.checks:
        part = graph.part([one.flag])
        if not all(node in known for node in part.inputs):
            left.append(one)
        elif part.evaluate(*[known[node] for node in part.inputs])[0]:
            raise one.failure(graph, known)
    return left
