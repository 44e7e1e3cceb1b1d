"""The stages of a function, each an object that can be printed: Traced -> Lowered -> Compiled.

They are what `jit` goes through by itself at a call.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, results_of, seen_through
from numfuse.compiler.layouts import distinct_elements, memory_order
from numfuse.compiler.leaves import Leaf, layout_of, owners_of
from numfuse.compiler.lower.program import Layout
from numfuse.compiler.ops import operator
from numfuse.compiler.pipeline import without_collector
from numfuse.compiler.trace.array import Array, Step, Storage, fresh, weak
from numfuse.compiler.trace.checks import Check, undecided
from numfuse.compiler.trace.creation import traced_creation
from numfuse.compiler.trace.draws import next_key, traced_draws, with_draws_seen
from numfuse.compiler.trace.errors import NotAnArgument, TracedValueError, TraceError, UnsupportedFunction
from numfuse.compiler.trace.random import Stream
from numfuse.compiler.trace.recorder import Feed, Recorder, recording
from numfuse.compiler.trace.selection import Selected, refused
from numfuse.compiler.trace.ufuncs import as_array
from numfuse.compiler.tree import Path, Tree, contents, unflatten
from numfuse.compiler.types import known


@dataclass(frozen=True)
class Output:
    """How a leaf of the result is had: a result of the graph, or (`leaf`) an argument, seen through `steps`.

    `unwrap`: `scalar` for a NumPy scalar, `number` for a Python number.
    """

    result: int | None
    leaf: int | None = None
    captured: np.ndarray | None = None
    steps: tuple[Step, ...] = ()
    unwrap: str = ""


@dataclass(frozen=True)
class Write:
    """A result of the graph that is put back into an argument that the function wrote to."""

    result: int
    leaf: int


@dataclass(frozen=True)
class Update:
    """A list, dict or object among the arguments whose contents the function changed: it holds `keys` now. The new contents
    stand behind the function's result, in the order of the updates."""

    path: Path
    keys: tuple[Hashable, ...]


@dataclass
class Traced:
    """A function as a graph, with what connects it to Python: `feeds` for its inputs, `outputs` and `writes` for its results."""

    function: Callable[..., Any]
    graph: Graph
    feeds: list[Feed]
    leaves: list[Leaf]
    arguments: Tree
    """The shape of the call, (args, kwargs)."""
    tree: Tree
    """The shape of what it returns: the result, and the new contents of each update."""
    outputs: list[Output]
    writes: list[Write]
    checks: list[Check]
    """What a call must look at first: the last results of the graph are their flags."""
    updates: list[Update] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    owners: list[str] = field(default_factory=list)
    """For each leaf, the function's argument that it belongs to."""

    def donated(self) -> set[int]:
        """The graph's inputs that the caller gives away."""
        if self.checks:  # a call that fails must find the arguments as they were
            return set()
        names = self.options.get("donate", ())
        leaves = {
            leaf
            for leaf, owner in enumerate(self.owners)
            if owner in names and not (self.leaves[leaf].weak or self.leaves[leaf].generator)
        }
        written = {write.leaf for write in self.writes} | {output.leaf for output in self.outputs}
        return {place for place, feed in enumerate(self.feeds) if feed.leaf in leaves - written}

    def given(self, layouts: Sequence[Layout | None]) -> dict[int, int]:
        """The graph's inputs that are written to, each with the result that is put back into it. Not those whose elements share memory."""
        result = {write.leaf: write.result for write in self.writes}
        return {
            place: result[feed.leaf]
            for place, (feed, layout) in enumerate(zip(self.feeds, layouts, strict=True))
            if feed.leaf is not None
            and feed.leaf in result
            and not self.leaves[feed.leaf].on_device  # two of those may be the same memory: nobody looks
            and not feed.converted
            and layout is not None
            and not layout.number
            and distinct_elements(self.graph.inputs[place].shape, layout.strides)
        }

    def as_text(self) -> str:
        return self.graph.as_text()

    def __str__(self) -> str:
        return self.as_text()

    def layouts(self, on_device: bool = False) -> list[Layout | None]:
        """How each graph input lies in memory. `on_device`: host arrays are copied to a device first, in C order."""
        layouts: list[Layout | None] = []
        for feed in self.feeds:
            if feed.captured is not None:
                layouts.append(None if on_device else layout_of(feed.captured))
                continue
            number = feed.converted or feed.key is not None or self.leaves[feed.leaf or 0].scalar
            if number or feed.leaf is None:
                layouts.append(Layout((), number=True) if number and on_device else None)
                continue
            leaf = self.leaves[feed.leaf]
            as_it_lies = leaf.strides is not None and leaf.on_device == on_device
            layouts.append(Layout(leaf.strides, leaf.aligned) if as_it_lies and leaf.strides is not None else None)
        return layouts

    def lower(self, *, target: str | None = None, arch: str | None = None) -> Any:
        """The program for a target: `cpu`, `cuda` (for any `arch`, `sm_90` say; no GPU is needed) or `cudasim`."""
        from numfuse.compiler.lowered import lower_traced

        return lower_traced(self, target or self.options.get("target", "auto"), arch)


