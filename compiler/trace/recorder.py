"""Where a trace is written down: the nodes in the order they were met, and what feeds the graph's inputs."""

from __future__ import annotations

import gc
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.graph import NO_PARAMS, Graph, Node, Params, constant
from numfuse.compiler.ops import operator
from numfuse.compiler.trace.errors import NotAnArgument, user_location
from numfuse.compiler.types import Shape, supported


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """What a graph input is given at each call: an argument (`leaf` counts the flattened arguments) or an array that the
    function captured (`contents`: its checksum then). A Python number is converted to the `dtype` that the graph wants of it, by NumPy's own rules."""

    leaf: int | None
    captured: np.ndarray | None = None
    converted: bool = False
    contents: int = 0


def checksum(array: np.ndarray) -> int:
    """Of the contents; of about a million elements of a large array."""
    return zlib.crc32(array.ravel()[:: max(1, array.size >> 20)].tobytes())


def _root(array: np.ndarray) -> np.ndarray:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Recorder:
    """The nodes of one trace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.inputs: list[Node] = []
        self.feeds: list[Feed] = []
        self.open = True
        self.arrays: dict[int, Any] = {}  # the traced Array of each captured ndarray, by id
        self.checks: list[Any] = []  # what can only be found wrong at a call (`checks.Check`)
        self.places: dict[
            Any, Node
        ] = {}  # integer arrays that are known to lie within an axis, by (node, extent, axis)
        self._converted: dict[tuple[int, np.dtype], Node] = {}
        self._constants: dict[Any, Node] = {}

    def emit(
        self, op: str, inputs: tuple[Node, ...], shape: Shape, dtype: np.dtype, params: Params = NO_PARAMS
    ) -> Node:
        """A node whose type is known already."""
        node = Node(op, inputs, params, shape, dtype, user_location())
        self.nodes.append(node)
        return node

    def make(self, op: str, *inputs: Node, **params: Any) -> Node:
        """A node whose type its operator infers."""
        shape, dtype = operator(op).infer([node.spec for node in inputs], params)
        return self.emit(op, inputs, shape, dtype, params)

    def constant(self, value: Any, dtype: np.dtype) -> Node:
        """A 0-d constant. Raises OverflowError where a Python integer does not fit `dtype`, as NumPy does."""
        key = (value, type(value), dtype)
        try:
            known = self._constants.get(key)
        except TypeError:
            known = None
        if known is None:
            known = constant(dtype.type(value), user_location())
            self.nodes.append(known)
            if value == value and value != 0:  # nan is not equal to itself, and 0.0 equals -0.0
                self._constants[key] = known
        return known

    def input(self, name: str | None, shape: Shape, dtype: np.dtype, feed: Feed) -> Node:
        node = Node("input", (), NO_PARAMS, shape, supported(dtype), None, name)
        self.inputs.append(node)
        self.feeds.append(feed)
        return node

    def converted(self, leaf: int, name: str | None, dtype: np.dtype) -> Node:
        """The graph input for a Python number, in the dtype it is used in."""
        key = (leaf, dtype)
        if key not in self._converted:
            self._converted[key] = self.input(name, (), dtype, Feed(leaf, converted=True))
        return self._converted[key]

    def numbers_behind(self, node: Node) -> frozenset[int]:
        """The arguments that `node` is computed from, where they are Python numbers all; else none."""
        feeds = dict(zip(self.inputs, self.feeds, strict=True))
        seen, pending = set(), [node]
        while pending:
            one = pending.pop()
            if one not in seen:
                seen.add(one)
                pending += one.inputs
        behind = [feeds[one] for one in seen if one.op == "input"]
        return (
            frozenset([feed.leaf for feed in behind if feed.leaf is not None])
            if all(f.converted for f in behind)
            else frozenset()
        )

    def lasting(self) -> set[int]:
        """The captured arrays, by id, that outlive the traced function: something but the trace refers to them or to what they view. The
        others were made in the function, which would make them anew at each call."""
        captured = [feed.captured for feed in self.feeds if feed.captured is not None]
        roots = {id(array): _root(array) for array in captured}
        watched = {id(root) for root in roots.values()} | set(roots)
        held: set[int] = set()
        everyone = (*captured, *roots.values())
        ours = {id(captured), id(roots), id(everyone)}
        for holder in gc.get_referrers(*everyone) if captured else ():
            if not isinstance(holder, Feed) and id(holder) not in ours:
                held |= watched & {id(one) for one in gc.get_referents(holder)}
        return {key for key, root in roots.items() if key in held or id(root) in held}

    def check_unchanged(self) -> None:
        """Raises UnsupportedFunction where NumPy wrote to an array after the trace had read it."""
        for feed in self.feeds:
            if feed.captured is not None and checksum(feed.captured) != feed.contents:
                raise NotAnArgument(
                    f"{self.name} computes with an array that is not an argument ({feed.captured.dtype}{list(feed.captured.shape)}) and then writes "
                    "to it; make it with np.zeros_like(x) or np.stack, or compute with a copy of it"
                )

    def graph(self, outputs: list[Node]) -> Graph:
        self.open = False
        return Graph(self.name, self.inputs, self.nodes, outputs)
