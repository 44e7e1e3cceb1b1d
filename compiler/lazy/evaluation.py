"""Running what lazy arrays wait for: the graph behind them is compiled as a traced function's is, and kept by its structure.

A loop of eager code makes the same graph again and again, so it compiles once. Numbers in it are constants of the kernel until one comes
with another value; from then on that one is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, params_key
from numfuse.compiler.lazy.nodes import LazyNode, heard
from numfuse.compiler.leaves import layout_of
from numfuse.compiler.lower.program import Layout
from numfuse.compiler.lowered import Lowered, lower_graph
from numfuse.compiler.ops import operator
from numfuse.runtime import log
from numfuse.runtime.cuda.array import DeviceArray

KEPT = 1024
"""Compiled graphs, at most; those used last are kept."""


@dataclass
class Pending:
    """The graph behind some nodes: `nodes` in order, what feeds it, and its shape as a key.

    `numbers` are its 0-d constants, which are not part of the key.
    """

    nodes: list[LazyNode]
    outputs: list[LazyNode]
    inputs: list[LazyNode] = field(default_factory=list)
    numbers: list[LazyNode] = field(default_factory=list)
    arrays: list[LazyNode] = field(default_factory=list)
    layouts: list[Layout | None] = field(default_factory=list)
    key: Hashable = None


@dataclass
class Family:
    """The graphs of one shape: the values of their numbers in the first of them, and those that have changed since."""

    values: tuple[bytes, ...]
    varying: set[int] = field(default_factory=set)


_families: OrderedDict[Hashable, Family] = OrderedDict()
_compiled: OrderedDict[Hashable, tuple[Any, Lowered]] = OrderedDict()


def run(device: str, wanted: Sequence[LazyNode], placed: Callable[[Any], Any]) -> None:
    """Gives `wanted` their values, and with them every node on the way that an array holds. `placed` puts an array into the device's memory."""
    pending = _behind(wanted)
    if pending is None:
        return
    if all(operator(node.op).kind == "view" for node in pending.nodes) and device == "cpu":
        _through_views(pending)
        return
    _describe(pending)
    values = tuple([number.params["value"].tobytes() for number in pending.numbers])
    family = _families.get((device, pending.key))
    if family is None:
        family = _families[device, pending.key] = Family(values)
    family.varying |= {place for place, (old, new) in enumerate(zip(family.values, values, strict=True)) if old != new}
    fixed = tuple([None if place in family.varying else value for place, value in enumerate(values)])
    key = (device, pending.key, fixed)
    known = _compiled.get(key)
    if known is None:
        known = _compiled[key] = _compile(device, pending, family.varying)
    _compiled.move_to_end(key)
    _families.move_to_end((device, pending.key))
    for kept in (_compiled, _families):
        if len(kept) > KEPT:
            kept.popitem(last=False)
    executable, lowered = known
    events = getattr(heard, "events", None)
    if events is not None:
        events.append(lowered)
    arguments = [node.value for node in pending.inputs]
    arguments += [placed(pending.numbers[place].params["value"]) for place in sorted(family.varying)]
    for node, result in zip(pending.outputs, executable(arguments), strict=True):
        node.become(placed(result))


def _behind(wanted: Sequence[LazyNode]) -> Pending | None:
    seen: set[LazyNode] = set()
    waiting: list[Any] = list(wanted)
    while waiting:
        node = waiting.pop()
        if node not in seen and node.value is None and node.op != "constant":
            seen.add(node)
            waiting += node.inputs
    if not seen:
        return None
    nodes = sorted(seen, key=lambda node: node.number)
    asked = set(wanted)
    return Pending(nodes, [node for node in nodes if node in asked or node.wanted])


def _through_views(pending: Pending) -> None:
    """Views of values: NumPy's own."""
    made: dict[Node, Any] = {}
    for node in pending.nodes:
        (source,) = node.inputs
        value = made.get(source)
        if value is None:
            value = source.params["value"] if source.op == "constant" else source.value  # type: ignore[attr-defined]
        made[node] = operator(node.op).reference(value, **node.params)
    for node in pending.outputs:
        value = made[node]
        spread = any(stride == 0 and extent > 1 for stride, extent in zip(value.strides, value.shape, strict=True))
        node.become(np.array(value, order="C") if spread else value)


def _describe(pending: Pending) -> None:
    """Fills in what feeds the graph, and the key."""
    places: dict[Any, int] = {}
    outputs = set(pending.outputs)
    entries: list[Hashable] = []
    for node in pending.nodes:
        for source in node.inputs:
            if source not in places:
                places[source] = len(places)
                entries.append(_source(pending, source))
        places[node] = len(places)
        operands = tuple([places[source] for source in node.inputs])
        entries.append((node.op, node.shape, node.dtype, params_key(node), operands, node in outputs))
    pending.key = tuple(entries)


def _source(pending: Pending, node: Any) -> Hashable:
    if node.op == "constant":
        (pending.arrays if node.shape else pending.numbers).append(node)
        return ("number", node.dtype) if not node.shape else ("constant", params_key(node))
    value = node.value
    layout: Layout | None
    if isinstance(value, DeviceArray):
        layout = Layout(value.element_strides, value.address % 16 == 0)
    else:
        layout = layout_of(value)
        if layout is None:
            value = node.value = np.array(value, order="C")
            layout = layout_of(value)
    assert layout is not None
    pending.inputs.append(node)
    pending.layouts.append(layout)
    return "input", node.shape, node.dtype, layout.strides, layout.aligned


def _compile(device: str, pending: Pending, varying: set[int]) -> tuple[Any, Lowered]:
    """The graph as something to call with its inputs' values."""
    graph, layouts = _graph(pending, varying)
    log.message("compile", f"a lazy graph of {len(pending.nodes)} nodes")
    lowered = lower_graph(graph, layouts, device, None)
    return lowered.device.compile(lowered.program, {}), lowered


def _graph(pending: Pending, varying: set[int]) -> tuple[Graph, list[Layout | None]]:
    """The graph without the values, which must not be kept alive by it, and how its inputs lie."""
    new: dict[Any, Node] = {node: Node("input", (), {}, node.shape, node.dtype) for node in pending.inputs}
    layouts = list(pending.layouts)
    nodes: list[Node] = []
    for place, number in enumerate(pending.numbers):
        if place in varying:
            new[number] = Node("input", (), {}, (), number.dtype)
            layouts.append(Layout((), number=True))
        else:
            new[number] = Node("constant", (), number.params, (), number.dtype)
            nodes.append(new[number])
    for array in pending.arrays:
        new[array] = Node("constant", (), array.params, array.shape, array.dtype)
        nodes.append(new[array])
    for node in pending.nodes:
        operands = tuple([new[source] for source in node.inputs])
        new[node] = Node(node.op, operands, node.params, node.shape, node.dtype, node.where)
        nodes.append(new[node])
    numbers = [new[pending.numbers[place]] for place in sorted(varying)]
    inputs = [new[node] for node in pending.inputs] + numbers
    return Graph("lazy", inputs, nodes, [new[node] for node in pending.outputs]), layouts