def trace_function(
    function: Callable[..., Any], tree: Tree, leaves: Sequence[Leaf], names: Sequence[str], options: dict[str, Any]
) -> Traced:
    """Runs `function` with arrays that record what is done to them: once, again where it writes to arrays of np.zeros and the like, and once more
    where these are of np.ndarray(shape)."""
    return with_draws_seen(lambda: _traced(function, tree, leaves, names, options))


def _traced(
    function: Callable[..., Any], tree: Tree, leaves: Sequence[Leaf], names: Sequence[str], options: dict[str, Any]
) -> Traced:
    plain = None
    try:
        plain = _trace(function, tree, leaves, names, options, lambda recorder: nullcontext())
        if not _shares_made(plain):
            return plain
    except NotAnArgument:
        pass
    except TracedValueError as error:
        if error.leaves and all(leaves[leaf].weak is int for leaf in error.leaves):
            raise  # it needs the value of an integer: that comes first
    try:
        return _trace(function, tree, leaves, names, options, traced_creation)
    except (NotAnArgument, TracedValueError) as error:
        if plain is not None:
            return plain
        if getattr(error, "leaves", None):
            raise
        try:
            return _trace(function, tree, leaves, names, options, functools.partial(traced_creation, classes=True))
        except Exception:
            raise error from None


def _shares_made(traced: Traced) -> bool:
    """Whether results that NumPy made while tracing share memory, which plain arrays among the results would not."""
    copied = [node.inputs[0] if node.op == "copy" else node for node in traced.graph.outputs]
    results = {seen_through(node) for node in copied}
    made = [
        feed.captured
        for node, feed in zip(traced.graph.inputs, traced.feeds, strict=True)
        if feed.captured is not None and node in results
    ]
    return any(np.may_share_memory(one, other) for one, other in itertools.combinations(made, 2))


def _trace(
    function: Callable[..., Any],
    tree: Tree,
    leaves: Sequence[Leaf],
    names: Sequence[str],
    options: dict[str, Any],
    creation: Callable[[Recorder], AbstractContextManager[None]],
    trusting: bool = True,
) -> Traced:
    recorder = Recorder(function.__name__ if function.__name__.isidentifier() else "function", trusting)
    arrays = [
        _argument(recorder, number, leaf, name) for number, (leaf, name) in enumerate(zip(leaves, names, strict=True))
    ]
    containers: list[tuple[Path, Any, dict[Hashable, Any]]] = []
    args, kwargs = unflatten(tree, iter(arrays), lambda path, made: containers.append((path, made, contents(made))))
    with without_collector(), recording(), traced_draws(recorder, function, tree.statics()), creation(recorder):
        result = _called(function, args, kwargs, recorder)
    updates, changed = [], []
    for path, container, before in containers:
        now = contents(container)
        if path != (1,) and (now.keys() != before.keys() or any(now[key] is not before[key] for key in now)):
            updates.append(Update(path, tuple(now)))
            changed.append(tuple(now.values()))
    returned: list[Array] = []
    result_tree = _flatten_result(recorder, (result, tuple(changed)), returned)
    del result, changed
    if recorder.misjudged():
        return _trace(function, tree, leaves, names, options, creation, trusting=False)
    recorder.check_unchanged()
    graph, feeds, outputs, writes, checks = _assemble(
        recorder, arrays, returned, any(leaf.on_device for leaf in leaves)
    )
    return Traced(
        function,
        graph,
        feeds,
        list(leaves),
        tree,
        result_tree,
        outputs,
        writes,
        checks,
        updates,
        options,
        owners_of(tree, inspect.signature(function)),
    )


def _called(function: Callable[..., Any], args: Any, kwargs: Any, recorder: Recorder) -> Any:
    try:
        return function(*args, **kwargs)
    except (AttributeError, TypeError, ValueError) as error:
        if recorder.asked is not None and not isinstance(
            error, TraceError
        ):  # `np.zeros(k)` says that k is no integer, and np.mgrid less
            raise recorder.asked from None
        if isinstance(error.__cause__, TracedValueError):  # NumPy asked an element of an array of its own
            raise TracedValueError(
                "a traced value is written into an array that NumPy made in the function, which cannot hold it; make it with np.zeros, np.empty or "
                "np.zeros_like, or build the result with np.stack or np.concatenate"
                + str(error.__cause__)[str(error.__cause__).find("\n") :]
            ) from None
        raise


def _argument(recorder: Recorder, number: int, leaf: Leaf, name: str) -> Any:
    name = name if name.isidentifier() else f"x_{number}"
    if leaf.generator is not None:
        return Stream(recorder, leaf.generator, Feed(number, key=next_key), name)
    if leaf.weak is not None:
        placeholder = Node("input", (), {}, (), leaf.spec.dtype, None, name)
        return weak(recorder, leaf.weak, placeholder, number)
    array = fresh(recorder, recorder.input(name, leaf.spec.shape, leaf.spec.dtype, Feed(number)), leaf.scalar)
    if leaf.strides is not None:
        array.element_strides = leaf.strides
    return array


