"""Rows of a kernel: whether they stay in the cache from one stage to the next, and how they lie to what the kernel writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numfuse.compiler.graph import Node
from numfuse.compiler.index import Axis
from numfuse.compiler.ops import operator
from numfuse.compiler.types import size_of
from numfuse.passes.clusters import Cluster, plain_axes
from numfuse.passes.costs import reduced_length


@dataclass(frozen=True)
class Machine:
    """What fusion asks of a target."""

    few_rows: int
    """With fewer rows than this, work on whole rows does not keep the device busy."""
    row_bytes: int
    """A row of this size stays near the arithmetic unit between the stages of a kernel."""
    column_rows: int = 64
    """The same for a reduction across rows, in elements: a block of columns of so many rows stays in the cache."""
    guard: float = 4
    """What it costs, in additions, to tell which operand an element comes from: little, where loops are cut so that it is known."""
    many_columns: float = math.inf
    """Where there are so many columns, this holds for four times as many rows."""


def stores_elements(cluster: Cluster, rows: tuple[Axis, ...]) -> bool:
    """Whether the cluster has outputs with elements inside a row (and not one value a row)."""
    return any(set(plain_axes(index) or ()) != set(rows) for index in cluster.outputs.values())


def writes_across(node: Node, cluster: Cluster, rows: tuple[Axis, ...]) -> bool:
    """Whether the cluster has outputs that a row goes down in memory, and not along, while the reduction reads along it."""
    (source,), axis = node.inputs, node.params["axis"]
    if len(source.shape) - 1 not in axis:
        return False
    for index in cluster.outputs.values():
        walked = [part.axes for part in index if part.axes]
        if walked and walked[-1] <= set(rows) and not set().union(*walked) <= set(rows):
            return True
    return False


def resident(machine: Machine, reduction: Node | None, cluster: Cluster) -> bool:
    """Whether a row of the cluster stays in the cache from the reduction to what follows it."""
    if reduction is None:
        reduction = next((node for node in cluster.nodes if operator(node.op).kind == "reduction"), None)
        if reduction is None:
            return True
    if reduction.params.get("block") is not None:
        return False
    (source,), axis = reduction.inputs, reduction.params["axis"]
    rows = size_of(reduction.shape)
    length = max(reduced_length(reduction), size_of([a.extent for a in cluster.axes]) // max(rows, 1))
    along = all(a in axis for a in range(len(source.shape)) if source.shape[a] > 1 and a > min(axis, default=0))
    if not along and length > machine.column_rows * (4 if rows >= machine.many_columns else 1):
        return False
    if length * source.dtype.itemsize > machine.row_bytes:
        return False
    return rows >= machine.few_rows or length <= 16384
