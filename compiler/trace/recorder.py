"""Where a trace is written down: the nodes in the order they were met, and what feeds the graph's inputs."""

from __future__ import annotations

import gc
import sys
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from numfuse.compiler.graph import NO_PARAMS, Graph, Node, Params, constant, evaluate_node
from numfuse.compiler.ops import operator
from numfuse.compiler.trace.errors import NotAnArgument, user_location
from numfuse.compiler.types import Shape, size_of, supported

LOOKED_FOR = 8
"""Arrays of which it is asked at once what refers to them; that looks at all objects there are. Of further ones it is asked at the end."""
KNOWN_ELEMENTS = 1 << 20
"""Elements of the largest array that is computed while tracing."""


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """What a graph input is given at each call: an argument (`leaf` counts the flattened arguments) or an array that the
    function captured (`contents`: its checksum then). A Python number is converted to the `dtype` that the graph wants of it, by NumPy's own rules.
    `key` makes the key of a random generator, of the argument where there is one."""

    leaf: int | None
    captured: np.ndarray | None = None
    converted: bool = False
    contents: int = 0
    key: Callable[[Any], Any] | None = None


def checksum(array: np.ndarray) -> int:
    """Of the contents; of about a million elements of a large array."""
    return zlib.crc32(array.ravel()[:: max(1, array.size >> 20)].tobytes())


def _bases(array: np.ndarray) -> list[Any]:
    """The array, what it is a view of, and so on; NumPy puts an object of its own between an array and its `as_strided`."""
    chain: list[Any] = [array]
    while isinstance(chain[-1], np.ndarray) or isinstance(getattr(chain[-1], "base", None), np.ndarray):
        chain.append(chain[-1].base)
    return chain[:-1]


_active = threading.local()


@contextmanager
def recording() -> Iterator[None]:
    """Within, this thread is tracing."""
    before = tracing()
    _active.tracing = True
    try:
        yield
    finally:
        _active.tracing = before


def tracing() -> bool:
    """Whether this thread is tracing a function."""
    return getattr(_active, "tracing", False)


def _evaluated(node: Node, values: list[Any]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return evaluate_node(node, values)


_PASSING: tuple[type, ...] = (tuple, list, type(iter(())), type(iter([])))


def is_temporary(thing: Any, ours: Collection[int] = (), depth: int = 5) -> bool:
    """Whether nothing refers to an array but running functions, and tuples and lists that they alone hold: then it was made in the traced
    function, which makes it anew at each call."""
    things = [thing, _bases(thing)[-1]] if isinstance(thing, np.ndarray) else [thing]
    holders = gc.get_referrers(*things)
    ours = {*ours, id(things), id(holders)}
    for holder in holders:
        if isinstance(holder, FrameType) or id(holder) in ours:
            continue
        if type(holder) not in _PASSING or not depth or not is_temporary(holder, ours, depth - 1):
            return False
    return True


class Recorder:
    """The nodes of one trace."""

    lazy: Any = None
    """The recorder itself where values can be had at any time (`compiler/lazy`)."""
    creates = False
    """Whether `np.array` and its kin make traced arrays."""

    def __init__(self, name: str, trusting: bool = True) -> None:
        self.name = name
        self.trusting = trusting
        self.masks: dict[
            int, tuple[np.ndarray, bool]
        ] = {}  # by id: each mask of the function's own, and whether it is temporary
        self.unseen: list[int] = []  # those that were taken for temporary
        self.nodes: list[Node] = []
        self.inputs: list[Node] = []
        self.feeds: list[Feed] = []
        self.open = True
        self.asked: Exception | None = None
        """The last refusal to tell a number's value: NumPy may make another error of it."""
        self.arrays: dict[int, Any] = {}  # the traced Array of each captured ndarray, by id
        self.checks: list[Any] = []  # what can only be found wrong at a call (`checks.Check`)
        self.places: dict[
            Any, Node
        ] = {}  # integer arrays that are known to lie within an axis, by (node, extent, axis)
        self.streams: dict[int, Any] = {}  # the traced Stream of each random generator that was found, by id
        self._converted: dict[tuple[int, np.dtype], Node] = {}
        self._constants: dict[Any, Node] = {}
        self._known: dict[Node, np.ndarray | None] = {}

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

    def constant_array(self, value: Any) -> Node:
        """An array that is part of the graph; it is not copied."""
        node = constant(value, user_location())
        self.nodes.append(node)
        return node

    def kept(self, storage: Any) -> None:
        """Told of each storage that has a new value."""

    def written(self, storage: Any) -> None:
        """Told of each storage that is about to be written to."""

    def hold(self, array: np.ndarray) -> Node:
        """The node of an array that the function did not get as an argument: an input that is read anew at each call."""
        return self.input(None, array.shape, array.dtype, Feed(None, array, contents=checksum(array)))

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

    def feed_of(self, node: Node) -> Feed | None:
        """What feeds a graph input; None for any other node."""
        return next((feed for one, feed in zip(self.inputs, self.feeds, strict=True) if one is node), None)

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

    def known(self, node: Node) -> np.ndarray | None:
        """The value of a node that is computed from constants alone, as arrays that the function makes are before traced values meet them."""
        pending = [node]
        while pending:
            one = pending[-1]
            waiting = [source for source in one.inputs if source not in self._known]
            if one in self._known:
                pending.pop()
            elif one.op == "input" or size_of(one.shape) > KNOWN_ELEMENTS:
                self._known[one] = None
            elif waiting:
                pending += waiting
            else:
                values = [self._known[source] for source in one.inputs]
                self._known[one] = None if any(value is None for value in values) else _evaluated(one, values)
        return self._known[node]

    def temporary(self, mask: np.ndarray) -> bool:
        """Whether the traced function made the array, and makes it anew at each call. With `trusting`, many are taken for such until the trace ends."""
        key = id(mask)
        if key not in self.masks:
            trusted = self.trusting and len(self.masks) >= LOOKED_FOR
            self.masks[key] = mask, trusted or is_temporary(mask, [id(self.masks)])
            if trusted:
                self.unseen.append(key)
        return self.masks[key][1]

    def misjudged(self) -> bool:
        """Whether something refers to an array that was taken for temporary, now that the function has returned."""
        for key in self.unseen:
            mask, _ = self.masks.pop(key)
            root = _bases(mask)[-1]
            alone = sys.getrefcount(root) <= 3 and (root is mask or sys.getrefcount(mask) <= 2)
            if not alone and not is_temporary(mask, [id(self.masks)]):
                return True
        return False

    def lasting(self) -> set[int]:
        """The captured arrays, by id, that outlive the traced function: something but the trace refers to them or to what they view. The
        others were made in the function, which would make them anew at each call."""
        captured = [feed.captured for feed in self.feeds if feed.captured is not None]
        chains = {id(array): _bases(array) for array in captured}
        roots = {key: chain[-1] for key, chain in chains.items()}
        watched = {id(root) for root in roots.values()} | set(roots)
        held: set[int] = set()
        everyone = (*captured, *roots.values())
        ours = {id(one) for one in (captured, chains, roots, everyone, *chains.values())}
        ours |= {id(base) for chain in chains.values() for base in chain if not isinstance(base, np.ndarray)}
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
