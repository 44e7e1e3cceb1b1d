"""Clusters: the sets of nodes that will become one kernel each, and the graph of what reads what between them.

A cluster computes over loop axes. Its `rows` are the axes that run in parallel: all of them while it holds no reduction;
once it does, a row is what shares the reductions' results, and the other axes are walked within a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numfuse.compiler.graph import Node
from numfuse.compiler.index import ZERO, Axis, Index, axis_index
from numfuse.compiler.types import size_of

if TYPE_CHECKING:
    import networkx

Indices = tuple[Index, ...]
Places = dict[Indices, frozenset[Axis]]
"""The indices at which a cluster needs a node, and the loops around each."""


class Cluster:
    """Nodes that one kernel computes. `outputs` are those that it puts in memory, with the index of each."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.nodes: dict[Node, None] = {}
        self.outputs: dict[Node, Indices] = {}
        self.rows: tuple[Axis, ...] | None = None
        self.axes: list[Axis] = []
        self.reads: set[Node] = set()
        """What other clusters put in memory for it."""
        self.call: Node | None = None
        self.store: Indices | None = None
        """For a cluster that writes into an array's memory in place, where in that array its elements go."""

    @property
    def domain(self) -> tuple[Axis, ...]:
        return tuple(self.axes)

    def add_axes(self, index: Indices) -> None:
        for part in index:
            for axis in part.axes:
                if axis not in self.axes:
                    self.axes.append(axis)

    def inner_axes(self, extents: list[int]) -> Indices:
        """Loop variables for the reduced axes: the cluster's own where the extents agree, so that stages share loads."""
        rows = self.rows or ()
        free = [axis for axis in sorted(self.axes, key=lambda axis: axis.number) if axis not in rows]
        index = []
        for extent in extents:
            if extent == 1:
                index.append(ZERO)
                continue
            axis = next((axis for axis in free if axis.extent == extent), None)
            if axis is None:
                axis = Axis(max([a.number for a in self.axes], default=-1) + 1, extent)
                self.axes.append(axis)
            else:
                free.remove(axis)
            index.append(axis_index(axis))
        return tuple(index)


def own_index(shape: tuple[int, ...]) -> Indices:
    """The index of an array's elements by axes of its own."""
    return tuple([axis_index(Axis(number, extent)) for number, extent in enumerate(shape)])


def plain_axes(index: Indices) -> tuple[Axis, ...] | None:
    """The axes of an index that names a different whole axis at each place; None for any other index."""
    axes = []
    for part in index:
        if part.terms:
            if part.const or len(part.terms) > 1 or part.terms[0][1] != 1 or not isinstance(part.terms[0][0], Axis):
                return None
            axes.append(part.terms[0][0])
        elif part.const:
            return None
    return tuple(axes) if len(set(axes)) == len(axes) else None


def own_places(cluster: Cluster, node: Node) -> Places:
    """The places of a cluster's first output: all elements, by axes of its own."""
    index = own_index(node.shape)
    cluster.add_axes(index)
    return {index: frozenset(cluster.axes)}


def covered(cluster: Cluster, kept: tuple[Axis, ...]) -> bool:
    """Whether all that the cluster puts in memory has these axes, so that they can be its rows."""
    return all(set(kept) <= set(plain_axes(index) or ()) for index in cluster.outputs.values())


def may_be_rows(cluster: Cluster, index: Indices) -> bool:
    """Whether a value at this index is one for a row of the kernel, or could be."""
    kept = plain_axes(index)
    return kept is not None and covered(cluster, kept) and (cluster.rows is None or set(cluster.rows) == set(kept))


def repeated(index: Indices, loops: frozenset[Axis]) -> int:
    """How often a value at `index` is the same in a walk over the loops around it; 1 where it is the same in all of it."""
    axes = frozenset().union(*[part.axes for part in index])
    return size_of([axis.extent for axis in loops - axes]) if axes else 1


class ClusterGraph:
    """Which cluster reads what another one stores. It must stay free of cycles: networkx answers that, and is imported
    (a tenth of a second) only where the question comes up."""

    def __init__(self) -> None:
        self.clusters: list[Cluster] = []
        self._edges: dict[tuple[Cluster, Cluster], None] = {}
        self._view: networkx.DiGraph | None = None

    def new(self) -> Cluster:
        cluster = Cluster(len(self.clusters))
        self.clusters.append(cluster)
        return cluster

    def add_edge(self, producer: Cluster, reader: Cluster) -> None:
        if producer is not reader:
            self._edges[producer, reader] = None
            if self._view is not None:
                self._view.add_edge(producer, reader)

    def reaches(self, first: Cluster, last: Cluster) -> bool:
        """Whether `last` needs anything that `first` makes, directly or not."""
        if not self._edges:
            return False
        import networkx as nx

        view = self._networkx()
        return first in view and last in view and nx.has_path(view, first, last)

    def needed_by(self, last: Cluster) -> set[Cluster]:
        """All clusters that make anything that `last` needs, directly or not."""
        if not self._edges:
            return set()
        import networkx as nx

        view = self._networkx()
        found: set[Cluster] = nx.ancestors(view, last) if last in view else set()
        return found

    def merge(self, into: Cluster, other: Cluster) -> None:
        into.nodes.update(other.nodes)
        into.outputs.update(other.outputs)
        into.reads |= other.reads
        into.add_axes(tuple([axis_index(axis) for axis in other.axes]))
        into.rows = into.rows if into.rows is not None else other.rows
        view = self._networkx() if self._edges else ()
        if other in view:
            assert self._view is not None
            producers, readers = list(self._view.predecessors(other)), list(self._view.successors(other))
            self._view.remove_node(other)
            for producer in producers:
                del self._edges[producer, other]
                self.add_edge(producer, into)
            for reader in readers:
                del self._edges[other, reader]
                self.add_edge(into, reader)
        self.clusters[other.number] = into

    def find(self, cluster: Cluster) -> Cluster:
        """The cluster that `cluster` is part of by now."""
        while self.clusters[cluster.number] is not cluster:
            cluster = self.clusters[cluster.number]
        return cluster

    def in_order(self, position: Mapping[Node, int]) -> list[Cluster]:
        """The clusters so that each comes after what it reads, as near as can be to the order of the program."""
        distinct = [cluster for place, cluster in enumerate(self.clusters) if cluster.number == place]
        first = {cluster: min([position[node] for node in cluster.outputs]) for cluster in distinct}
        if all(first[producer] < first[reader] for producer, reader in self._edges):
            return sorted(distinct, key=first.__getitem__)
        import networkx as nx

        view = self._networkx()
        view.add_nodes_from(distinct)
        return list(nx.lexicographical_topological_sort(view, key=first.__getitem__))

    def _networkx(self) -> networkx.DiGraph:
        if self._view is None:
            import networkx as nx

            self._view = nx.DiGraph()
            self._view.add_edges_from(self._edges)
        return self._view