def _flatten_result(recorder: Recorder, value: Any, leaves: list[Any]) -> Tree:
    """As `flatten`, but only arrays are leaves: everything else is returned as it is."""
    if type(value) is np.ndarray and known(value.dtype):
        value = as_array(recorder, value)
    if isinstance(value, Stream):
        raise UnsupportedFunction(
            "a jitted function cannot return or keep a random generator that it made or was given; return the numbers"
        )
    if isinstance(value, Array):
        leaves.append(value)
        return Tree("leaf")
    if isinstance(value, Selected):
        raise refused("returning it from the function", value.where)
    if isinstance(value, (list, tuple)):
        return Tree(
            "list" if isinstance(value, list) else "tuple",
            type(value),
            tuple([_flatten_result(recorder, v, leaves) for v in value]),
        )
    if isinstance(value, dict):
        return Tree(
            "dict", (type(value), tuple(value)), tuple([_flatten_result(recorder, v, leaves) for v in value.values()])
        )
    return Tree("static", value)


def _assemble(
    recorder: Recorder, arrays: list[Array], returned: list[Array], on_device: bool
) -> tuple[Graph, list[Feed], list[Output], list[Write], list[Check]]:
    """Sorts out what the graph computes and what is a view of an argument or of another result."""
    lasting = recorder.lasting()
    owners: dict[Storage, tuple[int | None, np.ndarray | None]] = {
        array.storage: (number, None) for number, array in enumerate(arrays) if isinstance(array, Array)
    }
    for feed in recorder.feeds:
        if id(feed.captured) in lasting:
            owners.setdefault(recorder.arrays[id(feed.captured)].storage, (None, feed.captured))
    nodes: list[Node] = []
    places: dict[tuple[Node, Storage], int] = {}

    def result_of(node: Node, storage: Storage) -> int:
        if (node, storage) not in places:
            places[node, storage] = len(nodes)
            nodes.append(node)
        return places[node, storage]

    writes = [
        Write(result_of(storage.value, storage), leaf)
        for storage, (leaf, _) in owners.items()
        if storage.written and leaf is not None
    ]
    shared = {array.storage for array in returned if sum(other.storage is array.storage for other in returned) > 1}

    def seen(array: Array) -> tuple[Step, ...]:
        """The steps to an array, with places that only the run knows as results of the graph."""
        return tuple(
            [
                (
                    op,
                    {"axes": params["axes"], "places": [result_of(place, array.storage) for place in params["places"]]},
                )
                if op == "gather"
                else (op, params)
                for op, params in array.steps
            ]
        )

    outputs = []
    for array in returned:
        by_value = on_device and any(op == "gather" for op, _ in array.steps)  # the host cannot tell its place
        if array.storage in owners and not by_value:
            unwrap = "scalar" if array.scalar and array.weak is None else ""
            outputs.append(Output(None, *owners[array.storage], seen(array), unwrap))
        elif array.weak is not None:
            outputs.append(Output(result_of(array.node, array.storage), unwrap="number"))
        elif array.scalar:
            outputs.append(Output(result_of(array.node, array.storage), unwrap="scalar"))
        elif array.storage in shared and not by_value:
            outputs.append(Output(result_of(array.storage.value, array.storage), steps=seen(array)))
        else:
            order = memory_order(array.shape, array.element_strides)
            node = array.node
            steps: tuple[Step, ...] = ()
            if order is not None:  # the elements lie in C order for the kernels, and are seen as NumPy's would lie
                node = recorder.make("copy", recorder.make("transpose", node, perm=order))
                steps = (("transpose", {"perm": tuple(np.argsort(order).tolist())}),)
            outputs.append(Output(result_of(node, array.storage), steps=steps))
    checks = undecided(recorder)
    flags = [check.flag for check in checks]
    graph = recorder.graph([*nodes, *_errors_alone(recorder, [*nodes, *flags]), *flags])
    return graph, recorder.feeds, outputs, writes, checks


def _errors_alone(recorder: Recorder, outputs: Sequence[Node]) -> list[Node]:
    """Results of library calls that nothing needs: they are made all the same, for the errors that the calls may raise."""
    calls = {node for node in recorder.nodes if operator(node.op).kind == "library" and not operator(node.op).total}
    if not calls:
        return []
    made: dict[Node, Node] = {}
    for node in recorder.nodes:
        call = node.inputs[0] if node.op == "get" else node
        if call in calls and (node.op == "get" or len(results_of(node)) == 1):
            made.setdefault(call, node)
    pending = list(outputs)
    needed = set(pending)
    while pending:
        for source in pending.pop().inputs:
            if source not in needed:
                needed.add(source)
                pending.append(source)
    return [node for call, node in made.items() if call not in needed]
